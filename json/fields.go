// Package json writes and reads RFC 8259 for this program's own types: what svc
// is told and the files of leases. It does what encoding/json does with them, to
// the byte (the tests hold it against that), in a tenth of the room: 240 kB less
// of /init.
//
// It knows structs with their json tags (a name, "-", omitempty; embedded structs
// are flattened), pointers, slices, maps with string keys, text, whole numbers,
// booleans, bytes as base64, and types that are text by themselves
// (encoding.TextMarshaler). It does not know: floats, any, arrays, types with a
// JSON of their own, two fields of one name, names in another case, and the
// escapes that only HTML needs.
package json

import (
	"encoding"
	"reflect"
	"strings"
)

// field is a field of a struct as it stands in JSON.
type field struct {
	index []int  // through embedded structs
	name  string // without quotes: those of our types need no escapes
	omit  bool   // if it is empty
}

// of is the field of v.
func (f *field) of(v reflect.Value) reflect.Value {
	for _, n := range f.index {
		v = v.Field(n)
	}
	return v
}

// shape is what is asked of a type but once in a document.
type shape struct {
	text   bool    // it writes itself as text
	fields []field // of a struct
}

// shapes of the types in one document.
type shapes map[reflect.Type]*shape

var textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()

func (s shapes) of(t reflect.Type) *shape {
	known := s[t]
	if known == nil {
		known = &shape{text: t.Implements(textMarshaler)}
		if t.Kind() == reflect.Struct {
			known.fields = appendFields(nil, t, nil)
		}
		s[t] = known
	}
	return known
}

// appendFields adds the fields of t, which lies at path, after fs.
func appendFields(fs []field, t reflect.Type, path []int) []field {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(path[:len(path):len(path)], i)
		tag := f.Tag.Get("json")
		if f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct {
			fs = appendFields(fs, f.Type, index)
			continue
		}
		if !f.IsExported() || tag == "-" {
			continue
		}
		name, rest, _ := strings.Cut(tag, ",")
		if name == "" {
			name = f.Name
		}
		fs = append(fs, field{index, name, rest == "omitempty"})
	}
	return fs
}
