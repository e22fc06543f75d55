package json

import (
	"encoding"
	"encoding/base64"
	"errors"
	"reflect"
	"strconv"
)

// depthMost bounds how deep a document nests: it may come from anybody.
const depthMost = 100

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
