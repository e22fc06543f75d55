//go:build priv && linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hoopy/unit"
)

// bench is a machine for the commands of root/etc/svc: a root of its own with the
// host's programs, and what a test puts before them.
type bench struct {
	t    *testing.T
	root string
}

func newBench(t *testing.T, programs ...string) *bench {
	t.Helper()
	for _, name := range append(programs, "unshare", "chroot") {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("no %s: tools/deps priv", name)
		}
	}
	b := &bench{t, t.TempDir()}
	for _, dir := range []string{"bin", "dev/disk/by-id", "proc", "etc/ssh", "run", "stand-in"} {
		b.mkdir(dir)
	}
	return b
}

func (b *bench) mkdir(dir string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Join(b.root, dir), 0o755); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) write(name, text string, mode os.FileMode) {
	b.t.Helper()
	b.mkdir(filepath.Dir(name))
	if err := os.WriteFile(filepath.Join(b.root, name), []byte(text), mode); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) read(name string) string {
	text, err := os.ReadFile(filepath.Join(b.root, name))
	if err != nil {
		return ""
	}
	return string(text)
}

// standIn is a program that says how it was called, and then does what body says.
func (b *bench) standIn(name, body string) {
	b.write("stand-in/"+name, "#!/bin/sh\necho "+name+" \"$@\" >>/run/called\n"+body+"\n", 0o755)
}

// called is what the stand-ins were asked since the last time.
func (b *bench) called() []string {
	text := b.read("run/called")
	os.Remove(filepath.Join(b.root, "run/called"))
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// run runs argv there, and returns what it printed.
func (b *bench) run(argv ...string) (out string, ok bool) {
	b.t.Helper()
	const enter = `cd "$1"; shift
for dir in bin sbin lib lib64 usr; do
	[ -d /$dir ] && mkdir -p $dir && mount --bind /$dir $dir
done
mount --bind /dev/null dev/null 2>/dev/null || { : >dev/null; mount --bind /dev/null dev/null; }
[ -e etc/passwd ] || cp /etc/passwd /etc/group etc/
PATH=/stand-in:$PATH exec chroot . "$@"`
	cmd := exec.CommandContext(b.t.Context(), "unshare", append([]string{"--mount", "sh", "-ec", enter, "sh", b.root}, argv...)...)
	cmd.WaitDelay = time.Second
	text, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(text)), err == nil
}

// commandOf is that of a unit of root/.
func commandOf(t *testing.T, name string) []string {
	t.Helper()
	c, err := unit.Load(os.DirFS(overlay+"/etc"), "root/etc")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(c.Units, func(u *unit.Unit) bool { return u.Name == name })
	if i < 0 {
		t.Fatalf("no unit %s", name)
	}
	return c.Units[i].Command
}

// The time limit is set on whole ATA disks, and one that has none is no failure.
func TestTimeLimitOfDisks(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"ata-ST16_ONE", "ata-ST16_ONE-part1", "ata-QEMU_TWO", "usb-STICK"} {
		b.write("dev/disk/by-id/"+name, "", 0o644)
	}
	b.standIn("smartctl", `case $3 in *QEMU*) echo "SCT Error Recovery Control command not supported"; exit 4;; esac`)
	out, ok := b.run(commandOf(t, "tler")...)
	if want := "ata-QEMU_TWO knows no time limit\nata-ST16_ONE gives up after 7 s"; !ok || out != want {
		t.Errorf("%v, %q, want %q", ok, out, want)
	}
	want := []string{"smartctl -l scterc,70,70 /dev/disk/by-id/ata-QEMU_TWO", "smartctl -l scterc,70,70 /dev/disk/by-id/ata-ST16_ONE"}
	if got := b.called(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Each pool is scrubbed, whatever another one says.
func TestScrub(t *testing.T) {
	b := newBench(t)
	b.standIn("zpool", `case "$*" in "list -H -o name") echo one; echo two;; "scrub one") echo "cannot scrub one: currently scrubbing" >&2; exit 1;; esac`)
	out, ok := b.run(commandOf(t, "scrub")...)
	if ok || out != "cannot scrub one: currently scrubbing" {
		t.Errorf("%v, %q", ok, out)
	}
	if got := b.called(); !slices.Equal(got, []string{"zpool list -H -o name", "zpool scrub one", "zpool scrub two"}) {
		t.Errorf("%q", got)
	}
}

// sshd finds a host key whatever there is of disks.
func TestHostKey(t *testing.T) {
	const (
		key   = "etc/ssh/ssh_host_ed25519_key"
		kept  = "persist/ssh/ssh_host_ed25519_key"
		asked = "svc wait --timeout 15s mount:/persist"
	)
	argv := commandOf(t, "ssh-keys")
	begin := func(t *testing.T) *bench {
		b := newBench(t, "ssh-keygen")
		b.standIn("svc", `[ "$1" != wait ] || [ -d /persist ]`)
		text, err := os.ReadFile(overlay + "/etc/ssh/sshd_config")
		if err != nil {
			t.Fatal(err)
		}
		b.write("etc/ssh/sshd_config", string(text), 0o644)
		b.mkdir("run/sshd")
		return b
	}
	// serves: sshd takes what is there.
	serves := func(b *bench) {
		b.t.Helper()
		sshd, err := exec.LookPath("sshd")
		if err != nil {
			b.t.Log("no sshd here to show the key to")
			return
		}
		if out, ok := b.run(sshd, "-t"); !ok {
			b.t.Errorf("sshd: %s", out)
		}
	}
	expect := func(b *bench, well bool, say string, calls ...string) {
		b.t.Helper()
		out, ok := b.run(argv...)
		if ok != well || out != say {
			b.t.Errorf("%v, %q, want %v, %q", ok, out, well, say)
		}
		if got := b.called(); !slices.Equal(got, calls) {
			b.t.Errorf("it asked %q", got)
		}
		serves(b)
	}
	const brief = "sshd has a host key for this boot only: "

	t.Run("a new disk", func(t *testing.T) {
		b := begin(t)
		b.mkdir("persist")
		expect(b, true, "", asked)
		if b.read(kept) == "" || b.read(kept) != b.read(key) || !strings.HasPrefix(b.read(key+".pub"), "ssh-ed25519 ") {
			t.Error("the key is not kept")
		}
		if st, err := os.Stat(filepath.Join(b.root, key)); err != nil || st.Mode().Perm() != 0o600 {
			t.Error(st, err)
		}
	})
	t.Run("a disk with a key, as vfat has it", func(t *testing.T) {
		old := begin(t)
		old.mkdir("persist")
		expect(old, true, "", asked)
		b := begin(t)
		b.write(kept, old.read(kept), 0o755)
		expect(b, true, "", asked)
		if b.read(key) != old.read(kept) || b.read(kept) != old.read(kept) {
			t.Error("it is another key")
		}
	})
	t.Run("no disk, then one", func(t *testing.T) {
		b := begin(t)
		expect(b, false, brief+"the persistence device is not there", asked)
		first := b.read(key)
		if first == "" || b.read(key+".pub") != "" {
			t.Error("no key, or it counts as one that stays")
		}
		expect(b, false, "", asked)
		if b.read(key) != first {
			t.Error("another key at each try")
		}
		b.mkdir("persist")
		expect(b, true, "the host key is the one of the persistence device again", asked, "svc signal sshd HUP")
		if b.read(kept) != first || b.read(key) != first || b.read(key+".pub") == "" {
			t.Error("a disk without a key does not get the one that people have seen")
		}
	})
	t.Run("a disk with a broken key", func(t *testing.T) {
		b := begin(t)
		b.write(kept, "\x00\x00\x00\x00", 0o600)
		out, ok := b.run(argv...)
		if ok || !strings.HasSuffix(out, brief+"/"+kept+" is no key") {
			t.Errorf("%v, %q", ok, out)
		}
		if b.read(kept) != "\x00\x00\x00\x00" {
			t.Error("what may be mended was overwritten")
		}
		serves(b)
	})
	t.Run("one in the image", func(t *testing.T) {
		b := begin(t)
		if out, ok := b.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/"+key); !ok {
			t.Fatal(out)
		}
		mine := b.read(key)
		os.Remove(filepath.Join(b.root, key+".pub"))
		b.called()
		b.mkdir("persist")
		expect(b, true, "", "")
		if b.read(key) != mine || b.read(kept) != "" {
			t.Error("it was not left alone")
		}
	})
}
