package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"hoopy/unit"
)

// transient is a unit that is made by hand.
type transient struct {
	kind      string // task or service
	command   []string
	user, dir string
	env       []string // NAME=value
}

// taskTime is what a task that somebody started by hand may take: the longest
// that a unit file may say.
const taskTime = "24h"

// compose writes t as a unit file. An argument that TOML cannot hold is an
// error.
func compose(t transient) (string, error) {
	var b strings.Builder
	key := func(name, value string) { b.WriteString(name + " = " + value + "\n") }
	texts := append([]string{t.user, t.dir}, t.command...)
	for _, s := range append(texts, t.env...) {
		if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
			return "", misuse("%q is no UTF-8 text; a unit file cannot hold it", s)
		}
	}
	key("description", quote("started by svc run"))
	key("kind", quote(t.kind))
	key("restart", quote("never"))
	if t.kind == unit.Task.String() {
		key("start_timeout", quote(taskTime))
	}
	if t.user != "" {
		key("user", quote(t.user))
	}
	if t.dir != "" {
		key("directory", quote(t.dir))
	}
	args := make([]string, len(t.command))
	for i, arg := range t.command {
		args[i] = quote(arg)
	}
	key("command", "["+strings.Join(args, ", ")+"]")
	if len(t.env) > 0 {
		b.WriteString("\n[env]\n")
	}
	seen := map[string]bool{}
	for _, e := range t.env {
		name, value, ok := strings.Cut(e, "=")
		switch {
		case !ok || name == "":
			return "", misuse("--env %q: write NAME=value", e)
		case seen[name]:
			return "", misuse("--env %s is given twice", name)
		}
		seen[name] = true
		key(quote(name), quote(value))
	}
	return b.String(), nil
}

// quote writes a basic string, https://toml.io/en/v1.0.0#string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
