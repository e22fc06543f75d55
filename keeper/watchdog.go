package keeper

import (
	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// watchdog is the hardware's: it resets the machine when it is not fed. Never
// disarmed.
type watchdog struct {
	fd    int
	path  string
	next  Duration // when to feed, or to look for it
	until Duration // how long a device that is not there is looked for
}

const feedEvery = 5 * Second

// open begins to look; the module of the device may be loaded later.
func (d *watchdog) open(path string, log *kmsg.Log) {
	d.fd = -1
	if path == "-" {
		return
	}
	d.path = path
	d.until = mono() + 60*Second
	d.next = mono()
	d.feed(d.next, true, log)
}

// feed does what is due; well says whether the machine is worth keeping.
func (d *watchdog) feed(now Duration, well bool, log *kmsg.Log) {
	if d.next == 0 || now < d.next {
		return
	}
	d.next = now + feedEvery
	if d.fd < 0 {
		fd, err := unix.Open(d.path, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			if now > d.until {
				d.next = 0
			}
			return
		}
		d.fd = fd
		log.Say(kmsg.Info, "watchdog: ", d.path, " is fed")
	}
	if well {
		_, _ = unix.Write(d.fd, []byte{0}) // any byte but 'V' feeds; an error shows in the reset
	}
}
