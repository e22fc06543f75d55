package modindex

import "testing"

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"*", "", true},
		{"*", "a/b", true}, // filepath.Match stops here
		{"a*c", "abbc", true},
		{"a*c", "abbd", false},
		{"a*b*c", "a/b/b/c", true},
		{"?", "", false},
		{"a?c", "a/c", true},
		{"[abc]", "b", true},
		{"[!abc]", "b", false},
		{"[^abc]", "d", true},
		{"[a-c]x", "bx", true},
		{"[a-c]x", "dx", false},
		{"[]a]", "]", true},
		{"[a-]", "-", true},
		{"[", "[", true},
		{"[a", "[a", true},
		{`\*`, "*", true},
		{`\*`, "a", false},
		{`[\]]`, "]", true},
		{"usb:v0781p5567d0[0-2]*dc*", "usb:v0781p5567d0115dc00", true},
		{"usb:v0781p5567d0[0-2]*dc*", "usb:v0781p5567d0315dc00", false},
		{"dmi*:svnSAMSUNG*:pn300V3Z/300V4Z*", "dmi:bd10/22/2015:svnSAMSUNG:pn300V3Z/300V4Z/300V5Z:", true},
		{"*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	} {
		if got := Match(c.pattern, c.s); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		"":            "",
		"fs-ext4":     "fs_ext4",
		"d0[0-2]-x":   "d0[0-2]_x",
		"a[b-c]d[e-f": "a[b-c]d[e-f",
		"plain":       "plain",
	} {
		if got := Normalize(in); got != want {
			t.Errorf("Normalize(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestModuleName(t *testing.T) {
	for in, want := range map[string]string{
		"kernel/fs/ext4/ext4.ko":     "ext4",
		"kernel/crypto/aes-ti.ko.gz": "aes_ti",
		"snd-hda-intel":              "snd_hda_intel",
		"kernel/drivers/ko.ko.zst":   "ko",
		"":                           "",
	} {
		if got := ModuleName(in); got != want {
			t.Errorf("ModuleName(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a*[b-c]?", "axbz")
	f.Add("[!", "[!")
	f.Add(`[\`, `\`)
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern)+len(s) > 1000 {
			t.Skip()
		}
		if got := Match(pattern, s); got && !Match("*"+pattern+"*", "<"+s+">") {
			t.Errorf("%q matches %q alone but not within", pattern, s)
		}
	})
}
