package seedrng

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const fakeDir = "/persist/seedrng"

// inode is a file of the fake disk; a power cut leaves of it what cutData says,
// unless it was synced.
type inode struct {
	data   string
	mode   uint32
	synced bool
}

// dirOp is one name that was given to a file (nil: taken from it), and may be on
// the disk or not. A rename is two, as on vfat.
type dirOp struct {
	name string
	to   *inode
}

// stopped is the panic that ends a run at a step.
type stopped struct{}

// fake is a machine: a kernel with its pool, and a disk with one folder.
type fake struct {
	t       testing.TB
	durable map[string]*inode // nil: the folder is not there
	pending []dirOp
	open_   map[int]any // *inode, or the path of what is no seed
	locked  int
	fd      int
	serial  int // makes random bytes differ
	ready   bool
	used    map[string]int // seed: boot in which it was used
	boot    int
	creds   int // seeds that were credited in this boot
	size    string

	step   int
	stopAt int      // -1: never
	failAt int      // -1: never
	after  bool     // the call at failAt is carried out, and fails all the same
	calls  []string // names of the steps
	hook   func(call string)
}

func newFake(t testing.TB, files map[string]string) *fake {
	f := &fake{t: t, size: "256\n", used: map[string]int{}, stopAt: -1, failAt: -1, durable: map[string]*inode{}}
	for name, data := range files {
		f.durable[name] = &inode{data: data, mode: unix.S_IFREG | 0o400, synced: true}
	}
	f.restart()
	return f
}

// restart ends every process: descriptors and locks are gone.
func (f *fake) restart() {
	f.open_, f.locked, f.step, f.calls = map[int]any{}, 0, 0, nil
}

// call is one step: what it does is done unless the test stops or fails it here.
func (f *fake) call(name string, do func() error) error {
	if f.hook != nil {
		f.hook(name)
	}
	step := f.step
	f.step++
	f.calls = append(f.calls, name)
	if step == f.stopAt {
		panic(stopped{})
	}
	if step != f.failAt {
		return do()
	}
	if f.after {
		_ = do()
	}
	return unix.EIO
}

// names is the folder as processes see it.
func (f *fake) names() map[string]*inode {
	m := maps.Clone(f.durable)
	for _, op := range f.pending {
		m[op.name] = op.to
	}
	return m
}

func (f *fake) mkdir(path string) error {
	return f.call("mkdir", func() error {
		if f.durable != nil {
			return unix.EEXIST
		}
		f.durable = map[string]*inode{}
		return nil
	})
}

func (f *fake) open(dirfd int, name string, flags int, mode uint32) (fd int, err error) {
	err = f.call("open "+filepath.Base(name), func() error {
		var what any = name
		switch {
		case name == fakeDir && f.durable == nil:
			return unix.ENOENT
		case dirfd != unix.AT_FDCWD:
			node := f.names()[name]
			switch {
			case flags&unix.O_CREAT != 0 && node != nil:
				return unix.EEXIST
			case flags&unix.O_CREAT != 0:
				node = &inode{mode: unix.S_IFREG | mode}
				f.pending = append(f.pending, dirOp{name, node})
			case node == nil:
				return unix.ENOENT
			case node.mode&unix.S_IFMT == unix.S_IFLNK:
				return unix.ELOOP
			}
			what = node
		}
		f.fd++
		f.open_[f.fd], fd = what, f.fd
		return nil
	})
	return fd, err
}

func (f *fake) stat(fd int) (k kind, err error) {
	err = f.call("stat", func() error {
		if node, ok := f.open_[fd].(*inode); ok {
			k = kind{mode: node.mode, size: int64(len(node.data)), shared: node.mode&0o022 != 0}
		}
		return nil
	})
	return k, err
}

func (f *fake) lock(fd int) error {
	return f.call("lock", func() error {
		if f.locked != 0 {
			return unix.EWOULDBLOCK
		}
		f.locked = fd
		return nil
	})
}

func (f *fake) read(fd int, b []byte) (n int, err error) {
	err = f.call("read", func() error {
		if node, ok := f.open_[fd].(*inode); ok {
			n = copy(b, node.data)
			if len(b) < seedMost { // the rest was read before
				n = 0
			}
			return nil
		}
		n = copy(b, f.size)
		return nil
	})
	return n, err
}

// write takes half of what it is given: the rest needs another call.
func (f *fake) write(fd int, b []byte) (n int, err error) {
	err = f.call("write", func() error {
		n = (len(b) + 1) / 2
		f.open_[fd].(*inode).data += string(b[:n])
		return nil
	})
	return n, err
}

func (f *fake) sync(fd int) error {
	return f.call("sync", func() error {
		switch what := f.open_[fd].(type) {
		case *inode:
			what.synced = true
		case string:
			if what == fakeDir {
				f.durable = f.names()
				f.pending = nil
			}
		}
		return nil
	})
}

func (f *fake) unlink(dirfd int, name string) error {
	return f.call("unlink", func() error {
		if f.names()[name] == nil {
			return unix.ENOENT
		}
		f.pending = append(f.pending, dirOp{name, nil})
		return nil
	})
}

func (f *fake) rename(dirfd int, from, to string) error {
	return f.call("rename", func() error {
		node := f.names()[from]
		if node == nil {
			return unix.ENOENT
		}
		f.pending = append(f.pending, dirOp{to, node}, dirOp{from, nil})
		return nil
	})
}

func (f *fake) close(fd int) {
	delete(f.open_, fd)
	if f.locked == fd {
		f.locked = 0
	}
}

// addEntropy is where the promise is held: a seed that is used was not used
// before, and no power cut from here on brings it back.
func (f *fake) addEntropy(fd int, p *poolInfo) error {
	return f.call("addEntropy", func() error {
		b := string(p.buf[:p.size])
		if strings.Trim(b, "\x00") == "" { // left by a repair: it may come again
			if p.entropy != 0 {
				f.t.Errorf("boot %d: zeros credited", f.boot)
			}
			return nil
		}
		if boot, ok := f.used[b]; ok {
			f.t.Errorf("boot %d: seed %q was used in boot %d; after %s", f.boot, b, boot, strings.Join(f.calls, ", "))
		}
		f.used[b] = f.boot
		f.cut(func(files map[string]string) {
			for name, data := range files {
				if data == b {
					f.t.Errorf("boot %d: %s %q is used and may still be on the disk; after %s", f.boot, name, b, strings.Join(f.calls, ", "))
				}
			}
		})
		switch {
		case p.entropy == 0:
		case p.entropy != 8*p.size || p.size < seedLeast:
			f.t.Errorf("%d bits credited for %d bytes", p.entropy, p.size)
		default:
			f.creds++
			f.ready = f.ready || p.entropy >= 256
		}
		return nil
	})
}

func (f *fake) random(b []byte, flags int) (n int, err error) {
	err = f.call("random", func() error {
		if !f.ready && flags&unix.GRND_INSECURE == 0 {
			return unix.EAGAIN
		}
		f.serial++
		n = min(len(b), 256)
		for i := range n {
			b[i] = byte(f.serial >> (8 * (i % 3)))
		}
		return nil
	})
	return n, err
}

func (f *fake) clock(int32) unix.Timespec { return unix.Timespec{Sec: 1, Nsec: 2} }

// cutData is what a power cut may leave of bytes that were not synced.
func cutData(n *inode) []string {
	if n.synced {
		return []string{n.data}
	}
	return []string{n.data, "", n.data[:len(n.data)/2], strings.Repeat("\x00", len(n.data))}
}

// cut calls see with every folder that a power cut now may leave.
func (f *fake) cut(see func(files map[string]string)) {
	for subset := range 1 << len(f.pending) {
		m := maps.Clone(f.durable)
		for i, op := range f.pending {
			if subset>>i&1 != 0 {
				m[op.name] = op.to
			}
		}
		a, b := m[uncredited], m[credited]
		for _, x := range variants(a) {
			for _, y := range variants(b) {
				if a != nil && a == b && x != y {
					continue // one file under two names
				}
				files := map[string]string{}
				if a != nil {
					files[uncredited] = x
				}
				if b != nil {
					files[credited] = y
				}
				see(files)
			}
		}
	}
}

func variants(n *inode) []string {
	if n == nil {
		return []string{""}
	}
	return cutData(n)
}
