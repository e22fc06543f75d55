package image

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hoopy/build/config"
	"hoopy/build/install"
	"hoopy/build/tree"
)

func databases(t *testing.T) *tree.Tree {
	t.Helper()
	tr := tree.New()
	lay(t, tr, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nsshd:x:22:22:sshd:/dev/null:/sbin/nologin\n")
	lay(t, tr, "etc/group", "root:x:0:root\nsshd:x:22:\nwheel:x:10:root\n")
	lay(t, tr, "etc/shadow", "root:*::0:::::\nsshd:!::0:::::\n")
	return tr
}

func TestAccounts(t *testing.T) {
	tr := databases(t)
	c := &config.Config{
		Users: []config.User{
			{Name: "ann", UID: -1, Groups: []string{"wheel", "ops"}, Hash: "$6$a$b"},
			{Name: "old", UID: -1, Group: "ops", Home: "/persist/old", Shell: "/bin/ash"},
			{Name: "sshd", UID: -1, Home: "/var/empty"},
			{Name: "void", UID: 7, Locked: true},
		},
		Groups: []config.Group{{Name: "ops", GID: -1, Members: []string{"sshd"}}, {Name: "wheel", GID: 10}},
	}
	given, err := layAccounts(tr, c, install.IDs{Users: map[string]int{"old": 1007, "gone": 1001}, Groups: map[string]int{"void": 8}})
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nsshd:x:22:22:sshd:/var/empty:/sbin/nologin\n" +
			"ann:x:1002:1002::/home/ann:/bin/sh\nold:x:1007:1000::/persist/old:/bin/ash\nvoid:x:7:8::/home/void:/bin/sh\n",
		"etc/group":  "root:x:0:root\nsshd:x:22:\nwheel:x:10:root,ann\nops:x:1000:ann,sshd\nann:x:1002:\nvoid:x:8:\n",
		"etc/shadow": "root:*::0:::::\nsshd:!::0:::::\nann:$6$a$b::0:99999:7:::\nold:*::0:99999:7:::\nvoid:!::0:99999:7:::\n",
	} {
		text, err := tr.ReadFile(file)
		if d := cmp.Diff(want, string(text)); d != "" || err != nil {
			t.Errorf("%s: %s%v", file, d, err)
		}
	}
	want := install.IDs{Users: map[string]int{"ann": 1002, "old": 1007, "void": 7}, Groups: map[string]int{"ops": 1000, "ann": 1002, "void": 8}}
	if d := cmp.Diff(want, given); d != "" {
		t.Error(d)
	}
	if e, ok := tr.Get("persist/old"); !ok || e.UID != 1007 || e.GID != 1000 {
		t.Errorf("home %+v", e)
	}
}

func TestAccountsRefused(t *testing.T) {
	for want, c := range map[string]config.Config{
		"groups.wheel: number 11, but a package":    {Groups: []config.Group{{Name: "wheel", GID: 11}}},
		"users.sshd: number 5, but a package":       {Users: []config.User{{Name: "sshd", UID: 5}}},
		"users.ann: number 22 is that of sshd":      {Users: []config.User{{Name: "ann", UID: 22}}},
		`users.ann: group "none" is in no package`:  {Users: []config.User{{Name: "ann", UID: -1, Group: "none"}}},
		`users.ann: group "nope" is in no package`:  {Users: []config.User{{Name: "ann", UID: -1, Groups: []string{"nope"}}}},
		`groups.wheel: user "ann" is in no package`: {Groups: []config.Group{{Name: "wheel", GID: -1, Members: []string{"ann"}}}},
		"users.ann: its own group: number 10 is":    {Users: []config.User{{Name: "ann", UID: 10}}},
	} {
		if _, err := layAccounts(databases(t), &c, install.IDs{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestSetupMayNotOpenFiles(t *testing.T) {
	o, _ := smallest(t)
	alpine(t, o)
	write(t, o.Dir+"/src/base-1-r0/bin/chmod", "x")
	repository(t, o)
	trust(t, o, o.Dir+"/alpine/edge/main")
	for script, want := range map[string]string{
		"chmod 666 /etc/motd\n":  "setup.sh: leaves etc/motd with mode 0666",
		"chmod 777 /etc\n":       "setup.sh: leaves etc with mode 0777",
		"nosuch\n":               "setup.sh: exit status 127 (it said",
		"if\n":                   "setup.sh: ",
		"busybox frobnicate x\n": "setup.sh: command \"busybox frobnicate x\":",
	} {
		write(t, o.Dir+"/setup.sh", script)
		if _, err := Build(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", script, err, want)
		}
	}
	write(t, o.Dir+"/setup.sh", "chmod 600 /etc/motd\n")
	if _, err := Build(t.Context(), o); err != nil {
		t.Error(err)
	}
}
