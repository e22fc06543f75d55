package devices

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// fakeSocket gives what the test puts into it.
type fakeSocket struct {
	in     chan any // Uevent or error
	closed chan struct{}
	once   sync.Once
}

func newFakeSocket() *fakeSocket {
	return &fakeSocket{in: make(chan any), closed: make(chan struct{})}
}

func (s *fakeSocket) read() (Uevent, error) {
	select {
	case v := <-s.in:
		if err, ok := v.(error); ok {
			return Uevent{}, err
		}
		return v.(Uevent), nil
	case <-s.closed:
		return Uevent{}, os.ErrClosed
	}
}

func (s *fakeSocket) close() { s.once.Do(func() { close(s.closed) }) }

// device lays a device and its links in a fake /sys.
func device(t testing.TB, root, class, path, uevent string) {
	t.Helper()
	dir := filepath.Join(root, "sys", path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "uevent"), []byte(uevent), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(root, "sys/class", class, filepath.Base(path))
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../"+path, link); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
}

// running is a Source under test with what its subscriber heard.
type running struct {
	*Source
	socket *fakeSocket
	mu     sync.Mutex
	heard  []string
	notes  sync.Mutex
	logged []string
	ended  chan error
}

func (r *running) log(s string) {
	r.notes.Lock()
	defer r.notes.Unlock()
	r.logged = append(r.logged, s)
}

func (r *running) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard := r.heard
	r.heard = nil
	return heard
}

func run(t *testing.T, c LoaderConfig, modules []string) (*running, context.CancelFunc) {
	t.Helper()
	r := &running{socket: newFakeSocket(), ended: make(chan error, 1)}
	s, err := New(Config{
		Root: c.Root, Release: c.Release, Cmdline: c.Cmdline, Log: r.log,
		testOnlyKernel: c.testOnlyKernel, testOnlyReader: r.socket,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Modules(modules)
	r.Source = s
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		r.ended <- s.Run(ctx, func(u Uevent) {
			r.mu.Lock()
			defer r.mu.Unlock()
			word := u.Action + " " + u.DevPath
			if u.Synthetic {
				word = "synthetic " + word
			}
			r.heard = append(r.heard, word)
		})
	}()
	return r, cancel
}

var box = []string{
	"kernel/virtio_pci.ko: alias=pci:v00001AF4d*", "kernel/virtio_net.ko: alias=virtio:d00000001v*;depends=failover",
	"kernel/failover.ko: ", "kernel/ahci.ko: alias=pci:v*d*sv*sd*bc01sc06i01*", "kernel/af-packet.ko: ",
	"kernel/samsung.ko: alias=dmi*:svnSAMSUNG*:pn300V3Z/*", "kernel/mmc_block.ko: alias=mmc:block",
}

var boxFiles = map[string]string{
	"sys/bus/pci/devices/0000:00:01.0/modalias":       "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01\n",
	"sys/bus/pci/devices/0000:00:03.0/modalias":       "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00\n",
	"sys/bus/mmc/devices/mmc0:1/uevent":               "MMC_TYPE=MMC\nMODALIAS=mmc:block\n",
	"sys/devices/virtual/dmi/id/modalias":             "dmi:bd10/22/2015:svnSAMSUNG:pn300V3Z/300V4Z:\n",
	"sys/bus/platform/devices/no-modalias-here/other": "",
	"sys/class/net/bonding_masters":                   "\n",
}

func TestSource(t *testing.T) {
	c, k := machine(t, boxFiles, box...)
	device(t, c.Root, "net", "devices/pci/net/eth0", "INTERFACE=eth0\nIFINDEX=2\n")
	device(t, c.Root, "block", "devices/pci/block/sda", "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDISKSEQ=1\n")
	synctest.Test(t, func(t *testing.T) {
		r, cancel := run(t, c, []string{"af_packet", "nosuch"})
		<-r.Coldplugged()
		if d := cmp.Diff([]string{"synthetic add /devices/pci/net/eth0", "synthetic add /devices/pci/block/sda"}, r.take()); d != "" {
			t.Error(d)
		}
		calls := k.said()
		slices.Sort(calls)
		if d := cmp.Diff([]string{"af_packet", "ahci", "mmc_block", "samsung", "virtio_pci"}, calls); d != "" {
			t.Error(d)
		}
		// A device that a driver brought asks for a module.
		r.socket.in <- Uevent{Action: "add", DevPath: "/devices/virtio0", Seq: 5, Env: map[string]string{"MODALIAS": "virtio:d00000001v00001AF4"}}
		synctest.Wait()
		if d := cmp.Diff([]string{"failover", "virtio_net"}, k.said()[5:]); d != "" {
			t.Error(d)
		}
		r.socket.in <- Uevent{Action: "remove", DevPath: "/devices/gone", Seq: 6, Env: map[string]string{"MODALIAS": "virtio:dX"}}
		synctest.Wait()
		if d := cmp.Diff([]string{"add /devices/virtio0", "remove /devices/gone"}, r.take()); d != "" {
			t.Error(d)
		}
		cancel()
		if err := <-r.ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		want := `unknown: module nosuch: no such file or directory`
		if !slices.Contains(r.logged, want) {
			t.Errorf("logged %q, want %q", r.logged, want)
		}
	})
}

// TestLoss drops events in each way; the subscriber is told what it missed.
func TestLoss(t *testing.T) {
	for name, lose := range map[string]func(*running){
		"full buffer": func(r *running) { r.socket.in <- errLost },
		"gap": func(r *running) {
			r.socket.in <- Uevent{Action: "change", DevPath: "/devices/a", Seq: 7}
			r.socket.in <- Uevent{Action: "change", DevPath: "/devices/a", Seq: 9}
		},
		"asked for": func(r *running) { r.Again() },
	} {
		t.Run(name, func(t *testing.T) {
			c, k := machine(t, nil, box...)
			device(t, c.Root, "net", "devices/pci/net/eth0", "INTERFACE=eth0\nIFINDEX=2\n")
			device(t, c.Root, "block", "devices/pci/block/sda", "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDISKSEQ=1\n")
			device(t, c.Root, "block", "devices/pci/block/sdb", "MAJOR=8\nMINOR=16\nDEVNAME=sdb\nDISKSEQ=2\n")
			synctest.Test(t, func(t *testing.T) {
				r, cancel := run(t, c, nil)
				<-r.Coldplugged()
				r.take()
				// Gone, replaced, new, and a new card without a driver yet.
				if err := os.Remove(filepath.Join(c.Root, "sys/class/net/eth0")); err != nil {
					t.Fatal(err)
				}
				device(t, c.Root, "block", "devices/pci/block/sda", "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDISKSEQ=3\n")
				device(t, c.Root, "input", "devices/acpi/input/event0", "MAJOR=13\nMINOR=64\nDEVNAME=input/event0\n")
				card := filepath.Join(c.Root, "sys/bus/virtio/devices/virtio1")
				if err := os.MkdirAll(card, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(card, "modalias"), []byte("virtio:d00000001v1\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				lose(r)
				time.Sleep(2 * againAfter) // of the bubble's clock
				synctest.Wait()
				if d := cmp.Diff([]string{"failover", "virtio_net"}, k.said()); d != "" {
					t.Error(d)
				}
				heard := slices.DeleteFunc(r.take(), func(s string) bool { return !strings.HasPrefix(s, "synthetic") })
				slices.Sort(heard[:min(2, len(heard))])
				slices.Sort(heard[min(2, len(heard)):])
				want := []string{
					"synthetic remove /devices/pci/block/sda", "synthetic remove /devices/pci/net/eth0",
					"synthetic add /devices/acpi/input/event0", "synthetic add /devices/pci/block/sda",
				}
				if name == "full buffer" { // it may have changed
					want = append(want, "synthetic add /devices/pci/block/sdb")
				}
				if d := cmp.Diff(want, heard); d != "" {
					t.Error(d)
				}
				cancel()
				if err := <-r.ended; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		})
	}
}

// TestOrphans: what a dead epoch has left without a driver is offered once more, and
// nothing else is.
func TestOrphans(t *testing.T) {
	files := map[string]string{"sys/bus/usb/drivers_probe": "", "sys/bus/pci/drivers_probe": "", "sys/module/ahci/initstate": "live\n"}
	for device, more := range map[string]string{"lost": "", "bound": "driver/x", "given": "driver_override"} {
		files["sys/bus/pci/devices/"+device+"/modalias"] = "pci:v1d1sv1sd1bc01sc06i01\n"
		if more != "" {
			files["sys/bus/pci/devices/"+device+"/"+more] = "vfio-pci\n"
		}
	}
	files["sys/bus/pci/devices/unset/driver_override"] = "(null)\n"
	files["sys/bus/usb/devices/unknown/modalias"] = "usb:v1\n"
	for _, resumed := range []bool{false, true} {
		c, k := machine(t, files, box...)
		synctest.Test(t, func(t *testing.T) {
			s, err := New(Config{Root: c.Root, Release: c.Release, Resumed: resumed, testOnlyKernel: k, testOnlyReader: newFakeSocket()})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx, func(Uevent) {}) }()
			<-s.Coldplugged()
			cancel()
			<-ended
			want := map[bool]string{true: "lost"}[resumed]
			for bus, want := range map[string]string{"pci": want, "usb": ""} {
				got, err := os.ReadFile(filepath.Join(c.Root, "sys/bus", bus, "drivers_probe"))
				if err != nil || string(got) != want {
					t.Errorf("resumed %t: bus %s was offered %q, want %q (%v)", resumed, bus, got, want, err)
				}
			}
		})
	}
}

// TestSlowSubscriber: who hangs has the reader wait, so that the kernel keeps
// what comes; nothing is lost here, and the end is not held up.
func TestSlowSubscriber(t *testing.T) {
	c, k := machine(t, nil)
	synctest.Test(t, func(t *testing.T) {
		socket, heard, gate := newFakeSocket(), 0, make(chan struct{})
		s, err := New(Config{Root: c.Root, Release: c.Release, testOnlyKernel: k, testOnlyReader: socket})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- s.Run(ctx, func(Uevent) {
				<-gate
				heard++
			})
		}()
		<-s.Coldplugged()
		sent := 0
		fill := func() {
			for {
				select {
				case socket.in <- Uevent{Action: "change", DevPath: "/devices/a", Seq: uint64(sent + 1)}:
					sent++
				case <-time.After(time.Second): // of the bubble's clock: all others wait
					return
				}
			}
		}
		fill()
		if sent < ahead || sent > ahead+2 { // one with the reader, one with the subscriber
			t.Errorf("the reader is %d events ahead", sent)
		}
		for range sent {
			gate <- struct{}{}
		}
		synctest.Wait()
		if heard != sent {
			t.Errorf("%d of %d events", heard, sent)
		}
		fill()
		cancel()
		close(gate)
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestRunEnds lets the source break: Run says so and leaves nothing behind.
func TestRunEnds(t *testing.T) {
	for name, row := range map[string]struct {
		in   any
		want string
	}{
		"socket": {unix.EBADF, "devices: reader: bad file descriptor"},
		"panic":  {nil, "devices: reader: panic: interface conversion: interface {} is nil, not devices.Uevent"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := machine(t, nil)
			synctest.Test(t, func(t *testing.T) {
				r, cancel := run(t, c, nil)
				defer cancel()
				r.socket.in <- errForeign
				r.socket.in <- errUevent
				r.socket.in <- row.in
				if err := <-r.ended; err == nil || err.Error() != row.want {
					t.Error(err)
				}
				if n := len(slices.DeleteFunc(r.logged, func(s string) bool { return !strings.Contains(s, "refused") })); n != 1 {
					t.Errorf("%d notes of refused messages: %q", n, r.logged)
				}
			})
		})
	}
}

// TestHangingDriver: the first coldplug ends though a driver does not, and the
// network's lane stays open.
func TestHangingDriver(t *testing.T) {
	files := map[string]string{}
	var modules []string
	for i := range 40 {
		name := fmt.Sprintf("stuck%d", i)
		modules = append(modules, "kernel/"+name+".ko: alias=acpi:"+name)
		files["sys/bus/acpi/devices/"+name+"/modalias"] = "acpi:" + name + "\n"
	}
	c, fake := machine(t, files, append(modules, box...)...)
	synctest.Test(t, func(t *testing.T) {
		fake.hang = map[string]chan struct{}{}
		gate := make(chan struct{})
		for i := range 40 {
			fake.hang[fmt.Sprintf("stuck%d", i)] = gate
		}
		r, cancel := run(t, c, nil)
		synctest.Wait() // all workers of the background hang now
		r.socket.in <- Uevent{Action: "add", DevPath: "/devices/virtio0", Seq: 1, Env: map[string]string{"MODALIAS": "virtio:d00000001v1"}}
		synctest.Wait()
		if said := fake.said(); !slices.Contains(said, "virtio_net") {
			t.Errorf("the network waits: %q", said)
		}
		<-r.Coldplugged()
		cancel()
		<-r.ended
		close(gate)
	})
}

// TestScanAfterQueue: what was heard before a loss is older than what the scan
// then sees; the "remove" of a device that is back must not follow its "add".
func TestScanAfterQueue(t *testing.T) {
	for range 20 { // a select chooses at random
		c, k := machine(t, nil)
		device(t, c.Root, "block", "devices/sda", "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDISKSEQ=2\n")
		synctest.Test(t, func(t *testing.T) {
			socket, gate, last := newFakeSocket(), make(chan struct{}), ""
			s, err := New(Config{Root: c.Root, Release: c.Release, testOnlyKernel: k, testOnlyReader: socket})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- s.Run(ctx, func(u Uevent) {
					if u.Subsystem == "block" {
						last = u.Action
					} else {
						<-gate
					}
				})
			}()
			<-s.Coldplugged()
			socket.in <- Uevent{Action: "change", DevPath: "/devices/slow", Seq: 1}
			socket.in <- Uevent{Action: "remove", DevPath: "/devices/sda", Subsystem: "block", Seq: 2}
			socket.in <- errLost
			time.Sleep(2 * againAfter) // of the bubble's clock: the scan is due
			synctest.Wait()
			close(gate)
			synctest.Wait()
			if last != "add" {
				t.Errorf("told last of a disk that is there: %q", last)
			}
			cancel()
			<-ended
		})
	}
}
