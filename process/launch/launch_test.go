package launch

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

var full = Spec{
	Command: []string{"/bin/echo", "", "a b"}, Directory: "/tmp", User: "nobody", Group: "disk", Umask: 0o27,
	Env: []string{"A=b", "C="}, TTY: "ttyS0", Notify: "/run/hoopy/notify/x", Cgroup: "/svc/x/1",
	FilesSoft: 10, FilesHard: 1 << 40, OOM: -1000, Nice: -5,
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

const passwd = `root:x:0:0:root:/root:/bin/ash
bin:x:1:1:bin:/bin:/sbin/nologin
# a comment
short:x:5
bad:x:ten:10::/:/bin/sh
app:x:1000:1000:App,,,:/home/app:/bin/bash
app2:x:1000:1001::/:
1001:x:7:7:a number for a name::
broken:x:4294967295:0::/:/bin/sh
`

const group = `root:x:0:root
disk:x:6:root,app
audio:x:18:app,app
app:x:1000:
wheel:x:10:root,apple
bad:x:y:app
many:x:20:a,b,app
`

func TestAccount(t *testing.T) {
	for _, c := range []struct {
		user, group string
		want        *Account
		err         string
	}{
		{"", "", &Account{"root", 0, 0, "/root", "/bin/ash", []uint32{6, 10}}, ""},
		{"app", "", &Account{"app", 1000, 1000, "/home/app", "/bin/bash", []uint32{6, 18, 20}}, ""},
		{"app", "disk", &Account{"app", 1000, 6, "/home/app", "/bin/bash", []uint32{18, 20, 1000}}, ""},
		{"app", "77", &Account{"app", 1000, 77, "/home/app", "/bin/bash", []uint32{6, 18, 20, 1000}}, ""},
		{"1000", "", &Account{"app", 1000, 1000, "/home/app", "/bin/bash", []uint32{6, 18, 20}}, ""},
		{"app2", "", &Account{"app2", 1000, 1001, "/", "/bin/sh", nil}, ""},
		{"1001", "", &Account{"1001", 7, 7, "/", "/bin/sh", nil}, ""},
		{"2000", "disk", &Account{"2000", 2000, 6, "/", "/bin/sh", nil}, ""},
		{"2000", "", nil, "not in /etc/passwd, so a group must be given"},
		{"nosuch", "", nil, "no such user in /etc/passwd"},
		{"broken", "", nil, "no such user in /etc/passwd"},
		{"bad", "", nil, "no such user in /etc/passwd"},
		{"short", "", nil, "no such user in /etc/passwd"},
		{"app", "nosuch", nil, `no group "nosuch" in /etc/group`},
		{"4294967295", "disk", nil, "no such user in /etc/passwd"},
	} {
		got, err := account([]byte(passwd), []byte(group), c.user, c.group)
		if (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%q %q: %v, not %q", c.user, c.group, err, c.err)
			continue
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q %q: %s", c.user, c.group, d)
		}
	}
	if a, err := account(nil, nil, "", ""); err != nil || a.Home != "/root" {
		t.Errorf("no files: %v, %v", a, err)
	}
}

func FuzzAccount(f *testing.F) {
	f.Add([]byte(passwd), []byte(group), "app", "disk")
	f.Add([]byte(":::::::::\n\n::"), []byte(":"), "", "")
	f.Add([]byte("a:b:1:2:3:4:5"), []byte("a:b:1:a"), "a", "a")
	f.Fuzz(func(t *testing.T, p, g []byte, user, grp string) {
		a, err := account(p, g, user, grp)
		if err == nil && (a.UID == 1<<32-1 || a.GID == 1<<32-1 || a.Home == "" || a.Shell == "") {
			t.Errorf("%+v", a)
		}
	})
}

func TestEnvironment(t *testing.T) {
	a := &Account{Name: "app", Home: "/home/app", Shell: "/bin/bash"}
	for _, c := range []struct {
		name string
		spec Spec
		want []string
	}{
		{"plain", Spec{}, []string{path, "HOME=/home/app", "USER=app", "LOGNAME=app", "SHELL=/bin/bash"}},
		{"own", Spec{Env: []string{"HOME=/x", "A=1", "A=2"}, Notify: "/n"},
			[]string{path, "USER=app", "LOGNAME=app", "SHELL=/bin/bash", "NOTIFY_SOCKET=/n", "HOME=/x", "A=2"}},
		{"serial", Spec{TTY: "ttyS0"}, []string{path, "HOME=/home/app", "USER=app", "LOGNAME=app", "SHELL=/bin/bash", "TERM=vt220"}},
		{"screen", Spec{TTY: "tty1", Env: []string{"PATH=/bin"}}, []string{"HOME=/home/app", "USER=app", "LOGNAME=app", "SHELL=/bin/bash", "TERM=linux", "PATH=/bin"}},
	} {
		if d := cmp.Diff(c.want, environment(&c.spec, a)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
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
