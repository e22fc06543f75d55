package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/process/launch"
	"hoopy/unit"
)

// sd_notify(3): the unit sends datagrams of NAME=value lines. Each run has a
// socket of its own, so a datagram needs nobody to say which unit it is from,
// even when its sender has long exited.
//
// Everybody may write to the socket (a service may drop to any user), so senders
// are checked by the credentials that the kernel attaches: root, the user that
// the unit runs as, or any process in the run's cgroup. The first two hold for
// a sender that has exited too; the third covers those that changed their user.

const (
	notifyMax  = 4096 // bytes of a datagram that are looked at
	statusMax  = 256  // bytes of STATUS=
	notifyFDs  = 253  // SCM_MAX_FD: as many descriptors as can come along
	errnoMax   = 4095 // MAX_ERRNO of the kernel
	pidMax     = 1 << 22
	extendMax  = 24 * time.Hour
	foreverAt  = 365 * 24 * time.Hour
	sunPathMax = 107
)

// notice is what one datagram says.
type notice struct {
	ready, reloading, stopping bool

	status    string
	hasStatus bool
	errno     int // ERRNO=; 0: none
	main      int // MAINPID=; 0: none
	extend    time.Duration

	ping, bite bool // WATCHDOG=1, WATCHDOG=trigger
	hasPeriod  bool
	period     time.Duration // WATCHDOG_USEC=; 0: no watchdog any more

	store, remove, keepDead bool   // FDSTORE=1, FDSTOREREMOVE=1, FDPOLL=0
	name                    string // FDNAME=
}

// parseNotice reads a datagram: NAME=value lines in any order, of which the last
// of a name counts. What it does not know is skipped, and so is a value that is
// none. MONOTONIC_USEC= says when a reload began to who counts them; BARRIER=1
// is the descriptor that comes along; BUSERROR= and EXIT_STATUS= are for others.
func parseNotice(b []byte) (n notice) {
	for line := range bytes.SplitSeq(b[:min(len(b), notifyMax)], []byte("\n")) {
		name, value, _ := strings.Cut(string(line), "=")
		switch name {
		case "READY":
			n.ready = n.ready || value == "1"
		case "RELOADING":
			n.reloading = n.reloading || value == "1"
		case "STOPPING":
			n.stopping = n.stopping || value == "1"
		case "STATUS":
			n.status, n.hasStatus = clean([]byte(value)), true
		case "ERRNO":
			if v, ok := number(value, errnoMax); ok {
				n.errno = int(v)
			}
		case "MAINPID":
			if v, ok := number(value, pidMax); ok && v > 1 {
				n.main = int(v)
			}
		case "EXTEND_TIMEOUT_USEC":
			if d, ok := microseconds(value); ok {
				n.extend = min(d, extendMax)
			}
		case "WATCHDOG":
			n.ping, n.bite = n.ping || value == "1", n.bite || value == "trigger"
		case "WATCHDOG_USEC":
			if d, ok := microseconds(value); ok {
				n.period, n.hasPeriod = d, true
			}
		case "FDSTORE":
			n.store = n.store || value == "1"
		case "FDSTOREREMOVE":
			n.remove = n.remove || value == "1"
		case "FDPOLL":
			n.keepDead = value == "0"
		case "FDNAME":
			if validName(value) {
				n.name = value
			}
		}
	}
	return n
}

// number reads a decimal number without a sign up to most.
func number(s string, most uint64) (uint64, bool) {
	v, err := strconv.ParseUint(s, 10, 64)
	return v, err == nil && v <= most
}

// microseconds reads a time; one of more than a year is 0, for never
// (USEC_INFINITY).
func microseconds(s string) (time.Duration, bool) {
	v, ok := number(s, 1<<64-1)
	if v > uint64(foreverAt/time.Microsecond) {
		v = 0
	}
	return time.Duration(v) * time.Microsecond, ok
}

// note is what svc status is to show for n; false: nothing new.
func (n *notice) note() (string, bool) {
	text, ok := n.status, n.hasStatus
	if n.errno != 0 {
		if text != "" {
			text += ": "
		}
		return text + unix.Errno(n.errno).Error(), true
	}
	if !ok && n.stopping {
		return "stopping", true
	}
	return text, ok
}

// clean makes foreign text one printable line of at most statusMax bytes.
func clean(b []byte) string {
	s := strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == 0xfffd || c >= 0x80 && c < 0xa0 {
			return -1
		}
		return c
	}, strings.ToValidUTF8(string(b), ""))
	if len(s) > statusMax {
		s = strings.ToValidUTF8(s[:statusMax], "")
	}
	return strings.TrimSpace(s)
}

// notifyPath is where the run's socket lies, for NOTIFY_SOCKET.
func notifyPath(dir, name string, run unit.Run) string {
	return filepath.Join(dir, "notify", groupName(name)+"."+runName(run))
}

// newNotifySocket binds the socket of a run.
func newNotifySocket(path string) (int, error) {
	if len(path) > sunPathMax {
		return -1, fmt.Errorf("notify socket %q: path has %d bytes, more than %d", path, len(path), sunPathMax)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return -1, fmt.Errorf("notify socket: %w", err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("notify socket: %w", err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	if err == nil {
		os.Remove(path) // of a boot before, or of the same run begun twice
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err == nil {
		err = os.Chmod(path, 0o666)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("notify socket %q: %w", path, err)
	}
	return fd, nil
}

// receiveNotice looks at the next datagram (flags: MSG_PEEK) or takes it (0).
// The descriptors that came along are the caller's to close; peeked ones are
// duplicates, so the sender of BARRIER=1 goes on when the datagram is taken.
func receiveNotice(fd, flags int) (b []byte, from *unix.Ucred, fds []int, err error) {
	b = make([]byte, notifyMax)
	oob := make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4*notifyFDs))
	n, oobn, _, _, err := unix.Recvmsg(fd, b, oob, flags|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, nil, nil, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return b[:n], nil, nil, nil
	}
	for i := range msgs {
		if got, err := unix.ParseUnixRights(&msgs[i]); err == nil {
			fds = append(fds, got...)
		} else if c, err := unix.ParseUnixCredentials(&msgs[i]); err == nil {
			from = c
		}
	}
	return b[:n], from, fds, nil
}

// speaker is the user whose datagrams are taken without a look at the cgroup;
// root when the unit's user cannot be found, as then nothing was started.
func speaker(u *unit.Unit) uint32 {
	a, err := launch.LookupAccount("/etc", u.User, u.Group)
	if err != nil {
		return 0
	}
	return a.UID
}

// trusted says whether a datagram from c may speak for the run of user uid in
// the cgroup that ends in group.
func trusted(c *unix.Ucred, uid uint32, group string) bool {
	return c != nil && (c.Uid == 0 || c.Uid == uid || inGroup(int(c.Pid), group))
}

// inGroup says whether pid is in a cgroup of the cgroup2 hierarchy whose path
// ends in group, or below it.
func inGroup(pid int, group string) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return strings.HasSuffix(p, group) || strings.Contains(p, group+"/")
		}
	}
	return false
}
