package mounts

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// fakeKernel is a machine in memory, for the clocks of synctest.
type fakeKernel struct {
	mu     sync.Mutex
	all    []mounted
	swap   []string
	calls  []string
	err    map[string]error // of a call, by its first word
	busy   map[string]string
	hang   map[string]chan struct{}
	have   []string // programs
	change chan struct{}
}

func (k *fakeKernel) do(call string) error {
	k.mu.Lock()
	k.calls = append(k.calls, call)
	word, _, _ := strings.Cut(call, " ")
	err, hang := k.err[word], k.hang[word]
	k.mu.Unlock()
	if hang != nil {
		<-hang
	}
	return err
}

func (k *fakeKernel) poke() {
	select {
	case k.change <- struct{}{}:
	default:
	}
}

func (k *fakeKernel) table() ([]mounted, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.all), nil
}

func (k *fakeKernel) watch(ctx context.Context, changed func()) error {
	for changed(); ; changed() {
		select {
		case <-ctx.Done():
			return nil
		case <-k.change:
		}
	}
}

func (k *fakeKernel) prepare(_, where string) (string, error) { return where, k.err["prepare"] }

func (k *fakeKernel) mount(source, where, fstype string, flags uintptr, data string) error {
	call := "mount " + source + " " + where + " " + fstype + " " + data
	if flags&unix.MS_REMOUNT != 0 {
		call = "re" + call
	}
	if flags&readOnly != 0 {
		call += " ro"
	}
	if err := k.do(strings.TrimSpace(call)); err != nil {
		return err
	}
	k.mu.Lock()
	if flags&unix.MS_REMOUNT == 0 {
		super := "rw"
		if flags&readOnly != 0 {
			super = "ro"
		}
		k.all = append(k.all, mounted{where: where, source: source, fstype: fstype, super: super})
	}
	k.mu.Unlock()
	k.poke()
	return nil
}

func (k *fakeKernel) unmount(where string, flags int) error {
	call := "umount "
	if flags&unix.MNT_DETACH != 0 {
		call = "detach "
	}
	if err := k.do(call + where); err != nil {
		return err
	}
	k.mu.Lock()
	if k.busy[where] != "" && flags&unix.MNT_DETACH == 0 {
		k.mu.Unlock()
		return unix.EBUSY
	}
	i := slices.IndexFunc(k.all, func(m mounted) bool { return m.where == where })
	if i < 0 {
		k.mu.Unlock()
		return unix.EINVAL
	}
	k.all = slices.Delete(k.all, i, i+1)
	k.mu.Unlock()
	k.poke()
	return nil
}

func (k *fakeKernel) sync(where string) error    { return k.do("sync " + where) }
func (k *fakeKernel) exists(path string) bool    { return slices.Contains(k.have, path) }
func (k *fakeKernel) mkdir(path string) error    { return k.do("mkdir " + path) }
func (k *fakeKernel) lead(from, to string) error { return k.do("lead " + from + " " + to) }
func (k *fakeKernel) used(string) (int, bool)    { return 12, k.do("used") == nil }
func (k *fakeKernel) dropZram(path string)       { _ = k.do("drop " + path) }

func (k *fakeKernel) holders(where string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.busy[where]
}

func (k *fakeKernel) swaps() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.swap)
}

func (k *fakeKernel) swapOn(path string, _ int) error {
	if err := k.do("swapon " + path); err != nil {
		return err
	}
	k.mu.Lock()
	k.swap = append(k.swap, path)
	k.mu.Unlock()
	return nil
}

func (k *fakeKernel) swapOff(path string) error {
	if err := k.do("swapoff " + path); err != nil {
		return err
	}
	k.mu.Lock()
	k.swap = slices.DeleteFunc(k.swap, func(s string) bool { return s == path })
	k.mu.Unlock()
	return nil
}

func (k *fakeKernel) newZram(int64) (string, error) { return "/dev/zram0", k.do("zram") }

// bench is an arm on a fake machine.
type bench struct {
	*testing.T
	*Arm
	k      *fakeKernel
	events []string
	log    []string
	tool   func(argv []string) (string, unit.Status, error)
}

var opWords = map[unit.EventOp]string{unit.IsReady: "ready", unit.Noted: "note", unit.Lost: "lost", unit.Empty: "empty",
	unit.StartFailed: "failed", unit.Absent: "absent", unit.Extend: "extend"}

// run has f work with an arm in a bubble.
func run(t *testing.T, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, k: &fakeKernel{err: map[string]error{}, busy: map[string]string{}, hang: map[string]chan struct{}{}, change: make(chan struct{}, 1)}}
		b.Arm = New(Config{
			Emit: func(e unit.Event) {
				b.events = append(b.events, strings.TrimSpace(opWords[e.Op]+" "+e.Text))
			},
			Log:   func(line string) { b.log = append(b.log, line) },
			Fault: func(what any, stack []byte) { t.Errorf("panic: %v\n%s", what, stack) },
			Tool: func(_ context.Context, _ string, argv []string, _ []byte) ([]byte, unit.Status, error) {
				_ = b.k.do("tool " + strings.Join(argv, " "))
				if b.tool == nil {
					return nil, 0, errors.New("no tool")
				}
				out, status, err := b.tool(argv)
				return []byte(out), status, err
			},
			Persisted:      func(dir string) { _ = b.k.do("persisted " + dir) },
			Leaving:        func(dir string) { _ = b.k.do("leaving " + dir) },
			testOnlyKernel: b.k,
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Arm.Run(ctx) }()
		f(b)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, c := range b.k.hang {
			close(c)
		}
		synctest.Wait()
	})
}

func (b *bench) do(op unit.ActionOp, c *unit.MountConfig, run unit.Run) {
	name := unit.MountUnit(c.Where)
	if c.Swap {
		name = unit.SwapUnit(c.What)
	}
	b.Do(unit.Action{Op: op, Unit: &unit.Unit{Name: name, Kind: unit.Mount, Mount: c}, Run: run})
	synctest.Wait()
}

// want takes the events since the last call.
func (b *bench) want(events ...string) {
	b.Helper()
	synctest.Wait()
	if !slices.Equal(b.events, events) {
		b.Errorf("events\n  %q\nwant\n  %q", b.events, events)
	}
	b.events = nil
}

// wantCalls takes the calls since the last call.
func (b *bench) wantCalls(calls ...string) {
	b.Helper()
	synctest.Wait()
	b.k.mu.Lock()
	defer b.k.mu.Unlock()
	if !slices.Equal(b.k.calls, calls) {
		b.Errorf("calls\n  %q\nwant\n  %q", b.k.calls, calls)
	}
	b.k.calls = nil
}

func (b *bench) pass(d time.Duration) { time.Sleep(d); synctest.Wait() }
