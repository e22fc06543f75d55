// Package acpi is the source of power button presses.
//
// A button is any input device that can send KEY_POWER: the ACPI buttons
// (modules button and evdev), a gpio key of an ARM board, the key of a keyboard
// or of a remote console. They are found by what they can send, never by name
// or number, and may come and go at any time: the owner passes the input
// devices' uevents to Add and Remove.
//
// # What it does not do
//
// It does not grab devices, decides nothing about what a press means, and
// ignores the lid, sleep keys and the battery.
package acpi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// debounce is how long after a press further ones are the same press: one push
// of a machine's button may arrive by two devices (LNXPWRBN and PNP0C0C).
const debounce = 300 * time.Millisecond

// Config configures New.
type Config struct {
	Root  string       // folder that stands for "/"; empty is "/"
	Press func()       // called by Run, once for each press; must not block
	Log   func(string) // buttons found and errors; nil drops them

	testOnlyOpen func(path string) (*os.File, error)
}

// Source watches the buttons. Its methods may be called from any goroutine.
type Source struct {
	config Config

	mu    sync.Mutex
	calls []call
	wake  chan struct{} // holds one token while calls is not empty
}

// call is one Add or Remove on its way to the loop.
type call struct {
	name   string
	remove bool
}

// New makes a Source; nothing is opened before Run.
func New(c Config) *Source {
	if c.Log == nil {
		c.Log = func(string) {}
	}
	if c.testOnlyOpen == nil {
		c.testOnlyOpen = openButton
	}
	return &Source{config: c, wake: make(chan struct{}, 1)}
}

// Add tells of a device node below /dev, such as "input/event3". Others than
// event devices are ignored, as is one that is known. It never blocks.
func (s *Source) Add(devname string) { s.call(call{name: devname}) }

// Remove tells that the node is gone. It never blocks.
func (s *Source) Remove(devname string) { s.call(call{name: devname, remove: true}) }

func (s *Source) call(c call) {
	if !strings.HasPrefix(c.name, "input/event") {
		return
	}
	s.mu.Lock()
	s.calls = append(s.calls, c)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Source) take() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// Run looks at the devices that exist, then follows Add and Remove, and calls
// Press until ctx ends. Then all devices are closed. The error is ctx's cause.
func (s *Source) Run(ctx context.Context) error {
	names, err := list(filepath.Join("/", s.config.Root, "dev/input"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.config.Log("power button: " + err.Error())
	}
	for _, name := range names {
		s.Add("input/" + name)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends what the goroutines send
	buttons := map[string]*button{}
	defer func() {
		for _, b := range buttons {
			b.close()
		}
	}()
	pushed, ended := make(chan struct{}), make(chan *button)
	var echo bounce
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.wake:
			for _, c := range s.take() {
				b := buttons[c.name]
				switch {
				case c.remove && b != nil:
					b.close()
					delete(buttons, c.name)
				case !c.remove && b == nil:
					b = &button{name: c.name}
					buttons[c.name] = b
					wg.Go(func() { s.watch(ctx, b, pushed, ended) })
				}
			}
		case b := <-ended:
			if buttons[b.name] == b {
				delete(buttons, b.name)
			}
		case <-pushed:
			if echo.press(time.Now()) {
				s.config.Press()
			}
		}
	}
}

// bounce tells presses from their echoes. Its zero value has seen none.
type bounce struct{ last time.Time }

func (b *bounce) press(now time.Time) bool {
	if !b.last.IsZero() && now.Sub(b.last) < debounce {
		return false
	}
	b.last = now
	return true
}

// button is one device, from Add to its end.
type button struct {
	name string

	mu   sync.Mutex
	f    *os.File
	gone bool
}

// opened takes the file; false if the button was closed meanwhile.
func (b *button) opened(f *os.File) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.f = f
	return !b.gone
}

// close wakes the reader.
func (b *button) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = true
	if b.f != nil {
		_ = b.f.Close()
	}
}

// watch reads one device until it is closed or unplugged (ENODEV).
func (s *Source) watch(ctx context.Context, b *button, pushed chan<- struct{}, ended chan<- *button) {
	defer func() {
		if p := recover(); p != nil {
			s.config.Log(fmt.Sprintf("power button %s: panic: %v", b.name, p))
		}
		b.close()
		select {
		case ended <- b:
		case <-ctx.Done():
		}
	}()
	err := s.read(ctx, b, pushed)
	switch {
	case errors.Is(err, errNoButton), errors.Is(err, os.ErrClosed), errors.Is(err, os.ErrNotExist):
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		s.config.Log("power button " + b.name + " is gone")
	case err != nil:
		s.config.Log("power button " + b.name + ": " + err.Error())
	}
}

func (s *Source) read(ctx context.Context, b *button, pushed chan<- struct{}) error {
	f, err := s.config.testOnlyOpen(filepath.Join("/", s.config.Root, "dev", b.name))
	if err != nil {
		return err
	}
	if !b.opened(f) {
		return f.Close()
	}
	s.config.Log("power button on " + b.name)
	buf := make([]byte, 64*eventSize)
	for {
		n, err := f.Read(buf)
		for range presses(buf[:max(n, 0)]) {
			select {
			case pushed <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

// list names what is in a folder, in any order (os.ReadDir sorts).
func list(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}
