package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
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

func (b *builder) goBuild(ctx context.Context) (map[string]string, error) {
	dirs, err := os.ReadDir(filepath.Join(b.Dir, "cmd"))
	if err != nil {
		return nil, err
	}
	out, err := filepath.Abs(filepath.Join(b.Cache, "bin", b.config.Arch))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version="+b.version, "-o", out+string(filepath.Separator), "./cmd/...")
	cmd.Dir = b.Dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+b.config.GoArch(), "CGO_ENABLED=0",
		"GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0")
	if text, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("programs: go build ./cmd/...: %w\n%s", err, bytes.TrimSpace(text))
	}
	files := map[string]string{}
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		file := filepath.Join(out, d.Name())
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			continue // no package main
		} else if err != nil {
			return nil, err
		}
		files[d.Name()] = file
	}
	for _, name := range []string{"init", "svc"} {
		if files[name] == "" {
			return nil, fmt.Errorf("programs: cmd/%s is missing; have %s", name, strings.Join(names(files), ", "))
		}
	}
	return files, nil
}

func names(files map[string]string) []string {
	var out []string
	for n := range files {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
