package launch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestEnvironment(t *testing.T) {
	a := &Account{Name: "app", Home: "/home/app", Shell: "/bin/bash"}
	standard := []string{path, "HOME=/home/app", "USER=app", "LOGNAME=app", "SHELL=/bin/bash"}
	for _, c := range []struct {
		name  string
		spec  Spec
		files []string
		want  []string
	}{
		{"plain", Spec{}, nil, standard},
		{"own", Spec{Env: []string{"HOME=/x", "A=1", "A=2"}, Notify: "/n"}, nil,
			[]string{path, "HOME=/x", "USER=app", "LOGNAME=app", "SHELL=/bin/bash", "NOTIFY_SOCKET=/n", "A=2"}},
		{"files", Spec{Env: []string{"B=own"}}, []string{"USER=file", "A=file", "B=file"},
			[]string{path, "HOME=/home/app", "USER=file", "LOGNAME=app", "SHELL=/bin/bash", "A=file", "B=own"}},
		{"serial", Spec{TTY: "ttyS0"}, nil, append(standard[:5:5], "TERM=vt220")},
		{"screen", Spec{TTY: "tty1", Env: []string{"PATH=/bin"}}, nil, append([]string{"PATH=/bin"}, append(standard[1:5:5], "TERM=linux")...)},
		{"watchdog", Spec{Watchdog: 1500 * time.Millisecond}, nil, append(standard[:5:5], "WATCHDOG_USEC=1500000", "WATCHDOG_PID=42")},
		{"listen", Spec{Listen: []string{"http", "", "x y"}}, nil, append(standard[:5:5], "LISTEN_FDS=3", "LISTEN_PID=42", "LISTEN_FDNAMES=http::x y")},
	} {
		if d := cmp.Diff(c.want, environment(&c.spec, a, c.files, "42")); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

const envText = `# a comment
A=b
  export	B = x
`

func TestParseEnv(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
		err  string
	}{
		{"", nil, ""},
		{"\n\n# x\n  # y\n\t\n", nil, ""},
		{"A=b", []string{"A=b"}, ""},
		{"A=b\r\nC=d \t\n", []string{"A=b", "C=d"}, ""},
		{"A=", []string{"A="}, ""},
		{"A= b", []string{"A= b"}, ""},
		{"A=b=c#d # e", []string{"A=b=c#d # e"}, ""},
		{"export A=b\nexport\tB=c\nexport=d\nexported=e", []string{"A=b", "B=c", "export=d", "exported=e"}, ""},
		{`A='b "c" \$d ' # note`, []string{`A=b "c" \$d `}, ""},
		{`A="b 'c' \"d\" \\ \$e \n \` + "`f\\`" + `"`, []string{"A=b 'c' \"d\" \\ $e \\n `f`"}, ""},
		{`A=""` + "\n" + `B=''`, []string{"A=", "B="}, ""},
		{`A=x"y"`, []string{`A=x"y"`}, ""},
		{"spring.datasource-url=1", []string{"spring.datasource-url=1"}, ""},
		{"A=b\n\nno", nil, "line 3: no NAME=value"},
		{"=b", nil, "line 1: no NAME=value"},
		{"1A=b", nil, "line 1: no NAME=value"},
		{"A =b", nil, "line 1: no NAME=value"},
		{"Ä=b", nil, "line 1: no NAME=value"},
		{"A=b\x00c", nil, "line 1: no NAME=value"},
		{"export A", nil, "line 1: no NAME=value"},
		{`A="b`, nil, "line 1: no closing quote"},
		{`A="b\"`, nil, "line 1: no closing quote"},
		{"A='b\nc'", nil, "line 1: no closing quote"},
		{`A="b"c`, nil, "line 1: text after the closing quote"},
		{envText, nil, "line 3: no NAME=value"},
	} {
		got, err := parseEnv(nil, c.text)
		if (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%q: %v, not %q", c.text, err, c.err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q: %s", c.text, d)
		}
	}
}

func FuzzParseEnv(f *testing.F) {
	f.Add(envText)
	f.Add("A=\"b\\\"c\" # d\nexport B='x'\n")
	f.Fuzz(func(t *testing.T, text string) {
		vars, err := parseEnv(nil, text)
		if err != nil && (vars != nil || !strings.HasPrefix(err.Error(), "line ")) {
			t.Errorf("%q, %v", vars, err)
		}
		for _, v := range vars {
			name, value, ok := strings.Cut(v, "=")
			if !ok || !isName(name) || strings.ContainsAny(value, "\x00\n") {
				t.Errorf("%q", v)
			}
			// What was read is read again from its plainest quoted form.
			if strings.Contains(value, "'") {
				continue
			}
			again, err := parseEnv(nil, name+"='"+value+"'")
			if err != nil || len(again) != 1 || again[0] != v {
				t.Errorf("%q became %q, %v", v, again, err)
			}
		}
	})
}

func TestEnvFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	one, two, bad := write("one", "A=1\nB=1\n"), write("two", "B=2\n"), write("bad", "A=1\n\nsecret\n")
	big := write("big", strings.Repeat("#", envFileMax+1))
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		names []string
		want  []string
		err   string
	}{
		{nil, nil, ""},
		{[]string{one, two}, []string{"A=1", "B=1", "B=2"}, ""},
		{[]string{"-" + dir + "/missing", "-" + one + "/below", "-" + two}, []string{"B=2"}, ""},
		{[]string{dir + "/missing"}, nil, `env_file "` + dir + `/missing": no such file or directory`},
		{[]string{one, "-" + bad}, nil, `env_file "` + bad + `": line 3: no NAME=value`},
		{[]string{"one"}, nil, `env_file "one": no absolute path`},
		{[]string{dir}, nil, `env_file "` + dir + `": no regular file`},
		{[]string{fifo}, nil, `env_file "` + fifo + `": no regular file`},
		{[]string{big}, nil, `env_file "` + big + `": larger than a megabyte`},
	} {
		got, f := envFiles(c.names)
		if said(f) != c.err {
			t.Errorf("%q: %q, not %q", c.names, said(f), c.err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q: %s", c.names, d)
		}
	}
}

func said(f *Failure) string {
	if f == nil {
		return ""
	}
	return f.Text
}
