// Package launch is the launcher: what runs as /init exec between the keeper's
// clone(2) and the execve(2) of a service. Everything that can fail or wait
// stands here and not in the keeper: the terminal, limits, the working
// directory, the change of user, the execve itself.
//
// The supervisor describes the start in a Spec, sealed in a memfd that the
// keeper passes on unread as descriptor 3. What goes wrong comes back as a
// Failure on descriptor 4, which closes by itself when execve succeeds.
package launch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// Spec is everything that the launcher needs to know.
type Spec struct {
	Command   []string // argv; Command[0] is the file
	Directory string   // empty: /
	User      string   // name or number; empty: root
	Group     string   // name or number; empty: the user's own
	Umask     uint32
	Env       []string // NAME=value, over the standard ones
	TTY       string   // under /dev: stdin, stdout, stderr and controlling terminal; empty: none
	Notify    string   // NOTIFY_SOCKET; empty: none
	Cgroup    string   // what the process's path in the cgroup2 hierarchy must end in; empty: not checked
	FilesSoft uint64   // RLIMIT_NOFILE; 0: FilesSoft
	FilesHard uint64   // 0: FilesHard
	OOM       int32    // oom_score_adj
	Nice      int32
}

// Defaults of RLIMIT_NOFILE: soft for select(2), hard for who asks.
const (
	FilesSoft = 1024
	FilesHard = 524288
)

// SpecMax bounds an encoded spec, in bytes.
const SpecMax = 1 << 20

const specVersion = 1

// ErrSpec: the bytes are no spec of this version.
var ErrSpec = errors.New("launch spec: malformed or of another version")

// Append encodes s after b: the version, then every field in order; numbers as
// 8 bytes little endian, strings and lists with their length before them.
func (s *Spec) Append(b []byte) []byte {
	b = append(b, specVersion)
	b = appendList(b, s.Command)
	b = appendText(b, s.Directory)
	b = appendText(b, s.User)
	b = appendText(b, s.Group)
	b = appendNumber(b, uint64(s.Umask))
	b = appendList(b, s.Env)
	b = appendText(b, s.TTY)
	b = appendText(b, s.Notify)
	b = appendText(b, s.Cgroup)
	b = appendNumber(b, s.FilesSoft)
	b = appendNumber(b, s.FilesHard)
	b = appendNumber(b, uint64(uint32(s.OOM)))
	return appendNumber(b, uint64(uint32(s.Nice)))
}

// Decode reads what Append wrote, and nothing else: what is left over is an
// error, as are a command without a word and a zero byte in a string.
func (s *Spec) Decode(b []byte) error {
	if len(b) == 0 || len(b) > SpecMax || b[0] != specVersion {
		return ErrSpec
	}
	d := decoder{b: b[1:]}
	*s = Spec{
		Command:   d.list(),
		Directory: d.text(),
		User:      d.text(),
		Group:     d.text(),
		Umask:     d.word(),
		Env:       d.list(),
		TTY:       d.text(),
		Notify:    d.text(),
		Cgroup:    d.text(),
		FilesSoft: d.number(),
		FilesHard: d.number(),
		OOM:       int32(d.word()),
		Nice:      int32(d.word()),
	}
	if d.bad || len(d.b) != 0 || len(s.Command) == 0 {
		return ErrSpec
	}
	return nil
}

// Memfd returns a sealed memfd that holds s; the caller closes it.
func (s *Spec) Memfd() (int, error) {
	b := s.Append(nil)
	if len(b) > SpecMax {
		return -1, fmt.Errorf("launch spec: %d bytes, more than %d", len(b), SpecMax)
	}
	fd, err := unix.MemfdCreate("spec", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, fmt.Errorf("launch spec: memfd_create: %w", err)
	}
	if n, err := unix.Pwrite(fd, b, 0); err != nil || n != len(b) {
		unix.Close(fd)
		return -1, fmt.Errorf("launch spec: write: %w", err)
	}
	seals := unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("launch spec: seal: %w", err)
	}
	return fd, nil
}

// ReadSpec reads the spec in fd from its beginning.
func ReadSpec(fd int) (*Spec, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Size <= 0 || st.Size > SpecMax {
		return nil, ErrSpec
	}
	b := make([]byte, st.Size)
	n, err := unix.Pread(fd, b, 0)
	if err != nil {
		return nil, err
	}
	if n != len(b) {
		return nil, io.ErrUnexpectedEOF
	}
	s := new(Spec)
	return s, s.Decode(b)
}

func appendNumber(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

func appendText(b []byte, s string) []byte { return append(appendNumber(b, uint64(len(s))), s...) }

func appendList(b []byte, l []string) []byte {
	b = appendNumber(b, uint64(len(l)))
	for _, s := range l {
		b = appendText(b, s)
	}
	return b
}

type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) number() uint64 {
	if len(d.b) < 8 {
		d.bad, d.b = true, nil
		return 0
	}
	v := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

func (d *decoder) word() uint32 {
	v := d.number()
	d.bad = d.bad || v>>32 != 0
	return uint32(v)
}

func (d *decoder) text() string {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	for i := range len(s) {
		d.bad = d.bad || s[i] == 0
	}
	return s
}

func (d *decoder) list() []string {
	n := d.number()
	if n > uint64(len(d.b))/8 {
		d.bad, d.b = true, nil
		return nil
	}
	var l []string
	for range n {
		l = append(l, d.text())
	}
	return l
}
