package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"hoopy/build/tree"
	"hoopy/unit"
	"hoopy/unit/fstab"
)

// machineFile describes the machine, below root/ as in the image.
const machineFile = "etc/init.toml"

// fromFstab turns root/etc/fstab into tables of init.toml and returns that file
// with them; nothing if there is no fstab, or init.toml has disks of its own.
// The notes say what became of each line.
func fromFstab(root string) (machine []byte, notes []string, err error) {
	table, err := os.ReadFile(filepath.Join(root, "etc", "fstab"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	tables, left := fstab.Parse(string(table))
	for _, note := range left {
		notes = append(notes, "fstab      "+note)
	}
	if tables == "" {
		return nil, notes, nil
	}
	machine, err = os.ReadFile(filepath.Join(root, filepath.FromSlash(machineFile)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// With an init.toml the machine has the links that stand in it, and no other.
		l := unit.FallbackLink
		machine = fmt.Appendf(nil, "[[link]]\nname = %q\nmatch = { name = %q }\n", l.Name, l.MatchName)
	case err != nil:
		return nil, nil, err
	default:
		if c, err := unit.ReadFiles(os.DirFS(filepath.Join(root, "etc"))).Load("root/etc"); err == nil && len(c.Machine.Mounts) > 0 {
			return nil, append(notes, "fstab      not used: init.toml has disks of its own"), nil
		}
	}
	n := bytes.Count([]byte(tables), []byte("# fstab line "))
	notes = append(notes, fmt.Sprintf("fstab      %d of its lines are units of the machine now, as if init.toml said so; svc status shows them", n))
	return append(append(bytes.TrimRight(machine, "\n"), "\n\n"...), tables...), notes, nil
}

// machine lays the init.toml that fromFstab made, over that of root/.
func (l *layer) machine(text []byte) error {
	if text == nil {
		return nil
	}
	return l.put(frameRoot, &tree.Entry{Path: machineFile, Source: "root/etc/fstab", Mode: 0o644, Size: int64(len(text)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }})
}
