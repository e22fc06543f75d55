package process

import (
	"bytes"
	"fmt"
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
func mkdir(path string) (made bool, err error) {
	switch err := unix.Mkdir(path, 0o755); err {
	case nil:
		return true, nil
	case unix.EEXIST:
		return false, nil
	default:
		return false, fmt.Errorf("cgroup %s: %w", path, err)
	}
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
