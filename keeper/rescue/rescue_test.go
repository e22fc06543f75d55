package rescue

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHasPassword(t *testing.T) {
	for _, c := range []struct {
		name, shadow string
		want         bool
	}{
		{"no file", "", false},
		{"alpine's empty one", "root:::0:::::\n", false},
		{"ours", "root:*::0:::::\n", false},
		{"locked without one", "root:!::0:::::\n", false},
		{"doubly locked", "root:!!::0:::::\n", false},
		{"sha512", "root:$6$salt$hash:19000:0:::::\n", true},
		{"locked hash", "root:!$6$salt$hash:19000:0:::::\n", true},
		{"old crypt", "root:ab1234567890z:1::::::\n", true},
		{"somebody else's", "user:$6$salt$hash:1::::::\nroot:*:1::::::\n", false},
		{"no newline", "bin:*:1\nroot:$6$s$h:1", true},
		{"one field", "root\n", false},
	} {
		if got := hasPassword(c.shadow); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestCandidates(t *testing.T) {
	for _, c := range []struct {
		active string
		want   []string
	}{
		{"", []string{"/dev/console"}},
		{"ttyS0\n", []string{"/dev/ttyS0", "/dev/console"}},
		{"tty0 ttyS0\n", []string{"/dev/ttyS0", "/dev/tty1", "/dev/console"}},
		{"../sda ttyS1", []string{"/dev/ttyS1", "/dev/console"}},
	} {
		if d := cmp.Diff(c.want, candidates(c.active)); d != "" {
			t.Errorf("%q: %s", c.active, d)
		}
	}
}
