//go:build priv

package devices

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// netns moves the test's thread into a network namespace of its own; the thread
// dies with the test.
func netns(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("unshare network namespace:", err)
	}
}

// sender is a socket that is not ours: root, with a port of its own.
func sender(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// inject has the kernel send a uevent: what arrives at port 0 is broadcast as
// its own, with a sequence number (lib/kobject_uevent.c, uevent_net_rcv).
func inject(t *testing.T, fd int, uevent string) {
	t.Helper()
	msg := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(uevent)))
	msg = binary.NativeEndian.AppendUint16(msg, unix.NLMSG_MIN_TYPE)
	msg = binary.NativeEndian.AppendUint16(msg, unix.NLM_F_REQUEST)
	msg = append(msg, make([]byte, 8)...)
	msg = append(msg, uevent...)
	// With a full listener the kernel tells us ENOBUFS, too.
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Logf("send: %v", err)
	}
}

func TestSocket(t *testing.T) {
	netns(t)
	s, err := openSocket()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var port uint32
	if err := s.raw.Control(func(fd uintptr) {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("close-on-exec: %#x, %v", flags, err)
		}
		if n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF); err != nil || n < receiveBuffer {
			t.Errorf("receive buffer: %d, %v", n, err)
		}
		name, err := unix.Getsockname(int(fd))
		if err != nil {
			t.Error(err)
			return
		}
		port = name.(*unix.SockaddrNetlink).Pid
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.f.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	fd := sender(t)
	msg := []byte("add@/devices/forged\x00ACTION=add\x00SUBSYSTEM=block\x00")
	own, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	// To our address, and to the group, both as root and with a true form.
	for name, to := range map[string]*unix.SockaddrNetlink{
		"unicast": {Family: unix.AF_NETLINK, Pid: port},
		"group":   {Family: unix.AF_NETLINK, Pid: own.(*unix.SockaddrNetlink).Pid, Groups: kernelGroup},
	} {
		if err := unix.Sendto(fd, msg, 0, to); err != nil {
			t.Errorf("%s: send: %v", name, err)
			continue
		}
		if u, err := s.read(); !errors.Is(err, errForeign) {
			t.Errorf("%s: %v, %v", name, u, err)
		}
	}
	inject(t, fd, "add@/devices/real@0\x00ACTION=add\x00SUBSYSTEM=block\x00")
	u, err := s.read()
	if err != nil || u.DevPath != "/devices/real@0" || u.Subsystem != "block" || u.Seq == 0 {
		t.Errorf("from the kernel: %+v, %v", u, err)
	}
	// Close ends a read that waits.
	ended := make(chan error, 1)
	go func() {
		_, err := s.read()
		ended <- err
	}()
	s.close()
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("close does not end a read")
	}
}

// TestOverflow fills a small buffer: what it holds is read, then the loss is
// reported, so that no event is dropped after the report, and reading goes on.
func TestOverflow(t *testing.T) {
	netns(t)
	s, err := openSocket()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<10); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	fd := sender(t)
	for i := range 200 {
		inject(t, fd, "change@/devices/x\x00ACTION=change\x00SUBSYSTEM=block\x00N="+strconv.Itoa(i)+"\x00")
	}
	if err := s.f.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	read := 0
	for ; ; read++ {
		if _, err := s.read(); errors.Is(err, errLost) {
			break
		} else if err != nil {
			t.Fatalf("after %d messages: %v", read, err)
		}
	}
	if read == 0 || read == 200 {
		t.Errorf("%d messages of 200, then the loss", read)
	}
	inject(t, fd, "add@/devices/later\x00ACTION=add\x00SUBSYSTEM=block\x00")
	if u, err := s.read(); err != nil || u.DevPath != "/devices/later" {
		t.Errorf("after the loss: %+v, %v", u, err)
	}
}

// dry refuses every module as a machine without the hardware would.
type dry struct{ t *testing.T }

func (d dry) finit(f *os.File, params string, _ int) error {
	d.t.Logf("would load %s %s", f.Name(), params)
	return unix.ENODEV
}
func (d dry) init([]byte, string) error { return unix.ENODEV }
func (d dry) remove(string) error       { return unix.EPERM }

// TestThisMachine coldplugs the machine that runs the test, without loading
// anything, and hears of the namespace's own lo.
func TestThisMachine(t *testing.T) {
	netns(t)
	aliases := 0
	begin := time.Now()
	walkModaliases("/sys", func(alias string) {
		aliases++
		if strings.ContainsAny(alias, "\n\x00") {
			t.Errorf("%q", alias)
		}
	})
	t.Logf("%d modaliases in %v", aliases, time.Since(begin))
	if aliases == 0 {
		t.Skip("this machine has no modalias")
	}
	root := t.TempDir() // nodes of the real /dev are not ours to change
	if err := os.Symlink("/sys", filepath.Join(root, "sys")); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Root: root, Debug: func(line string) { t.Log(line) }, testOnlyKernel: dry{t}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	classes := map[string]int{}
	begin = time.Now()
	go func() {
		select {
		case <-s.Coldplugged():
			t.Logf("coldplugged in %v", time.Since(begin))
			cancel()
		case <-ctx.Done():
		}
	}()
	err = s.Run(ctx, func(u Uevent) {
		classes[u.Subsystem]++
		if u.Action == "" || !strings.HasPrefix(u.DevPath, "/devices/") {
			t.Errorf("%+v", u)
		}
		if _, err := os.Stat("/sys" + u.DevPath); err != nil && u.Synthetic && u.Action == "add" && u.Subsystem != "net" {
			t.Error(err)
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	t.Log(classes)
	if classes["tty"] == 0 {
		t.Error("no tty was told of")
	}
}

func TestSetNode(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "dev/input"), 0o755); err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(root, "dev/kvm")
	if err := unix.Mknod(node, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
		t.Skip("mknod:", err)
	}
	if err := os.WriteFile(filepath.Join(root, "dev/fuse"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/group"), []byte("root:x:0:\nkvm:x:34:qemu\nbroken\nodd:x:y:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	groups := readGroups(root)
	for _, u := range []Uevent{
		{Subsystem: "misc", DevName: "kvm"}, {Subsystem: "misc", DevName: "fuse"}, // a file: left alone
		{Subsystem: "input", DevName: "input/event0"}, // no such group
		{Subsystem: "misc", DevName: "net/tun"},       // no such node
	} {
		if err := setNode(root, u, groups); err != nil {
			t.Error(err)
		}
	}
	check := func(path string, mode uint32, gid uint32) {
		t.Helper()
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		if st.Mode&0o777 != mode || st.Gid != gid {
			t.Errorf("%s: %o, group %d", path, st.Mode, st.Gid)
		}
	}
	check(node, 0o660, 34)
	check(filepath.Join(root, "dev/fuse"), 0o600, 0)
	// What somebody has changed stays.
	if err := os.Chmod(node, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := setNode(root, Uevent{Subsystem: "misc", DevName: "kvm"}, groups); err != nil {
		t.Error(err)
	}
	check(node, 0o600, 34)
}
