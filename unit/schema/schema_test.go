package schema

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

var testKeys = []Key{
	{Name: "name", Type: String, Required: true, Example: `"tank"`, Doc: "Its name."},
	{Name: "every", Type: Duration, Default: "`\"1m\"`"},
	{Name: "size", Type: Size},
	{Name: "needs", Type: List, Check: func(v any) string {
		if v.(string) == "bad" {
			return "is bad"
		}
		return ""
	}},
	{Name: "on", Type: Bool},
	{Name: "count", Type: Int, Min: 1, Max: 9},
	{Name: "kind", Type: Enum, Words: []string{"service", "task"}},
	{Name: "env", Type: Map, Check: func(v any) string {
		if v.(string) == "A-B" {
			return "is no name"
		}
		return ""
	}},
	{Name: "ready", Type: Union, Any: []Key{
		{Type: Enum, Words: []string{"spawned", "notify"}},
		{Type: Table, Example: "{ tcp = 22 }", Keys: []Key{{Name: "tcp", Type: Int, Required: true, Min: 1, Max: 65535}}},
	}},
	{Name: "link", Type: Tables, Keys: []Key{
		{Name: "name", Type: String, Required: true, Doc: "Its name."},
		{Name: "match", Type: Table, Keys: []Key{{Name: "mac", Type: String}}},
	}},
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"good", "name = \"a\"", ""},
		{"missing", "on = true", `f.toml: key "name" is missing; write name = "tank"`},
		{"unknown", "name = \"a\"\nneed = [\"b\"]", `f.toml:2: unknown key "need"; did you mean "needs"?`},
		{"unknown far", "name = \"a\"\nzzz = 1", `f.toml:2: unknown key "zzz"`},
		{"duration", "name = \"a\"\nevery = \"15 min\"", `f.toml:2: every = "15 min" is no duration; write "15m"`},
		{"duration number", "name = \"a\"\nevery = 90", `f.toml:2: every = 90 is no duration; write "1m30s"`},
		{"duration nonsense", "name = \"a\"\nevery = \"often\"", `f.toml:2: every = "often" is no duration; write a duration such as "30s"`},
		{"duration zero", "name = \"a\"\nevery = \"0s\"", `f.toml:2: every = "0s" must be more than 0`},
		{"size", "name = \"a\"\nsize = \"256 MiB\"", `f.toml:2: size = "256 MiB" is no size; write "256M"`},
		{"size number", "name = \"a\"\nsize = 1048576", `f.toml:2: size = 1048576 is no size; write "1M"`},
		{"list", "name = \"a\"\nneeds = \"b\"", `f.toml:2: needs = "b" is no list; write ["b"]`},
		{"list element", "name = \"a\"\nneeds = [\n \"b\",\n 3,\n]", `f.toml:4: needs: 3 is no text; write "3"`},
		{"list check", "name = \"a\"\nneeds = [\n \"bad\"]", `f.toml:3: needs: "bad" is bad`},
		{"bool", "name = \"a\"\non = \"yes\"", `f.toml:2: on = "yes" is no truth value; write true or false`},
		{"int", "name = \"a\"\ncount = \"3\"", `f.toml:2: count = "3" is no whole number; write 3`},
		{"range", "name = \"a\"\ncount = 10", `f.toml:2: count = 10 is out of range; write a number from 1 to 9`},
		{"text", "name = 5", `f.toml:1: name = 5 is no text; write "5"`},
		{"enum", "name = \"a\"\nkind = \"servise\"", `f.toml:2: kind = "servise" is none of "service" or "task"; did you mean "service"?`},
		{"zero byte", `name = "a\u0000"`, `f.toml:1: name = "a\x00" has a zero byte`},
		{"map", "name = \"a\"\n[env]\nA-B = \"1\"\nC = 2", "f.toml:3: env.A-B is no name\nf.toml:4: env.C = 2 is no text; write \"2\""},
		{"union", "name = \"a\"\nready = 5", `f.toml:2: ready = 5 will not do; write "spawned" or "notify" or { tcp = 22 }`},
		{"union enum", "name = \"a\"\nready = \"notfy\"", `f.toml:2: ready = "notfy" is none of "spawned" or "notify"; did you mean "notify"?`},
		{"union table", "name = \"a\"\nready = { tpc = 22 }", "f.toml:2: key \"ready.tcp\" is missing; write tcp = a whole number\nf.toml:2: unknown key \"ready.tpc\"; did you mean \"tcp\"?"},
		{"tables", "name = \"a\"\n[[link]]\nname = \"x\"\n[[link]]\nname = 7\n[link.match]\nmac = 9\n",
			"f.toml:5: link.name = 7 is no text; write \"7\"\nf.toml:7: link.match.mac = 9 is no text; write \"9\""},
		{"inline tables", "name = \"a\"\nlink = [\n{ name = \"x\" },\n{ name = 7 },\n]", "f.toml:4: link.name = 7 is no text; write \"7\""},
		{"no tables", "name = \"a\"\nlink = 3", `f.toml:2: link = 3 is no list of tables; write [[link]]`},
		{"no table", "name = \"a\"\n[[link]]\nname = \"a\"\nmatch = 3", `f.toml:4: link.match = 3 is no table; write a table { … }`},
		{"a table that is not closed", "name = \"a\"\n[t\n", `f.toml:2: expected '.' or ']' to end table name, but got the end of the line instead`},
		{"the end", "name = \"a\"\n[t", `f.toml:2: expected '.' or ']' to end table name, but got the end of the file instead`},
		{"syntax", "name = \"a\"\non = yes\n", `f.toml:2: expected value but found "yes" instead`},
		{"twice", "name = \"a\"\nname = \"b\"\n", `f.toml:2: Key 'name' has already been defined.`},
		{"all at once", "x = 1\non = 1\nsize = \"q\"", "f.toml: key \"name\" is missing; write name = \"tank\"\nf.toml:1: unknown key \"x\"\n" +
			"f.toml:2: on = 1 is no truth value; write true or false\nf.toml:3: size = \"q\" is no size; write a size such as \"256M\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f.toml", tt.text, testKeys)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			if n := len(Mistakes(err)); n != len(strings.Split(tt.want, "\n")) && tt.want != "" {
				t.Errorf("%d mistakes", n)
			}
		})
	}
}

// Text made to break parsers ends as a mistake, soon and in little memory.
func TestDeep(t *testing.T) {
	const n = 1 << 20
	for name, text := range map[string]string{
		"lists":        "x = 1\na = " + strings.Repeat("[", n),
		"closed lists": "x = 1\na = " + strings.Repeat("[", n) + strings.Repeat("]", n),
		"tables":       "x = 1\na = " + strings.Repeat("{a=", n),
		"dotted key":   "x = 1\n" + strings.Repeat("a.", n) + "a = 1",
		"dotted table": "x = 1\n[" + strings.Repeat("a.", n) + "a]",
		"key in table": "x = 1\na = {b = [{" + strings.Repeat("a.", n) + "a = 1}]}",
	} {
		_, err := Parse("f.toml", text, testKeys)
		if err == nil || err.Error() != "f.toml:2: nested more than 32 deep" {
			t.Errorf("%s: %.100v", name, err)
		}
	}
	wide := "name = \"a\"\nneeds = [" + strings.Repeat("\"a.b.[{\", ", 1000) + "]\n" + strings.Repeat("[[link]]\nname = \"x\"\n", 1000)
	if _, err := Parse("f.toml", wide, testKeys); err != nil {
		t.Errorf("wide: %.100v", err)
	}
}

func TestValues(t *testing.T) {
	d, err := Parse("f.toml", `name = "a"
every = "1m30s"
size = "256M"
needs = ["x", "y"]
on = true
count = 3
kind = "task"
env = { A = "1" }
ready = { tcp = 22 }
[[link]]
name = "lan"
match = { mac = "m" }
[[link]]
name = "wan"
`, testKeys)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{d.String("name"), d.Duration("every"), d.Size("size"), d.List("needs"), d.Bool("on", false), d.Int("count"), d.String("kind"),
		d.Map("env"), d.Table("ready").Int("tcp"), len(d.Tables("link")), d.Tables("link")[0].Table("match").String("mac"),
		d.Tables("link")[1].Table("match").String("mac"), d.Tables("link")[1].Line("name"), d.Bool("nothing", true), d.Has("nothing"), d.ElemLine("needs", 1)}
	want := []any{"a", 90 * time.Second, int64(256 << 20), []string{"x", "y"}, true, int64(3), "task",
		map[string]string{"A": "1"}, int64(22), 2, "m", "", 14, true, false, 4}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A mistake in one key costs that key alone.
func TestGoodKeysSurvive(t *testing.T) {
	d, err := Parse("f.toml", "name = \"a\"\non = 3\ncount = 2\n", testKeys)
	if err == nil || d == nil || d.Has("on") || d.Int("count") != 2 || !d.Bad() {
		t.Errorf("%v %+v", err, d)
	}
}

func TestSizes(t *testing.T) {
	for in, want := range map[string]Bytes{"1": 1, "4K": 4096, "1M": 1 << 20, "2G": 2 << 30, "1T": 1 << 40} {
		b, ok := parseSize(in)
		if !ok || b != want || b.String() != in {
			t.Errorf("%q: %d %v %q", in, b, ok, b.String())
		}
	}
	for _, in := range []string{"", "K", "-1", "1.5G", "1 M", "99999999999999999999", "9999999999T", "1m"} {
		if b, ok := parseSize(in); ok {
			t.Errorf("%q: %d", in, b)
		}
	}
}

func TestNearest(t *testing.T) {
	for word, want := range map[string]string{"need": "needs", "wnats": "wants", "x": "", "afterwards": "", "WANTS": ""} {
		if got := Nearest(word, []string{"needs", "wants", "after"}); got != want {
			t.Errorf("%q: %q", word, got)
		}
	}
}

var placeSeeds = []string{
	"", "a = 1", "a.b.c = 1\n\"d e\".f = 2", "[a]\nb = 1\n[a.c]\nd = 2", "[[a]]\nb = 1\n[[a]]\n[a.c]\nd = [1, [2, {e = 3}]]",
	"a = \"\"\"x\n# no = comment\n\"\"\"\nb = '''\ny = 1'''\nc = \"\"\"\"q\"\"\"\"\"\nd = 1", "a = [ # c\n {x = 1, y = {z = 2}}, # ]\n]\nb = 2",
	"# only\r\na = 'x' # y\r\nb = 1979-05-27 07:32:00\r\n", "\ufeffa = 1", "[\"q.r\" . 's']\n\"\\u0061\" = 1", "a = {}\nb = []\n[c]", "[[a.b]]\nc = 1\n[[a.b]]\nc = 2\n[[a.b.d]]\ne = 3",
}

// The scanner reads keys in the very order that the parser does.
func FuzzPlaces(f *testing.F) {
	for _, s := range placeSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if tooDeep(text) > 0 {
			return
		}
		var tree map[string]any
		md, err := toml.Decode(text, &tree)
		s := newScanner(text)
		s.want = true
		s.file() // must end, whatever text is
		if err != nil || s.deep > 0 {
			return
		}
		var want []string
		for _, k := range md.Keys() {
			want = append(want, fmt.Sprintf("%q", []string(k)))
		}
		var got []string
		for _, k := range s.keys {
			got = append(got, fmt.Sprintf("%q", k))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: %s", text, d)
		}
		lines := strings.Count(text, "\n") + 1
		for path, line := range s.places {
			if line < 1 || line > lines {
				t.Errorf("%q is on line %d of %d", path, line, lines)
			}
		}
	})
}

// Whatever is in a file, Parse ends and every mistake has the file's name.
func FuzzParse(f *testing.F) {
	for _, s := range placeSeeds {
		f.Add(s)
	}
	f.Add("name = \"a\"\nready = {tcp=1}\nevery=\"1 d 2h\"\nsize=\"1 k\"")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := Parse("f.toml", text, testKeys)
		for _, m := range Mistakes(err) {
			if m.File != "f.toml" || m.Text == "" || strings.ContainsRune(m.Text, '\n') {
				t.Errorf("%q: %+v", text, m)
			}
		}
	})
}

func TestPage(t *testing.T) {
	page := Page(testKeys)
	for _, want := range []string{
		"- `name`: text, required.\n  Its name.\n  Example: `name = \"tank\"`.\n",
		"- `every`: duration, default `\"1m\"`.\n",
		"- `ready`: `\"spawned\"` or `\"notify\"` or `{ tcp = 22 }`.\n",
		"- `[[link]]`: tables, any number.\n- `link.name`: text, required.\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}

func TestJoinSorts(t *testing.T) {
	if !slices.IsSortedFunc(Mistakes(Join([]*Mistake{{File: "b"}, {File: "a", Line: 2}, {File: "a", Line: 1}})), func(a, b *Mistake) int {
		return strings.Compare(a.Error(), b.Error())
	}) {
		t.Error("not sorted by file and line")
	}
}
