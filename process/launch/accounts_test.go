package launch

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const passwd = `root:x:0:0:root:/root:/bin/ash
bin:x:1:1:bin:/bin:/sbin/nologin
# a comment
short:x:5
bad:x:ten:10::/:/bin/sh
app:x:1000:1000:App,,,:/home/app:/bin/bash
app2:x:1000:1001::/:
1001:x:7:7:a number for a name::
broken:x:4294967295:0::/:/bin/sh
`

const group = `root:x:0:root
disk:x:6:root,app
audio:x:18:app,app
app:x:1000:
wheel:x:10:root,apple
bad:x:y:app
many:x:20:a,b,app
`

func TestAccount(t *testing.T) {
	for _, c := range []struct {
		user, group string
		want        *Account
		err         string
	}{
		{"", "", &Account{"root", 0, 0, "/root", "/bin/ash", []uint32{6, 10}}, ""},
		{"app", "", &Account{"app", 1000, 1000, "/home/app", "/bin/bash", []uint32{6, 18, 20}}, ""},
		{"app", "disk", &Account{"app", 1000, 6, "/home/app", "/bin/bash", []uint32{18, 20, 1000}}, ""},
		{"app", "77", &Account{"app", 1000, 77, "/home/app", "/bin/bash", []uint32{6, 18, 20, 1000}}, ""},
		{"1000", "", &Account{"app", 1000, 1000, "/home/app", "/bin/bash", []uint32{6, 18, 20}}, ""},
		{"app2", "", &Account{"app2", 1000, 1001, "/", "/bin/sh", nil}, ""},
		{"1001", "", &Account{"1001", 7, 7, "/", "/bin/sh", nil}, ""},
		{"2000", "disk", &Account{"2000", 2000, 6, "/", "/bin/sh", nil}, ""},
		{"2000", "", nil, "not in /etc/passwd, so a group must be given"},
		{"nosuch", "", nil, "no such user in /etc/passwd"},
		{"broken", "", nil, "no such user in /etc/passwd"},
		{"bad", "", nil, "no such user in /etc/passwd"},
		{"short", "", nil, "no such user in /etc/passwd"},
		{"app", "nosuch", nil, `no group "nosuch" in /etc/group`},
		{"app+wheel+77+app+disk", "", &Account{"app", 1000, 1000, "/home/app", "/bin/bash", []uint32{6, 18, 20, 10, 77}}, ""},
		{"app+nosuch", "", nil, `no group "nosuch" in /etc/group`},
		{"4294967295", "disk", nil, "no such user in /etc/passwd"},
	} {
		user, extra, _ := strings.Cut(c.user, "+")
		got, err := account([]byte(passwd), []byte(group), user, c.group, strings.FieldsFunc(extra, func(r rune) bool { return r == '+' })...)
		if (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%q %q: %v, not %q", c.user, c.group, err, c.err)
			continue
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q %q: %s", c.user, c.group, d)
		}
	}
	if a, err := account(nil, nil, "", ""); err != nil || a.Home != "/root" {
		t.Errorf("no files: %v, %v", a, err)
	}
}

func FuzzAccount(f *testing.F) {
	f.Add([]byte(passwd), []byte(group), "app", "disk")
	f.Add([]byte(":::::::::\n\n::"), []byte(":"), "", "")
	f.Add([]byte("a:b:1:2:3:4:5"), []byte("a:b:1:a"), "a", "a")
	f.Fuzz(func(t *testing.T, p, g []byte, user, grp string) {
		a, err := account(p, g, user, grp, grp)
		if err == nil && (a.UID == 1<<32-1 || a.GID == 1<<32-1 || a.Home == "" || a.Shell == "") {
			t.Errorf("%+v", a)
		}
	})
}

// TestLookupReadsOnlyWhatItNeeds: no group(5) for root, none of the two where
// numbers say it all.
func TestLookupReadsOnlyWhatItNeeds(t *testing.T) {
	etc := t.TempDir()
	for _, c := range []struct {
		user, group, extra string
		ok                 bool
	}{
		{"", "", "", true}, {"5", "6", "", true}, {"5", "6", "7", true},
		{"app", "", "", false}, {"5", "disk", "", false}, {"5", "6", "disk", false},
	} {
		var extra []string
		if c.extra != "" {
			extra = []string{c.extra}
		}
		if _, err := LookupAccount(etc, c.user, c.group, extra...); (err == nil) != c.ok || err != nil && !os.IsNotExist(err) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
