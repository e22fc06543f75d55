package json

import (
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// The words of RFC 8259: blanks, names, numbers and texts, before anything is made
// of them.

var errEnd = errors.New("json: unexpected end")

func (d *decoder) fault(what string) error { return fmt.Errorf("json: byte %d: %s", d.i, what) }

func (d *decoder) space() {
	for d.i < len(d.b) {
		switch d.b[d.i] {
		case ' ', '\t', '\n', '\r':
			d.i++
		default:
			return
		}
	}
}

// peek is the next byte, 0 at the end.
func (d *decoder) peek() byte {
	if d.i < len(d.b) {
		return d.b[d.i]
	}
	return 0
}

// word passes over w, if it comes next.
func (d *decoder) word(w string) bool {
	if len(d.b)-d.i < len(w) || string(d.b[d.i:d.i+len(w)]) != w {
		return false
	}
	d.i += len(w)
	return true
}

// digits passes over digits and says whether there were any.
func (d *decoder) digits() bool {
	from := d.i
	for c := d.peek(); '0' <= c && c <= '9'; c = d.peek() {
		d.i++
	}
	return d.i > from
}

// number reads what RFC 8259 6 calls one.
func (d *decoder) number() (string, error) {
	from := d.i
	if d.peek() == '-' {
		d.i++
	}
	ok := true
	if d.peek() == '0' {
		d.i++
	} else {
		ok = d.digits()
	}
	if d.peek() == '.' {
		d.i++
		ok = d.digits() && ok
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		d.i++
		if c := d.peek(); c == '+' || c == '-' {
			d.i++
		}
		ok = d.digits() && ok
	}
	if !ok {
		return "", d.fault("no number")
	}
	return string(d.b[from:d.i]), nil
}

// text reads what stands in quotes. What is no UTF-8, and half a surrogate
// pair, is U+FFFD. The bytes may be those of the document.
func (d *decoder) text() ([]byte, error) {
	d.i++
	from := d.i
	for d.i < len(d.b) && d.b[d.i] >= ' ' && d.b[d.i] < utf8.RuneSelf && d.b[d.i] != '"' && d.b[d.i] != '\\' {
		d.i++
	}
	if d.peek() == '"' {
		d.i++
		return d.b[from : d.i-1 : d.i-1], nil
	}
	s := append([]byte(nil), d.b[from:d.i]...)
	for d.i < len(d.b) {
		switch c := d.b[d.i]; {
		case c == '"':
			d.i++
			return s, nil
		case c < ' ':
			return nil, d.fault("a control character in a text")
		case c == '\\':
			r, err := d.escape()
			if err != nil {
				return nil, err
			}
			s = utf8.AppendRune(s, r)
		default:
			r, size := utf8.DecodeRune(d.b[d.i:])
			s = utf8.AppendRune(s, r)
			d.i += size
		}
	}
	return nil, errEnd
}

// escape reads what a backslash begins.
func (d *decoder) escape() (rune, error) {
	if d.i+1 >= len(d.b) {
		return 0, errEnd
	}
	c := d.b[d.i+1]
	d.i += 2
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		r, ok := d.hex4(d.i)
		if !ok {
			return 0, d.fault("no four hexadecimal digits")
		}
		d.i += 4
		if utf16.IsSurrogate(r) {
			low, ok := d.hex4(d.i + 2)
			if ok && d.b[d.i] == '\\' && d.b[d.i+1] == 'u' {
				if whole := utf16.DecodeRune(r, low); whole != utf8.RuneError {
					d.i += 6
					return whole, nil
				}
			}
			return utf8.RuneError, nil
		}
		return r, nil
	}
	return 0, d.fault("unknown escape")
}

func (d *decoder) hex4(at int) (r rune, ok bool) {
	if at+4 > len(d.b) {
		return 0, false
	}
	for _, c := range d.b[at : at+4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
