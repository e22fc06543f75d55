package json

import (
	"encoding"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// depthMost bounds how deep a document nests: it may come from anybody.
const depthMost = 100

var errEnd = errors.New("json: unexpected end")

// Unmarshal reads the one value in b into *v, a pointer. Fields that v has not
// are passed over, those that b has not stay as they are, and null changes
// nothing but pointers and slices. After an error v may hold a part.
func Unmarshal(b []byte, v any) error {
	to := reflect.ValueOf(v)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return errors.New("json: not a pointer")
	}
	d := decoder{b: b, shapes: shapes{}}
	d.space()
	if err := d.value(to.Elem()); err != nil {
		return err
	}
	if d.space(); d.i < len(d.b) {
		return d.fault("something after the end")
	}
	return nil
}

type decoder struct {
	b      []byte
	i      int // what is read next
	depth  int
	shapes shapes
}

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

// value reads the next value into v; the zero Value: into nothing.
func (d *decoder) value(v reflect.Value) error {
	if d.word("null") {
		if v.IsValid() && (v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice) {
			v.SetZero()
		}
		return nil
	}
	if v.IsValid() && v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return d.value(v.Elem())
	}
	switch c := d.peek(); {
	case c == '{':
		return d.object(v)
	case c == '[':
		return d.list(v)
	case c == '"':
		s, err := d.text()
		if err != nil || !v.IsValid() {
			return err
		}
		return d.setText(v, s)
	case c == '-' || '0' <= c && c <= '9':
		s, err := d.number()
		if err != nil || !v.IsValid() {
			return err
		}
		return d.setNumber(v, s)
	case d.word("true"):
		return d.setBool(v, true)
	case d.word("false"):
		return d.setBool(v, false)
	case d.i >= len(d.b):
		return errEnd
	}
	return d.fault("no value")
}

// unfit is the error for a value that v cannot hold.
func (d *decoder) unfit(v reflect.Value, what string) error {
	return d.fault(what + ", not " + v.Type().String())
}

func (d *decoder) setBool(v reflect.Value, to bool) error {
	if !v.IsValid() {
		return nil
	}
	if v.Kind() != reflect.Bool || d.shapes.of(v.Type()).text {
		return d.unfit(v, "a boolean")
	}
	v.SetBool(to)
	return nil
}

func (d *decoder) setNumber(v reflect.Value, s string) error {
	if d.shapes.of(v.Type()).text {
		return d.unfit(v, s)
	}
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(s, 10, v.Type().Bits())
		if err != nil {
			return d.unfit(v, s)
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(s, 10, v.Type().Bits())
		if err != nil {
			return d.unfit(v, s)
		}
		v.SetUint(n)
	default:
		return d.unfit(v, s)
	}
	return nil
}

func (d *decoder) setText(v reflect.Value, s []byte) error {
	if v.CanAddr() {
		if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			return u.UnmarshalText(s)
		}
	}
	switch {
	case v.Kind() == reflect.String:
		v.SetString(string(s))
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		b, err := base64.StdEncoding.AppendDecode([]byte{}, s) // not nil: it is there
		if err != nil {
			return d.unfit(v, "no base64")
		}
		v.SetBytes(b)
	default:
		return d.unfit(v, "a text")
	}
	return nil
}

// next goes to the next element of what ends with end; false: there is none.
func (d *decoder) next(first bool, end byte) (bool, error) {
	d.space()
	switch c := d.peek(); {
	case d.i >= len(d.b):
		return false, errEnd
	case c == end:
		d.i++
		return false, nil
	case first:
		return true, nil
	case c != ',':
		return false, d.fault("no comma")
	}
	d.i++
	if d.space(); d.peek() == end {
		return false, d.fault("nothing after the comma")
	}
	return true, nil
}

func (d *decoder) list(v reflect.Value) error {
	if v.IsValid() {
		if v.Kind() != reflect.Slice || d.shapes.of(v.Type()).text {
			return d.unfit(v, "a list")
		}
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	}
	if d.depth++; d.depth > depthMost {
		return d.fault("nested too deep")
	}
	d.i++
	for n := 0; ; n++ {
		if more, err := d.next(n == 0, ']'); !more {
			d.depth--
			return err
		}
		var to reflect.Value
		if v.IsValid() {
			v.Grow(1)
			v.SetLen(n + 1)
			to = v.Index(n)
		}
		if err := d.value(to); err != nil {
			return err
		}
	}
}

func (d *decoder) object(v reflect.Value) error {
	var fields []field
	if v.IsValid() {
		s := d.shapes.of(v.Type())
		if s.text || v.Kind() != reflect.Struct {
			return d.unfit(v, "an object")
		}
		fields = s.fields
	}
	if d.depth++; d.depth > depthMost {
		return d.fault("nested too deep")
	}
	d.i++
	for first := true; ; first = false {
		if more, err := d.next(first, '}'); !more {
			d.depth--
			return err
		}
		if d.peek() != '"' {
			return d.fault("no name")
		}
		key, err := d.text()
		if err != nil {
			return err
		}
		if d.space(); d.peek() != ':' {
			return d.fault("no colon")
		}
		d.i++
		d.space()
		if err := d.member(v, fields, key); err != nil {
			return err
		}
	}
}

// member reads the value of key, of an object that is v.
func (d *decoder) member(v reflect.Value, fields []field, key []byte) error {
	for i := range fields {
		if fields[i].name == string(key) {
			return d.value(fields[i].of(v))
		}
	}
	return d.value(reflect.Value{})
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
