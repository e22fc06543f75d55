package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"hoopy/unit/schema"
)

// options are the flags and operands of one command line.
type options struct {
	flags map[string]string // by name without dashes; "" for one without value
	names []string
}

func (o options) has(flag string) bool { _, ok := o.flags[flag]; return ok }

// parse sorts args into flags and operands, in any order; after -- there are
// operands alone. known says of each flag whether it takes a value. One dash
// and two are the same; values follow after a blank or =, numbers also at once
// (-n5).
func parse(args []string, known map[string]bool, least, most int) (options, error) {
	o := options{flags: map[string]string{}}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			o.names = append(o.names, args...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			o.names = append(o.names, arg)
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		takes, ok := known[name]
		if !ok && !given && len(name) > 1 && known[name[:1]] {
			if _, err := strconv.Atoi(name[1:]); err == nil {
				name, value, given, takes, ok = name[:1], name[1:], true, true, true
			}
		}
		switch {
		case !ok:
			var names []string
			for n := range known {
				names = append(names, n)
			}
			slices.Sort(names)
			return o, misuse("unknown option %s%s", strconv.Quote(arg), schema.DidYouMean(name, names))
		case !takes && given:
			return o, misuse("option %s takes no value", arg)
		case takes && !given && len(args) == 0:
			return o, misuse("option %s wants a value", arg)
		case takes && !given:
			value, args = args[0], args[1:]
		}
		o.flags[name] = value
	}
	if len(o.names) < least {
		return o, misuse("name a unit")
	}
	if most >= 0 && len(o.names) > most {
		return o, misuse("too many arguments: %q", o.names[most])
	}
	return o, nil
}

// duration is the value of a flag, otherwise if it is not there.
func (o options) duration(flag string, otherwise time.Duration) (time.Duration, error) {
	s, ok := o.flags[flag]
	if !ok {
		return otherwise, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, misuse("%q is no duration; write 30s", s)
	}
	return d, nil
}

func didYouMean(name string) string { return schema.DidYouMean(name, order) }
