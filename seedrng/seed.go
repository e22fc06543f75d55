package seedrng

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Names and sizes, in bytes, as seedrng has them.
const (
	credited   = "seed.credit"
	uncredited = "seed.no-credit"

	seedLeast = hashSize
	seedMost  = 512

	prefix = "SeedRNG v1 Old+New Prefix"
)

var (
	errShared  = errors.New("owned, or to be written, by others")
	errRegular = errors.New("no regular file")
	errLong    = errors.New("too long for a seed")
	errShort   = errors.New("it took no more")
)

// report is what came of restore or renew.
type report struct {
	used, credit int  // bits mixed into the kernel's pool, and those of them that it counts
	next         int  // bits of the new seed; 0: it is not there
	creditable   bool // the new seed
	wrong        []error
}

func (r *report) fail(op, path string, err error) {
	r.wrong = append(r.wrong, &fs.PathError{Op: op, Path: path, Err: err})
}

// note says it in a line.
func (r *report) note() string {
	s := "no seed yet"
	switch {
	case r.credit > 0:
		s = "seed of " + strconv.Itoa(r.credit) + " bits credited"
	case r.used > 0:
		s = "seed of " + strconv.Itoa(r.used) + " bits used without credit"
	case len(r.wrong) > 0:
		s = "no seed used"
	}
	if r.next > 0 && !r.creditable {
		s += "; the next is without credit"
	}
	return s + r.errors()
}

// errors is each thing that went wrong, with a semicolon before it.
func (r *report) errors() (s string) {
	for _, err := range r.wrong {
		s += "; " + err.Error()
	}
	return s
}

// seed is what carries out restore and renew.
type seed struct {
	system
	skipCredit bool
}

// restore gives the kernel the seeds of dir, which are gone from there before,
// and leaves a new one. dir is made if it is not there.
func (s *seed) restore(dir string) (r report) { s.do(dir, true, &r); return r }

// renew leaves a new seed in dir, in the place of an old one that is as good or
// worse. The kernel is given nothing.
func (s *seed) renew(dir string) (r report) { s.do(dir, false, &r); return r }

func (s *seed) do(dir string, take bool, r *report) {
	if take {
		err := s.mkdir(dir)
		if err == nil {
			err = s.syncDir(filepath.Dir(dir))
		}
		if err != nil && !errors.Is(err, unix.EEXIST) {
			r.fail("mkdir", dir, err)
			return
		}
	}
	fd, err := s.open(unix.AT_FDCWD, dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		r.fail("open", dir, err)
		return
	}
	defer s.close(fd)
	k, err := s.stat(fd)
	if err == nil && k.shared {
		err = errShared
	}
	if err != nil {
		r.fail("trust", dir, err)
		return
	}
	if err := s.lock(fd); err != nil {
		r.fail("lock", dir, err)
		return
	}
	hash := newBlake2s()
	hash.write([]byte(prefix))
	for _, id := range [...]int32{unix.CLOCK_REALTIME, unix.CLOCK_BOOTTIME} {
		ts := s.clock(id)
		hash.writeTime(ts.Sec, ts.Nsec)
	}
	weak, found1 := s.look(fd, uncredited, r)
	strong, found2 := s.look(fd, credited, r)
	if !take {
		r.wrong = nil // it is replaced
	}
	if !take || !(found1 || found2) || s.remove(fd, dir, r) {
		for _, old := range [...][]byte{weak, strong} {
			if len(old) > 0 {
				hash.writeSeed(old)
			}
		}
		if take {
			if !bytes.Equal(weak, strong) {
				s.mix(weak, false, r)
			}
			s.mix(strong, !s.skipCredit && worthCredit(strong), r)
		}
	}
	clear(weak)
	clear(strong)
	s.leave(fd, dir, hash, r)
}

// syncDir has what is in dir by name written to the disk.
func (s *seed) syncDir(dir string) error {
	fd, err := s.open(unix.AT_FDCWD, dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer s.close(fd)
	return s.sync(fd)
}

// remove removes both seeds, and says whether they will not come back.
func (s *seed) remove(fd int, dir string, r *report) bool {
	for _, name := range [...]string{uncredited, credited} {
		if err := s.unlink(fd, name); err != nil && !errors.Is(err, unix.ENOENT) {
			r.fail("unlink", name, err)
			return false
		}
	}
	if err := s.sync(fd); err != nil {
		r.fail("fsync", dir, err)
		return false
	}
	return true
}

// worthCredit is not so for what no seedrng has written: a file system that was
// repaired may have such a file.
func worthCredit(b []byte) bool {
	return len(b) >= seedLeast && len(bytes.Trim(b, "\x00")) > 0
}

// look reads one seed; found says that there is something of that name.
func (s *seed) look(dirfd int, name string, r *report) (b []byte, found bool) {
	fd, err := s.open(dirfd, name, unix.O_RDONLY, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, false
	}
	if err != nil {
		r.fail("open", name, err)
		return nil, true
	}
	defer s.close(fd)
	k, err := s.stat(fd)
	switch {
	case err != nil:
	case k.mode&unix.S_IFMT != unix.S_IFREG:
		err = errRegular
	case k.shared:
		err = errShared
	case k.size > seedMost:
		err = errLong
	default:
		b, err = s.readAll(fd)
	}
	if err != nil {
		r.fail("read", name, err)
		return nil, true
	}
	return b, true
}

// readAll reads to the end, or what a seed has at most.
func (s *seed) readAll(fd int) ([]byte, error) {
	b := make([]byte, seedMost)
	n := 0
	for n < len(b) {
		m, err := s.read(fd, b[n:])
		if err != nil {
			clear(b)
			return nil, err
		}
		if m <= 0 {
			break
		}
		n += m
	}
	return b[:n], nil
}

// mix gives the kernel a seed.
func (s *seed) mix(b []byte, credit bool, r *report) {
	if len(b) == 0 {
		return
	}
	p := poolInfo{size: int32(len(b))}
	copy(p.buf[:], b)
	defer clear(p.buf[:])
	if credit {
		p.entropy = int32(8 * len(b))
	}
	fd, err := s.open(unix.AT_FDCWD, "/dev/urandom", unix.O_RDONLY, 0)
	if err == nil {
		err = s.addEntropy(fd, &p)
		s.close(fd)
	}
	if err != nil {
		r.fail("seed", "/dev/urandom", err)
		return
	}
	r.used += 8 * len(b)
	r.credit += int(p.entropy)
}

// length is how many bytes a new seed has: as many as the kernel's pool.
func (s *seed) length() int {
	fd, err := s.open(unix.AT_FDCWD, "/proc/sys/kernel/random/poolsize", unix.O_RDONLY, 0)
	if err != nil {
		return seedLeast
	}
	defer s.close(fd)
	var b [16]byte
	n, err := s.read(fd, b[:])
	if err != nil {
		return seedLeast
	}
	return lengthOf(b[:n])
}

// lengthOf gives the bytes of a seed for a pool's size, in bits; 32 for nonsense.
func lengthOf(poolsize []byte) int {
	poolBits, err := strconv.ParseUint(string(bytes.TrimSpace(poolsize)), 10, 32)
	if err != nil {
		return seedLeast
	}
	return int(min(max((poolBits+7)/8, seedLeast), seedMost))
}

// fill gives random bytes, and whether the kernel vouches for them.
func (s *seed) fill(b []byte, r *report) (creditable bool) {
	err := s.fillBy(b, unix.GRND_NONBLOCK)
	if err == nil {
		return true
	}
	if errors.Is(err, unix.EAGAIN) { // the pool is not ready
		err = s.fillBy(b, unix.GRND_INSECURE)
	}
	if err != nil { // all that is new in it is the time
		clear(b)
		r.fail("getrandom", "pool", err)
	}
	return false
}

func (s *seed) fillBy(b []byte, flags int) error {
	for tries := 0; len(b) > 0; tries++ {
		n, err := s.random(b, flags)
		if err != nil && (!errors.Is(err, unix.EINTR) || tries > seedMost) {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

// leave writes the new seed: whole under the name without credit, then it may
// get the other one. What went wrong leaves the old one, if there is one.
func (s *seed) leave(dirfd int, dir string, hash *blake2s, r *report) {
	b := make([]byte, s.length())
	defer clear(b)
	creditable := s.fill(b, r)
	hash.writeSeed(b)
	hash.sum(b[len(b)-hashSize:])
	if err := s.unlink(dirfd, uncredited); err != nil && !errors.Is(err, unix.ENOENT) {
		r.fail("unlink", uncredited, err)
		return
	}
	fd, err := s.create(dirfd, b)
	if err != nil {
		r.fail("write", uncredited, err)
		_ = s.unlink(dirfd, uncredited) // half a seed does no harm either
		return
	}
	defer s.close(fd)
	if creditable {
		if err := s.rename(dirfd, uncredited, credited); err != nil {
			r.fail("rename", uncredited, err)
			creditable = false
		} else if err := s.sync(fd); err != nil { // on vfat the new name has no content until the file is written again
			r.fail("fsync", credited, err)
			return
		}
	}
	if err := s.sync(dirfd); err != nil {
		r.fail("fsync", dir, err)
		return
	}
	r.next, r.creditable = 8*len(b), creditable
}

// create writes a new file whole, to the disk, and leaves it open.
func (s *seed) create(dirfd int, b []byte) (fd int, err error) {
	fd, err = s.open(dirfd, uncredited, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o400)
	if err != nil {
		return -1, err
	}
	for len(b) > 0 && err == nil {
		var n int
		n, err = s.write(fd, b)
		if err == nil && n <= 0 {
			err = errShort
		}
		b = b[max(n, 0):]
	}
	if err == nil {
		err = s.sync(fd)
	}
	if err != nil {
		s.close(fd)
		return -1, err
	}
	return fd, nil
}
