//go:build priv

package launch

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bound is how long anything may take on a busy machine.
const bound = time.Minute

// TestMain: the test binary is the launcher too.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "exec" {
		os.Exit(Main())
	}
	if os.Getuid() != 0 {
		fmt.Println("skipped: needs root")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// started is a launcher as the keeper starts it.
type started struct {
	*exec.Cmd
	errRead *os.File
	out     bytes.Buffer // what was 1 and 2 at first
}

func start(t testing.TB, s *Spec, attr *syscall.SysProcAttr, extra ...*os.File) *started {
	t.Helper()
	fd, err := s.Memfd()
	if err != nil {
		t.Fatal(err)
	}
	spec := os.NewFile(uintptr(fd), "spec")
	defer spec.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	p := &started{errRead: r}
	p.Cmd = &exec.Cmd{Path: "/proc/self/exe", Args: []string{"/init", "exec", "x"}, Dir: "/", Env: []string{"STRAY=1"},
		ExtraFiles: append([]*os.File{spec, w}, extra...), SysProcAttr: attr, WaitDelay: bound}
	p.Stdout, p.Stderr = &p.out, &p.out
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	r.SetReadDeadline(time.Now().Add(bound))
	return p
}

// end waits and gives the output and the Failure, if there was one.
func (p *started) end(t testing.TB) (string, *Failure) {
	t.Helper()
	late := time.AfterFunc(bound, func() { p.Process.Kill() })
	defer late.Stop()
	var b [FailureMax + 1]byte
	n, _ := p.errRead.Read(b[:])
	p.errRead.Close()
	p.Wait()
	if n == 0 {
		return p.out.String(), nil
	}
	f, ok := ParseFailure(b[:n])
	if !ok {
		t.Fatalf("on the error pipe: %q", b[:n])
	}
	if !strings.Contains(p.out.String(), f.Text) {
		t.Errorf("stderr has %q, not %q", p.out.String(), f.Text)
	}
	return p.out.String(), f
}

// inside runs a line of sh by a spec and returns what it said.
func inside(t testing.TB, s Spec, line string, extra ...*os.File) string {
	t.Helper()
	s.Command = []string{"/bin/sh", "-c", line}
	out, f := start(t, &s, nil, extra...).end(t)
	if f != nil {
		t.Fatalf("%s: %s", f.Step, f.Text)
	}
	return out
}

// wants holds each line of out against what it begins with.
func wants(t *testing.T, out string, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if !strings.Contains("\n"+out, "\n"+want+"\n") {
			t.Errorf("no line %q in\n%s", want, out)
		}
	}
}

func TestLimits(t *testing.T) {
	out := inside(t, Spec{User: "nobody", Limits: []Limit{{"core", 0, 4096}, {"nofile", 64, 128}, {"as", 1 << 30, 1 << 30}, {"data", 1 << 28, 1 << 29},
		{"fsize", 1 << 20, Unlimited}, {"memlock", 4096, 8192}, {"nproc", 50, 60}, {"stack", 1 << 20, 2 << 20}, {"cpu", 100, 200}}},
		"sed 's/  */ /g; s/ $//' /proc/self/limits")
	wants(t, out, "Max core file size 0 4096 bytes", "Max open files 64 128 files", "Max address space 1073741824 1073741824 bytes",
		"Max data size 268435456 536870912 bytes", "Max file size 1048576 unlimited bytes", "Max locked memory 4096 8192 bytes",
		"Max processes 50 60 processes", "Max stack size 1048576 2097152 bytes", "Max cpu time 100 200 seconds")
}

// TestFilesAreGivenAsFarAsTheyGo: the one limit that is lowered to what there is.
func TestFilesAreGivenAsFarAsTheyGo(t *testing.T) {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%d %d\n", 2000, now.Max)
	if out := inside(t, Spec{Limits: []Limit{{"nofile", 2000, 1 << 40}}}, "echo $(ulimit -S -n) $(ulimit -H -n)"); out != want {
		t.Errorf("%q, not %q", out, want)
	}
	if out := inside(t, Spec{}, "ulimit -S -n"); out != "1024\n" {
		t.Errorf("%q", out)
	}
}

// TestTinyLimits: limits under which the launcher itself could not work are no
// trouble for it, and what then fails is the service.
func TestTinyLimits(t *testing.T) {
	for _, l := range []Limit{{"as", 1 << 24, 1 << 24}, {"data", 1 << 20, 1 << 20}, {"nofile", 5, 5}, {"nproc", 1, 1}, {"stack", 1 << 17, 1 << 17}, {"sigpending", 0, 0}, {"fsize", 0, 0}} {
		if out := inside(t, Spec{Limits: []Limit{l}}, "echo lives"); out != "lives\n" {
			t.Errorf("%v: %q", l, out)
		}
	}
	// A user over his number of processes is told so.
	other := start(t, &Spec{Command: []string{"/bin/sleep", "1000"}, User: "54321", Group: "54321"}, nil)
	defer other.Wait()
	defer other.Process.Kill()
	other.errRead.Read(make([]byte, 1)) // ends with its execve
	_, f := start(t, &Spec{Command: []string{"/bin/true"}, User: "54321", Group: "54321", Limits: []Limit{{"nproc", 0, 0}}}, nil).end(t)
	if want := `limit "nproc": 54321 has as many processes already: resource temporarily unavailable`; said(f) != want {
		t.Errorf("%q, not %q", said(f), want)
	}
}

func TestPriorities(t *testing.T) {
	for _, c := range []struct {
		spec Spec
		stat string // nice, real-time priority and policy of proc_pid_stat(5)
		io   uintptr
	}{
		{Spec{}, "0 0 0", 0},
		{Spec{Nice: 7, IOClass: "best-effort", IOLevel: 6}, "7 0 0", 2<<13 | 6},
		{Spec{Nice: -5, IOClass: "idle", Policy: "batch", User: "nobody"}, "-5 0 3", 3 << 13},
		{Spec{Policy: "idle", OOM: 500, IOClass: "realtime", IOLevel: 1}, "0 0 5", 1<<13 | 1},
		{Spec{Policy: "fifo", Priority: 3, User: "nobody"}, "0 3 1", 0},
		{Spec{Policy: "rr", Priority: 99}, "0 99 2", 0},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		// It says how it is and waits until it has been looked at.
		c.spec.Command = []string{"/bin/sh", "-c", "cut -d' ' -f19,40,41 /proc/self/stat; cat /proc/self/oom_score_adj; echo up >&3; read x <&4"}
		c.spec.NotifyFD, c.spec.Listen = 4, []string{"up"}
		upR, upW, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p := start(t, &c.spec, nil, r, upW)
		r.Close()
		upW.Close()
		upR.SetReadDeadline(time.Now().Add(bound))
		if _, err := upR.Read(make([]byte, 10)); err != nil {
			w.Close()
			_, f := p.end(t)
			if f != nil && f.Errno == unix.EPERM && c.spec.Priority > 0 {
				t.Logf("skipped %s: this kernel gives no real time to this cgroup", c.spec.Policy)
				continue
			}
			t.Fatalf("%+v: %v, %s", c.spec, err, said(f))
		}
		io, _, _ := unix.RawSyscall(unix.SYS_IOPRIO_GET, 1, uintptr(p.Process.Pid), 0)
		w.Close()
		upR.Close()
		out, _ := p.end(t)
		if io&^7>>13 == 0 {
			io = 0 // derived from nice by newer kernels
		}
		if want := c.stat + "\n" + fmt.Sprint(c.spec.OOM) + "\n"; out != want || io != c.io && c.io != 0 {
			t.Errorf("%+v: %q %x, not %q %x", c.spec, out, io, want, c.io)
		}
	}
}

func TestCapabilitiesInside(t *testing.T) {
	all := strings.TrimSpace(inside(t, Spec{}, "sed -n 's/^CapBnd:\t//p' /proc/self/status"))
	const none, bind, kill = "0000000000000000", "0000000000000400", "0000000000000020"
	both := "0000000000000420"
	for _, c := range []struct {
		name string
		spec Spec
		want [5]string // inheritable, permitted, effective, bounding, ambient
		nnp  string
	}{
		{"root", Spec{}, [5]string{none, all, all, all, none}, "0"},
		{"user", Spec{User: "nobody"}, [5]string{none, none, none, all, none}, "0"},
		{"bounded root", Spec{Bounded: true, Bounding: []string{"kill", "CAP_NET_BIND_SERVICE"}}, [5]string{none, both, both, both, none}, "0"},
		{"nothing", Spec{Bounded: true}, [5]string{none, none, none, none, none}, "0"},
		{"ambient user", Spec{User: "nobody", Ambient: []string{"net_bind_service"}, NoNewPrivs: true}, [5]string{bind, bind, bind, all, bind}, "1"},
		{"both", Spec{User: "nobody", Bounded: true, Bounding: []string{"net_bind_service", "kill"}, Ambient: []string{"kill"}}, [5]string{kill, kill, kill, both, kill}, "0"},
		{"ambient root", Spec{Ambient: []string{"kill"}, NoNewPrivs: true}, [5]string{kill, all, all, all, kill}, "1"},
		{"bounded root with no new privileges", Spec{Bounded: true, Bounding: []string{"kill"}, NoNewPrivs: true}, [5]string{none, kill, kill, kill, none}, "1"},
	} {
		out := inside(t, c.spec, "cat /proc/self/status")
		for i, set := range [...]string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
			if want := set + ":\t" + c.want[i] + "\n"; !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, out)
			}
		}
		if !strings.Contains(out, "NoNewPrivs:\t"+c.nnp+"\n") {
			t.Errorf("%s: no_new_privs\n%s", c.name, out)
		}
	}
}

func TestGroups(t *testing.T) {
	out := inside(t, Spec{User: "54321", Group: "7", Groups: []string{"11", "disk", "7"}}, "sed -n 's/[ \t]*$//; /^[UG]id\\|^Groups/p' /proc/self/status")
	wants(t, out, "Uid:\t54321\t54321\t54321\t54321", "Gid:\t7\t7\t7\t7", "Groups:\t6 7 11")
}

// pipes makes n pipes; each has its own number written into it.
func pipes(t *testing.T, n int) (files []*os.File) {
	for i := range n {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		fmt.Fprintf(w, "pipe%d\n", i)
		w.Close()
		files = append(files, r)
	}
	return files
}

func TestDescriptors(t *testing.T) {
	const say = `ls /proc/$$/fd; for n in 3 4 5 6 7; do { read x <&$n; } 2>/dev/null && echo -n "$n=$x "; done; echo $LISTEN_FDS $LISTEN_FDNAMES; [ "${LISTEN_PID:-$$}" = $$ ]; echo $?`
	for _, c := range []struct {
		spec Spec
		n    int
		want string
	}{
		{Spec{}, 0, "0 1 2"},
		{Spec{Listen: []string{"a"}}, 1, "0 1 2 3 3=pipe0 1 a"},
		{Spec{Listen: []string{"a", "b", "c"}}, 3, "0 1 2 3 4 5 3=pipe0 4=pipe1 5=pipe2 3 a:b:c"},
		{Spec{NotifyFD: 3}, 1, "0 1 2 3 3=pipe0"},
		{Spec{NotifyFD: 4}, 1, "0 1 2 4 4=pipe0"},
		{Spec{NotifyFD: 6, Listen: []string{"a", "b"}}, 3, "0 1 2 3 4 6 3=pipe1 4=pipe2 6=pipe0 2 a:b"},
		{Spec{NotifyFD: 5, Listen: []string{"a", "b"}, User: "nobody", PrivateTmp: true}, 3, "0 1 2 3 4 5 3=pipe1 4=pipe2 5=pipe0 2 a:b"},
	} {
		// Without a pipe in the line: the shell would have it open too.
		out := strings.Join(strings.Fields(inside(t, c.spec, say, pipes(t, c.n)...)), " ")
		if out != c.want+" 0" {
			t.Errorf("%v %d:\n%q, not\n%q", c.spec.Listen, c.spec.NotifyFD, out, c.want)
		}
	}
	// Failures still come back when their pipe had to move.
	_, f := start(t, &Spec{Command: []string{"/nosuch"}, Listen: []string{"a", "b"}}, nil, pipes(t, 2)...).end(t)
	if want := `exec "/nosuch": no such file or directory`; said(f) != want {
		t.Errorf("%q, not %q", said(f), want)
	}
}

func TestEnvironmentInside(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("A=file\nB=\"file two\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := inside(t, Spec{User: "nobody", EnvFiles: []string{file, "-/nosuch"}, Env: []string{"A=own"}, Watchdog: 2 * time.Second},
		`env; [ "$WATCHDOG_PID" = $$ ] && echo mine; echo "<$STRAY>"`)
	wants(t, out, "A=own", "B=file two", "WATCHDOG_USEC=2000000", "mine", "<>", "USER=nobody")
}

// TestInteractive: session and descriptors stay; otherwise they do not.
func TestInteractive(t *testing.T) {
	own, err := unix.Getsid(0)
	if err != nil {
		t.Fatal(err)
	}
	const say = "cut -d' ' -f6 /proc/self/stat"
	if out := inside(t, Spec{Interactive: true, TTY: "nosuch", Stdout: "null"}, say); out != fmt.Sprintln(own) {
		t.Errorf("session %q, not %d", out, own)
	}
	if out := inside(t, Spec{}, say+"; echo $$"); strings.Count(out, strings.Fields(out)[0]) != 2 {
		t.Errorf("not the leader of a session: %q", out)
	}
}

// BenchmarkLaunch is from spawn to the end of /bin/true, plain and through the
// launcher, bare and with all that a unit can ask for.
func BenchmarkLaunch(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("/bin/true").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, s := range map[string]Spec{
		"bare": {},
		"user": {User: "nobody"},
		"full": {User: "nobody", Bounded: true, Bounding: []string{"kill"}, NoNewPrivs: true, PrivateTmp: true, ReadOnly: true, Stdout: "null"},
	} {
		s.Command = []string{"/bin/true"}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, f := start(b, &s, nil).end(b); f != nil {
					b.Fatal(f.Text)
				}
			}
		})
	}
}
