package apk

import (
	"fmt"
	"strings"
)

// Op is the relation that a dependency asks for: a set of the results that a
// comparison of the offered with the wanted version may have.
type Op uint8

// The relations of apk(5). Any is the zero value: every version will do.
const (
	Any     Op = 0
	Less    Op = 1 // <
	Equal   Op = 2 // =
	Greater Op = 4 // >
	Fuzzy   Op = 8 // ~ : equal as far as the wanted version goes
	// Same (><) compares checksums, not versions.
	Same = Less | Greater
)

// Dep is one word of a dependency list: "musl", "openrc>=0.24", "!foo",
// "so:libc.so.1", "zfs@edge", "zfs@edge>2". In Provides, Version without Op Equal never
// occurs, and an empty Version makes the name virtual.
type Dep struct {
	Name     string
	Op       Op
	Version  string
	Tag      string // repository pin, without '@'
	Conflict bool   // "!": must not be there
}

// String gives the form that ParseDep reads.
func (d Dep) String() string {
	var b strings.Builder
	if d.Conflict {
		b.WriteByte('!')
	}
	b.WriteString(d.Name)
	if d.Tag != "" {
		b.WriteString("@" + d.Tag)
	}
	b.WriteString(d.Op.String())
	b.WriteString(d.Version)
	return b.String()
}

// String gives the operator as it is written.
func (o Op) String() string {
	switch o {
	case Any:
		return ""
	case Same:
		return "><"
	}
	s := ""
	for _, x := range []struct {
		op Op
		s  string
	}{{Less, "<"}, {Greater, ">"}, {Equal, "="}, {Fuzzy, "~"}} {
		if o&x.op != 0 {
			s += x.s
		}
	}
	return s
}

// opOf reads the characters of an operator. "~" may carry a "=" that adds
// nothing.
func opOf(s string) (Op, bool) {
	switch s {
	case "":
		return Any, true
	case "<":
		return Less, true
	case "<=":
		return Less | Equal, true
	case "=":
		return Equal, true
	case ">=":
		return Greater | Equal, true
	case ">":
		return Greater, true
	case "~", "=~", "~=":
		return Fuzzy, true
	case ">~":
		return Greater | Fuzzy, true
	case "<~":
		return Less | Fuzzy, true
	case "><":
		return Same, true
	}
	return Any, false
}

// ParseDep reads one dependency.
func ParseDep(s string) (Dep, error) {
	var d Dep
	bad := func(why string) (Dep, error) {
		return Dep{}, fmt.Errorf("dependency %q: %w: %s", s, ErrFormat, why)
	}
	rest := s
	if r, ok := strings.CutPrefix(rest, "!"); ok {
		d.Conflict, rest = true, r
	}
	if at := strings.IndexAny(rest, "<>=~"); at >= 0 {
		end := at
		for end < len(rest) && strings.IndexByte("<>=~", rest[end]) >= 0 {
			end++
		}
		op, ok := opOf(rest[at:end])
		if !ok {
			return bad(fmt.Sprintf("no operator %q", rest[at:end]))
		}
		d.Op, d.Version, rest = op, rest[end:], rest[:at]
		if d.Version == "" {
			return bad("no version after the operator")
		}
		if v, tag, ok := strings.Cut(d.Version, "@"); ok {
			return bad(fmt.Sprintf("the pin stands before the operator: %s@%s%s%s", rest, tag, op, v))
		}
	}
	var pinned bool
	if d.Name, d.Tag, pinned = strings.Cut(rest, "@"); pinned && (d.Tag == "" || strings.Contains(d.Tag, "@")) {
		return bad("one word after @ is needed")
	}
	if d.Name == "" {
		return bad("no name")
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f {
			return bad("white space or control character")
		}
	}
	return d, nil
}

// ParseDeps reads a list separated by white space.
func ParseDeps(s string) ([]Dep, error) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return nil, nil
	}
	out := make([]Dep, len(words))
	for i, w := range words {
		var err error
		if out[i], err = ParseDep(w); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// FormatDeps is the reverse of ParseDeps.
func FormatDeps(deps []Dep) string {
	s := make([]string, len(deps))
	for i, d := range deps {
		s[i] = d.String()
	}
	return strings.Join(s, " ")
}
