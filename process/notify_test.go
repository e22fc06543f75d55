package process

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestParseNotice(t *testing.T) {
	for text, want := range map[string]notice{
		"READY=1":                                  {ready: true},
		"READY=1\nSTATUS=at work\n":                {ready: true, status: "at work", hasStatus: true},
		"STATUS=at work\nREADY=1":                  {ready: true, status: "at work", hasStatus: true},
		"STATUS=":                                  {hasStatus: true},
		"STATUS=a=b":                               {status: "a=b", hasStatus: true},
		"STOPPING=1":                               {stopping: true},
		"RELOADING=1\nMONOTONIC_USEC=8123456":      {reloading: true},
		"MONOTONIC_USEC=x\nRELOADING=1":            {reloading: true},
		"READY=0\nWATCHDOG=1\nMAINPID=4":           {ping: true, main: 4},
		"WATCHDOG=trigger":                         {bite: true},
		"WATCHDOG=2":                               {},
		"WATCHDOG_USEC=2500000":                    {period: 2500 * time.Millisecond, hasPeriod: true},
		"WATCHDOG_USEC=0":                          {hasPeriod: true},
		"WATCHDOG_USEC=18446744073709551615":       {hasPeriod: true},
		"WATCHDOG_USEC=-1":                         {},
		"WATCHDOG_USEC=1s":                         {},
		"EXTEND_TIMEOUT_USEC=90000000":             {extend: 90 * time.Second},
		"EXTEND_TIMEOUT_USEC=864000000000":         {extend: 24 * time.Hour},
		"EXTEND_TIMEOUT_USEC=":                     {},
		"MAINPID=1":                                {},
		"MAINPID=-5":                               {},
		"MAINPID=99999999999":                      {},
		"MAINPID=+7":                               {},
		"MAINPID=3\nMAINPID=9":                     {main: 9},
		"ERRNO=2\nSTATUS=no disk":                  {errno: 2, status: "no disk", hasStatus: true},
		"ERRNO=-2":                                 {},
		"ERRNO=4096":                               {},
		"BUSERROR=org.x.Y\nEXIT_STATUS=3":          {},
		"BARRIER=1":                                {},
		"FDSTORE=1\nFDNAME=http\nFDPOLL=0":         {store: true, name: "http", keepDead: true},
		"FDPOLL=0\nFDNAME=http\nFDSTORE=1":         {store: true, name: "http", keepDead: true},
		"FDNAME=a:b\nFDSTORE=1":                    {store: true},
		"FDNAME=\x01\nFDSTORE=1":                   {store: true},
		"FDSTOREREMOVE=1\nFDNAME=http":             {remove: true, name: "http"},
		"FDNAME=" + strings.Repeat("x", nameMax+1): {},
		"":                                      {},
		"READY":                                 {},
		"=\n==\n\n":                             {},
		"ready=1\nXREADY=1":                     {},
		"STATUS=\x1b[31mred\x00\x7f\xff\u0085!": {status: "[31mred!", hasStatus: true},
		"STATUS=" + strings.Repeat("é", 200):    {status: strings.Repeat("é", 128), hasStatus: true},
	} {
		if d := cmp.Diff(want, parseNotice([]byte(text)), cmp.AllowUnexported(notice{})); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}

func TestNote(t *testing.T) {
	for text, want := range map[string]string{
		"STATUS=up": "up", "STOPPING=1": "stopping", "STATUS=bye\nSTOPPING=1": "bye", "ERRNO=2": "no such file or directory",
		"ERRNO=13\nSTATUS=no disk": "no disk: permission denied", "STATUS=": "", "READY=1": "-", "ERRNO=0": "-",
	} {
		n := parseNotice([]byte(text))
		got, ok := n.note()
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}

func FuzzNotice(f *testing.F) {
	for _, s := range []string{"READY=1\nSTATUS=x", "STATUS=\xff\xfe\u2028", strings.Repeat("=\n", 3000), "MAINPID=18446744073709551616",
		"WATCHDOG=1\nWATCHDOG=trigger\nWATCHDOG_USEC=9223372036854775807", "EXTEND_TIMEOUT_USEC=9223372036854775808\nERRNO=1",
		"FDSTORE=1\nFDNAME=a\nFDPOLL=0\nFDSTOREREMOVE=1\nBARRIER=1", "RELOADING=1\nMONOTONIC_USEC=1\nSTOPPING=1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := parseNotice(b)
		text, _ := n.note()
		if len(n.status) > statusMax || strings.ContainsAny(text, "\n\r\x00\x1b") {
			t.Errorf("%q", text)
		}
		if n.extend < 0 || n.extend > extendMax || n.period < 0 || n.period > foreverAt || n.main < 0 || n.main > pidMax || n.main == 1 || n.errno < 0 {
			t.Errorf("%+v", n)
		}
		if n.name != "" && !validName(n.name) {
			t.Errorf("name %q", n.name)
		}
	})
}

func TestStoredKeys(t *testing.T) {
	for _, s := range []stored{{n: 1, name: "http"}, {n: 900, name: "a-b.c", keepDead: true}, {n: 2, name: unnamed}} {
		for _, name := range []string{"sshd", "getty@tty1", "odd:name", "n-1"} {
			key := s.key(name)
			unit, got, ok := parseStored(strings.TrimPrefix(key, "fd:"))
			if !ok || unit != name {
				t.Fatalf("%q: %q %v", key, unit, ok)
			}
			if d := cmp.Diff(s, *got, cmp.AllowUnexported(stored{})); d != "" {
				t.Errorf("%q: %s", key, d)
			}
		}
	}
	for _, bad := range []string{"", "x", "x:1", ":1:a", "x:y:a", "x:1:", "x:-1:a", "x:99999999999:a", "x:1:a b"} {
		if _, _, ok := parseStored(bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
	longest := stored{n: 1<<31 - 1, keepDead: true, name: strings.Repeat("x", nameMax)}
	if n := len(longest.key(strings.Repeat("u", 64))); n > 224 {
		t.Errorf("a key of %d bytes", n)
	}
}

func FuzzStoredKey(f *testing.F) {
	f.Add("sshd:1-:http")
	f.Add("::::")
	f.Fuzz(func(t *testing.T, rest string) {
		if name, s, ok := parseStored(rest); ok {
			again, s2, ok := parseStored(strings.TrimPrefix(s.key(name), "fd:"))
			if !ok || again != name || *s2 != *s {
				t.Errorf("%q: %+v, then %+v", rest, s, s2)
			}
		}
	})
}

func TestParsePid(t *testing.T) {
	for text, want := range map[string]int{"123\n": 123, "123": 123, " 42 \n": 42, "": 0, "\n": 0, "0\n": 0, "1\n": 0, "-3": 0, "12 13\n": 0,
		"4194305\n": 0, "0x10": 0, "12\x00": 0, strings.Repeat(" ", pidFileBytes-1) + "7": 0} {
		if got := parsePid(text); got != want {
			t.Errorf("%q: %d, not %d", text, got, want)
		}
	}
}

func FuzzPid(f *testing.F) {
	f.Add("123\n")
	f.Add("99999999999999999999")
	f.Fuzz(func(t *testing.T, s string) {
		if pid := parsePid(s); pid < 0 || pid == 1 || pid > pidMax {
			t.Errorf("%q: %d", s, pid)
		}
	})
}

func TestStartTime(t *testing.T) {
	for text, want := range map[string]uint64{"": 0, "1 (x) S": 0,
		"7 (a) b) (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 100 2": 98765} {
		if got := startTime([]byte(text)); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestSameFile(t *testing.T) {
	var p, q [2]int
	for _, x := range []*[2]int{&p, &q} {
		if err := unix.Pipe2(x[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer closeAll(x[:])
	}
	dup, err := unix.Dup(p[0])
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dup)
	if !sameFile(p[0], dup) || sameFile(p[0], q[0]) || sameFile(p[0], -1) {
		t.Error("a duplicate is another file, or another file a duplicate")
	}
}
