// Command svc is the operator's tool: what runs, why something does not, and
// the end of the machine. Called as reboot, poweroff, halt or shutdown it is
// those.
//
// It exits with 0 when all is fine, 1 when a unit that was asked for is not
// well or init said no, 2 for a mistake in the command, 3 when init cannot be
// reached. It never hangs: everything but logs -f has a bound.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"hoopy/control"
)

// version is stamped by the build with the file VERSION.
var version = "unstamped"

func main() {
	from, _, _ := strings.Cut(os.Getenv("SSH_CONNECTION"), " ")
	a := &app{
		out: os.Stdout, err: os.Stderr, from: from, power: kernel{},
		socket: control.Path, manifest: "/.hoopy/manifest",
		look: lookOf(os.Stdout, os.Getenv("NO_COLOR"), os.Getenv("TERM")),
	}
	os.Exit(a.main(os.Args))
}

// Exit codes.
const (
	exitFine = iota
	exitUnwell
	exitUsage
	exitUnreachable
)

// app is svc with everything it touches.
type app struct {
	out, err io.Writer
	look     look
	socket   string // of init
	manifest string // of the image
	from     string // address of the operator, as sshd tells it; may be empty
	via      string // the command, for whoever reads the log: "svc poweroff"
	power    power
}

// usageError is a command that makes no sense.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func misuse(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// errUnwell: what is to be said has been said; a unit is not well.
var errUnwell = errors.New("a unit is not well")

type command struct {
	run   func(a *app, args []string) error
	args  string
	about string
}

// commands are those of svc; names are also programs of their own.
func commands() map[string]command {
	return map[string]command{
		"status":   {(*app).status, "[NAME…] [-a] [--json]", "what runs, and what is not well"},
		"start":    {(*app).start, "NAME… [--timeout 2m]", "start units and what they need"},
		"stop":     {(*app).stop, "NAME… [--force] [--timeout 2m]", "stop units; --force: and what needs them"},
		"restart":  {(*app).restart, "NAME… [--timeout 2m]", "stop and start units"},
		"logs":     {(*app).logs, "NAME [-f] [-n 50]", "the last lines of a unit; -f: and what comes"},
		"check":    {(*app).check, "[DIR]", "find mistakes in the files under DIR (default /etc)"},
		"reload":   {(*app).reload, "", "read the configuration anew; ends safe mode"},
		"poweroff": {(*app).poweroff, "[-f [-n]]", "end the machine in order; -f: at once, -n: without sync"},
		"reboot":   {(*app).reboot, "[-f [-n]]", "the same, and start again"},
		"halt":     {(*app).halt, "[-f [-n]] [-p]", "the same, and leave the power on; -p: off"},
		"version":  {(*app).version, "", "of svc, image and init"},
		"help":     {(*app).help, "", ""},
	}
}

// order is that of help.
var order = []string{"status", "start", "stop", "restart", "logs", "check", "reload", "poweroff", "reboot", "halt", "version"}

// main runs one command line and returns the exit code.
func (a *app) main(argv []string) int {
	name, args := filepath.Base(argv[0]), argv[1:]
	a.via = name
	var run func(*app, []string) error
	switch name {
	case "poweroff", "reboot", "halt":
		run = commands()[name].run
	case "shutdown":
		run = (*app).shutdown
	default:
		a.via = "svc"
		if len(args) >= 2 && (args[0] == "-socket" || args[0] == "--socket") {
			a.socket, args = args[1], args[2:]
		}
		name = "status"
		if len(args) > 0 {
			name, args = args[0], args[1:]
		}
		switch name {
		case "-h", "--help":
			name = "help"
		case "-V", "--version":
			name = "version"
		}
		c, known := commands()[name]
		if !known {
			fmt.Fprintf(a.err, "svc: unknown command %q%s\n", name, didYouMean(name))
			return exitUsage
		}
		run = c.run
		a.via = "svc " + name
	}
	return a.exit(run(a, args))
}

// exit says what went wrong and turns it into a code.
func (a *app) exit(err error) int {
	var usage *usageError
	var refusal *control.Error
	var full *writeError
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, errUnwell):
		return exitUnwell
	}
	fmt.Fprintf(a.err, "%s: ", a.via)
	for line := range strings.SplitSeq(err.Error(), "\n") { // reload has one for each mistake
		fmt.Fprintln(a.err, escape(line))
	}
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &refusal):
		switch refusal.Code {
		case control.CodeUnknown, control.CodeRequest:
			return exitUsage
		case control.CodeBusy, control.CodeVersion:
			return exitUnreachable
		}
		return exitUnwell
	case errors.As(err, &full):
		return exitUnwell
	}
	return exitUnreachable
}

func (a *app) help(args []string) error {
	if _, err := parse(args, nil, 0, 1); err != nil {
		return err
	}
	fmt.Fprint(a.out, "svc looks after the units of this machine.\n\n")
	for _, name := range order {
		c := commands()[name]
		fmt.Fprintf(a.out, "  %-40s %s\n", strings.TrimRight("svc "+name+" "+c.args, " "), c.about)
	}
	fmt.Fprint(a.out, "\nExit code: 0 fine, 1 a unit that was asked for is not well, 2 usage, 3 init cannot be reached.\n")
	return nil
}
