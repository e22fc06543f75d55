package process

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"hoopy/process/launch"
)

// faces is what else the test binary can be.
var faces = map[string]func(args []string){}

// TestMain is the launcher when the mini keeper executes it, and the services of
// the privileged tests.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "exec" {
		os.Exit(launch.Main())
	}
	if len(os.Args) > 2 && faces[os.Args[1]] != nil {
		faces[os.Args[1]](os.Args[2:])
	}
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "act:") {
		os.Exit(act(os.Args[1], os.Args[2:]))
	}
	os.Exit(m.Run())
}

func TestParseNotice(t *testing.T) {
	for text, want := range map[string]notice{
		"READY=1":                               {ready: true},
		"READY=1\nSTATUS=at work\n":             {ready: true, status: "at work", hasStatus: true},
		"STATUS=":                               {hasStatus: true},
		"STOPPING=1":                            {stopping: true},
		"READY=0\nWATCHDOG=1\nMAINPID=4":        {},
		"BARRIER=1":                             {},
		"":                                      {},
		"READY":                                 {},
		"ready=1\nXREADY=1":                     {},
		"STATUS=\x1b[31mred\x00\x7f\xff\u0085!": {status: "[31mred!", hasStatus: true},
		"STATUS=" + strings.Repeat("é", 200):    {status: strings.Repeat("é", 128), hasStatus: true},
	} {
		if d := cmp.Diff(want, parseNotice([]byte(text)), cmp.AllowUnexported(notice{})); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}

func FuzzNotice(f *testing.F) {
	f.Add([]byte("READY=1\nSTATUS=x"))
	f.Add([]byte("STATUS=\xff\xfe\u2028"))
	f.Add([]byte(strings.Repeat("=\n", 3000)))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := parseNotice(b)
		if len(n.status) > statusMax || strings.ContainsAny(n.status, "\n\r\x00\x1b") {
			t.Errorf("%q", n.status)
		}
	})
}

func TestGroupName(t *testing.T) {
	for name, want := range map[string]string{
		"sshd": "sshd", "getty@ttyS0": "getty@ttyS0", "a.b": "a.b", "pids.max": "_pids.max", "cgroup.procs": "_cgroup.procs",
		"memory": "memory", "a/b": "a_b", "..": "_..", ".": "_.", "a b\x00": "a_b_",
	} {
		if got := groupName(name); got != want {
			t.Errorf("%q: %q, not %q", name, got, want)
		}
	}
	if id, ok := parseRun(runName(0x1_0000_002a)); !ok || id != 0x1_0000_002a {
		t.Errorf("run name: %x %v", id, ok)
	}
}

// message makes one netlink message of a sock_diag dump.
func message(kind uint16, seq uint32, body []byte) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+len(body))
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint32(b[8:], seq)
	copy(b[unix.NLMSG_HDRLEN:], body)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

func socket(state byte, port uint16) []byte {
	b := make([]byte, diagMessageSize)
	b[0], b[1] = unix.AF_INET, state
	binary.BigEndian.PutUint16(b[4:], port)
	return b
}

func TestParseListeners(t *testing.T) {
	join := func(m ...[]byte) []byte { return []byte(strings.Join(strs(m), "")) }
	done := message(unix.NLMSG_DONE, 2, make([]byte, 4))
	for _, c := range []struct {
		name        string
		b           []byte
		found, done bool
		bad         bool
	}{
		{"empty", nil, false, false, false},
		{"listens", join(message(sockDiagByFamily, 2, socket(tcpListen, 22)), done), true, true, false},
		{"other port", join(message(sockDiagByFamily, 2, socket(tcpListen, 23)), done), false, true, false},
		{"established", join(message(sockDiagByFamily, 2, socket(1, 22)), done), false, true, false},
		{"goes on", message(sockDiagByFamily, 2, socket(tcpListen, 22)), true, false, false},
		{"other dump", join(message(sockDiagByFamily, 10, socket(tcpListen, 22)), done), false, true, false},
		{"error", message(unix.NLMSG_ERROR, 2, []byte{0xfe, 0xff, 0xff, 0xff}), false, true, true},
		{"short socket", join(message(sockDiagByFamily, 2, make([]byte, 8)), done), false, true, false},
		{"length beyond the end", []byte{99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, false, true, true},
	} {
		found, done, err := parseListeners(c.b, 2, 22)
		if found != c.found || done != c.done || (err != nil) != c.bad {
			t.Errorf("%s: found %v, done %v, %v", c.name, found, done, err)
		}
	}
}

func FuzzListeners(f *testing.F) {
	f.Add(message(sockDiagByFamily, 2, socket(tcpListen, 22)))
	f.Add(message(unix.NLMSG_ERROR, 2, nil))
	f.Fuzz(func(t *testing.T, b []byte) { parseListeners(b, 2, 22) })
}

func strs(m [][]byte) (s []string) {
	for _, b := range m {
		s = append(s, string(b))
	}
	return s
}

func TestAbsent(t *testing.T) {
	for tty, want := range map[string]string{"": "", "ttyNOSUCH0": "no terminal ttyNOSUCH0 on this machine", "pts/nosuch": "no /dev/pts/nosuch"} {
		if got := absent(tty); got != want {
			t.Errorf("%q: %q, not %q", tty, got, want)
		}
	}
}
