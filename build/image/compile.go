package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// programs are the binaries of cmd/, compiled while the packages are laid.
// Nothing but done may be touched before it is closed.
type programs struct {
	done  chan struct{}
	files map[string]string // by name
	err   error
}

// compile starts to build every program of cmd/ for the image's machine:
// static, without paths or times of this one. Its output stays in the cache,
// so that unchanged programs are not linked again.
func (b *builder) compile(ctx context.Context) *programs {
	p := &programs{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer func() {
			if v := recover(); v != nil {
				p.err = fmt.Errorf("programs: panic: %v", v)
			}
		}()
		p.files, p.err = b.goBuild(ctx)
	}()
	return p
}

// goBuild compiles ./cmd/... of the folder and, of those that boot an image,
// what it lacks from hoopy's own module.
func (b *builder) goBuild(ctx context.Context) (map[string]string, error) {
	files := map[string]string{}
	if err := b.goBuildIn(ctx, b.Dir, nil, files); err != nil {
		return nil, err
	}
	var lack []string
	for _, name := range []string{"init", "svc"} {
		if files[name] == "" {
			lack = append(lack, name)
		}
	}
	if len(lack) == 0 {
		return files, nil
	}
	if b.Self != "" {
		if err := b.goBuildIn(ctx, b.Self, lack, files); err != nil {
			return nil, err
		}
	}
	for _, name := range lack {
		if files[name] == "" {
			return nil, fmt.Errorf("programs: cmd/%s is missing, and so is a checkout of hoopy, which has it: call this from there, with -C for this folder", name)
		}
	}
	return files, nil
}

// CompileFlags are those of go build for /init and what is compiled with it.
//
// Symbols and DWARF are left out. Functions begin at multiples of 16 bytes, as the
// Go linker has it on arm64; 32, its own choice for amd64, is 40 kB more of zeros in
// /init and not faster: hoopy's benchmarks do not tell them apart. So it is with
// inlining, 140 kB: it is done in the packages listed, in which time is spent, and
// nowhere else. The keeper is one because nobody collects its garbage, and the rings
// are because each line of a log goes through them. Of two flags for one package the
// last counts.
func CompileFlags(version string) []string {
	flags := []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w -funcalign=16 -X main.version=" + version, "-gcflags=all=-l"}
	for _, pattern := range [...]string{"runtime/...", "internal/...", "sync/...", "reflect/...", "strings", "bytes", "strconv/...", "unicode/...",
		"github.com/BurntSushi/...", "hoopy/keeper/...", "hoopy/kmsg", "hoopy/process/ring"} {
		flags = append(flags, "-gcflags="+pattern+"=")
	}
	return flags
}

// goBuildIn compiles programs of the module in dir and adds them to files; only
// nil means all that there are.
func (b *builder) goBuildIn(ctx context.Context, dir string, only []string, files map[string]string) error {
	main, err := programsIn(dir, only)
	if err != nil || len(main) == 0 {
		return err
	}
	whole, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	// a folder for each module: two that share the cache have an init each
	out, err := filepath.Abs(filepath.Join(b.Cache, "bin", b.config.Arch, hexSum([]byte(whole))[:12]))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -X main.version=" + b.version}
	if slices.Contains(main, "./cmd/init") { // else they are somebody's own
		args = append(args[:1], CompileFlags(b.version)...)
	}
	if err := b.goTool(ctx, dir, append(append(args, "-o", out+string(filepath.Separator)), main...)...); err != nil {
		return err
	}
	for _, p := range main {
		files[path.Base(p)] = filepath.Join(out, path.Base(p))
	}
	return nil
}

// programsIn lists the folders of cmd/ that hold a program, as "./cmd/NAME". It
// reads package clauses itself: go list would take longer than the rest of a
// build that has nothing to compile.
func programsIn(dir string, only []string) (main []string, err error) {
	dirs, err := os.ReadDir(filepath.Join(dir, "cmd"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, d := range dirs {
		if !d.IsDir() || only != nil && !slices.Contains(only, d.Name()) {
			continue
		}
		sources, err := filepath.Glob(filepath.Join(dir, "cmd", d.Name(), "*.go"))
		if err != nil {
			return nil, err
		}
		for _, file := range sources {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly)
			if err != nil || f.Name.Name == "main" { // what does not parse is the compiler's to tell
				main = append(main, "./cmd/"+d.Name())
				break
			}
		}
	}
	return main, nil
}

// goTool runs the go command for the image's machine.
func (b *builder) goTool(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+b.config.GoArch(), "CGO_ENABLED=0",
		"GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0")
	if text, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("programs: go %s in %s: %w\n%s", args[0], dir, err, bytes.TrimSpace(text))
	}
	return nil
}
