//go:build priv

package launch

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStreams(t *testing.T) {
	dir := t.TempDir()
	in, out := dir+"/in", dir+"/out"
	if err := os.WriteFile(in, []byte("from the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is there
		if got := inside(t, Spec{User: "nobody", Umask: 0o77, Stdin: in, Stdout: out, Stderr: "null"}, "cat; echo lost >&2"); got != "" {
			t.Errorf("in the log: %q", got)
		}
	}
	b, err := os.ReadFile(out)
	if err != nil || string(b) != "from the file\nfrom the file\n" {
		t.Errorf("%q, %v", b, err)
	}
	st, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if sys := st.Sys().(*syscall.Stat_t); st.Mode() != 0o640 || sys.Uid != 65534 || sys.Gid != 65534 {
		t.Errorf("%v of %d:%d", st.Mode(), sys.Uid, sys.Gid)
	}
	if got := inside(t, Spec{Stdin: "null", Stderr: out}, "cat; echo kept; echo more >&2"); got != "kept\n" {
		t.Errorf("%q", got)
	}
	// The descriptors are such as wait for their data.
	fifo := dir + "/fifo"
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	got := strings.Fields(inside(t, Spec{Stdin: fifo, Stderr: fifo}, "sed -n 's/flags://p' /proc/$$/fdinfo/0 /proc/$$/fdinfo/2"))
	if len(got) != 2 {
		t.Fatalf("%q", got)
	}
	for _, text := range got {
		if flags, err := strconv.ParseUint(text, 8, 32); err != nil || flags&(unix.O_NONBLOCK|unix.O_CLOEXEC) != 0 {
			t.Errorf("flags %s, %v", text, err)
		}
	}
}

func TestTerminalInside(t *testing.T) {
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer ptmx.Close()
	n, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	tty := "pts/" + strconv.Itoa(n)
	if _, err := os.Stat("/dev/" + tty); err != nil {
		t.Skip(err)
	}
	file := t.TempDir() + "/out"
	inside(t, Spec{TTY: tty, Stdout: file}, "tty; ls -l /proc/self/fd/2; cut -d' ' -f7 /proc/self/stat")
	b, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(b), "/dev/"+tty+"\n") || !strings.Contains(string(b), "2 -> /dev/"+tty) || strings.HasSuffix(string(b), "\n0\n") {
		t.Errorf("%s, %v", b, err)
	}
}

// TestStreamsAreNotLedAstray: root does not follow where a user points.
func TestStreamsAreNotLedAstray(t *testing.T) {
	dir := t.TempDir()
	user := filepath.Join(dir, "user")
	ours := filepath.Join(dir, "ours")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(ours+"/real", 0o755))
	must(os.Mkdir(user, 0o755))
	must(os.WriteFile(ours+"/secret", []byte("secret\n"), 0o600))
	must(os.WriteFile(ours+"/twice", nil, 0o600))
	must(os.Link(ours+"/twice", user+"/twice"))
	must(os.WriteFile(user+"/other", nil, 0o644))
	must(os.Chown(user+"/other", 12345, 12345))
	must(os.WriteFile(ours+"/other", nil, 0o644))
	must(os.Chown(ours+"/other", 12345, 12345))
	must(os.Symlink("../ours/secret", user+"/link"))
	must(os.Symlink("../ours", user+"/dir"))
	must(os.Symlink("../ours/new", user+"/dangling"))
	for _, name := range []string{"link", "dir", "dangling"} {
		must(os.Lchown(user+"/"+name, 65534, 65534))
	}
	must(os.Symlink("../ours/secret", user+"/roots"))
	must(os.Chown(user, 65534, 65534))
	must(os.Symlink("real", ours+"/link"))
	must(os.Symlink(ours+"/link/../real/log", ours+"/log"))
	must(os.Symlink("loop", ours+"/loop"))
	must(unix.Mkfifo(ours+"/fifo", 0o600))

	const write, read = true, false
	a := &Account{Name: "nobody", UID: 65534, GID: 65534}
	for _, c := range []struct {
		name  string
		write bool
		want  string
	}{
		{ours + "/new", write, ""},
		{ours + "/link/through", write, ""},
		{ours + "/log", write, ""},
		{ours + "/secret", read, ""},
		{user + "/new", write, ""},
		{"null", read, ""}, {"null", write, ""},
		{"/dev/fd/../null", write, "no such file or directory"},
		{user + "/link", read, "the symbolic link " + user + "/link is not root's"},
		{user + "/link", write, "the symbolic link " + user + "/link is not root's"},
		{user + "/dir/new2", write, "the symbolic link " + user + "/dir is not root's"},
		{user + "/dangling", write, "the symbolic link " + user + "/dangling is not root's"},
		{user + "/roots", read, "the symbolic link " + user + "/roots is not root's"},
		{user + "/twice", write, "has 2 names (hard links)"},
		{user + "/twice", read, "has 2 names (hard links)"},
		{user + "/other", write, "belongs to uid 12345 and not to nobody, in a directory that others than root write to"},
		{user + "/other", read, ""}, {ours + "/other", write, ""},
		{ours + "/loop", read, "too many levels of symbolic links"},
		{ours, read, "is a directory"}, {ours, write, "is a directory"},
		{ours + "/fifo", read, ""}, {ours + "/fifo", write, "nobody at the other end (no such device or address)"},
		{ours + "/missing", read, "no such file or directory"},
		{ours + "/missing/log", write, "no such file or directory"},
		{"log", write, "no absolute path"}, {"", read, "no absolute path"},
	} {
		fd, err := openStream(c.name, c.write, a)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			unix.Close(fd)
		}
		if got != c.want {
			t.Errorf("%s, write %v: %q, not %q", c.name, c.write, got, c.want)
		}
	}
	for _, name := range []string{"/ours/new", "/ours/real/through", "/ours/real/log", "/user/new"} {
		if _, err := os.Stat(dir + name); err != nil {
			t.Error(err)
		}
	}
	if b, _ := os.ReadFile(ours + "/secret"); string(b) != "secret\n" {
		t.Errorf("%q", b)
	}
}

// TestFailures: each names its step, the word that is wrong, and why.
func TestFailures(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		spec Spec
		step string
		want string
	}
	rows := []row{
		{Spec{Command: []string{"/nosuch"}}, "exec", `exec "/nosuch": no such file or directory`},
		{Spec{Command: []string{"/etc"}}, "exec", `exec "/etc": permission denied`},
		{Spec{User: "nosuch"}, "user", `user "nosuch": no such user in /etc/passwd`},
		{Spec{Group: "nosuch"}, "user", `user: no group "nosuch" in /etc/group`},
		{Spec{Groups: []string{"nosuch"}}, "user", `user: no group "nosuch" in /etc/group`},
		{Spec{Directory: "/nosuch"}, "chdir", `chdir "/nosuch": no such file or directory`},
		{Spec{Cgroup: "/svc/x"}, "check cgroup", ""},
		{Spec{EnvFiles: []string{"/nosuch"}}, "env_file", `env_file "/nosuch": no such file or directory`},
		{Spec{EnvFiles: []string{here + "/launch.go"}}, "env_file", `env_file "` + here + `/launch.go": line 1: no NAME=value`},
		{Spec{TTY: "nosuch"}, "open terminal", `open terminal "/dev/nosuch": no such file or directory`},
		{Spec{TTY: "null"}, "control terminal", `control terminal "/dev/null": inappropriate ioctl for device`},
		{Spec{Stdin: "/nosuch"}, "stdin", `stdin "/nosuch": no such file or directory`},
		{Spec{Stdout: "/nosuch/log"}, "stdout", `stdout "/nosuch/log": no such file or directory`},
		{Spec{Stderr: "/etc"}, "stderr", `stderr "/etc": is a directory`},
		{Spec{Limits: []Limit{{"nosuch", 1, 1}}}, "limit", `limit "nosuch": unknown`},
		{Spec{OOM: 5000}, "oom_score", `oom_score "5000": invalid argument`},
		{Spec{IOClass: "nosuch"}, "io_class", `io_class "nosuch": unknown`},
		{Spec{Policy: "nosuch"}, "policy", `policy "nosuch": unknown`},
		{Spec{Policy: "fifo"}, "policy", `policy "fifo": priority 0 is not within 1 to 99`},
		{Spec{Bounded: true, Bounding: []string{"cap_foo"}}, "capability", `capability "cap_foo": unknown`},
		{Spec{Ambient: []string{"cap_foo"}}, "capability", `capability "cap_foo": unknown`},
		{Spec{NotifyFD: 1}, "ready descriptor", `ready descriptor "1": below 3`},
		{Spec{NotifyFD: 1 << 30}, "ready descriptor", `ready descriptor "1073741824": invalid argument`},
		{Spec{ReadOnly: true, Writable: []string{"/nosuch"}}, "writable", `writable "/nosuch": no such file or directory`},
	}
	// In a container: what may not be raised is said, but for open files.
	var l unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l)
	if has(unix.CAP_SYS_RESOURCE) || l.Max == Unlimited {
		t.Log("skipped: here every limit may be raised")
	} else {
		rows = append(rows, row{Spec{Limits: []Limit{{"memlock", Unlimited, Unlimited}}}, "limit", `limit "memlock": operation not permitted`},
			row{Spec{Ambient: []string{"SYS_RESOURCE"}, User: "nobody"}, "capability", `capability "cap_sys_resource": operation not permitted`})
	}
	for _, c := range rows {
		if c.spec.Command == nil {
			c.spec.Command = []string{"/bin/true"}
		}
		p := start(t, &c.spec, nil)
		_, f := p.end(t)
		if f == nil || f.Step != c.step || f.Text != c.want && c.want != "" {
			t.Errorf("%+v, not %s: %s", f, c.step, c.want)
		}
		want := 126
		if c.spec.Command[0] == "/nosuch" {
			want = 127
		}
		if code := p.ProcessState.ExitCode(); code != want {
			t.Errorf("%s: exit %d", c.want, code)
		}
	}
}

// has says whether this process has the capability.
func has(n int) bool {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	return unix.Capget(&h, &d[0]) == nil && d[n/32].Effective>>(n%32)&1 == 1
}
