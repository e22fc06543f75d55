//go:build priv

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

const often = 10 * time.Millisecond

// listenTCP listens on a port of 127.0.0.1 and answers each connection; answer
// is nil: nobody ever accepts.
func listenTCP(t *testing.T, answer func(fd int)) (port string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		err = unix.Listen(fd, 8)
	}
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := unix.Getsockname(fd)
	if answer != nil {
		go func() {
			for {
				c, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
				if err != nil {
					return
				}
				answer(c)
				unix.Close(c)
			}
		}()
	}
	t.Cleanup(func() { unix.Shutdown(fd, unix.SHUT_RDWR); unix.Close(fd) })
	return strconv.Itoa(addr.(*unix.SockaddrInet4).Port)
}

// says answers whatever is asked.
func says(text string) func(fd int) {
	return func(fd int) {
		unix.Read(fd, make([]byte, 4096))
		unix.Write(fd, []byte(text))
	}
}

// TestProbes asks each kind of probe once, by way of a health check.
func TestProbes(t *testing.T) {
	dir := t.TempDir()
	listenUnix := func(name string, kind int) string {
		path := filepath.Join(dir, name)
		fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
		}
		if err == nil && kind != unix.SOCK_DGRAM {
			err = unix.Listen(fd, 8)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return path
	}
	bound, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) // and not listening
	if err == nil {
		err = unix.Bind(bound, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(bound)
	addr, _ := unix.Getsockname(bound)
	free := strconv.Itoa(addr.(*unix.SockaddrInet4).Port)
	for _, c := range []struct {
		name  string
		probe unit.Probe
		want  string // empty: good
	}{
		{"tcp", unit.Probe{TCP: "127.0.0.1:" + listenTCP(t, nil)}, ""},
		{"tcp by name", unit.Probe{TCP: "localhost:" + listenTCP(t, nil)}, ""},
		{"tcp refused", unit.Probe{TCP: "localhost:" + free}, "tcp localhost:" + free + ": connection refused"},
		{"tcp of a name", unit.Probe{TCP: "nas.example:80"}, `tcp nas.example:80: "nas.example" is no address; a probe asks no name server`},
		{"unix", unit.Probe{Unix: listenUnix("s", unix.SOCK_STREAM)}, ""},
		{"unix packets", unit.Probe{Unix: listenUnix("p", unix.SOCK_SEQPACKET)}, ""},
		{"unix datagrams", unit.Probe{Unix: listenUnix("d", unix.SOCK_DGRAM)}, ""},
		{"unix nobody", unit.Probe{Unix: "/run/no.sock"}, "unix /run/no.sock: no such file or directory"},
		{"http", unit.Probe{HTTP: "http://127.0.0.1:" + listenTCP(t, says("HTTP/1.1 204 No Content\r\n\r\n")) + "/x?y"}, ""},
		{"http slowly", unit.Probe{HTTP: "http://127.0.0.1:" + listenTCP(t, func(fd int) {
			for _, s := range []string{"HT", "TP/1.0 30", "2 Found\r"} {
				unix.Write(fd, []byte(s))
				time.Sleep(time.Millisecond)
			}
			unix.Write(fd, []byte("\n"))
		})}, ""},
		{"http bad", unit.Probe{HTTP: "http://127.0.0.1:" + listenTCP(t, says("HTTP/1.1 503 Busy\r\n\r\n"))}, ": 503 Busy"},
		{"http closed", unit.Probe{HTTP: "http://127.0.0.1:" + listenTCP(t, func(int) {})}, ": "},
		{"http silent", unit.Probe{HTTP: "http://127.0.0.1:" + listenTCP(t, nil), Timeout: 30 * time.Millisecond}, ": no answer within 30ms"},
		{"https", unit.Probe{HTTP: "https://localhost"}, "https://localhost: a probe speaks no TLS; ask by tcp or exec"},
		{"exec", unit.Probe{Exec: []string{"/bin/sh", "-c", "echo not for the log; [ $A = b ] && [ $MAINPID -gt 1 ]"}}, ""},
		{"exec bad", unit.Probe{Exec: []string{"/bin/sh", "-c", "exit 3"}}, "/bin/sh: exit 3"},
		{"exec killed", unit.Probe{Exec: []string{"/bin/sh", "-c", "kill -9 $$"}}, "/bin/sh: killed by SIGKILL"},
		{"exec nothing", unit.Probe{Exec: []string{"/nosuch"}}, `/nosuch: exec "/nosuch": no such file or directory`},
		{"exec for ever", unit.Probe{Exec: []string{"/bin/sh", "-c", "sleep 1000 & sleep 1000"}, Timeout: 100 * time.Millisecond}, "/bin/sh: no answer within 100ms"},
		{"nothing", unit.Probe{}, ": a probe that asks nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			u := shell("p", "exec sleep 1000")
			u.Env = []string{"A=b"}
			u.Health = &unit.Health{Probe: c.probe, Threshold: 2}
			u.Health.Period = often
			if c.want == "" {
				// A good answer is nobody's business: have it asked for readiness.
				u.ReadyBy, u.ReadyProbe, u.Health = unit.ByProbe, &c.probe, nil
				u.ReadyProbe.Period = often
			}
			id := b.start(u)
			b.expect("spawned", "ready")
			if c.want != "" {
				if got := word(b.next()); !strings.HasPrefix(got, "sick: 1 of 2: ") || !strings.Contains(got, c.want) {
					t.Errorf("%q, not %q", got, c.want)
				}
				if got := word(b.next()); !strings.HasPrefix(got, "sick, restart: 2 of 2: ") {
					t.Errorf("%q", got)
				}
			}
			b.do(unit.Kill, u, id)
			for got := ""; got != "empty"; {
				got = word(b.next())
			}
			b.do(unit.Release, u, id)
			b.over()
			for _, line := range b.lines("p") {
				if !strings.HasPrefix(line, "exec ") {
					t.Errorf("in the log: %q", line)
				}
			}
			if n := b.arm.Processes("p"); n != 0 {
				t.Errorf("%d processes are left", n)
			}
		})
	}
}

// TestHealth: failures are counted, an answer forgives them, and what changes
// nothing is said to nobody.
func TestHealth(t *testing.T) {
	b := newBench(t)
	good := filepath.Join(b.run, "good")
	touch := func() {
		if err := os.WriteFile(good, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	touch()
	asked := filepath.Join(b.run, "asked")
	u := shell("h", "exec sleep 1000")
	u.Health = &unit.Health{Probe: unit.Probe{Exec: []string{"/bin/sh", "-c", "echo >>" + asked + "; [ -e " + good + " ]"}, Period: often}, Threshold: 2, Note: true}
	id := b.start(u)
	b.expect("spawned", "ready")
	b.until("it was asked three times", func() bool { text, _ := os.ReadFile(asked); return len(text) >= 3 })
	os.Remove(good)
	b.expect("sick: 1 of 2: /bin/sh: exit 1", "sick: 2 of 2: /bin/sh: exit 1", "sick: 3 in a row: /bin/sh: exit 1")
	touch()
	ev := b.next()
	for ; ev.Op == unit.Sick; ev = b.next() {
	}
	if ev.Op != unit.Healthy {
		t.Fatal(word(ev))
	}
	os.Remove(good)
	b.expect("sick: 1 of 2: /bin/sh: exit 1")
	// Not while it stops.
	b.do(unit.Stop, u, id)
	for ev = b.next(); ev.Op == unit.Sick; ev = b.next() {
	}
	if ev.Op != unit.Exited {
		t.Fatal(word(ev))
	}
	b.expect("empty")
	b.do(unit.Release, u, id)
	b.over()
	if len(b.events) != 0 {
		t.Error(word(b.next()))
	}
}

// TestHealthIsAdopted: a run that was ready is asked by the next epoch, too, and
// the probe of the last one does not outlive it.
func TestHealthIsAdopted(t *testing.T) {
	b := newBench(t)
	u := shell("h", "exec sleep 1000")
	u.ReadyBy, u.ReadyProbe = unit.ByProbe, &unit.Probe{Exec: []string{"/bin/true"}, Period: often}
	u.Health = &unit.Health{Probe: unit.Probe{Exec: []string{"/bin/sh", "-c", "sleep 1000"}, Period: often, Timeout: time.Minute}}
	id := b.start(u)
	b.expect("spawned", "ready")
	b.until("the probe runs", func() bool { rows, _ := b.keeper.held(); return rows == 2 && b.arm.Processes("h") >= 2 })
	b.end()
	b.begin()
	if len(b.table.Rows) != 1 || len(b.table.probes) != 1 {
		t.Fatalf("%+v", b.table)
	}
	u.Health.Exec = []string{"/bin/false"}
	b.arm.Do(unit.Action{Op: unit.Adopt, Unit: u, Run: id, To: unit.Ready})
	b.expect("spawned", "sick: 1 of 3: /bin/false: exit 1")
	b.until("the old probe is gone", func() bool { rows, _ := b.keeper.held(); return rows <= 2 && len(pidsOf(b, "sleep 1000", "h")) == 1 })
	b.do(unit.Kill, u, id)
	for ev := b.next(); ev.Op != unit.Empty; ev = b.next() {
	}
	b.do(unit.Release, u, id)
	b.over()
}

// pidsOf lists the processes of a unit whose command line has text.
func pidsOf(b *bench, text, name string) (pids []string) {
	for _, pid := range b.arm.pids(name) {
		line, _ := os.ReadFile("/proc/" + pid + "/cmdline")
		if strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), text) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestReadyByUnix: a socket that listens, however its owner wrote its path.
func TestReadyByUnix(t *testing.T) {
	b := newBench(t)
	for _, args := range [][]string{{"act:listen-unix", "%"}, {"act:listen-unix", "%.new", "%"}} {
		path := filepath.Join(b.run, "s.sock")
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "%", path)
		}
		u := acting("u", unit.ByUnix, args...)
		u.ReadyPath = path
		id := b.start(u)
		b.expect("spawned", "noted: listening on "+path, "ready")
		b.do(unit.Stop, u, id)
		b.next()
		b.expect("empty")
		b.do(unit.Release, u, id)
		os.Remove(path)
	}
	b.over()
}

func TestListeningUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	look := func(want bool) {
		t.Helper()
		if got, err := listeningUnix(path); got != want || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	}
	look(false)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	look(false)
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	look(true)
	if err := os.Rename(path, path+"2"); err != nil {
		t.Fatal(err)
	}
	path += "2"
	look(true)
	path = fmt.Sprintf("%sx", path)
	look(false)
}
