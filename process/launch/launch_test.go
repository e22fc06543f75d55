package launch

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

var full = Spec{
	Command: []string{"/bin/echo", "", "a b"}, Directory: "/tmp", User: "nobody", Group: "disk", Groups: []string{"audio", "7"},
	Umask: 0o27, Cgroup: "/svc/x/1",
	Env: []string{"A=b", "C="}, EnvFiles: []string{"-/etc/x"}, Notify: "/run/hoopy/notify/x", Watchdog: 1500 * time.Millisecond,
	TTY: "ttyS0", Stdin: "/etc/in", Stdout: "null", Stderr: "/var/log/x", Interactive: true,
	NotifyFD: 7, Listen: []string{"http", ""},
	Limits: []Limit{{"core", 0, Unlimited}, {"nofile", 10, 1 << 40}}, OOM: -1000, Nice: -5,
	IOClass: "idle", IOLevel: 7, Policy: "fifo", Priority: 99,
	Bounded: true, Bounding: []string{"CAP_CHOWN"}, Ambient: []string{"chown"}, NoNewPrivs: true,
	PrivateTmp: true, ReadOnly: true, Writable: []string{"/persist", "-/x"},
}

// TestFullIsFull: a field that full does not set is not tested.
func TestFullIsFull(t *testing.T) {
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is zero", v.Type().Field(i).Name)
		}
	}
}

func TestSpecRoundTrip(t *testing.T) {
	for _, s := range []Spec{full, {Command: []string{"/x"}}} {
		var got Spec
		if err := got.Decode(s.Append(nil)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, got); d != "" {
			t.Error(d)
		}
	}
}

func TestSpecRefuses(t *testing.T) {
	good := full.Append(nil)
	for n := range good {
		if err := new(Spec).Decode(good[:n]); err != ErrSpec {
			t.Fatalf("the first %d of %d bytes: %v", n, len(good), err)
		}
	}
	other := append([]byte(nil), good...)
	other[0]++
	zero := Spec{Command: []string{"/bin/a\x00b"}}
	for name, b := range map[string][]byte{
		"trailing byte": append(append([]byte(nil), good...), 0), "other version": other,
		"no command": (&Spec{}).Append(nil), "zero byte": zero.Append(nil),
	} {
		if err := new(Spec).Decode(b); err != ErrSpec {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMemfdIsSealed(t *testing.T) {
	fd, err := full.Memfd()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Pwrite(fd, []byte("x"), 0); err != unix.EPERM {
		t.Errorf("write: %v", err)
	}
	got, err := ReadSpec(fd)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&full, got); d != "" {
		t.Error(d)
	}
}

func FuzzSpec(f *testing.F) {
	f.Add([]byte{})
	f.Add(full.Append(nil))
	f.Add((&Spec{Command: []string{"/x"}}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, again Spec
		if s.Decode(b) != nil {
			return
		}
		if err := again.Decode(s.Append(nil)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, again); d != "" {
			t.Error(d)
		}
	})
}

func TestFailureRoundTrip(t *testing.T) {
	for _, f := range []Failure{{"exec", unix.ENOENT, "exec \"/x\": no such file or directory"}, {}, {"s", 0, strings.Repeat("x", 9000)}} {
		got, ok := ParseFailure(f.append(nil))
		if !ok || got.Step != f.Step || got.Errno != f.Errno || !strings.HasPrefix(f.Text, got.Text) || len(got.Text) < min(len(f.Text), 4000) {
			t.Errorf("%+.60v became %+.60v, %v", f, got, ok)
		}
	}
}

func FuzzFailure(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 0, 4, 'e', 'x', 'e', 'c', 'h', 'i'})
	f.Add([]byte{2, 0, 0, 0, 255, 'e'})
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, ok := ParseFailure(b); ok && string(x.append(nil)) != string(b) {
			t.Errorf("%q", b)
		}
	})
}

func TestInterpreter(t *testing.T) {
	for text, want := range map[string]string{
		"#!/bin/nosuch -x\necho": "/bin/nosuch", "#! /usr/bin/env sh": "/usr/bin/env", "#!": "", "#!\n/bin/sh": "", "": "", "\x7fELF\x02\x01": "",
	} {
		if got := parseInterpreter([]byte(text)); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
	if _, err := os.Stat("/bin/true"); err != nil {
		t.Skip("no /bin/true here")
	}
	if got := interpreter("/bin/true"); got != "" && !strings.HasPrefix(got, "/lib") {
		t.Errorf("/bin/true: %q", got)
	}
}

func FuzzInterpreter(f *testing.F) {
	f.Add([]byte("#!/bin/sh\n"))
	elf := make([]byte, 200)
	copy(elf, "\x7fELF\x02\x01")
	elf[32], elf[54], elf[56], elf[64], elf[72], elf[96] = 64, 56, 1, 3, 120, 10
	f.Add(elf)
	f.Fuzz(func(t *testing.T, b []byte) { parseInterpreter(b) })
}
