package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// look is how the screen may look.
type look struct {
	terminal bool // a person is there
	colour   bool
	width    int // columns; 0: no limit
}

// lookOf asks f whether it is a terminal: colour and cut lines are for those
// alone. https://no-color.org
func lookOf(f *os.File, noColor, term string) look {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return look{}
	}
	return look{terminal: true, colour: noColor == "" && term != "dumb" && term != "", width: int(size.Col)}
}

type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
	dim    colour = "2"
	cyan   colour = "36"
)

func (l look) paint(c colour, s string) string {
	if !l.colour || c == plain || s == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

// strip is s without what paint put around it.
func (l look) strip(s string) string {
	if !l.colour {
		return s
	}
	if rest, ok := strings.CutPrefix(s, "\x1b["); ok {
		if _, text, ok := strings.Cut(rest, "m"); ok {
			s = strings.Replace(text, "\x1b[0m", "", 1)
		}
	}
	return s
}

// escape makes foreign text harmless for a terminal: no byte of it moves the
// cursor, changes a colour or ends a line.
func escape(s string) string {
	clean := true
	for _, r := range s {
		clean = clean && r != unicode.ReplacementChar && shown(r)
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\t':
			b.WriteString("    ")
		case r == unicode.ReplacementChar && s[i] != 0xef: // a byte that is no UTF-8
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case shown(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// shown: letters, marks, numbers, punctuation, symbols and the blank. Not the
// characters that turn the direction of text.
func shown(r rune) bool { return r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) }

// cut shortens s to n columns.
func cut(s string, n int) string {
	if n <= 0 || columns(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:max(0, min(len(r), n-1))]) + "…"
}

func columns(s string) int { return len([]rune(s)) }

func padLeft(s string, n int) string { return strings.Repeat(" ", max(0, n-columns(s))) + s }

// span writes a duration in two units, for a table: 3 d 04 h, 5 min, 12 s.
func span(d time.Duration) string {
	d = max(0, d)
	switch day := 24 * time.Hour; {
	case d >= day:
		return fmt.Sprintf("%d d %02d h", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// uptime writes 3 d 04:12, 04:12 or 12 s.
func uptime(d time.Duration) string {
	clock := fmt.Sprintf("%02d:%02d", d%(24*time.Hour)/time.Hour, d%time.Hour/time.Minute)
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%d d %s", d/(24*time.Hour), clock)
	case d >= time.Minute:
		return clock
	}
	return fmt.Sprintf("%d s", max(0, d)/time.Second)
}

// seconds writes a short duration: 2.1 s.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// size writes bytes: 820K, 31.0M, 2.5G.
func size(n int64) string {
	switch {
	case n <= 0:
		return ""
	case n < 1<<20:
		return strconv.FormatInt((n+1023)>>10, 10) + "K"
	case n < 1<<30:
		return fmt.Sprintf("%.1fM", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1fG", float64(n)/(1<<30))
}

// wrap breaks text at blanks into lines of at most width columns, 0: one line;
// each begins with indent. A word that is too long has a line of its own.
func wrap(text, indent string, width int) string {
	var b strings.Builder
	line := indent
	for _, word := range strings.Fields(text) {
		if line != indent && width > 0 && columns(line)+1+columns(word) > width {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
	return b.String()
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
