package image

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hoopy/build/config"
	"hoopy/build/tree"
)

// pack writes the three files beside their places and renames them at the end.
func (b *builder) pack(ctx context.Context, base *base, l *layer) (*Result, error) {
	if err := os.MkdirAll(b.Out, 0o755); err != nil {
		return nil, err
	}
	if err := sweepStale(b.Out, b.Now()); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.Out, ".new-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	how := &packing{kind: b.config.Compression, hardest: b.Release}
	entries := l.split(base.Early)
	sums := map[string]string{}
	if err := b.initramfs(ctx, filepath.Join(dir, "initramfs"), how, base, l, entries, sums); err != nil {
		return nil, err
	}
	if err := copyFile(filepath.Join(base.dir, kernelFile), filepath.Join(dir, "vmlinuz")); err != nil {
		return nil, err
	}
	if err := writeManifest(filepath.Join(dir, "manifest"), l, sums); err != nil {
		return nil, err
	}
	b.timing.lap("pack")
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, name := range []string{"vmlinuz", "initramfs", "manifest"} {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(b.Out, name)); err != nil {
			return nil, err
		}
	}
	return b.result(base, l)
}

// initramfs writes the frames.
func (b *builder) initramfs(ctx context.Context, file string, how *packing, base *base, l *layer, entries [frames][]*tree.Entry, sums map[string]string) (err error) {
	kept, err := b.keptFrames(ctx, how, base, l, entries, sums)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if b.secret(l) {
		mode = 0o600
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Chmod(mode), f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	if base.UcodeSum != "" {
		if err := appendFile(w, filepath.Join(base.dir, ucodeFile)); err != nil {
			return err
		}
	}
	if err := how.writeFrame(w, l.t, entries[frameInit], sums); err != nil {
		return err
	}
	if err := appendFile(w, kept); err != nil {
		return err
	}
	if err := how.writeFrame(w, l.t, entries[frameRoot], sums); err != nil {
		return err
	}
	return w.Flush()
}

// secret says whether the image holds what only its owner may read, so that the
// same must be true of the file.
func (b *builder) secret(l *layer) bool {
	if b.config.RootHash != "" || slices.ContainsFunc(b.config.Users, func(u config.User) bool { return u.Hash != "" }) {
		return true
	}
	for name := range l.laid {
		if e, ok := l.t.Get(name); ok && e.Mode.IsRegular() && e.Mode.Perm()&0o004 == 0 {
			return true
		}
	}
	return false
}

// keptFrames gives a file with the frames that the packages fill, from the
// cache if they were packed before with the same holes.
func (b *builder) keptFrames(ctx context.Context, how *packing, base *base, l *layer, entries [frames][]*tree.Entry, sums map[string]string) (string, error) {
	slices.Sort(l.holes)
	key, _ := json.Marshal([]any{how.kind, how.hardest, l.holes}) // plain data: cannot fail
	h := sha256.Sum256(key)
	file := filepath.Join(base.dir, hex.EncodeToString(h[:8])+".frames")
	if text, err := readSummed(file + ".json"); err == nil {
		var kept keptList
		sum, err := fileSum(file)
		if err == nil && json.Unmarshal(text, &kept) == nil && kept.File == sum {
			for name, s := range kept.Sums {
				sums[name] = s
			}
			return file, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(base.dir, ".new-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	kept := keptList{Sums: map[string]string{}}
	whole := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(f, whole), 1<<20)
	for _, frame := range []int{frameEarly, framePackages} {
		if err := how.writeFrame(w, l.t, entries[frame], kept.Sums); err != nil {
			return "", err
		}
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		return "", err
	}
	for name, s := range kept.Sums {
		sums[name] = s
	}
	kept.File = hex.EncodeToString(whole.Sum(nil))
	text, err := json.Marshal(kept)
	if err != nil {
		return "", err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return "", err
	}
	return file, writeSummed(file+".json", text)
}

// errDamaged says that a file of the cache is not as it was written.
var errDamaged = errors.New("is damaged")

// readSummed reads what writeSummed wrote: a file that begins with its own
// SHA-256, so that damage is not taken for content.
func readSummed(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sum, data, _ := bytes.Cut(data, []byte("\n"))
	if string(sum) != hexSum(data) {
		return nil, &fs.PathError{Op: "read", Path: file, Err: errDamaged}
	}
	return data, nil
}

func writeSummed(file string, data []byte) error {
	return writeBeside(file, append([]byte(hexSum(data)+"\n"), data...), 0o600)
}

// keptList lies beside kept frames.
type keptList struct {
	File string            // SHA-256 of the frames
	Sums map[string]string // SHA-256 of each file in them
}

func fileSum(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func appendFile(w io.Writer, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

func copyFile(from, to string) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(appendFile(f, from), f.Close())
}

// writeManifest lists the entries of the image: path, mode, owner, size or
// link, SHA-256, source; one line each, so that diff(1) compares two images.
func writeManifest(file string, l *layer, sums map[string]string) (err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "# path\tmode\towner\tsize\tsha256, link or device\tsource")
	for e := range l.t.Walk() {
		mode, err := unixMode(e.Mode)
		if err != nil {
			return err
		}
		what := "-"
		switch {
		case e.Link != "":
			what = "-> " + e.Link
		case e.Hard != "":
			what = "= " + e.Hard
		case e.Mode.IsRegular():
			what = sums[e.Path]
		case e.Major != 0:
			what = fmt.Sprintf("%d,%d", e.Major, e.Minor)
		}
		fmt.Fprintf(w, "%s\t%06o\t%d:%d\t%d\t%s\t%s\n", e.Path, mode, e.UID, e.GID, e.Size, what, e.Source)
	}
	return w.Flush()
}

// writeBeside writes a file whole or not at all.
func writeBeside(file string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// sweepStale removes what builds that were killed more than a day ago left.
func sweepStale(dir string, now time.Time) error {
	left, err := filepath.Glob(filepath.Join(dir, ".new-*"))
	if err != nil {
		return err
	}
	for _, name := range left {
		if st, err := os.Lstat(name); err == nil && now.Sub(st.ModTime()) > 24*time.Hour {
			if err := os.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepBases is how many bases stay in the cache; Debian's kernel makes one
// of 60 MB.
const keepBases = 4

// sweep removes the bases that were used least recently, and marks this one.
func (b *builder) sweep(used string) error {
	now := b.Now()
	if err := os.Chtimes(used, now, now); err != nil {
		return err
	}
	dirs, err := os.ReadDir(filepath.Dir(used))
	if err != nil {
		return err
	}
	type aged struct {
		path string
		at   time.Time
	}
	var all []aged
	for _, d := range dirs {
		if info, err := d.Info(); err == nil {
			all = append(all, aged{filepath.Join(filepath.Dir(used), d.Name()), info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b aged) int { return b.at.Compare(a.at) })
	for _, old := range all[min(keepBases, len(all)):] {
		if err := os.RemoveAll(old.path); err != nil {
			return err
		}
	}
	return nil
}
