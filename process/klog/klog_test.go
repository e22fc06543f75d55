package klog

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"hoopy/process/ring"
	"hoopy/unit"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Record
		ok   bool
	}{
		{"6,339,5140900,-;NET: Registered protocol family 10\n", Record{339, 5140900, 7, 0, "NET: Registered protocol family 10"}, true},
		{"30,340,5690716,-;udevd[80]: starting version 181\n", Record{340, 5690716, 7, 3, "udevd[80]: starting version 181"}, true},
		{"7,160,424069,-;pci_root PNP0A03:00: host bridge\n SUBSYSTEM=acpi\n DEVICE=+acpi:PNP0A03:00\n",
			Record{160, 424069, 8, 0, "pci_root PNP0A03:00: host bridge"}, true},
		{"4,1,2,c,caller=T1;a;b\n", Record{1, 2, 5, 0, "a;b"}, true},
		{"4,1,2,-,x,y,z;future\n", Record{1, 2, 5, 0, "future"}, true},
		{`4,1,2,-;\x1b[1m \x5c \xzz \x4` + "\n", Record{1, 2, 5, 0, "\x1b[1m \\ \\xzz \\x4"}, true},
		{`4,1,2,-;one\x0atwo`, Record{1, 2, 5, 0, "one two"}, true},
		{"191,18446744073709551615,0,-;\n", Record{1<<64 - 1, 0, 8, 23, ""}, true},
		{"", Record{}, false},
		{"4,1,2;text\n", Record{}, false},
		{"4,1,2,-\n", Record{}, false},
		{"x,1,2,-;\n", Record{}, false},
		{"4,-1,2,-;\n", Record{}, false},
		{"4,1,,-;\n", Record{}, false},
	} {
		got, ok := Parse([]byte(c.in))
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%q: %+v, %v", c.in, got, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("6,339,5140900,-,caller=T1;NET\\x0a\\x\n KEY=value\n"))
	f.Add([]byte("4,1,2,c;\\"))
	f.Add([]byte(",,,;"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, ok := Parse(b)
		if ok && (strings.Contains(r.Text, "\n") || len(r.Text) > len(b) || r.Severity < 1 || r.Severity > 8 || r.Facility < 0) {
			t.Errorf("%+v", r)
		}
	})
}

// TestReader reads from a socket that keeps records apart as /dev/kmsg does.
func TestReader(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[1])
	say := func(s string) {
		t.Helper()
		if _, err := unix.Write(p[1], []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := newReader(p[0])
	if err != nil {
		t.Fatal(err)
	}
	r.slept = 5
	say("6,10,1000,-;one")
	say("rubbish")
	say("3,13,999,-;two, whose clock went back")
	var got []ring.Line
	for l, ok := r.Next(); ok; l, ok = r.Next() {
		got = append(got, l)
	}
	want := []ring.Line{{Seq: 10, Stamp: 1000005, Text: "one", Severity: 7},
		{Seq: 13, Stamp: 1000005, Text: "two, whose clock went back", Severity: 4, Lost: 2}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	more := make(chan struct{}, 1)
	r.Follow(more)
	for seq := 14; seq < 30; seq++ {
		say("6," + string(rune('0'+seq/10)) + string(rune('0'+seq%10)) + ",2000,-;more")
		for end := time.After(time.Minute); ; {
			if l, ok := r.Next(); ok {
				if l.Seq != uint64(seq) || l.Lost != 0 {
					t.Fatalf("%+v", l)
				}
				break
			}
			select {
			case <-more:
			case <-end:
				t.Fatalf("record %d: nothing was told", seq)
			}
		}
	}
	r.Seek(unit.Time(3000000))
	say("6,30,2500,-;old")
	say("6,31,3500,-;new")
	if l, ok := r.Next(); !ok || l.Text != "new" || l.Lost != 0 {
		t.Errorf("%+v, %v", l, ok)
	}
	r.Close()
	if _, ok := r.Next(); ok {
		t.Error("a record from a closed reader")
	}
}
