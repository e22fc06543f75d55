package process

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hoopy/keeper"
	"hoopy/process/launch"
	"hoopy/unit"
)

// The descriptors that units leave for their next run, see "File Descriptor
// Store" of systemd and FDSTORE=1 of sd_notify(3). Each lies with the keeper
// under fd:UNIT:NUMBER:NAME, so that they outlive the supervisor too; a NUMBER
// with a minus sign after it is of one that is kept when its other end closes.
//
// They are kept from run to run, however a run ended, until the unit takes them
// back (FDSTOREREMOVE=1), is stopped for good or is no more (DropStored).

// stored is one of them.
type stored struct {
	n        int
	name     string
	fd       int
	keepDead bool
}

// nameMax bytes of an FDNAME= fit into a key beside the longest unit's name.
const nameMax = 100

// unnamed is what a descriptor is called that was given no name, as systemd has
// it.
const unnamed = "stored"

func (s *stored) key(name string) string {
	mark := ""
	if s.keepDead {
		mark = "-"
	}
	return "fd:" + name + ":" + strconv.Itoa(s.n) + mark + ":" + s.name
}

// parseStored reads what follows fd: in a key.
func parseStored(rest string) (name string, s *stored, ok bool) {
	i := strings.LastIndexByte(rest, ':')
	j := strings.LastIndexByte(rest[:max(i, 0)], ':')
	if i < 0 || j <= 0 {
		return "", nil, false
	}
	s = &stored{name: rest[i+1:]}
	digits, dead := strings.CutSuffix(rest[j+1:i], "-")
	n, ok := number(digits, 1<<31-1)
	s.n, s.keepDead = int(n), dead
	return rest[:j], s, ok && validName(s.name)
}

// validName says whether s may be an FDNAME=: printable, and without the colon
// that separates them in LISTEN_FDNAMES.
func validName(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return s != "" && len(s) <= nameMax
}

// leaveFDs stores or gives back what n asks for; fds stay the caller's.
func (a *Arm) leaveFDs(r *run, n *notice, fds []int) {
	if n.remove && n.name != "" {
		a.dropStored(r.name, func(s *stored) bool { return s.name == n.name })
	}
	if !n.store {
		return
	}
	for _, fd := range fds {
		if err := a.storeFD(r, n, fd); err != nil && !r.full {
			r.full = true
			a.cfg.Log(fmt.Sprintf("process: unit %s: descriptor %q is not stored: %v", r.name, n.name, err))
		}
	}
}

func (a *Arm) storeFD(r *run, n *notice, fd int) error {
	have := a.stored[r.name]
	last := 0
	for _, s := range have {
		if sameFile(s.fd, fd) {
			return nil
		}
		last = s.n
	}
	if len(have) >= r.unit.FDStore {
		return fmt.Errorf("%d are stored already, and fd_store = %d", len(have), r.unit.FDStore)
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	s := &stored{last + 1, n.name, dup, n.keepDead}
	if s.name == "" {
		s.name = unnamed
	}
	a.cfg.Keeper.Store(s.key(r.name), dup)
	a.keepFD(r.name, s)
	return nil
}

// keepFD has s in the list. One whose other end closes is given up; a file that
// epoll(7) does not take has none.
func (a *Arm) keepFD(name string, s *stored) {
	a.stored[name] = append(a.stored[name], s)
	if !s.keepDead {
		a.set.Add(s.fd, 0, func() { a.dropStored(name, func(x *stored) bool { return x == s }) })
	}
}

// takeStored takes over what an earlier epoch stored.
func (a *Arm) takeStored(key, rest string, fd int) {
	name, s, ok := parseStored(rest)
	if !ok {
		unix.Close(fd)
		a.cfg.Keeper.Drop(key)
		return
	}
	s.fd = fd
	a.keepFD(name, s)
	list := a.stored[name]
	sort.Slice(list, func(i, j int) bool { return list[i].n < list[j].n })
}

// listen is what the next run of u gets: descriptors and their names.
func (a *Arm) listen(u *unit.Unit) (fds []int, names []string) {
	left := min(u.FDStore, keeper.FDMax-keeper.SpawnExtra-1)
	a.dropStored(u.Name, func(*stored) bool { left--; return left < 0 })
	for _, s := range a.stored[u.Name] {
		fds, names = append(fds, s.fd), append(names, s.name)
	}
	return fds, names
}

// extras are the descriptors that r gets beyond the usual ones, in the order in
// which spec names them, and the one of them that is to be closed once they were
// sent; -1: none.
func (a *Arm) extras(r *run, spec *launch.Spec) (fds []int, line int, err error) {
	if r.part != unit.Main {
		return nil, -1, nil
	}
	if line, err = a.openLine(r); err != nil {
		return nil, -1, err
	}
	if line >= 0 {
		fds, spec.NotifyFD = append(fds, line), r.unit.ReadyFD
	}
	spec.Watchdog = r.unit.Watchdog
	stored, names := a.listen(r.unit)
	spec.Listen = names
	return append(fds, stored...), line, nil
}

// DropStored gives up the descriptors that the unit name has left for its next
// run: it was stopped for good, or is no more. It may be called from any
// goroutine and returns before that is done.
func (a *Arm) DropStored(name string) {
	a.post(func() { a.dropStored(name, everyStored) })
}

func everyStored(*stored) bool { return true }

// dropStored gives up what which picks, of those of one unit in their order.
func (a *Arm) dropStored(name string, which func(*stored) bool) {
	kept := a.stored[name][:0]
	for _, s := range a.stored[name] {
		if !which(s) {
			kept = append(kept, s)
			continue
		}
		a.set.Del(s.fd)
		unix.Close(s.fd)
		a.cfg.Keeper.Drop(s.key(name))
	}
	if len(kept) == 0 {
		delete(a.stored, name)
		return
	}
	clear(a.stored[name][len(kept):])
	a.stored[name] = kept
}

// sameFile says whether two descriptors are of one open file: fcntl(2)
// F_DUPFD_QUERY (Linux 6.10), else kcmp(2), else by what fstat(2) says.
func sameFile(a, b int) bool {
	if n, err := unix.FcntlInt(uintptr(a), unix.F_DUPFD_QUERY, b); err == nil {
		return n == 1
	}
	pid := uintptr(unix.Getpid())
	const file = 0 // KCMP_FILE
	if order, _, e := unix.Syscall6(unix.SYS_KCMP, pid, pid, file, uintptr(a), uintptr(b), 0); e == 0 {
		return order == 0
	}
	var x, y unix.Stat_t
	return unix.Fstat(a, &x) == nil && unix.Fstat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino && x.Rdev == y.Rdev
}
