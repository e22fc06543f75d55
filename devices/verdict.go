package devices

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Verdict is what became of a module.
type Verdict uint8

const (
	Loaded      Verdict = iota + 1 // the kernel took it now
	Present                        // was loaded before
	Builtin                        // part of the kernel: nothing to load
	NoDevice                       // ENODEV: the driver found nothing to drive; normal
	Unresolved                     // ENOENT: a module it needs refused to load; normal
	Blacklisted                    // not tried, by configuration
	Unknown                        // neither module nor alias of this kernel
	Late                           // not through when the caller's context ended
	Failed                         // anything else: see Err
)

var verdictNames = [...]string{
	"", "loaded", "present", "built in", "no device", "unresolved", "blacklisted", "unknown", "late", "failed",
}

func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "?"
}

// Good reports whether the module's code is in the kernel.
func (v Verdict) Good() bool { return v == Loaded || v == Present || v == Builtin }

// Result is the verdict over one module. Err is nil for Loaded, Present and
// Builtin; else it names the module and wraps the kernel's errno or the
// context's error.
type Result struct {
	Module  string
	Verdict Verdict
	Err     error
}

// ModuleError is an error with the module it belongs to.
type ModuleError struct {
	Module string
	Err    error
}

func (e *ModuleError) Error() string { return "module " + e.Module + ": " + e.Err.Error() }
func (e *ModuleError) Unwrap() error { return e.Err }

// errLoaded says that sysfs has the module already.
var errLoaded = errors.New("already loaded")

func verdict(err error) Verdict {
	switch {
	case err == nil:
		return Loaded
	case errors.Is(err, unix.EEXIST), errors.Is(err, errLoaded):
		return Present
	case errors.Is(err, unix.ENODEV):
		return NoDevice
	case errors.Is(err, errNoFile):
		return Failed
	case errors.Is(err, unix.ENOENT):
		return Unresolved
	}
	return Failed
}
