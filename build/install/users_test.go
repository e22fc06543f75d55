package install

import (
	"io/fs"
	"strings"
	"testing"
)

func TestUsers(t *testing.T) {
	const root = "root:x:0:0:root:/root:/bin/sh\nftp:x:21:21::/:/sbin/nologin\n"
	for _, tc := range []struct {
		name, text            string
		ids                   IDs
		passwd, group, shadow string // what is added; the group file as a whole if it has "root"
	}{
		{
			name:   "as chrony does",
			text:   "addgroup -S chrony 2>/dev/null\nadduser -S -D -h /var/chrony -s /sbin/nologin -G chrony -g chrony chrony 2>/dev/null\nexit 0",
			passwd: "chrony:x:100:101:chrony:/var/chrony:/sbin/nologin\n", group: "chrony:x:101:chrony\n", shadow: "chrony:!::0:99999:7:::\n",
		},
		{
			name:   "pinned",
			text:   "addgroup -S b\nadduser -S -D -H -G b b\naddgroup -S c",
			ids:    IDs{Users: map[string]int{"b": 123, "x": 100}, Groups: map[string]int{"b": 456, "y": 101}},
			passwd: "b:x:123:456:Linux User,,,:/home/b:/bin/false\n", group: "b:x:456:b\nc:x:102:\n", shadow: "b:!::0:99999:7:::\n",
		},
		{
			name:   "numbers asked for",
			text:   "addgroup -g 500 g\nadduser -D -H -u 501 -G g -s /bin/ash u",
			passwd: "u:x:501:500:Linux User,,,:/home/u:/bin/ash\n", group: "g:x:500:u\n", shadow: "u:!::0:99999:7:::\n",
		},
		{
			name:   "a group of its own",
			text:   "adduser -D -H u",
			passwd: "u:x:1000:1000:Linux User,,,:/home/u:/bin/sh\n", group: "u:x:1000:\n", shadow: "u:!::0:99999:7:::\n",
		},
		{
			name:   "a system user without a group",
			text:   "adduser -S -D -H u",
			passwd: "u:x:100:65533:Linux User,,,:/home/u:/bin/false\n", shadow: "u:!::0:99999:7:::\n",
			group: "root:x:0:root\nusers:x:100:\nshadow:x:42:\nnogroup:x:65533:u\n",
		},
		{
			name:  "a member",
			text:  "addgroup ftp users; addgroup ftp users; addgroup root users; adduser root nogroup",
			group: "root:x:0:root\nusers:x:100:ftp,root\nshadow:x:42:\nnogroup:x:65533:root\n",
		},
		{name: "in use", text: "addgroup -S users && exit 1\nadduser -S -D ftp && exit 1\naddgroup ftp none && exit 1\nexit 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := mustLay(t, Options{IDs: tc.ids}, base(), with(pack("p"), "pre-install", tc.text+"\n"))
			if have := read(t, tr, "etc/passwd"); have != root+tc.passwd {
				t.Errorf("etc/passwd:\n%s", have)
			}
			group := tc.group
			if !strings.Contains(group, "root:x") {
				group = "root:x:0:root\nusers:x:100:\nshadow:x:42:\nnogroup:x:65533:\n" + group
			}
			if have := read(t, tr, "etc/group"); have != group {
				t.Errorf("etc/group:\n%s", have)
			}
			if have := read(t, tr, "etc/shadow"); have != "root:*::0:::::\n"+tc.shadow {
				t.Errorf("etc/shadow:\n%s", have)
			}
			if e, _ := tr.Get("etc/shadow"); e.Mode != 0o640 {
				t.Errorf("etc/shadow has become %v", e.Mode)
			}
		})
	}
}

func TestPinTaken(t *testing.T) {
	_, err := lay(t, Options{IDs: IDs{Users: map[string]int{"p": 21}}}, base(), with(pack("p"), "pre-install", "adduser -S -D -H p 2>/dev/null\nexit 0\n"))
	if err == nil || !strings.Contains(err.Error(), `number 21, pinned for it, is that of "ftp"`) {
		t.Errorf("%v", err)
	}
}

func TestHome(t *testing.T) {
	tr := mustLay(t, Options{}, base(), with(pack("p"), "pre-install", "adduser -D u\nadduser -S -D -h /no/where v\n"))
	e, err := tr.Lstat("home/u")
	if err != nil || e.UID != 1000 || e.GID != 1000 || e.Mode != fs.ModeDir|fs.ModeSetgid|0o755 {
		t.Errorf("%+v, %v", e, err)
	}
	if _, ok := tr.Get("no"); ok {
		t.Error("a home's parents were made, which adduser does not do")
	}
}

func TestParseMode(t *testing.T) {
	for _, tc := range []struct {
		mode     string
		was, now fs.FileMode
	}{
		{"640", 0o777, 0o640},
		{"4755", 0, 0o755 | fs.ModeSetuid},
		{"1777", fs.ModeDir, 0o777 | fs.ModeSticky},
		{"+x", 0o644, 0o755},
		{"u+x,g-r", 0o644, 0o704},
		{"a=r", 0o755, 0o444},
		{"o=", 0o755, 0o750},
		{"u+s", 0o755, 0o755 | fs.ModeSetuid},
		{"g+s", fs.ModeDir | 0o750, 0o750 | fs.ModeSetgid},
		{"+t", fs.ModeDir | 0o755, 0o755 | fs.ModeSticky},
		{"a+X", fs.ModeDir | 0o644, 0o755},
		{"a+X", 0o644, 0o644},
		{"go-rwx", 0o777, 0o700},
	} {
		change, err := parseMode(tc.mode)
		if err != nil {
			t.Errorf("%s: %v", tc.mode, err)
			continue
		}
		if have := change(tc.was); have != tc.now {
			t.Errorf("%s of %v: %v, want %v", tc.mode, tc.was, have, tc.now)
		}
	}
	for _, bad := range []string{"", "x", "u~r", "99", "77777"} {
		if _, err := parseMode(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestChown(t *testing.T) {
	tr := mustLay(t, Options{}, base(), with(pack("p", dir("d"), file("d/f", "x", 0o755|fs.ModeSetuid)), "post-install",
		"chown -R ftp:users /d\nchown root:shadow /etc/shadow\nchmod 640 /etc/shadow\nchown :42 /etc/group\nchown nobody-here /etc/group 2>/dev/null || exit 0\nexit 1\n"))
	for path, want := range map[string][2]int{"d": {21, 100}, "d/f": {21, 100}, "etc/shadow": {0, 42}, "etc/group": {0, 42}} {
		if e, err := tr.Lstat(path); err != nil || e.UID != want[0] || e.GID != want[1] {
			t.Errorf("%s: %+v, %v; want %v", path, e, err, want)
		}
	}
	if e, _ := tr.Get("d/f"); e.Mode != 0o755 {
		t.Errorf("chown leaves %v", e.Mode)
	}
}
