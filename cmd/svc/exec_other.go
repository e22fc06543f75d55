//go:build !linux

package main

import (
	"errors"

	"hoopy/control"
)

func holdDescriptors() {}

// A host that builds images has no units.
func become(string, string, *control.Launch) error { return errors.ErrUnsupported }
