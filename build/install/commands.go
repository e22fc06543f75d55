package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/interp"

	"hoopy/build/tree"
)

// lookupPrefix marks the builtins that call rewrites.
const lookupPrefix = "hoopy-"

// invocation is one command with its operands, as a command of ours sees it.
type invocation struct {
	*script
	ctx  context.Context
	name string
	args []string // without the name
	in   io.Reader
	out  bytes.Buffer // standard output, passed on when the command is through
}

// stdin reads standard input to its end.
func (v *invocation) stdin() ([]byte, error) {
	if v.in == nil {
		return nil, nil
	}
	v.script.in.mu.Unlock()
	defer v.script.in.mu.Lock()
	return io.ReadAll(io.LimitReader(v.in, maxWritten))
}

// failure is a command that fails in the ordinary way: a message for standard
// error and an exit status, which the script may ignore.
type failure struct {
	status uint8
	text   string
}

func (f *failure) Error() string { return f.text }

func failed(format string, a ...any) error { return &failure{1, fmt.Sprintf(format, a...)} }

// noSuchUse is about a use of a command that we do not have: like an unknown
// command, it ends the build.
func noSuchUse(format string, a ...any) error {
	return fmt.Errorf("not supported in package scripts: "+format, a...)
}

// commandOf gives our version of a command; nil where there is none. They do
// what busybox's do, as far as package scripts use them.
func commandOf(name string) func(*invocation) error {
	switch name {
	case "add-shell":
		return addShell
	case "addgroup":
		return addgroup
	case "adduser":
		return adduser
	case "basename":
		return basename
	case "bbsuid":
		return bbsuid
	case "busybox", "busybox-extras":
		return busybox
	case "cat":
		return cat
	case "chmod":
		return chmod
	case "chown":
		return chown
	case "cp":
		return cp
	case "depmod":
		// the build writes the module index itself, for the final tree
		return func(*invocation) error { return nil }
	case "dirname":
		return dirname
	case "getent":
		return getent
	case "grep", "egrep", "fgrep":
		return grep
	case "install":
		return installFiles
	case "ln":
		return ln
	case "mkdir":
		return mkdir
	case "mv":
		return mv
	case "readlink":
		return readlink
	case "rm":
		return rm
	case "sed":
		return sed
	case "touch":
		return touch
	case "update-ca-certificates":
		return updateCACertificates
	case lookupPrefix + "command", lookupPrefix + "type", lookupPrefix + "hash":
		return lookup
	}
	return nil
}

// exec runs a command of a script. One that is not in the tree fails like any
// shell would say it, with status 127; one that is there and not ours is an
// error of the build.
func (s *script) exec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	name := args[0]
	run := commandOf(path.Base(name))
	v := &invocation{script: s, ctx: ctx, name: path.Base(name), args: args[1:], in: hc.Stdin}
	err := func() error {
		s.in.mu.Lock()
		defer s.in.mu.Unlock()
		if !strings.HasPrefix(name, lookupPrefix) { // else a builtin that call rewrote
			_, found := s.which(name, hc.Dir)
			if !found && (run == nil || strings.Contains(name, "/")) {
				return &failure{127, "not found"}
			}
		}
		if run == nil {
			return ErrUnknownCommand
		}
		return run(v)
	}()
	if _, werr := hc.Stdout.Write(v.out.Bytes()); err == nil {
		err = werr
	}
	var f *failure
	var used *inUse
	var pe *fs.PathError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		if f.text != "" {
			fmt.Fprintf(hc.Stderr, "%s: %s\n", path.Base(name), f.text)
		}
		return interp.ExitStatus(f.status)
	case errors.As(err, &used), errors.As(err, &pe):
		fmt.Fprintf(hc.Stderr, "%s: %v\n", path.Base(name), err)
		return interp.ExitStatus(1)
	}
	return &ScriptError{Package: s.l.id(), Script: s.name, Command: strings.Join(args, " "), Err: err}
}

// which finds a command in the tree as the shell would.
func (s *script) which(name, dir string) (string, bool) {
	try := []string{name}
	if !strings.Contains(name, "/") {
		try = nil
		for _, d := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
			try = append(try, path.Join(d, name))
		}
	} else if !path.IsAbs(name) {
		try = []string{path.Join(dir, name)}
	}
	for _, p := range try {
		if e, err := s.in.t.Stat(p); err == nil && e.Mode.IsRegular() && e.Mode&0o111 != 0 {
			return p, true
		}
	}
	return "", false
}

// lookup is command, type and hash: only "command -v" and its like are of use
// to scripts.
func lookup(v *invocation) error {
	args := v.args
	if v.name == lookupPrefix+"command" {
		if len(args) == 0 || args[0] != "-v" && args[0] != "-V" {
			return noSuchUse("only command -v is supported")
		}
		args = args[1:]
	}
	status := error(nil)
	for _, a := range args {
		p, ok := v.which(a, "/")
		switch {
		case ok:
			fmt.Fprintln(&v.out, p)
		case interp.IsBuiltin(a):
			fmt.Fprintln(&v.out, a)
		default:
			status = &failure{status: 127}
		}
	}
	return status
}

// busybox is "busybox --install -s" and "busybox COMMAND...", for busybox-extras
// as well.
func busybox(v *invocation) error {
	if len(v.args) == 0 {
		return noSuchUse("without a command")
	}
	if v.args[0] == "--install" {
		if !slices.Equal(v.args[1:], []string{"-s"}) {
			return noSuchUse("only --install -s is supported")
		}
		return v.script.in.installLinks(v.name)
	}
	run := commandOf(v.args[0])
	if run == nil || strings.HasPrefix(v.args[0], lookupPrefix) {
		return noSuchUse("no command %q", v.args[0])
	}
	v.name, v.args = v.args[0], v.args[1:]
	return run(v)
}

// installLinks makes the links of a busybox for all names of its list that are
// not there yet.
func (in *installer) installLinks(name string) error {
	list := "etc/busybox-paths.d/" + name
	data, err := in.t.ReadFile(list)
	if err != nil {
		return fmt.Errorf("links of %s: %w", name, err)
	}
	target := "/bin/" + name
	made := 0
	for _, p := range strings.Fields(string(data)) {
		if _, ok := in.t.Get(p); ok {
			continue
		}
		if dir, err := in.t.Stat(path.Dir(tree.Clean(p))); err != nil || !dir.Mode.IsDir() {
			in.note("%s: no link %q: the folder is not there", name, p)
			continue
		}
		if err := in.t.Add(in.link(p, target, name)); err != nil {
			return err
		}
		made++
	}
	return nil
}

// link is a symbolic link with the time of the file that it belongs to.
func (in *installer) link(at, target, source string) *tree.Entry {
	e := &tree.Entry{Path: tree.Clean(at), Mode: fs.ModeSymlink | 0o777, Link: target, Source: source}
	if to, err := in.t.Stat(target); err == nil {
		e.MTime = to.MTime
		if e.Source = to.Source; e.Source == "" {
			e.Source = source
		}
	}
	return e
}

// suid are the applets that busybox-suid has in its binary.
var suid = []string{"/bin/mount", "/bin/su", "/bin/umount", "/usr/bin/crontab", "/usr/bin/passwd",
	"/usr/bin/traceroute", "/usr/bin/traceroute6", "/usr/bin/vlock"}

// bbsuid makes the links to the setuid binary where nothing, or only a link to
// busybox, is.
func bbsuid(v *invocation) error {
	if !slices.Equal(v.args, []string{"--install"}) {
		return noSuchUse("only --install is supported")
	}
	in := v.script.in
	for _, p := range suid {
		if e, ok := in.t.Get(p); ok && e.Link != "/bin/busybox" {
			continue
		}
		if err := in.t.Add(in.link(p, "/bin/bbsuid", "bbsuid")); err != nil {
			return err
		}
	}
	return nil
}
