package debian

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"strings"
)

// walk calls visit for every entry of a package, in its order, with paths that
// are relative and clean. The content can be read until visit returns. Nothing
// is laid on the disk: a kernel package holds 400 MB.
func (d deb) walk(ctx context.Context, visit func(h *tar.Header, content io.Reader) error) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", d.path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("package %s: %w", d.Name, err)
	}
	r := tar.NewReader(out)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			h.Name = clean(h.Name)
			if h.Typeflag == tar.TypeLink {
				h.Linkname = clean(h.Linkname)
			}
			err = visit(h, r)
		}
		if err != nil {
			cancel()
			cmd.Wait()
			return fmt.Errorf("package %s: %w", d.Name, err)
		}
	}
	io.Copy(io.Discard, out) // the padding behind the archive's end
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("package %s: dpkg-deb: %w", d.Name, err)
	}
	return nil
}

func clean(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// control is what is used of a package's control file.
type control struct {
	version string   // without epoch and Debian revision: "9.2p1"
	depends []string // names; of alternatives the first
}

func (d deb) control(ctx context.Context) (control, error) {
	out, err := run(ctx, "", "dpkg-deb", "-f", d.path, "Version", "Depends", "Pre-Depends")
	if err != nil {
		return control{}, fmt.Errorf("package %s: %w", d.Name, err)
	}
	return parseControl(out), nil
}

func parseControl(text string) control {
	var c control
	for line := range strings.Lines(text) {
		field, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch field {
		case "Version":
			c.version = value
		case "Depends", "Pre-Depends":
			for dep := range strings.SplitSeq(value, ",") {
				name := strings.FieldsFunc(dep, func(r rune) bool { return strings.ContainsRune(" (|:", r) })
				if len(name) > 0 {
					c.depends = append(c.depends, name[0])
				}
			}
		}
	}
	return c
}

// apkVersion turns a Debian version into one that apk can compare: the leading
// numbers of the upstream part and of the revision. "1:9.2p1-2+deb12u10" is
// "9.2-r2".
func apkVersion(debian string) string {
	if _, after, ok := strings.Cut(debian, ":"); ok {
		debian = after
	}
	upstream, revision, _ := strings.Cut(debian, "-")
	numbers := func(s, allowed string) string {
		end := strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune(allowed, r) })
		if end >= 0 {
			s = s[:end]
		}
		return strings.Trim(s, ".")
	}
	v, r := numbers(upstream, "0123456789."), numbers(revision, "0123456789")
	if v == "" {
		v = "0"
	}
	if r == "" {
		r = "0"
	}
	return v + "-r" + r
}
