package main

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/svc.md and the screens in testdata anew")

// docs/svc.md is made from the table that makes the help.
func TestPage(t *testing.T) {
	const file = "../../docs/svc.md"
	want := page()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(got), want); d != "" {
		t.Errorf("go test ./cmd/svc -run TestPage -update writes it anew: %s", d)
	}
}

const pageHead = `# svc: every command

This page is made from the table that makes the help of svc (` + "`cmd/svc/commands.go`" + `);
a test holds both together. ` + "`svc help`" + ` and ` + "`svc COMMAND -h`" + ` show the same.

svc asks init over [the control socket](control.md). Everyone may ask for the status;
only root may change anything or read logs. It never hangs: every call has a bound, but
for ` + "`logs -f`" + ` and ` + "`run -w`" + `, which are there to wait. It works while the machine boots,
from inside a task of the boot, and from a service that restarts itself: init has heard
before the one who asked is ended. When a session dies half-way, what was asked is either
done as a whole or not begun.

Options may stand anywhere, with one dash or two; ` + "`--`" + ` ends them. Colour, and lines cut at
the width of the screen, are for terminals alone; ` + "`NO_COLOR`" + ` turns colour off. What comes
from a unit, such as its log, is escaped.

On a terminal a command or a unit may be shortened to any beginning that no other has:
` + "`svc rest tail`" + ` restarts tailscaled. In a script names must be whole, so that a new unit
does not change what it does. poweroff, reboot and halt are never shortened.

| exit code | meaning |
|---|---|
| 0 | fine |
| 1 | a unit that was asked for is not well, or init said no |
| 2 | a mistake in the command, or no such unit |
| 3 | init cannot be reached |
| 130 | run -w was interrupted; the unit goes on |
| other | run -w and exec: that of the command; 128 and its number for a signal |

As ` + "`poweroff`, `reboot` and `halt`" + ` svc is also found by these names, and as ` + "`shutdown`" + ` with
` + "`-h`, `-P`, `-H` or `-r` and `now`" + `. If init does not answer within 3 s, PID 1 is asked by
signal (USR2 off, TERM reboot, USR1 halt), and a line says so.
`

// page is docs/svc.md.
func page() string {
	var b strings.Builder
	b.WriteString(pageHead)
	for _, c := range table() {
		b.WriteString("\n## " + c.name + "\n\n`" + c.usage() + "`\n\n" + wrap(sentence(c.about)+" "+c.text, "", 88))
		for i, f := range c.flags {
			if i == 0 {
				b.WriteString("\n")
			}
			b.WriteString("- `" + f.both() + "`: " + f.about + "\n")
		}
		if len(c.examples) > 0 {
			b.WriteString("\n```sh\n" + strings.Join(c.examples, "\n") + "\n```\n")
		}
	}
	return b.String()
}

// Every command tells what it is, and asks for its operands in words.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range table() {
		if c.name == "" || seen[c.name] || c.run == nil || c.about == "" || strings.HasSuffix(c.about, ".") || c.least > 0 && c.wants == "" {
			t.Errorf("%+v", c)
		}
		seen[c.name] = true
		names := map[string]bool{}
		for _, f := range c.flags {
			if names[f.long] || f.short != "" && names[f.short] || f.long == "" || f.about == "" {
				t.Errorf("%s: %+v", c.name, f)
			}
			names[f.long], names[f.short] = true, true
		}
		for line := range strings.Lines(c.help(80)) {
			if columns(strings.TrimSuffix(line, "\n")) > 80 && !strings.HasPrefix(line, "  $ ") {
				t.Errorf("%s: %q", c.name, line)
			}
		}
	}
	for _, name := range deadly {
		if find(name) == nil {
			t.Errorf("no command %s", name)
		}
	}
}
