package control

import (
	"bytes"
	stdjson "encoding/json"
	"reflect"
	"testing"

	"hoopy/json"
)

// fill puts something into every field of v.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				fill(v.Field(i))
			}
		}
	case reflect.String:
		v.SetString("<ä\x00>")
	case reflect.Bool:
		v.SetBool(true)
	default:
		if v.CanInt() {
			v.SetInt(1)
		} else if v.CanUint() {
			v.SetUint(1)
		}
	}
}

// What goes over the socket is what encoding/json makes of it, for every field
// there is.
func TestJSON(t *testing.T) {
	for _, v := range []any{&Request{}, &Response{}} {
		for range 2 { // empty, then full
			var want bytes.Buffer
			e := stdjson.NewEncoder(&want)
			e.SetEscapeHTML(false)
			if err := e.Encode(v); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(v)
			if err != nil || string(got)+"\n" != want.String() {
				t.Errorf("%v\n%s\n%s", err, got, &want)
			}
			back := reflect.New(reflect.TypeOf(v).Elem())
			if err := json.Unmarshal(got, back.Interface()); err != nil || !reflect.DeepEqual(back.Interface(), v) {
				t.Errorf("%v\n%+v\n%+v", err, back, v)
			}
			fill(reflect.ValueOf(v).Elem())
		}
	}
}
