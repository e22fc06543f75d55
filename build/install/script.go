package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"hoopy/build/tree"
)

// ScriptError says what a package's script wanted that cannot be had, or how it
// failed.
type ScriptError struct {
	Package string // its ID
	Script  string // "post-install"
	Command string // the command at fault, if there is one
	Output  string // the last of what it wrote to standard error
	Err     error
}

func (e *ScriptError) Error() string {
	s := fmt.Sprintf("package %s: %s", e.Package, e.Script)
	if e.Command != "" {
		s += fmt.Sprintf(": command %q", e.Command)
	}
	s += ": " + e.Err.Error()
	if e.Output != "" {
		s += fmt.Sprintf(" (it said %q)", e.Output)
	}
	return s
}

func (e *ScriptError) Unwrap() error { return e.Err }

// ErrUnknownCommand says that a script wants a command that the tree has and
// that is not one of ours.
var ErrUnknownCommand = errors.New("not one that package scripts can run here; if the image does without, skip the scripts of this package")

// script runs one script of a package, if it has it.
func (in *installer) script(ctx context.Context, l *laid, name string, args ...string) error {
	text := l.archive.Scripts[name]
	if len(text) == 0 {
		return nil
	}
	if in.o.Skip[l.Name] {
		in.note("package %s: %s was skipped", l.id(), name)
		return nil
	}
	s := &script{in: in, l: l, name: name}
	err := s.run(ctx, text, args)
	if err == nil {
		return nil
	}
	var se *ScriptError
	if errors.As(err, &se) {
		return se
	}
	return &ScriptError{Package: l.id(), Script: name, Output: s.said(), Err: err}
}

// script is one run of a script.
type script struct {
	in     *installer
	l      *laid
	name   string
	stderr tail
}

func (s *script) said() string { return strings.TrimSpace(s.stderr.String()) }

// run interprets a script. The interpreter's own reach to the host is cut off:
// what it would look up without asking a handler is refused before the start
// (see refuse) or rewritten (see call).
func (s *script) run(ctx context.Context, text []byte, args []string) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("the interpreter panicked: %v", x)
		}
	}()
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(bytes.NewReader(text), s.name)
	if err != nil {
		return err
	}
	if err := refuse(file); err != nil {
		return err
	}
	most := s.in.o.ScriptTime
	if most <= 0 {
		most = 20 * time.Second
	}
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("still running after %v", most))
	defer cancel()
	var stdout tail
	runner, err := interp.New(
		interp.Dir("/"), // of the host, where it always is, but only its name counts
		interp.Env(expand.ListEnviron("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
			"UID=0", "EUID=0", "GID=0", "TMPDIR=/tmp", "LANG=C")),
		interp.Params(append([]string{"--"}, args...)...),
		interp.StdIO(nil, &stdout, &s.stderr),
		interp.OpenHandler(s.open),
		interp.StatHandler(s.stat),
		interp.AccessHandler(s.access),
		interp.ReadDirHandler2(s.readDir),
		interp.CallHandler(s.call),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return s.exec }),
	)
	if err != nil {
		return err
	}
	err = runner.Run(ctx, file)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var status interp.ExitStatus
	if errors.As(err, &status) {
		return fmt.Errorf("exit status %d", status)
	}
	return err
}

// refuse finds what the interpreter would do behind the back of the handlers.
func refuse(file *syntax.File) error {
	var err error
	syntax.Walk(file, func(n syntax.Node) bool {
		no := func(what string) {
			if err == nil {
				err = fmt.Errorf("line %d: %s is not supported in package scripts", n.Pos().Line(), what)
			}
		}
		switch n := n.(type) {
		case *syntax.ProcSubst:
			no("process substitution")
		case *syntax.UnaryTest:
			if n.Op == syntax.TsUsrOwn || n.Op == syntax.TsGrpOwn || n.Op == syntax.TsModif {
				no("test " + n.Op.String())
			}
		case *syntax.Word:
			if lit := n.Lit(); len(lit) > 1 && lit[0] == '~' && lit[1] != '/' {
				no("~user")
			}
		case *syntax.Stmt:
			if n.Background || n.Coprocess {
				no("a command in the background")
			}
		}
		return err == nil
	})
	return err
}

// inTree brings a name from a script to one of the tree.
func inTree(ctx context.Context, name string) string {
	if !path.IsAbs(name) {
		name = path.Join(interp.HandlerCtx(ctx).Dir, name)
	}
	return tree.Clean(name)
}

func (s *script) stat(ctx context.Context, name string, follow bool) (fs.FileInfo, error) {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	var e *tree.Entry
	var err error
	if follow {
		e, err = s.in.t.Stat(inTree(ctx, name))
	} else {
		e, err = s.in.t.Lstat(inTree(ctx, name))
	}
	if err != nil {
		if isDevice(inTree(ctx, name)) {
			return info{tree.Entry{Path: inTree(ctx, name), Mode: fs.ModeDevice | fs.ModeCharDevice | 0o666}}, nil
		}
		return nil, err
	}
	return info{*e}, nil
}

// access is what root may do: all but execute a file without any x bit.
func (s *script) access(ctx context.Context, name string, mode interp.AccessMode) error {
	fi, err := s.stat(ctx, name, true)
	if err != nil {
		return err
	}
	if mode&interp.AccessExec != 0 && !fi.IsDir() && fi.Mode()&0o111 == 0 {
		return &fs.PathError{Op: "access", Path: name, Err: fs.ErrPermission}
	}
	return nil
}

func (s *script) readDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	list, err := s.in.t.ReadDir(inTree(ctx, name))
	if err != nil {
		return nil, err
	}
	out := make([]fs.DirEntry, len(list))
	for i, e := range list {
		out[i] = fs.FileInfoToDirEntry(info{*e})
	}
	return out, nil
}

// call turns builtins that would look at the host's PATH into commands of ours.
func (s *script) call(ctx context.Context, args []string) ([]string, error) {
	switch args[0] {
	case "command", "type", "hash":
		if len(args) > 1 && args[0] == "command" && !strings.HasPrefix(args[1], "-") {
			// "command foo" is foo
			return s.call(ctx, args[1:])
		}
		return append([]string{lookupPrefix + args[0]}, args[1:]...), nil
	}
	return args, nil
}

// info is an entry, as it was, in the form that the interpreter wants.
type info struct{ e tree.Entry }

func (i info) Name() string       { return path.Base(i.e.Path) }
func (i info) Size() int64        { return i.e.Size }
func (i info) Mode() fs.FileMode  { return i.e.Mode }
func (i info) ModTime() time.Time { return time.Unix(i.e.MTime, 0) }
func (i info) IsDir() bool        { return i.e.Mode.IsDir() }
func (i info) Sys() any           { return nil }

// tail keeps the last of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - 500; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
