package syslog

import (
	"bytes"
	"strconv"
)

// Message is what is kept of a datagram.
type Message struct {
	// Severity is that of syslog(3) plus one, as in ring.Line; Facility is that of
	// syslog(3).
	Severity, Facility int8
	// Text is "tag[pid]: message" in one line: a newline within is a space.
	Text []byte
}

// What RFC 3164, 4.3.3 gives a message that does not say: user.notice.
const (
	defaultFacility = 1
	defaultSeverity = 5 + 1
)

// Parse reads a datagram in the form of RFC 5424, of RFC 3164, or of any of the
// many between that and plain text: syslog(3) of musl and glibc sends
// "<PRI>Mmm dd hh:mm:ss tag[pid]: message", Python "<PRI>message\0". Whatever is
// not understood stays in the text; nothing is refused. A host name is taken out
// if it is host, as which this machine knows itself.
func Parse(b []byte, host string) (m Message) {
	m.Severity, m.Facility = defaultSeverity, defaultFacility
	b = bytes.TrimRight(b, "\x00\r\n ")
	if pri, rest, ok := priority(b); ok {
		m.Severity, m.Facility, b = int8(pri&7)+1, int8(pri>>3), rest
	}
	if text, ok := parse5424(b); ok {
		b = text
	} else {
		b = parse3164(b, host)
	}
	m.Text = make([]byte, len(b))
	for i, c := range b {
		if c == '\n' {
			c = ' '
		}
		m.Text[i] = c
	}
	return m
}

// priority reads "<0>" to "<191>".
func priority(b []byte) (pri int, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '<' {
		return 0, b, false
	}
	end := bytes.IndexByte(b[:min(len(b), 5)], '>')
	if end < 2 {
		return 0, b, false
	}
	n, err := strconv.ParseUint(string(b[1:end]), 10, 8)
	if err != nil || n > 191 {
		return 0, b, false
	}
	return int(n), b[end+1:], true
}

// parse3164 takes out the time and our own name. What stands there by the form
// of old is of the sender's clock, and the text has a stamp already.
func parse3164(b []byte, host string) []byte {
	if !stamped(b) {
		return b
	}
	b = b[stampSize:]
	name, rest, ok := bytes.Cut(b, []byte(" "))
	short, _, _ := bytes.Cut(name, []byte("."))
	if ok && host != "" && (string(name) == host || string(short) == host) {
		b = rest
	}
	return bytes.TrimPrefix(b, []byte(": ")) // musl without openlog(3)
}

const stampSize = len("Jan  2 15:04:05 ")

// stamped says whether b begins with a time of RFC 3164. A digit of the sample
// stands for any, a blank before the day too.
func stamped(b []byte) bool {
	const sample = "Jan 02 15:04:05 "
	if len(b) < stampSize || !bytes.Contains([]byte("JanFebMarAprMayJunJulAugSepOctNovDec"), b[:3]) {
		return false
	}
	for i := 3; i < stampSize; i++ {
		digit := b[i] >= '0' && b[i] <= '9'
		switch want := sample[i]; {
		case want >= '0' && want <= '9':
			if !digit && (i != 4 || b[i] != ' ') {
				return false
			}
		case b[i] != want:
			return false
		}
	}
	return true
}

// parse5424 reads "1 TIME HOST APP PROCID MSGID [DATA] TEXT". The structured data
// is left out, unless there is no text.
func parse5424(b []byte) (text []byte, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte("1 "))
	if !ok {
		return nil, false
	}
	var field [5][]byte
	for i := range field {
		if field[i], b, ok = bytes.Cut(b, []byte(" ")); (!ok && i < 4) || len(field[i]) == 0 {
			return nil, false
		}
	}
	if when := field[0]; string(when) != "-" && (len(when) < 11 || when[4] != '-' || when[7] != '-' || when[10] != 'T') {
		return nil, false
	}
	data, rest, ok := structured(b)
	if !ok {
		return nil, false
	}
	rest = bytes.TrimPrefix(rest, []byte("\ufeff"))
	if len(rest) == 0 {
		rest = data
	}
	app, pid := field[2], field[3]
	if string(app) != "-" {
		text = append(text, app...)
	}
	if string(pid) != "-" {
		text = append(append(append(text, '['), pid...), ']')
	}
	if len(text) > 0 {
		text = append(text, ": "...)
	}
	return append(text, rest...), true
}

// structured cuts the data in brackets, or its NILVALUE, off the text. A bracket
// in a quoted value is none.
func structured(b []byte) (data, rest []byte, ok bool) {
	if nil5424 := bytes.TrimPrefix(b, []byte("-")); len(b) == 0 || len(nil5424) < len(b) && (len(nil5424) == 0 || nil5424[0] == ' ') {
		return nil, bytes.TrimPrefix(nil5424, []byte(" ")), true
	}
	i, quoted := 0, false
	for i < len(b) && b[i] == '[' {
		for i++; ; i++ {
			if i >= len(b) {
				return nil, nil, false
			}
			if b[i] == '\\' && quoted {
				i++
				continue
			}
			if b[i] == '"' {
				quoted = !quoted
			}
			if b[i] == ']' && !quoted {
				break
			}
		}
		i++
	}
	if i == 0 || i < len(b) && b[i] != ' ' {
		return nil, nil, false
	}
	return b[:i], bytes.TrimPrefix(b[i:], []byte(" ")), true
}
