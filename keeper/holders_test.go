package keeper

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHolders(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	process := func(pid, comm string, links map[string]string) {
		t.Helper()
		write("proc/"+pid+"/comm", comm+"\n")
		if err := os.MkdirAll(filepath.Join(root, "proc", pid, "fd"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, to := range links {
			if err := os.Symlink(to, filepath.Join(root, "proc", pid, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	process("1", "init", map[string]string{"cwd": "/", "root": "/", "exe": "/init", "fd/0": "/dev/null"})
	process("2", "kthreadd", nil)
	process("40", "sh", map[string]string{"cwd": "/cwd/x"})
	process("41", "rsync", map[string]string{"cwd": "/", "fd/3": "/open/file (deleted)", "fd/4": "pipe:[1]"})
	process("42", "old", map[string]string{"exe": "/exe/old"})
	for _, pid := range []string{"50", "51", "52", "53", "54"} {
		process(pid, "crowd", map[string]string{"root": "/crowd"})
	}
	write("proc/swaps", "Filename\tType\tSize\n/swapped/a\\040file file 1 0 -2\n")
	write("sys/block/loop0/loop/backing_file", "/looped/image\n")
	write("sys/block/sda/size", "1\n")
	write("proc/self/mountinfo", "1 0 8:0 / /outer rw - ext4 /dev/a rw\n2 1 8:1 / /outer/in rw - ext4 /dev/b rw\n")
	for where, want := range map[string]string{
		"/cwd": "sh (pid 40)", "/open": "rsync (pid 41)", "/exe": "old (pid 42)", "/swapped": "swap on /swapped/a file",
		"/looped": "/dev/loop0", "/looped/image": "/dev/loop0", "/outer": "the mount on /outer/in", "/outer/in": "", "/none": "", "/cw": "", "/ope": "",
	} {
		if got := holders(root, where); got != want {
			t.Errorf("%s is held by %q, want %q", where, got, want)
		}
	}
	if got := holders(root, "/crowd"); len(got) != len("crowd (pid 50), crowd (pid 50), crowd (pid 50) and 2 more") {
		t.Errorf("/crowd is held by %q", got)
	}
}
