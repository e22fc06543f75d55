//go:build e2e

package e2e

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"hoopy/build/qemu"
)

// Patience is the least bound of any wait.
const Patience = 60 * time.Second

// Config is a machine to boot. Serial, QMP and Accel are the harness's own.
type Config struct {
	qemu.Config
	// Key logs in over ssh; nil means the key of the image under test.
	Key ssh.Signer
}

// VM is a running machine. Its methods end the test when they fail, so they
// must be called from the test's goroutine; Send, Console and SSH may be called
// from any.
type VM struct {
	// Started is when qemu was.
	Started time.Time

	t       testing.TB
	dir     string
	key     ssh.Signer
	port    int
	cmd     *exec.Cmd
	console *console
	input   io.WriteCloser
	qmp     *qmp
	frames  *frames
	dialing sync.Mutex
	ended   chan struct{} // closed once qemu was waited for
	client  *ssh.Client
}

// Boot starts the machine and returns before the guest runs. A card with a
// forwarded ssh port is plugged if c.NICs is empty; otherwise ssh goes through
// the first card. The machine ends with the test.
func Boot(t testing.TB, c Config) *VM {
	t.Helper()
	if _, err := qemu.Find(); err != nil {
		t.Skip(err)
	}
	if c.Kernel != "" {
		var err error
		if c.Kernel, err = qemu.Kernel(c.Kernel); err != nil {
			t.Fatal(err)
		}
	}
	accel, err := qemu.Accelerator(t.Context(), c.Kernel)
	if err != nil {
		t.Fatal(err)
	}
	c.Accel = accel
	if len(c.NICs) == 0 {
		c.NICs = []qemu.NIC{{}}
	}
	c.NICs = append([]qemu.NIC(nil), c.NICs...) // the caller's stay as they are
	if c.NICs[0].ID == "" {
		c.NICs[0].ID = "n0"
	}
	given := append([]qemu.Forward(nil), c.NICs[0].Forwards...)
	for try := 0; ; try++ {
		port := freePort(t)
		c.NICs[0].Forwards = append([]qemu.Forward{{Host: port, Guest: 22}}, given...)
		v, taken := start(t, c, port)
		if !taken {
			return v
		}
		if try == 4 {
			t.Fatal("qemu: five ports in a row were taken between choice and use")
		}
	}
}

// freePort returns a port that nobody listens on now.
func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start starts qemu and waits for its QMP greeting; taken says that it ended
// because another process got the port first.
func start(t testing.TB, c Config, port int) (v *VM, taken bool) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hoopy-e2e-") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	v = &VM{t: t, dir: dir, key: c.Key, port: port, console: newConsole(), ended: make(chan struct{})}
	t.Cleanup(v.cleanup)
	c.QMP = filepath.Join(dir, "qmp")
	listener, err := net.Listen("unix", c.QMP)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	extra, err := v.mirror(c.NICs[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	c.Extra = append(append([]string(nil), c.Extra...), extra...)
	// The context ends before the cleanup, which knows how to kill the group.
	if v.cmd, err = qemu.Command(context.WithoutCancel(t.Context()), c.Config); err != nil {
		t.Fatal(err)
	}
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if v.input, err = v.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	complaint := &strings.Builder{}
	v.cmd.Stdout, v.cmd.Stderr = v.console, complaint
	v.Started = time.Now()
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		v.cmd.Wait()
		v.console.end()
		listener.Close() // nobody will connect any more
		close(v.ended)
	}()
	v.qmp, err = acceptQMP(listener)
	if err != nil {
		v.kill()
		if strings.Contains(complaint.String(), "Could not set up host forwarding") {
			return nil, true
		}
		t.Fatalf("qemu: %v\n%s\n%s", err, strings.TrimSpace(complaint.String()), strings.Join(v.cmd.Args, " "))
	}
	return v, false
}

// kill ends qemu and waits until it is gone.
func (v *VM) kill() {
	if v.cmd == nil || v.cmd.Process == nil {
		return
	}
	select {
	case <-v.ended:
		return // its pid may be another's by now
	default:
	}
	syscall.Kill(-v.cmd.Process.Pid, syscall.SIGKILL)
	select {
	case <-v.ended:
	case <-time.After(Patience):
		v.t.Errorf("qemu (pid %d) outlived SIGKILL", v.cmd.Process.Pid)
	}
}

// Kill pulls the plug.
func (v *VM) Kill() { v.kill() }

func (v *VM) cleanup() {
	if v.client != nil {
		v.client.Close()
	}
	v.kill()
	if v.qmp != nil {
		v.qmp.conn.Close()
	}
	if v.t.Failed() {
		v.t.Logf("the console said last:\n%s", v.console.tail())
	}
	os.RemoveAll(v.dir)
}

// Fatalf ends the test; the console's tail is printed with it.
func (v *VM) Fatalf(format string, args ...any) {
	v.t.Helper()
	v.t.Fatalf("%.1f s after start: "+format, append([]any{time.Since(v.Started).Seconds()}, args...)...)
}

// Pid is qemu's, for a test that stops or measures it.
func (v *VM) Pid() int { return v.cmd.Process.Pid }

// Port is the port of 127.0.0.1 that leads to the guest's port 22.
func (v *VM) Port() int { return v.port }

// Ended waits until qemu ends and returns why the guest did: "guest-shutdown"
// (power off), "guest-reset" (reboot, watchdog, panic), or "" when it was
// killed from outside.
func (v *VM) Ended(bound time.Duration) string {
	v.t.Helper()
	select {
	case <-v.ended:
	case <-time.After(max(bound, Patience)):
		v.Fatalf("the machine still runs after %v", max(bound, Patience))
	}
	<-v.qmp.done
	return v.qmp.shutdownReason()
}
