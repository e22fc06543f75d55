package install

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// run lays base and a package with this .post-install.
func run(t *testing.T, text string, o Options) (string, error) {
	t.Helper()
	tr, err := lay(t, o, base(), with(pack("p", file("big", strings.Repeat("x", 300000), 0o644)), "post-install", text))
	if err != nil {
		return "", err
	}
	if _, ok := tr.Get("out"); !ok {
		return "", nil
	}
	return read(t, tr, "out"), nil
}

func TestScripts(t *testing.T) {
	for _, tc := range append(snippets, []struct{ name, text, want string }{
		{"test -x in the tree", "[ -x /bin/busybox ] && echo yes > /out", "yes\n"},
		{"test -e of the host", "[ -e /proc/version ] || [ -d /proc ] || echo no > /out", "no\n"},
		{"glob in the tree", "echo /etc/* > /out", "/etc/busybox-paths.d /etc/group /etc/passwd /etc/shadow\n"},
		{"glob without match", "echo /proc/* > /out", "/proc/*\n"},
		{"redirect in and out", "while read l; do echo $l; break; done < /etc/passwd > /out", "root:x:0:0:root:/root:/bin/sh\n"},
		{"append", "echo a > /out; echo b >> /out", "a\nb\n"},
		{"here document", "cat <<E > /out\nx $1\nE", "x 1-r0\n"},
		{"pipe", "cat /etc/group | sed -n '/users/p' > /out", "users:x:100:\n"},
		{"no standard input", "cat > /out; echo $? >> /out", "0\n"},
		{"both sides of a pipe", "for i in 1 2 3 4 5 6 7 8; do cat /etc/passwd; cat /etc/group; done | while read l; do [ -e /etc/group ] && echo x >> /all; done; sed -n 48p /all > /out", "x\n"},
		{"more than a pipe holds", "x=$(cat /big | cat | cat); echo ${#x} > /out", "300000\n"},
		{"cd", "cd /etc && cat group | sed -n 1p > ../out", "root:x:0:root\n"},
		{"cd back", "cd /etc; cd ..; echo $PWD > out", "/\n"},
		{"command -v of the host", "command -v ls > /out || echo none >> /out", "none\n"},
		{"command -v in the tree", "command -v busybox > /out", "/bin/busybox\n"},
		{"command -v of a builtin", "command -v echo > /out", "echo\n"},
		{"not found", "nothing-like-it 2>/dev/null; echo $? > /out", "127\n"},
		{"not found by path", "/usr/bin/env true 2>/dev/null; echo $? > /out", "127\n"},
		{"the host's environment", "echo \"$USER$HOOPY_TEST\" > /out", "\n"},
		{"function and local", "f() { local x=$1; echo $x; }; f hello > /out", "hello\n"},
		{"case and expansion", "s=/a/b; case \"${s##*/}\" in b) echo ok > /out;; esac", "ok\n"},
		{"exit 0 amid", "echo a > /out; exit 0; echo b > /out", "a\n"},
		{"stat through a link", "ln -s /etc/passwd /l; [ -f /l ] && [ -L /l ] && readlink /l > /out", "/etc/passwd\n"},
		{"readlink -f", "ln -s busybox /bin/sh2; readlink -f \"$(command -v sh2)\" > /out", "/bin/busybox\n"},
		{"exec ends it", "echo a > /out; exec /bin/busybox mkdir /x; echo b > /out", "a\n"},
		{"mkdir -p and rm", "mkdir -p /a/b/c; rm -r /a/b; [ -d /a ] && [ ! -e /a/b ] && echo ok > /out", "ok\n"},
		{"&> as bash", "mkdir /none/x &>/dev/null; echo $? > /out", "1\n"},
		{"add-shell", "add-shell /bin/a /bin/b; add-shell /bin/a; cat /etc/shells > /out", "/bin/a\n/bin/b\n"},
		{"touch", "touch /a /etc/passwd; [ -f /a ] && [ -s /etc/passwd ] && echo ok > /out", "ok\n"},
		{"sed -i", "echo 'CLOUD=x' > /out; sed -i -e 's/^#\\?CLOUD=.*/CLOUD=y/' /out", "CLOUD=y\n"},
	}...) {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("HOOPY_TEST", "leaked")
			have, err := run(t, tc.text+"\n", Options{})
			if err != nil {
				t.Fatal(err)
			}
			if have != tc.want {
				t.Errorf("%q, want %q", have, tc.want)
			}
		})
	}
}

func TestScriptsThatFail(t *testing.T) {
	for _, tc := range []struct {
		name, text, command, says string
	}{
		{"exit status", "echo oops >&2\nexit 3", "", "exit status 3"},
		{"its last words", "echo oops >&2\nexit 3", "", "oops"},
		{"syntax", "if", "", "post-install:2:1"},
		{"a command of the tree that is not ours", "/bin/mine --do it", "/bin/mine --do it", "not one that package scripts can run here"},
		{"even when its failure is ignored", "/bin/mine || true", "/bin/mine", "not one that package scripts can run here"},
		{"even in the middle of a pipe", "echo x | /bin/mine | cat", "/bin/mine", "not one that package scripts can run here"},
		{"a flag that is not ours", "ln -P a b", "ln -P a b", "no flag -P"},
		{"busybox with another command", "/bin/busybox tar x", "/bin/busybox tar x", `no command "tar"`},
		{"process substitution", "cat <(echo x)", "", "process substitution is not supported"},
		{"another's home", "echo ~ftp", "", "~user is not supported"},
		{"the background", "echo x &", "", "background"},
		{"ownership tests", "[[ -O /etc ]]", "", "not supported"},
		{"no end", "while true; do :; done", "", "still running"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := Options{}
			if tc.name == "no end" {
				o.ScriptTime = 50 * time.Millisecond
			}
			_, err := lay(t, o, base(), with(pack("p", file("bin/mine", "ELF", 0o755)), "post-install", tc.text+"\n"))
			var se *ScriptError
			if !errors.As(err, &se) || se.Package != "p-1-r0" || se.Script != "post-install" || se.Command != tc.command || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v; want one of p-1-r0's post-install, command %q, that says %q", err, tc.command, tc.says)
			}
		})
	}
}

func TestHostIsOutOfReach(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("host"), 0o644); err != nil {
		t.Fatal(err)
	}
	have, err := run(t, "for i in "+outside+" ../../../../.."+outside+"; do\n"+
		"[ -e $i ] && echo seen > /out\ncat $i >> /out 2>/dev/null\necho x > $i\nrm -f $i\ndone\nmkdir -p "+outside+"\n", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(have, "host") || strings.Contains(have, "seen") {
		t.Errorf("the script saw %q", have)
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != "host" {
		t.Errorf("the host's file is now %q, %v", data, err)
	}
}

func TestSkip(t *testing.T) {
	var r Report
	p := with(pack("p"), "post-install", "exit 1\n")
	mustLay(t, Options{Skip: map[string]bool{"p": true}, Report: &r}, base(), p)
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "post-install was skipped") {
		t.Errorf("notes: %q", r.Notes)
	}
}

func TestTriggers(t *testing.T) {
	p := with(pack("p"), "trigger", "echo \"$@\" >> /out\n")
	p.Info.Triggers = []string{"/usr/bin", "/lib/modules/*", "/none"}
	q := pack("q", dir("lib"), dir("lib/modules"), dir("lib/modules/6.1"), dir("lib/modules/6.1/kernel"))
	tr := mustLay(t, Options{}, base(), p, q)
	if have := read(t, tr, "out"); have != "/lib/modules/6.1 /usr/bin\n" {
		t.Errorf("%q", have)
	}
	quiet := with(pack("p"), "trigger", "exit 1\n")
	quiet.Info.Triggers = []string{"/none"}
	mustLay(t, Options{}, base(), quiet)
}

func TestBusyboxLinks(t *testing.T) {
	var r Report
	bb := with(pack("bb"), "post-install", "exec /bin/busybox --install -s\n")
	with(bb, "trigger", "[ -e /bin/bbsuid ] && /bin/bbsuid --install\n/bin/busybox --install -s\n")
	bb.Info.Triggers = []string{"/bin"}
	tr := mustLay(t, Options{Report: &r}, base(), bb,
		pack("suid", dir("bin"), file("bin/bbsuid", "ELF", 0o111|fs.ModeSetuid)),
		pack("gawk", dir("usr"), dir("usr/bin"), file("usr/bin/awk", "ELF", 0o755)))
	have := map[string]string{}
	for e := range tr.Walk() {
		if e.Mode&fs.ModeSymlink != 0 {
			have[e.Path] = e.Link
			if e.MTime != when {
				t.Errorf("%s: time %d", e.Path, e.MTime)
			}
		}
	}
	want := map[string]string{}
	for _, n := range []string{"bin/ash", "bin/cat", "bin/ln", "bin/sed", "usr/sbin/addgroup", "usr/sbin/adduser"} {
		want[n] = "/bin/busybox"
	}
	for _, n := range suid {
		want[n[1:]] = "/bin/bbsuid"
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("links (-want +have):\n%s", diff)
	}
	if e, _ := tr.Get("usr/bin/awk"); e.Source != "gawk-1-r0" {
		t.Errorf("a package's file lost to a link: %+v", e)
	}
}
