// Package rescue is the face that opens a shell on the console when nothing
// else is left: `/init rescue REASON`, started by the keeper.
//
// It takes the console's device, not /dev/console, which cannot be a
// controlling terminal (job control and Ctrl-C would be dead), and becomes
// either a root shell or, when root has a password, the program that asks for
// it. The keeper starts it again when it ends; status 0 asks the keeper for a
// supervisor at once.
package rescue

import (
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
)

// asking are the programs that ask for root's password, the best first; all of
// them are applets of busybox in one distribution or another.
var asking = [][]string{
	{"/sbin/sulogin"},
	{"/usr/sbin/sulogin"},
	{"/bin/login", "root"},
	{"/usr/bin/login", "root"},
}

// shells, the best first: with a dash before their name they are login shells.
var shells = [][]string{
	{"/bin/sh", "-l"},
	{"/bin/busybox", "sh", "-l"},
	{"/usr/bin/busybox", "sh", "-l"},
}

// Main is the face. It returns an exit status only when nothing could be
// executed.
func Main(args []string) int {
	reason := "asked for"
	if len(args) > 0 {
		reason = args[0]
	}
	take()
	lim := unix.Rlimit{Cur: 1024, Max: 524288}
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &lim) // a shell lives with any limit
	shadow, _ := os.ReadFile("/etc/shadow")      // none: no password
	say("\nhoopy: rescue shell: " + reason + ".\n" +
		"Leave it (exit) to try a normal start; reboot -f restarts the machine.\n")
	programs, none := shells, "this machine has no shell"
	if hasPassword(string(shadow)) {
		programs, none = asking, "root has a password, and nothing here can ask for it (sulogin, login)"
	}
	env := append(os.Environ(), "PS1=rescue \\w # ")
	for _, argv := range programs {
		if _, err := os.Stat(argv[0]); err != nil {
			continue
		}
		err := unix.Exec(argv[0], argv, env)
		say("hoopy: exec " + argv[0] + ": " + err.Error() + "\n")
	}
	say("hoopy: " + none + "\n")
	return 1
}

// openConsole opens the last of the active consoles, which is where
// /dev/console goes; -1 when there is none.
func openConsole() int {
	active, _ := os.ReadFile("/sys/class/tty/console/active")
	for _, path := range candidates(string(active)) {
		// O_NONBLOCK: opening a serial line would wait for its carrier.
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		if err := unix.SetNonblock(fd, false); err == nil {
			return fd
		}
		_ = unix.Close(fd)
	}
	return -1
}

// candidates are the devices to try: the active consoles from the last to the
// first, then the console itself.
func candidates(active string) []string {
	names := strings.Fields(active)
	var paths []string
	for i := len(names) - 1; i >= 0; i-- {
		name := names[i]
		if name == "tty0" { // the foreground terminal; it has no session of its own
			name = "tty1"
		}
		if !strings.ContainsAny(name, "./") {
			paths = append(paths, "/dev/"+name)
		}
	}
	return append(paths, "/dev/console")
}

// take makes the console the controlling terminal and the standard files, for
// this process alone: whoever reads from it, a getty, is hung up. Else the two
// would share what is typed, letter by letter.
func take() {
	_, _ = unix.Setsid() // EPERM: the keeper has made a session already
	if tty := openConsole(); tty >= 0 {
		signal.Ignore(unix.SIGHUP)                   // vhangup(2) means this session, too
		_ = unix.IoctlSetInt(tty, unix.TIOCSCTTY, 1) // 1: steal it
		_, _, _ = unix.Syscall(unix.SYS_VHANGUP, 0, 0, 0)
		_ = unix.Close(tty)
		signal.Reset(unix.SIGHUP)
	}
	tty := openConsole() // what was open is dead
	if tty < 0 {
		return
	}
	_ = unix.IoctlSetInt(tty, unix.TIOCSCTTY, 1) // without it there is no job control, no more
	for fd := range 3 {
		_ = unix.Dup3(tty, fd, 0) // fails only for a bad descriptor
	}
}

// hasPassword says whether root's field in shadow(5) holds something to ask
// for: neither empty nor "*", which mean that no password is set. A locked
// hash ("!$6$…") is one that its owner does not want used: it is asked for and
// never matches.
func hasPassword(shadow string) bool {
	for line := range strings.Lines(shadow) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) < 2 || f[0] != "root" {
			continue
		}
		return strings.Trim(f[1], "!*x") != ""
	}
	return false
}

func say(text string) { _, _ = os.Stdout.WriteString(text) }
