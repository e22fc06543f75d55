// Command svc is the operator's tool: what runs, why something does not, and
// the end of the machine. Called as reboot, poweroff, halt or shutdown it is
// those. docs/svc.md lists every command.
//
// It exits with 0 when all is fine, 1 when a unit that was asked for is not
// well or init said no, 2 for a mistake in the command, 3 when init cannot be
// reached; run -w and exec with the code of the command. It never hangs:
// everything but logs -f and run -w has a bound.
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
	holdDescriptors()
	from, _, _ := strings.Cut(os.Getenv("SSH_CONNECTION"), " ")
	a := &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, from: from, power: kernel{},
		socket: control.Path, manifest: "/.hoopy/manifest", launcher: "/init", lastEndPath: control.LastEnd,
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

	exitInterrupted = 130 // as a shell has it: 128 and SIGINT
)

// app is svc with everything it touches.
type app struct {
	in       io.Reader
	out, err io.Writer
	look     look
	socket   string // of init
	manifest string // of the image
	launcher string // what runs a command as a unit does
	from     string // address of the operator, as sshd tells it; may be empty
	via      string // the command, for whoever reads the log: "svc poweroff"
	power    power

	lastEndPath string // of the time line of the last end
}

// usageError is a command that makes no sense.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func misuse(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// errUnwell: what is to be said has been said; a unit is not well.
var errUnwell = errors.New("a unit is not well")

// exitError is the exit code of another program, or of this one when what is to
// be said has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// main runs one command line and returns the exit code.
func (a *app) main(argv []string) int {
	name, args := filepath.Base(argv[0]), argv[1:]
	a.via = name
	switch name {
	case "poweroff", "reboot", "halt":
		return a.exit(a.call(find(name), args))
	case "shutdown":
		return a.exit(a.shutdown(args))
	}
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
	c, err := a.command(name)
	if err != nil {
		return a.exit(err)
	}
	a.via = "svc " + c.name
	return a.exit(a.call(c, args))
}

// call carries out c, or shows its help.
func (a *app) call(c *command, args []string) error {
	o, err := parse(args, c)
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprint(a.out, c.help(a.look.width))
		return nil
	case err != nil:
		return err
	}
	return c.run(a, o)
}

// exit says what went wrong and turns it into a code.
func (a *app) exit(err error) int {
	var usage *usageError
	var refusal *control.Error
	var full *writeError
	var code exitError
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, errUnwell):
		return exitUnwell
	case errors.As(err, &code):
		return int(code)
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
