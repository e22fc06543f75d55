package json

import (
	"encoding"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// Marshal is the JSON of v. Text that is no UTF-8 is mended with U+FFFD. Errors
// are those of a MarshalText, and a type that this package does not know.
func Marshal(v any) ([]byte, error) {
	e := encoder{shapes: shapes{}}
	if err := e.value(reflect.ValueOf(v)); err != nil {
		return nil, err
	}
	return e.b, nil
}

type encoder struct {
	b      []byte
	shapes shapes
}

func (e *encoder) value(v reflect.Value) error {
	if !v.IsValid() {
		return errors.New("json: nothing")
	}
	if k := v.Kind(); (k == reflect.Pointer || k == reflect.Slice) && v.IsNil() {
		e.b = append(e.b, "null"...)
		return nil
	}
	if s := e.shapes.of(v.Type()); s.text {
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return err
		}
		e.b = appendString(e.b, string(text))
		return nil
	} else if s.fields != nil {
		return e.object(v, s.fields)
	}
	switch v.Kind() {
	case reflect.Bool:
		e.b = strconv.AppendBool(e.b, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.b = strconv.AppendInt(e.b, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.b = strconv.AppendUint(e.b, v.Uint(), 10)
	case reflect.String:
		e.b = appendString(e.b, v.String())
	case reflect.Pointer:
		return e.value(v.Elem())
	case reflect.Slice:
		return e.list(v)
	case reflect.Struct: // without fields
		e.b = append(e.b, "{}"...)
	default:
		return fmt.Errorf("json: a %s", v.Type())
	}
	return nil
}

func (e *encoder) object(v reflect.Value, fields []field) error {
	start := len(e.b)
	for i := range fields {
		f := &fields[i]
		w := f.of(v)
		if f.omit && empty(w) {
			continue
		}
		e.b = append(e.b, ',', '"')
		e.b = append(e.b, f.name...)
		e.b = append(e.b, '"', ':')
		if err := e.value(w); err != nil {
			return err
		}
	}
	e.close(start, '{', '}')
	return nil
}

// close makes the first comma after start the opening, and ends with end.
func (e *encoder) close(start int, opening, end byte) {
	if len(e.b) == start {
		e.b = append(e.b, opening, end)
		return
	}
	e.b[start] = opening
	e.b = append(e.b, end)
}

// empty is what omitempty means: a struct never is.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func (e *encoder) list(v reflect.Value) error {
	if item := v.Type().Elem(); item.Kind() == reflect.Uint8 && !e.shapes.of(item).text {
		e.b = append(e.b, '"')
		e.b = base64.StdEncoding.AppendEncode(e.b, v.Bytes())
		e.b = append(e.b, '"')
		return nil
	}
	start := len(e.b)
	for i := range v.Len() {
		e.b = append(e.b, ',')
		if err := e.value(v.Index(i)); err != nil {
			return err
		}
	}
	e.close(start, '[', ']')
	return nil
}

const hexDigits = "0123456789abcdef"

// appendString writes s in quotes.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0 // what of s is not written yet
	for i := 0; i < len(s); {
		c := s[i]
		if ' ' <= c && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		size := 1
		var r rune = rune(c)
		if c >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
			// U+2028 and U+2029 end a line of JavaScript
			if (r != utf8.RuneError || size > 1) && r != '\u2028' && r != '\u2029' {
				i += size
				continue
			}
		}
		b = append(append(b, s[from:i]...), '\\')
		switch r {
		case '"', '\\':
			b = append(b, c)
		case '\b':
			b = append(b, 'b')
		case '\f':
			b = append(b, 'f')
		case '\n':
			b = append(b, 'n')
		case '\r':
			b = append(b, 'r')
		case '\t':
			b = append(b, 't')
		default:
			b = append(b, 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		}
		i += size
		from = i
	}
	return append(append(b, s[from:]...), '"')
}
