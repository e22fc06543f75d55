package json

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type inner struct {
	Addr netip.Addr   `json:"5"`
	Net  netip.Prefix `json:"6"`
}

type word uint8

func (w word) MarshalText() ([]byte, error) { return []byte{'w', '0' + byte(w)%10}, nil }
func (w *word) UnmarshalText(b []byte) error {
	*w = word(len(b))
	return nil
}

// all is every kind of type that is known. The names have no case, by which
// encoding/json would find them too.
type all struct {
	Int    int     `json:"1"`
	Small  int8    `json:"2,omitempty"`
	Uint   uint16  `json:"3,omitempty"`
	Text   string  `json:"4"`
	inner          // flattened
	Ptr    *inner  `json:"7,omitempty"`
	Yes    bool    `json:"8,omitempty"`
	Words  []word  `json:"9,omitempty"`
	List   []inner `json:"10"`
	Bytes  []byte  `json:"11,omitempty"`
	Not    int     `json:"-"`
	hidden int
	Many   [][]string `json:",omitempty"`
	None   struct{}   `json:"12"`
}

var samples = []all{
	{},
	{Int: math.MinInt64, Small: -1, Uint: 65535, Text: "a\"\\/\b\f\n\r\t\x00\x1f\x7f", Not: 7, hidden: 8},
	{Text: "ä€😀\xff\xc0\u2028\u2029�<>&", Words: []word{1, 2}, Bytes: []byte("\x00\xff?"), Yes: true},
	{inner: inner{netip.MustParseAddr("10.0.0.1"), netip.MustParsePrefix("10.0.0.0/8")}, Ptr: &inner{}, List: []inner{{}, {}}},
	{List: []inner{}, Bytes: []byte{}, Many: [][]string{{"x"}, nil, {}}},
}

// reference is what encoding/json writes, without the escapes for HTML.
func reference(t testing.TB, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

var equal = []cmp.Option{cmp.AllowUnexported(all{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}

func TestBothWays(t *testing.T) {
	for _, s := range samples {
		got, err := Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(reference(t, &s), string(got)); d != "" {
			t.Error(d)
		}
		var back, want all
		if err := Unmarshal(got, &back); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if err := json.Unmarshal(got, &want); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, back, equal...); d != "" {
			t.Error(d)
		}
	}
}

func TestNotKnown(t *testing.T) {
	for _, v := range []any{nil, 1.5, map[string]int{}, struct{ A any }{1}, make(chan int), [2]int{}} {
		if b, err := Marshal(v); err == nil {
			t.Errorf("%v: %s", v, b)
		}
	}
	var s string
	for _, to := range []any{nil, s, (*string)(nil)} {
		if err := Unmarshal([]byte(`""`), to); err == nil {
			t.Errorf("%v: no error", to)
		}
	}
}

// Fields are found by their exact name, unlike those of encoding/json.
func TestCase(t *testing.T) {
	var v struct{ Name string }
	if err := Unmarshal([]byte(`{"name":"x","NAME":"y"}`), &v); err != nil || v.Name != "" {
		t.Errorf("%q, %v", v.Name, err)
	}
}

func TestDepth(t *testing.T) {
	for n, ok := range map[int]bool{depthMost: true, depthMost + 1: false, 1 << 20: false} {
		doc := strings.Repeat("[", n) + strings.Repeat("]", n)
		if err := Unmarshal([]byte(`{"0":`+doc[1:len(doc)-1]+`}`), new(all)); (err == nil) != ok {
			t.Errorf("%d: %v", n, err)
		}
	}
}

var documents = []string{
	``, ` `, `null`, `{}`, ` { } `, `{"1":1}`, `{"1":-0}`, `{"1":01}`, `{"1":1.0}`, `{"1":1e2}`, `{"1":9223372036854775808}`,
	`{"1":"1"}`, `{"1":true}`, `{"1":null}`, `{"1":[]}`, `{"1":{}}`, `{"2":128}`, `{"2":-128}`, `{"3":-1}`, `{"3":65536}`,
	`{"4":"\u0041\ud83d\ude00\ud83d\u0041\ude00\ud83d"}`, `{"4":"\ud83d\ud83d\ude00"}`, `{"4":"\x"}`, `{"4":"\u12"}`, `{"4":"\`, `{"4":"a`,
	"{\"4\":\"\xff\xe2\x28\"}", "{\"4\":\"\n\"}", `{"4":4}`, `{"5":"10.0.0.1"}`, `{"5":"x"}`, `{"5":5}`, `{"5":{}}`, `{"5":null}`, `{"6":"1.2.3.4/5"}`,
	`{"7":null}`, `{"7":{"5":"::1"}}`, `{"8":true}`, `{"8":false}`, `{"8":"true"}`, `{"8":1}`, `{"8":tru}`, `{"9":["a","bb",null]}`, `{"9":[1]}`,
	`{"10":[{},{"5":"1.1.1.1"}]}`, `{"10":[{},]}`, `{"10":[,{}]}`, `{"10":[{} {}]}`, `{"10":{}}`, `{"10":[`, `{"11":"AAEC"}`, `{"11":""}`, `{"11":"AAE"}`, `{"11":[1]}`,
	`{"11":[]}`, `{"Many":[["a"],null,[]]}`, `{"0":[1.5e-3,{"x":[true,"\n"]},null]}`,
	`{"0":1.}`, `{"0":.5}`, `{"0":-}`, `{"0":1e}`, `{"0":1e+}`, `{"0":+1}`, `{"1":1,}`, `{,}`, `{"1" 1}`, `{"1":}`, `{1:1}`, `{"1":1}x`, `{"1":1} {}`,
	`[]`, `"x"`, `1`, `true`, `nul`, `nullnull`, "\ufeff{}", "{\"1\":1}\x00", `{"12":{"a":1}}`, `{"-":1,"hidden":2,"Not":3}`,
}

// FuzzUnmarshal holds what is taken, and as what, against encoding/json.
func FuzzUnmarshal(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if repeats(b) || bytes.Count(b, []byte("[")) > depthMost/2 || bytes.Count(b, []byte("{")) > depthMost/2 {
			return // encoding/json takes the last of them; and it has no bound
		}
		var got, want all
		err, wantErr := Unmarshal(b, &got), json.Unmarshal(b, &want)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, encoding/json: %v", b, err, wantErr)
		}
		if err != nil {
			return
		}
		if d := cmp.Diff(want, got, equal...); d != "" {
			t.Fatalf("%q: %s", b, d)
		}
		again, err := Marshal(&got)
		if err != nil || string(again) != reference(t, &got) {
			t.Fatalf("%q: %s, %v", b, again, err)
		}
	})
}

// repeats says whether a name may stand in b twice, or in another case: of the
// two values encoding/json makes a mixture.
func repeats(b []byte) bool {
	s := strings.ToLower(string(b))
	if strings.Contains(s, `\u00`) || strings.Contains(s, "many") != strings.Contains(string(b), `"Many"`) {
		return true
	}
	for _, name := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "many"} {
		if strings.Count(s, `"`+name+`"`) > 1 {
			return true
		}
	}
	return false
}

// FuzzMarshal holds what is written against encoding/json.
func FuzzMarshal(f *testing.F) {
	for _, s := range samples {
		f.Add(s.Int, s.Uint, s.Text, s.Bytes)
	}
	f.Fuzz(func(t *testing.T, i int, u uint16, s string, b []byte) {
		v := all{Int: i, Uint: u, Text: s, Bytes: b, Many: [][]string{{s, ""}}}
		if got, err := Marshal(v); err != nil || string(got) != reference(t, v) {
			t.Errorf("%s, %v, not %s", got, err, reference(t, v))
		}
	})
}
