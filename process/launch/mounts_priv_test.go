//go:build priv

package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// aside runs f in a mount namespace whose mounts are shared, as a machine's
// are, and are not those of this machine.
func aside(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with us
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			t.Error(err)
			return
		}
		for _, flags := range []uintptr{unix.MS_REC | unix.MS_PRIVATE, unix.MS_REC | unix.MS_SHARED} {
			if err := unix.Mount("", "/", "", flags, ""); err != nil {
				t.Error(err)
				return
			}
		}
		f()
	}()
	<-done
}

// tmpfs makes a directory below parent with a tmpfs on it.
func tmpfs(t *testing.T, dir string, flags uintptr) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

const tryAll = `for d in "$@"; do if touch "$d/.hoopy-probe" 2>/dev/null; then rm "$d/.hoopy-probe"; echo "$d rw"; else echo "$d ro"; fi; done`

func TestPrivateTmp(t *testing.T) {
	aside(t, func() {
		mark, err := os.CreateTemp("/tmp", "hoopy")
		if err != nil {
			t.Error(err)
			return
		}
		defer os.Remove(mark.Name())
		out := inside(t, Spec{User: "nobody", PrivateTmp: true, Umask: 0o22, Directory: "/tmp"},
			"ls -A /tmp /var/tmp; stat -c '%a %n' /tmp /var/tmp; touch /tmp/hoopy-mine && echo made; pwd; [ -e hoopy-mine ] && echo here; sed -n 's/.* \\(\\/.*tmp\\) .*\\(nosuid,nodev\\).* - \\(.*\\) .* .*/\\1 \\2 \\3/p' /proc/self/mountinfo")
		wants(t, out, "1777 /tmp", "1777 /var/tmp", "made", "/tmp", "here", "/tmp nosuid,nodev tmpfs", "/var/tmp nosuid,nodev tmpfs")
		if strings.Contains(out, filepath.Base(mark.Name())) {
			t.Errorf("it sees the machine's /tmp:\n%s", out)
		}
		if _, err := os.Stat("/tmp/hoopy-mine"); err == nil {
			t.Error("the machine sees its /tmp")
		}
	})
}

func TestReadOnly(t *testing.T) {
	aside(t, func() {
		base := t.TempDir()
		open, kept, sealed, other := tmpfs(t, base+"/open", 0), tmpfs(t, base+"/open/kept", 0), tmpfs(t, base+"/open/sealed", unix.MS_RDONLY), tmpfs(t, base+"/other", 0)
		for _, dir := range []string{base + "/plain", base + "/odd name", other + "/in"} {
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Error(err)
			}
		}
		log := other + "/log"
		dirs := []string{"/", "/etc", "/tmp", "/root", base, base + "/plain", base + "/odd name", open, kept, sealed, other, other + "/in", "/dev", "/run", "/dev/shm"}
		s := Spec{Command: append([]string{"/bin/sh", "-c", tryAll + `; echo x >/dev/null && echo null; echo 0 >/proc/self/oom_score_adj && echo proc`, "sh"}, dirs...),
			ReadOnly: true, Writable: []string{open, "-" + base + "/missing", base + "/odd name", other + "/in"}, Stdout: log}
		out, f := start(t, &s, nil).end(t)
		if f != nil {
			t.Error(f)
			return
		}
		b, err := os.ReadFile(log)
		if err != nil {
			t.Error(err)
		}
		out += string(b)
		wants(t, out, "/ ro", "/etc ro", "/tmp ro", "/root ro", base+" ro", base+"/plain ro", base+"/odd name rw", open+" rw", kept+" rw",
			sealed+" ro", other+" ro", other+"/in rw", "/dev rw", "/run rw", "/dev/shm rw", "null", "proc")

		// With a /tmp of its own, which is writable.
		out = inside(t, Spec{ReadOnly: true, PrivateTmp: true}, "set -- / /etc /tmp /var/tmp; "+tryAll)
		wants(t, out, "/ ro", "/etc ro", "/tmp rw", "/var/tmp rw")
		// Nothing of it is to be seen outside.
		if err := os.WriteFile(other+"/outside", nil, 0o600); err != nil {
			t.Error(err)
		}
		for _, c := range []struct{ path, want string }{
			{base + "/missing", `writable "` + base + `/missing": no such file or directory`},
			{"tmp", `writable "tmp": no absolute path`},
			{"/./", `writable "/./": is all that read_only is about`},
		} {
			_, f := start(t, &Spec{Command: []string{"/bin/true"}, ReadOnly: true, Writable: []string{c.path}}, nil).end(t)
			if said(f) != c.want {
				t.Errorf("%q, not %q", said(f), c.want)
			}
		}
	})
}

// TestMountsComeIn: what the machine mounts and unmounts later happens inside
// too, and not the other way round.
func TestMountsComeIn(t *testing.T) {
	aside(t, func() {
		// Not below /tmp, which is another for the service.
		base, err := os.MkdirTemp("/run", "hoopy")
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { os.Remove(base) })
		tmpfs(t, base, 0)
		for _, dir := range []string{"early", "late", "own"} {
			if err := os.Mkdir(base+"/"+dir, 0o755); err != nil {
				t.Error(err)
			}
		}
		tmpfs(t, base+"/early", 0)
		inR, inW, err1 := os.Pipe()
		outR, outW, err2 := os.Pipe()
		if err1 != nil || err2 != nil {
			t.Error(err1, err2)
			return
		}
		s := Spec{Command: []string{"/bin/sh", "-c", fmt.Sprintf("mount -t tmpfs x %s/own; echo up >&4; read x <&3; grep -o '%s[^ ]*' /proc/self/mountinfo", base, base)},
			PrivateTmp: true, Listen: []string{"in", "out"}}
		p := start(t, &s, nil, inR, outW)
		outW.Close()
		inR.Close()
		outR.Read(make([]byte, 9))
		tmpfs(t, base+"/late", 0)
		if err := unix.Unmount(base+"/early", 0); err != nil {
			t.Error(err)
		}
		inW.Close()
		out, f := p.end(t)
		if f != nil {
			t.Error(f)
		}
		wants(t, out, base+"/late", base+"/own")
		if strings.Contains(out, "/early") {
			t.Errorf("what was unmounted is there:\n%s", out)
		}
		b, err := os.ReadFile("/proc/thread-self/mountinfo")
		if err != nil || strings.Contains(string(b), base+"/own") || !strings.Contains(string(b), base+"/late") {
			t.Errorf("outside: %v\n%s", err, b)
		}
	})
}

// TestMovedRoot: / of a machine is a bind mount of itself, moved over itself,
// see keeper/root.go.
func TestMovedRoot(t *testing.T) {
	aside(t, func() {
		dir, err := os.MkdirTemp("/run", "hoopy")
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { os.Remove(dir) })
		for _, err := range []error{unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("/", dir, "", unix.MS_BIND|unix.MS_REC, ""),
			unix.Chdir(dir), unix.Mount(".", "/", "", unix.MS_MOVE, ""), unix.Chroot("."), unix.Chdir("/")} {
			if err != nil {
				t.Error(err)
				return
			}
		}
		out := inside(t, Spec{ReadOnly: true, PrivateTmp: true, Writable: []string{"/root"}}, "set -- / /etc /root /tmp /dev /run; "+tryAll)
		wants(t, out, "/ ro", "/etc ro", "/root rw", "/tmp rw", "/dev rw", "/run rw")
	})
}
