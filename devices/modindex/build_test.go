package modindex

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func fixture(t *testing.T, path string, modinfo, exports, imports []string) Module {
	t.Helper()
	m, err := ReadModule(path, bytes.NewReader(elfModule(modinfo, exports, imports)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBuild(t *testing.T) {
	mods := []Module{
		fixture(t, "kernel/z/leaf.ko.gz", []string{"alias=pci:v1d*", "alias=fs-leaf", "softdep=pre: crypto-x"}, nil, []string{"mid_f", "base_f", "printk"}),
		fixture(t, "kernel/b/base-lib.ko", nil, []string{"base_f"}, nil),
		fixture(t, "kernel/a/mid.ko", []string{"alias=devname:mid", "alias=char-major-10-200"}, []string{"mid_f"}, []string{"base_f"}),
		fixture(t, "extra/old.ko", []string{"alias=pci:v1d*", "depends=mid,built-in"}, nil, nil), // without symbols
	}
	got, err := Build(mods, []byte("kernel/b/base-lib.ko\nkernel/gone.ko\nkernel/z/leaf.ko\nkernel/a/mid.ko\n"),
		[]byte("kernel/c/built-in.ko\n"), []byte("built-in.alias=net-pf-17\x00built-in.license=GPL\x00"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"modules.dep": "kernel/b/base-lib.ko:\n" +
			"kernel/z/leaf.ko.gz: kernel/a/mid.ko kernel/b/base-lib.ko\n" +
			"kernel/a/mid.ko: kernel/b/base-lib.ko\n" +
			"extra/old.ko: kernel/a/mid.ko kernel/b/base-lib.ko\n",
		"modules.alias": "# Aliases extracted from modules themselves.\n" +
			"alias pci:v1d* leaf\nalias fs-leaf leaf\nalias devname:mid mid\nalias char-major-10-200 mid\nalias pci:v1d* old\n",
		"modules.softdep": "# Soft dependencies extracted from modules themselves.\nsoftdep leaf pre: crypto-x\n",
		"modules.devname": "# Device nodes to trigger on-demand module loading.\nmid mid c10:200\n",
	}
	for name, text := range want {
		if d := cmp.Diff(text, string(got[name])); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	search := func(file, key string) []string {
		x, err := Parse(got[file])
		if err != nil {
			t.Fatal(err)
		}
		return names(x.Search(key))
	}
	for _, c := range []struct {
		file, key string
		want      []string
	}{
		{"modules.alias.bin", "pci:v1d2", []string{"leaf", "old"}},
		{"modules.alias.bin", "fs-leaf", []string{"leaf"}},
		{"modules.dep.bin", "base-lib", []string{"kernel/b/base-lib.ko:"}},
		{"modules.builtin.bin", "built_in", []string{""}},
		{"modules.builtin.alias.bin", "net-pf-17", []string{"built_in"}},
	} {
		if d := cmp.Diff(c.want, search(c.file, c.key)); d != "" {
			t.Errorf("%s %s: %s", c.file, c.key, d)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	x := fixture(t, "kernel/x.ko", nil, []string{"x"}, []string{"y"})
	y := fixture(t, "kernel/y.ko", nil, []string{"y"}, []string{"x"})
	for name, c := range map[string]struct {
		mods []Module
		want string
	}{
		"cycle":   {[]Module{x, y}, "modules need each other: x y"},
		"twins":   {[]Module{x, fixture(t, "extra/x.ko", nil, nil, nil)}, "have one name"},
		"missing": {[]Module{fixture(t, "kernel/z.ko", []string{"depends=gone"}, nil, nil)}, "kernel/z.ko needs gone"},
	} {
		if _, err := Build(c.mods, nil, nil, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
