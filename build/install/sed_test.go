package install

import (
	"bytes"
	"testing"
)

func TestSed(t *testing.T) {
	for _, tc := range []struct {
		script   string
		extended bool
		in, want string
	}{
		{"s/a/b/", false, "aa\nca\n", "ba\ncb\n"},
		{"s/a/b/g", false, "aa", "bb"},
		{"s|/usr|/opt|", false, "/usr/bin", "/opt/bin"},
		{`s/\/usr/\/opt/`, false, "/usr/bin", "/opt/bin"},
		{`s/\(a*\)b/<\1>/`, false, "aab", "<aa>"},
		{`s/(a*)b/<\1>/`, true, "aab", "<aa>"},
		{`s/(a*)b/<&>/`, false, "(a)b", "<(a)b>"},
		{"s/a+/&&/", true, "xaay", "xaaaay"},
		{"s/a+/x/", false, "a+", "x"},
		{`s/a\+/x/`, false, "aaa", "x"},
		{"s/^#?CLOUD=.*/CLOUD=nocloud/", true, "#CLOUD=auto\n", "CLOUD=nocloud\n"},
		{`s/\.conf$/\&/`, false, "a.conf", "a&"},
		{"s/[[:space:]]*$//", false, "x  \n", "x\n"},
		{`s/[\/]/-/g`, false, `a/b`, "a-b"},
		{"/^#/d", false, "#a\nb\n", "b\n"},
		{"/^#/!d", false, "#a\nb\n", "#a\n"},
		{"2d", false, "a\nb\nc\n", "a\nc\n"},
		{"s/a/1/;s/b/2/", false, "ab", "12"},
		{"s/a/1/\ns/b/2/\n# c", false, "ab", "12"},
		{"/x/s/a/b/", false, "a\nxa\n", "a\nxb\n"},
		{"s/A/b/i", false, "a", "b"},
		{`s/\<if\>/x/`, false, "iffy if", "iffy x"},
		{"s/a|ab/x/", true, "ab", "x"}, // the longest, as POSIX has it
	} {
		steps, err := parseSed(tc.script, tc.extended)
		if err != nil {
			t.Errorf("%s: %v", tc.script, err)
			continue
		}
		var out bytes.Buffer
		runSed(&out, []byte(tc.in), steps, false)
		if out.String() != tc.want {
			t.Errorf("%s of %q: %q, want %q", tc.script, tc.in, out.String(), tc.want)
		}
	}
	for _, bad := range []string{"s/a/b", "s", "y/a/b/", "/a", "s/a/b/e", "s/[a/b/", "0d", `s/\(a\)\1/x/`, "a text", "p;x", `s/(a)/\1/`} {
		if _, err := parseSed(bad, false); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func FuzzSed(f *testing.F) {
	for _, s := range []string{"s/a/b/", "/^#/!d", "2d;p", `s/\(a*\)b/<\1>/g`, "s|x|y|;#c\n/z/p"} {
		f.Add(s, "some text\n#x\n", true)
	}
	f.Fuzz(func(t *testing.T, script, text string, extended bool) {
		steps, err := parseSed(script, extended)
		if err != nil {
			return
		}
		var out bytes.Buffer
		runSed(&out, []byte(text), steps, false)
	})
}
