package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hoopy/control"
	"hoopy/unit"
)

func TestWords(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{span(0), "0 s"}, {span(59 * time.Second), "59 s"}, {span(61 * time.Second), "1 min"}, {span(65 * time.Minute), "1 h 05 min"},
		{span(76 * time.Hour), "3 d 04 h"}, {span(-time.Second), "0 s"},
		{uptime(5 * time.Second), "5 s"}, {uptime(5 * time.Minute), "00:05"}, {uptime(76*time.Hour + 12*time.Minute), "3 d 04:12"},
		{size(0), ""}, {size(1), "1K"}, {size(820 << 10), "820K"}, {size(31 << 20), "31.0M"}, {size(5 << 29), "2.5G"},
		{count(1, "mistake"), "1 mistake"}, {count(3, "mistake"), "3 mistakes"},
		{cut("hello", 5), "hello"}, {cut("hello", 4), "hel…"}, {cut("hällo", 4), "häl…"}, {cut("hello", 0), "hello"},
		{waits([]unit.Wait{{Name: "a"}, {Name: "b", Text: "5 s"}}), "a, b (5 s)"}, {waits(make([]unit.Wait, 5)), ", ,  and 2 more"},
		{escape("plain ü 語"), "plain ü 語"}, {escape("a\tb"), "a    b"}, {escape("\x1b[2Jx\r\n\x07"), `\x1b[2Jx\x0d\x0a\x07`},
		{escape("\xff"), `\xff`}, {escape("\u009b\u202e"), `\u009b\u202e`}, {escape("\ufffd"), "\ufffd"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a\x1b[31m\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := escape(s)
		if !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == 0x2028 {
				t.Errorf("%q shows %q", s, got)
			}
		}
	})
}

// On a terminal no line is wider than it, and colour does not move columns.
func TestScreenWidth(t *testing.T) {
	s := screen{look: look{width: 80}, machine: &control.Machine{Hostname: "frood", Boot: 1, Uptime: 1e12}, units: []unit.Report{
		{Name: "link:lan", Kind: unit.Link, State: unit.Ready, Since: 1, Note: strings.Repeat("long ", 40)},
		{Name: "smartd", State: unit.Failed, Why: strings.Repeat("why\x1b", 40), LastLines: []string{strings.Repeat("\x07line", 50)}},
	}}
	text := s.String()
	for l := range strings.Lines(text) {
		if columns(strings.TrimSuffix(l, "\n")) > 80 {
			t.Errorf("%d columns: %q", columns(l), l)
		}
	}
	s.look.colour = true
	coloured := s.String()
	if coloured == text {
		t.Error("no colour")
	}
	for _, c := range []colour{bold, red, green, yellow, dim} {
		coloured = strings.ReplaceAll(coloured, "\x1b["+string(c)+"m", "")
	}
	if got := strings.ReplaceAll(coloured, "\x1b[0m", ""); got != text {
		t.Errorf("colour moves things:\n%s\n%s", got, text)
	}
}

func TestFold(t *testing.T) {
	s := screen{machine: &control.Machine{Hostname: "frood", Boot: 1}}
	for i := range 30 {
		s.units = append(s.units, unit.Report{Name: string(rune('a' + i)), State: unit.Ready})
	}
	s.units[3].State, s.units[4].State, s.units[5].Note, s.units[6].Essential = unit.Inactive, unit.Waiting, "hello", true
	text := s.String()
	for _, want := range []string{"\n  26 more ready, 1 more inactive (svc status -a)\n", "hello"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\n"); n != 1+1+1+3+1+2 {
		t.Errorf("%d lines:\n%s", n, text)
	}
	s.all = true
	if n := strings.Count(s.String(), "\n"); n != 1+1+1+30+2 {
		t.Errorf("%d lines:\n%s", n, s.String())
	}
}

func TestParse(t *testing.T) {
	c := &command{least: 1, most: 2, wants: "a unit", flags: []option{{"all", "a", "", ""}, {"lines", "n", "N", ""}, {"timeout", "", "TIME", ""}}}
	rest := &command{most: -1, verbatim: 1, flags: c.flags}
	second := &command{most: -1, verbatim: 2, flags: c.flags}
	for _, tt := range []struct {
		c     *command
		args  string
		names string
		flags map[string]string
		err   string
	}{
		{c, "x -a y", "x y", map[string]string{"all": ""}, ""},
		{c, "-n 5 x", "x", map[string]string{"lines": "5"}, ""},
		{c, "-n5 x", "x", map[string]string{"lines": "5"}, ""},
		{c, "-n=5 --timeout=3s x", "x", map[string]string{"lines": "5", "timeout": "3s"}, ""},
		{c, "x --lines 5 -n 6", "x", map[string]string{"lines": "6"}, ""},
		{c, "x -- -a", "x -a", nil, ""},
		{rest, "-a ls -n -x", "ls -n -x", map[string]string{"all": ""}, ""},
		{rest, "-a -- ls -- -x", "ls -- -x", map[string]string{"all": ""}, ""},
		{second, "x -a ls -n", "x ls -n", map[string]string{"all": ""}, ""},
		{second, "x -- ls -- -n", "x ls -- -n", nil, ""},
		{second, "x ls -- -n", "x ls -- -n", nil, ""},
		{c, "-a=1", "", nil, "option -a=1 takes no value"},
		{c, "x -n", "", nil, "option -n wants a value"},
		{c, "x --timeuot 3s", "", nil, `unknown option "--timeuot"; did you mean "--timeout"?`},
		{c, "", "", nil, "name a unit"},
		{c, "a b c", "", nil, `too many arguments: "c"`},
		{c, "a --help", "", nil, "help is wanted"},
	} {
		o, err := parse(strings.Fields(tt.args), tt.c)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%q: %v", tt.args, err)
			}
			continue
		}
		if err != nil || strings.Join(o.names, " ") != tt.names || len(o.flags) != len(tt.flags) {
			t.Errorf("%q: %v %+v", tt.args, err, o)
		}
		for k, v := range tt.flags {
			if o.value(k) != v {
				t.Errorf("%q: %s = %q", tt.args, k, o.value(k))
			}
		}
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 11, 21, 13, 5, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"10m": "2026-11-21 12:55:00", "1h30m ago": "2026-11-21 11:35:00", "13:05": "2026-11-21 13:05:00", "13:06": "2026-11-20 13:06:00",
		"00:00:01": "2026-11-21 00:00:01", "2026-11-20": "2026-11-20 00:00:00", "2026-11-20 10:00": "2026-11-20 10:00:00",
		"2026-11-20 10:00:05.250": "2026-11-20 10:00:05", "2026-11-20T10:00:00+02:00": "2026-11-20 08:00:00",
		"": "", "-5m": "", "0s": "", "25:00": "", "tomorrow": "", "10": "",
	} {
		at, ok := moment(text, now)
		got := ""
		if ok {
			got = at.UTC().Format(time.DateTime)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		text  string
		width int
		want  string
	}{
		{"a bb ccc", 0, "  a bb ccc\n"}, {"a bb ccc", 6, "  a bb\n  ccc\n"}, {"", 6, "  \n"}, {"aaaaaaaaa b", 5, "  aaaaaaaaa\n  b\n"},
	} {
		if got := wrap(tt.text, "  ", tt.width); got != tt.want {
			t.Errorf("%q in %d: %q", tt.text, tt.width, got)
		}
	}
}
