//go:build !linux

package main

import (
	"errors"

	"hoopy/unit"
)

// A host that builds images is not ended by svc.
func (kernel) Signal(unit.How) error { return errors.ErrUnsupported }
func (kernel) Sync()                 {}
func (kernel) Now(unit.How) error    { return errors.ErrUnsupported }
