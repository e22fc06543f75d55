// Package timers is the source of due timers: it says when a unit of kind timer
// is due, and when it will be next. When that is, package schedule decides; this
// one keeps the clocks, and the last runs on the persistence device.
//
// # Clocks
//
// The loop sleeps on a timerfd of CLOCK_BOOTTIME, which goes on while the machine
// sleeps, and is woken by a second one on CLOCK_REALTIME whenever somebody sets
// the clock (TFD_TIMER_CANCEL_ON_SET, timerfd_create(2)). Then everything is
// planned anew from what the clock shows now.
//
// # The last run
//
// For a timer that is to catch up, its last run is kept in DIR/NAME: one line,
// RFC 3339. It is written by a goroutine of its own (a disk that died hangs
// nothing but that), as a new file that takes the old one's place, at most every
// ten minutes for each timer. A timer that has no file yet gets one with the
// moment at which it was first seen: a machine that is off each night at two must
// know that it missed something. A run at a time when the clock was wrong is
// written once the clock is right, with the time that it would have shown.
//
// # What it does not do
//
// It starts nothing and knows no states: that a timer is due while it still runs,
// or while the machine ends, is for the supervisor to see. It wakes no machine
// that sleeps.
package timers
