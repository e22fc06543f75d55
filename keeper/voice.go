package keeper

import (
	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// voice is standard output and error of the supervisor: a pipe that the keeper
// passes on line by line, so that last words (a Go panic, the stacks after
// SIGQUIT) reach the kernel's log, and a console that is stopped stops nobody.
type voice struct {
	read, write int
	line        [512]byte
	n           int
}

func (v *voice) open(log *kmsg.Log) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		log.Say(kmsg.Error, "pipe: ", err.Error())
		return
	}
	_ = unix.SetNonblock(p[0], true) // ours; the supervisor's end stays blocking
	v.read, v.write = p[0], p[1]
}

// pass says what has come, at most 16 KiB in one turn.
func (v *voice) pass(log *kmsg.Log) {
	var buf [1024]byte
	for range 16 {
		n, err := unix.Read(v.read, buf[:])
		if err != nil || n <= 0 {
			return
		}
		for _, c := range buf[:n] {
			if c != '\n' {
				v.line[v.n] = c
				v.n++
			}
			if c == '\n' || v.n == len(v.line) {
				v.flush(log)
			}
		}
	}
}

func (v *voice) flush(log *kmsg.Log) {
	if v.n > 0 {
		log.Say(kmsg.Warning, "supervisor: ", string(v.line[:v.n]))
	}
	v.n = 0
}
