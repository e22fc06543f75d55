//go:build faults

package main

import (
	"os"
	"os/signal"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"hoopy/keeper"
	"hoopy/kmsg"
	"hoopy/supervisor"
)

// The binary built with the tag faults panics where a test wants it to: the
// test writes the name of a part into faultFile and sends the supervisor
// SIGUSR1; the part's goroutine panics the next time it has something to say.
// "loop" panics at once.

const faultFile = "/run/hoopy/fault"

// testConsole, when it exists, is where a machine in namespaces writes instead
// of the host's console and kernel log.
const testConsole = "/test/console"

// tune lets the supervisor die as often as a test wants without safe mode: the
// deaths of one nanosecond are counted, and to notice one that hangs sooner.
func tune(c *keeper.Config) {
	c.DeathWindow = 1
	c.PingEvery, c.PongWithin = keeper.Second, 3*keeper.Second
	c.Log = logOptions(c.Log)
}

func logOptions(o kmsg.Options) kmsg.Options {
	if _, err := os.Stat(testConsole); err == nil {
		o.Console, o.Kmsg = testConsole, "/test/kmsg"
	}
	return o
}

var armed atomic.Pointer[string]

func (m *machine) injectFaults() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGUSR1)
	go func() {
		for range c {
			b, _ := os.ReadFile(faultFile)
			part := strings.TrimSpace(string(b))
			if part == "loop" {
				m.loop.Async(func(*supervisor.State) { panic("injected into loop") })
				continue
			}
			armed.Store(&part)
		}
	}()
}

func (m *machine) strike(part string) {
	if p := armed.Load(); p != nil && *p == part {
		armed.Store(nil)
		panic("injected into " + part)
	}
}
