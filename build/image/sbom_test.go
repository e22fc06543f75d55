package image

import "testing"

func TestLicense(t *testing.T) {
	for text, want := range map[string]string{
		"MIT":                                  "MIT",
		"GPL-2.0-only WITH Linux-syscall-note": "GPL-2.0-only WITH Linux-syscall-note",
		"(GPL-2.0-or-later OR LGPL-2.1+) AND BSD": "(GPL-2.0-or-later OR LGPL-2.1+) AND BSD",
		"":                      unsaid,
		"custom":                unsaid,
		"MIT AND Public-Domain": unsaid,
		"GPL-2.0 or Artistic":   unsaid,
		"MIT BSD":               unsaid,
	} {
		if got, comment := license(text); got != want || (got == unsaid) != (comment != "") {
			t.Errorf("%q: %q, %q", text, got, comment)
		}
	}
}

func TestIDsDoNotCollide(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"libstdc++", "libstdc--", "libstdc", "a_b", "a-b", "a/b v1", "a-b-v1", "py3.12"} {
		id := idOf(name)
		if seen[id] != "" || notID.MatchString(id) {
			t.Errorf("%q: %q, as %q", name, id, seen[id])
		}
		seen[id] = name
	}
}
