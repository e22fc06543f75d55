package main

import (
	"fmt"
	"strings"
)

const helpHead = "svc looks after the units of this machine."

const helpCodes = "Exit code: 0 fine, 1 a unit that was asked for is not well or init said no, 2 usage, 3 init cannot be reached; " +
	"of run -w and exec: that of the command."

// help lists the commands, or shows one.
func (a *app) help(o options) error {
	if len(o.names) == 1 {
		c, err := a.command(o.names[0])
		if err != nil {
			return err
		}
		fmt.Fprint(a.out, c.help(a.look.width))
		return nil
	}
	fmt.Fprint(a.out, helpHead+"\n\n")
	for _, c := range table() {
		fmt.Fprintf(a.out, "  %-30s %s\n", strings.TrimRight("svc "+c.name+" "+c.operands, " "), c.about)
	}
	fmt.Fprint(a.out, "\n"+wrap("svc help COMMAND, or svc COMMAND -h, tells more. On a terminal, an unambiguous beginning of a command or of a unit's name is enough. "+
		helpCodes, "", helpWidth(a.look.width)))
	return nil
}

// helpWidth is how wide running text may be.
func helpWidth(columns int) int {
	if columns == 0 || columns > 80 {
		return 80
	}
	return columns
}

// usage is the command in a line.
func (c *command) usage() string {
	parts := []string{"svc " + c.name}
	if c.verbatim == 0 && c.operands != "" {
		parts = append(parts, c.operands)
	}
	for _, f := range c.flags {
		parts = append(parts, "["+f.spelled()+"]")
	}
	if c.verbatim > 0 {
		parts = append(parts, c.operands)
	}
	return strings.Join(parts, " ")
}

// spelled is the flag as it is most easily written.
func (f option) spelled() string {
	s := "--" + f.long
	if f.short != "" {
		s = "-" + f.short
	}
	if f.value != "" {
		s += " " + f.value
	}
	return s
}

// both is the flag in both its forms.
func (f option) both() string {
	s := "--" + f.long
	if f.short != "" {
		s = "-" + f.short + ", " + s
	}
	if f.value != "" {
		s += " " + f.value
	}
	return s
}

// help is everything about a command, for a screen.
func (c *command) help(width int) string {
	width = helpWidth(width)
	var b strings.Builder
	b.WriteString(wrap(c.usage(), "", width))
	b.WriteString("\n" + wrap(sentence(c.about)+" "+c.text, "  ", width))
	if len(c.flags) > 0 {
		b.WriteString("\n")
		for _, f := range c.flags {
			b.WriteString("  " + f.both() + "\n" + wrap(f.about, "        ", width))
		}
	}
	if len(c.examples) > 0 {
		b.WriteString("\n")
		for _, e := range c.examples {
			b.WriteString("  $ " + e + "\n")
		}
	}
	return b.String()
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }
