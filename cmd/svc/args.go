package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"hoopy/unit/schema"
)

// options are the flags and operands of one command line.
type options struct {
	flags map[string][]string // by long name; "" for one without value
	names []string
}

func (o options) has(flag string) bool { return len(o.flags[flag]) > 0 }

// value is the last value of a flag; empty: it is not there.
func (o options) value(flag string) string {
	if all := o.flags[flag]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// errHelp: -h stands among the arguments.
var errHelp = errors.New("help is wanted")

// parse sorts args into flags and operands, in any order; after -- there are
// operands alone, and so there are where a command of its own begins. One dash
// and two are the same; values follow after a blank or =, numbers also at once
// (-n5).
func parse(args []string, c *command) (options, error) {
	o := options{flags: map[string][]string{}}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			o.names = append(o.names, args...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			o.names = append(o.names, arg)
			if c.verbatim > 0 && len(o.names) == c.verbatim {
				o.names = append(o.names, args...)
				break
			}
			if c.verbatim > 0 && len(o.names) == c.verbatim-1 && len(args) > 0 && args[0] == "--" {
				o.names = append(o.names, args[1:]...)
				break
			}
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		f := c.flag(name)
		if f == nil && !given && len(name) > 1 {
			if short := c.flag(name[:1]); short != nil && short.value != "" {
				if _, err := strconv.Atoi(name[1:]); err == nil {
					f, value, given = short, name[1:], true
				}
			}
		}
		switch {
		case f == nil && (name == "h" || name == "help"):
			return o, errHelp
		case f == nil:
			return o, misuse("unknown option %s%s", strconv.Quote(arg), c.optionMeant(name))
		case f.value == "" && given:
			return o, misuse("option %s takes no value", arg)
		case f.value != "" && !given && len(args) == 0:
			return o, misuse("option %s wants a value", arg)
		case f.value != "" && !given:
			value, args = args[0], args[1:]
		}
		o.flags[f.long] = append(o.flags[f.long], value)
	}
	if len(o.names) < c.least {
		return o, misuse("name %s", c.wants)
	}
	if c.most >= 0 && len(o.names) > c.most {
		return o, misuse("too many arguments: %q", o.names[c.most])
	}
	return o, nil
}

// flag is the flag of that name, short or long; nil: there is none.
func (c *command) flag(name string) *option {
	i := slices.IndexFunc(c.flags, func(f option) bool { return f.long == name || f.short != "" && f.short == name })
	if i < 0 {
		return nil
	}
	return &c.flags[i]
}

// optionMeant is the end of a mistake about an unknown option, perhaps empty.
func (c *command) optionMeant(name string) string {
	var names []string
	for _, f := range c.flags {
		names = append(names, f.long)
	}
	slices.Sort(names)
	if near := schema.Nearest(name, names); near != "" {
		return "; did you mean " + strconv.Quote("--"+near) + "?"
	}
	return ""
}

// duration is the value of a flag, otherwise if it is not there.
func (o options) duration(flag string, otherwise time.Duration) (time.Duration, error) {
	if !o.has(flag) {
		return otherwise, nil
	}
	s := o.value(flag)
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, misuse("%q is no duration; write 30s", s)
	}
	return d, nil
}
