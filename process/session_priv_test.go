//go:build priv

package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// sessionGroups are the cgroups of sessions of a unit.
func (b *bench) sessionGroups(name string) []string {
	paths, _ := filepath.Glob(filepath.Join(b.root, "svc", name, sessionPrefix+"*"))
	return paths
}

// TestStopMainSparesSessions: they get cgroups of their own, outlive restarts,
// kills and supervisors, and leave nothing behind.
func TestStopMainSparesSessions(t *testing.T) {
	b := newBench(t)
	u := shell("m", `setsid sh -c 'sleep 1000 & sleep 1000 & wait' & echo session $!; exec sleep 1000`)
	u.StopMain = true
	pids := func(n int) (pids []int) {
		b.until("so many sessions", func() bool { return len(b.lines("m")) == n })
		for _, line := range b.lines("m") {
			pid, _ := strconv.Atoi(strings.TrimPrefix(line, "session "))
			pids = append(pids, pid)
		}
		return pids
	}
	processes := func(n int) func() bool { return func() bool { return b.arm.Processes("m") == n } }
	id := b.start(u)
	b.expect("spawned", "ready")
	pids(1)
	b.until("the session is complete", processes(4))
	if n := b.arm.Sessions("m"); n != 1 {
		t.Errorf("%d sessions", n)
	}
	b.do(unit.Stop, u, id)
	b.expect("signal 15", "empty")
	b.do(unit.Release, u, id)
	b.until("it has a cgroup of its own, and the old one is gone", func() bool { return len(b.sessionGroups("m")) == 1 && b.leaves() == 0 })
	id = b.start(u)
	b.expect("spawned", "ready")
	pids(2)
	b.until("the second session is complete", processes(7))
	if n := b.arm.Sessions("m"); n != 2 {
		t.Errorf("%d sessions", n)
	}
	b.do(unit.Kill, u, id)
	b.expect("signal 9", "empty")
	b.do(unit.Release, u, id)
	b.until("both have cgroups of their own", func() bool { return len(b.sessionGroups("m")) == 2 && b.leaves() == 0 })
	for _, pid := range pids(2) {
		if !alive(pid) {
			t.Errorf("session %d is dead", pid)
		}
	}
	if n := b.arm.Processes("m"); n != 6 {
		t.Errorf("%d processes of two sessions", n)
	}
	// A later epoch knows them and removes their cgroups.
	b.end()
	b.begin()
	if n := b.arm.Sessions("m"); n != 2 {
		t.Errorf("%d sessions", n)
	}
	os.WriteFile(filepath.Join(b.root, "svc/m/cgroup.kill"), []byte("1"), 0)
	b.over()
	b.until("the cgroups are gone", func() bool { return len(b.sessionGroups("m")) == 0 })
}

// TestSSHD: a person's session outlives a restart of the real sshd.
func TestSSHD(t *testing.T) {
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		t.Skip("no sshd here")
	}
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("no ssh here")
	}
	b := newBench(t)
	dir := b.run
	key := func(name string) string {
		path := filepath.Join(dir, name)
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
		return path
	}
	host, mine := key("host"), key("mine")
	port := strconv.Itoa(freePort(t))
	config := fmt.Sprintf("Port %s\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s.pub\nStrictModes no\nPidFile none\nUsePAM no\nPermitRootLogin yes\n",
		port, host, mine)
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Fatal(err)
	}
	u := &unit.Unit{Name: "sshd", Command: []string{sshd, "-D", "-e", "-f", filepath.Join(dir, "config")}, StopMain: true, ReadyBy: unit.ByTCP}
	n, _ := strconv.Atoi(port)
	u.ReadyPort = uint16(n)
	start := func() unit.Run {
		t.Helper()
		id := b.start(u)
		b.expect("spawned", "noted: listening on "+port, "ready")
		return id
	}
	id := start()
	// A session that answers line by line.
	ssh := exec.Command("ssh", "-F", "none", "-p", port, "-i", mine, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "BatchMode=yes", "root@127.0.0.1", `while read line; do echo "heard $line"; done`)
	ssh.Stderr = os.Stderr
	in, err := ssh.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := ssh.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ssh.Start(); err != nil {
		t.Fatal(err)
	}
	answers := make(chan string, 10)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			answers <- s.Text()
		}
		close(answers)
	}()
	talk := func(word string) {
		t.Helper()
		fmt.Fprintln(in, word)
		select {
		case got, ok := <-answers:
			if !ok || got != "heard "+word {
				t.Fatalf("the session said %q (%v)", got, ok)
			}
		case <-time.After(bound):
			t.Fatal("the session is silent")
		}
	}
	talk("before")
	if n := b.arm.Sessions("sshd"); n != 1 {
		t.Errorf("%d sessions", n)
	}
	for range 2 {
		b.do(unit.Stop, u, id)
		ev := b.next()
		for ; ev.Op != unit.Exited; ev = b.next() {
		}
		b.expect("empty")
		b.do(unit.Release, u, id)
		b.until("the session has a cgroup of its own", func() bool { return len(b.sessionGroups("sshd")) == 1 })
		talk("between")
		id = start()
		talk("after")
		if n := b.arm.Sessions("sshd"); n != 1 {
			t.Errorf("%d sessions", n)
		}
	}
	b.do(unit.Kill, u, id)
	b.expect("signal 9", "empty")
	b.do(unit.Release, u, id)
	talk("without any sshd")
	in.Close()
	if err := ssh.Wait(); err != nil {
		t.Error(err)
	}
	b.over()
	b.until("its cgroup is gone", func() bool { return len(b.sessionGroups("sshd")) == 0 })
	if n := b.arm.Sessions("sshd"); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// TestExec: what somebody else runs as the unit does, in a leaf that goes with
// it.
func TestExec(t *testing.T) {
	b := newBench(t)
	u := shell("e", "exec sleep 1000")
	u.Env = []string{"A=b"}
	id := b.start(u)
	b.expect("spawned", "ready")
	if _, _, err := b.arm.Exec(u, nil); err == nil {
		t.Error("no command is one")
	}
	if _, _, err := b.arm.Exec(&unit.Unit{Name: "l", Kind: unit.Link}, []string{"/bin/sh"}); err == nil {
		t.Error("a link has processes")
	}
	spec, group, err := b.arm.Exec(u, []string{"/bin/sh", "-c", "echo A=$A $MAINPID; grep -c svc/e/ /proc/self/cgroup; sleep 1000 & read x"})
	if err != nil {
		t.Fatal(err)
	}
	out := b.become(spec, group)
	b.arm.mu.Lock()
	pid := b.arm.mains["e"]
	b.arm.mu.Unlock()
	lines := bufio.NewScanner(out)
	for _, want := range []string{fmt.Sprintf("A=b %d", pid), "1"} {
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("%q, not %q", lines.Text(), want)
		}
	}
	if n := b.arm.Sessions("e"); n != 0 {
		t.Errorf("%d sessions", n)
	}
	if n := b.leaves(); n != 2 {
		t.Errorf("%d leaves", n)
	}
	if err := os.WriteFile(filepath.Join(group, "cgroup.kill"), []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	b.until("its leaf is gone", func() bool { return b.leaves() == 1 })
	b.do(unit.Kill, u, id)
	b.expect("signal 9", "empty")
	// Nobody comes.
	_, group, err = b.arm.Exec(u, []string{"/bin/true"})
	if err != nil {
		t.Fatal(err)
	}
	b.until("it is expected", func() bool {
		c := make(chan bool, 1)
		b.arm.post(func() {
			l := b.arm.left[group]
			if l != nil {
				l.retryAt = time.Now()
			}
			c <- l != nil
		})
		return <-c
	})
	b.do(unit.Release, u, id)
	b.over()
}

// become runs the launcher with a spec in a cgroup, as svc exec does, and
// returns its output.
func (b *bench) become(spec []byte, group string) *os.File {
	b.t.Helper()
	fd, err := unix.MemfdCreate("spec", unix.MFD_CLOEXEC)
	if err != nil {
		b.t.Fatal(err)
	}
	memfd := os.NewFile(uintptr(fd), "spec")
	defer memfd.Close()
	if _, err := memfd.Write(spec); err != nil {
		b.t.Fatal(err)
	}
	dir, err := os.Open(group)
	if err != nil {
		b.t.Fatal(err)
	}
	defer dir.Close()
	r, w, err := os.Pipe()
	if err != nil {
		b.t.Fatal(err)
	}
	defer w.Close()
	cmd := exec.Command("/proc/self/exe", "exec", "e")
	in, err := cmd.StdinPipe() // stays open
	if err != nil {
		b.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = w, os.Stderr, []*os.File{memfd, w}
	cmd.SysProcAttr = &unix.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { in.Close(); cmd.Process.Kill(); cmd.Wait(); r.Close() })
	return r
}
