// Package install lays packages into a tree as apk would on a disk.
package install

import (
	"context"
	"errors"

	"hoopy/build/apk"
	"hoopy/build/tree"
)

// Options directs Install; the zero value is apk's behaviour.
type Options struct {
	// Skip names packages whose scripts and triggers are not run.
	Skip map[string]bool
	// IDs pins the numbers of users and groups that scripts create.
	IDs IDs
	// Report, if set, is filled in.
	Report *Report
}

// IDs are the numbers once given to users and groups, by name.
type IDs struct {
	Users, Groups map[string]int
}

// Report tells what Install did.
type Report struct {
	// IDs holds the users and groups that scripts created, for the lock.
	IDs IDs
	// Sizes is the sum of file sizes by package ID, in bytes.
	Sizes map[string]int64
	// Notes are lines worth showing: links not made, attributes dropped.
	Notes []string
}

// Install lays pkgs, in order, into t.
func Install(ctx context.Context, t *tree.Tree, pkgs []*apk.Package, cache *apk.Cache, o Options) error {
	return errors.ErrUnsupported
}
