package mounts

import (
	"context"
	"errors"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const checkWithin = 10 * time.Minute

// checkers are the programs that check a file system, without questions. What is
// not listed mends itself when it is mounted.
var checkers = [...]struct{ fstype, program, flag string }{
	{"ext4", "e2fsck", "-p"}, {"ext3", "e2fsck", "-p"}, {"ext2", "e2fsck", "-p"},
	{"vfat", "fsck.vfat", "-a"}, {"exfat", "fsck.exfat", "-p"}, {"f2fs", "fsck.f2fs", "-a"},
}

// checkerOf is program and flag; nil: there is none.
func checkerOf(fstype string) []string {
	for i := range checkers {
		if checkers[i].fstype == fstype {
			return []string{checkers[i].program, checkers[i].flag}
		}
	}
	return nil
}

// verdict is what came of a check: a line about it, and whether errors are left.
type verdict struct {
	text string
	bad  bool
}

// Exit codes of fsck(8).
const errorsLeft = 4

// check runs the checker of the device. One that cannot do its work says nothing
// about the file system: only errors that are left, and a check without an end,
// are bad.
func (a *Arm) check(ctx context.Context, p *place, fstype string) verdict {
	c := checkerOf(fstype)
	program := a.program(c[0])
	if program == "" {
		return verdict{text: p.node + " was not unmounted, and there is no " + c[0] + " to check it"}
	}
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	out, status, err := a.cfg.Tool(ctx, p.name, []string{program, c[1], p.node}, nil)
	said := c[0] + ": " + lastLine(out)
	code, exited := status.Exit()
	switch {
	case ctx.Err() != nil:
		return verdict{c[0] + " has not ended within " + strconv.Itoa(int(checkWithin.Minutes())) + " minutes; run it by hand", true}
	case err != nil:
		return verdict{text: c[0] + ": " + err.Error()}
	case !exited:
		return verdict{text: c[0] + ": ended by a signal"}
	case code&errorsLeft != 0 && c[0] == "e2fsck":
		return verdict{said + "; unmount it and run e2fsck " + p.node, true}
	case code&errorsLeft != 0:
		return verdict{said + "; unmount it and run " + c[0] + " " + p.node, true}
	case code != 0:
		said += " (exit " + strconv.Itoa(code) + ")"
	}
	return verdict{text: said}
}

// program is the path of a program of the system; empty: it is not there.
func (a *Arm) program(name string) string {
	for _, dir := range [...]string{"/sbin/", "/usr/sbin/"} {
		if a.k.exists(dir + name) {
			return dir + name
		}
	}
	return ""
}

// lastLine is the last line of an output that says something.
func lastLine(out []byte) (line string) {
	for l := range strings.SplitSeq(string(out), "\n") {
		if l = strings.TrimSpace(l); l != "" {
			line = l
		}
	}
	if line == "" {
		return "said nothing"
	}
	return line[:min(len(line), 200)]
}

// mount mounts, by the program mount.TYPE where there is one; empty: it did.
func (a *Arm) mount(ctx context.Context, p *place, source, fstype string, fl uintptr, data string) string {
	at := p.at
	if fl&unix.MS_BIND != 0 {
		err := a.k.mount(source, at, "", fl&(unix.MS_BIND|unix.MS_REC), "")
		if rest := fl &^ unix.MS_REC; err == nil && rest != unix.MS_BIND {
			err = a.k.mount("", at, "", rest|unix.MS_REMOUNT, "")
		}
		return a.spread(p, source, fstype, err)
	}
	if program := a.program("mount." + fstype); program != "" {
		ctx, cancel := context.WithTimeout(ctx, mountWithin)
		defer cancel()
		argv := []string{program, source, at}
		if p.cfg.Options != "" {
			argv = append(argv, "-o", p.cfg.Options)
		}
		out, status, err := a.cfg.Tool(ctx, p.name, argv, nil)
		switch {
		case err != nil:
			return path.Base(program) + ": " + err.Error()
		case status != 0:
			return path.Base(program) + ": " + lastLine(out)
		}
		return a.spread(p, source, fstype, nil)
	}
	return a.spread(p, source, fstype, a.k.mount(source, at, fstype, fl, data))
}

// spread sets the propagation, and puts an error into words.
func (a *Arm) spread(p *place, source, fstype string, err error) string {
	if err == nil && p.opts.propagation != 0 {
		err = a.k.mount("", p.at, "", p.opts.propagation, "")
	}
	if err == nil {
		return ""
	}
	text := "mount " + source + ": "
	switch {
	case errors.Is(err, unix.ENODEV):
		return text + "the kernel has no file system " + strconv.Quote(fstype) + "; its module is not in the image"
	case errors.Is(err, unix.EINVAL):
		return text + "it is no " + fstype + ", an option is wrong, or a module is missing; dmesg may say which"
	case errors.Is(err, unix.EBUSY):
		return text + "it is in use, or mounted elsewhere with other options"
	}
	return text + err.Error()
}
