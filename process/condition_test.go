package process

import (
	"os"
	"path/filepath"
	"testing"

	"hoopy/unit"
)

func TestConditions(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"/dev/kvm":             "",
		"/dev/dri/card0":       "",
		"/odd/[name]":          "",
		"/proc/cmdline":        "quiet rescue=no console=ttyS0,115200 single\n",
		"/proc/modules":        "kvm_intel 1 0 - Live 0x0\nzfs 1 0 - Live 0x0\n",
		"/sys/module/tcp_bbr/": "",
		"/proc/self/mountinfo": "22 1 0:20 / / rw - rootfs rootfs rw\n23 22 0:21 / /tank/my\\040photos rw shared:1 - zfs tank rw\n",
	} {
		path = root + path
		if path[len(path)-1] == '/' {
			path += "x"
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := &place{root: root, builtIn: func(name string) bool { return name == "ext4" }}
	for _, c := range []struct {
		op       unit.ConditionOp
		text     string
		want     string // of the condition
		opposite string // of it with Not
	}{
		{unit.PathExists, "/dev/kvm", "", "/dev/kvm is there"},
		{unit.PathExists, "/dev/vfio", "no /dev/vfio on this machine", ""},
		{unit.PathExists, "/dev/dri/card*", "", "/dev/dri/card* is there"},
		{unit.PathExists, "/dev/dri/render*", "no /dev/dri/render* on this machine", ""},
		{unit.PathExists, "/odd/[name]", "", "/odd/[name] is there"},
		{unit.PathExists, "/odd/[", "no /odd/[ on this machine", ""},
		{unit.CmdlineWord, "single", "", "single is on the kernel's command line"},
		{unit.CmdlineWord, "rescue", "no rescue on the kernel's command line", ""},
		{unit.CmdlineWord, "rescue=", "", "rescue= is on the kernel's command line"},
		{unit.CmdlineWord, "console=ttyS0", "no console=ttyS0 on the kernel's command line", ""},
		{unit.ModuleLoaded, "kvm-intel", "", "module kvm-intel is loaded"},
		{unit.ModuleLoaded, "tcp_bbr", "", "module tcp_bbr is loaded"},
		{unit.ModuleLoaded, "ext4", "", "module ext4 is loaded"},
		{unit.ModuleLoaded, "kvm", "module kvm is not loaded", ""},
		{unit.MountPresent, "/tank/my photos", "", "something is mounted on /tank/my photos"},
		{unit.MountPresent, "/tank/my photos/", "", "something is mounted on /tank/my photos/"},
		{unit.MountPresent, "/tank", "nothing is mounted on /tank", ""},
		{unit.NotInSafeMode, "", "", "the supervisor is not in safe mode"},
		{99, "", "a condition that this version does not know", "a condition that this version does not know"},
	} {
		if got := p.unmet([]unit.Condition{{Op: c.op, Text: c.text}}); got != c.want {
			t.Errorf("%d %q: %q, not %q", c.op, c.text, got, c.want)
		}
		if got := p.unmet([]unit.Condition{{Op: c.op, Text: c.text, Not: true}}); got != c.opposite {
			t.Errorf("not %d %q: %q, not %q", c.op, c.text, got, c.opposite)
		}
	}
	p.safe = true
	all := []unit.Condition{{Op: unit.PathExists, Text: "/dev/kvm"}, {Op: unit.NotInSafeMode}}
	if got := p.unmet(all); got != "the supervisor is in safe mode" {
		t.Errorf("in safe mode: %q", got)
	}
	p = &place{root: "/nosuch"}
	if got := p.unmet([]unit.Condition{{Op: unit.ModuleLoaded, Text: "x"}}); got == "" {
		t.Error("a machine without anything has a module")
	}
}

func FuzzMountinfo(f *testing.F) {
	f.Add("23 22 0:21 / /tank/my\\040photos rw - zfs tank rw\n", "/tank")
	f.Add("1 2 3 4 \\04 \\", "/")
	f.Fuzz(func(t *testing.T, text, path string) { isMounted(text, path) })
}
