package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// Cgroups of units: ROOT/svc/NAME has the limits, ROOT/svc/NAME/RUN one start.
// Only leaves hold processes (the rule of cgroup v2 against inner ones).

// leaf is the cgroup of one run.
type leaf struct {
	path   string
	dir    int // O_DIRECTORY, for clone3; -1: not there
	events int // cgroup.events, polled with POLLPRI; -1: not there
}

// groupName makes a unit's name safe as the name of a directory in cgroupfs: no
// slash, and none of the names that the kernel's own files have ("pids.max").
func groupName(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c == '/' || c <= ' ' || c >= 0x7f {
			b[i] = '_'
		}
	}
	before, _, dot := strings.Cut(string(b), ".")
	if dot {
		switch before {
		case "", "cgroup", "cpu", "cpuset", "io", "irq", "memory", "pids", "hugetlb", "rdma", "misc", "dmem":
			return "_" + string(b)
		}
	}
	return string(b)
}

func runName(run unit.Run) string { return fmt.Sprintf("%016x", uint64(run)) }

func parseRun(name string) (unit.Run, bool) {
	n, err := strconv.ParseUint(name, 16, 64)
	return unit.Run(n), err == nil && len(name) == 16
}

// groupOf is the directory of a unit, below the root of the hierarchy.
func groupOf(name string) string { return "svc/" + groupName(name) }

// prepareGroups makes ROOT/svc and asks for the controllers that limits need,
// where nobody has: each request waits for a grace period of the kernel. The
// strings say what there is not; the limits of a missing controller do not hold,
// everything else works.
func prepareGroups(root string) (notes []string) {
	services := filepath.Join(root, "svc")
	if err := mkdir(services); err != nil {
		return []string{err.Error()}
	}
	for _, c := range []string{"pids", "memory"} {
		for _, dir := range []string{root, services} {
			file := filepath.Join(dir, "cgroup.subtree_control")
			b, _ := os.ReadFile(file) // unreadable: as if nothing were there
			if slices.Contains(strings.Fields(string(b)), c) {
				continue
			}
			if err := writeFile(file, "+"+c); err != nil {
				notes = append(notes, fmt.Sprintf("no controller %s, its limits do not hold: %v", c, err))
				break
			}
		}
	}
	return notes
}

// newLeaf makes the cgroup of a run, with the unit's limits as they are now.
func newLeaf(root string, u *unit.Unit, run unit.Run) (*leaf, error) {
	group := filepath.Join(root, groupOf(u.Name))
	if err := mkdir(group); err != nil {
		return nil, err
	}
	pids := "max"
	switch {
	case u.PidsMax > 0:
		pids = strconv.FormatInt(u.PidsMax, 10)
	case u.PidsMax == 0:
		pids = strconv.Itoa(unit.DefaultPidsMax)
	}
	memory := "max"
	if u.MemoryMax > 0 {
		memory = strconv.FormatInt(u.MemoryMax, 10)
	}
	for file, value := range map[string]string{"pids.max": pids, "memory.max": memory} {
		// Without the controller the file is missing, which was noted once.
		err := writeFile(filepath.Join(group, file), value)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	path := filepath.Join(group, runName(run))
	if err := mkdir(path); err != nil {
		return nil, err
	}
	return openLeaf(path)
}

// openLeaf opens a cgroup that exists.
func openLeaf(path string) (*leaf, error) {
	dir, err := unix.Open(path, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cgroup %s: %w", path, err)
	}
	events, err := unix.Openat(dir, "cgroup.events", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(dir)
		return nil, fmt.Errorf("cgroup %s: cgroup.events: %w", path, err)
	}
	return &leaf{path, dir, events}, nil
}

// populated says whether a process is in the leaf. Reading also re-arms POLLPRI.
func (l *leaf) populated() bool {
	var b [256]byte
	n, err := unix.Pread(l.events, b[:], 0)
	return err == nil && bytes.Contains(b[:n], []byte("populated 1"))
}

// kill sends SIGKILL to every process in the leaf and below, frozen ones too.
func (l *leaf) kill() error {
	fd, err := unix.Openat(l.dir, "cgroup.kill", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cgroup %s: cgroup.kill: %w", l.path, err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte("1")); err != nil {
		return fmt.Errorf("cgroup %s: cgroup.kill: %w", l.path, err)
	}
	return nil
}

func (l *leaf) close() {
	unix.Close(l.events)
	unix.Close(l.dir)
}

// mkdir makes a cgroup, or takes the one that is there.
func mkdir(path string) error {
	if err := unix.Mkdir(path, 0o755); err != nil && err != unix.EEXIST {
		return fmt.Errorf("cgroup %s: %w", path, err)
	}
	return nil
}

// writeFile writes to a file that exists: in cgroupfs none can be made.
func writeFile(path, value string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cgroup %s: %w", path, err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(value)); err != nil {
		return fmt.Errorf("cgroup %s: write %q: %w", path, value, err)
	}
	return nil
}
