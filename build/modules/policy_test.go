package modules

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hoopy/build/tree"
)

func TestSets(t *testing.T) {
	if len(SetDocs) != len(Sets) {
		t.Errorf("%d sets, %d documented", len(Sets), len(SetDocs))
	}
	for _, d := range SetDocs {
		if len(Sets[d.Name]) == 0 || d.Doc == "" {
			t.Errorf("set %q: %q", d.Name, Sets[d.Name])
		}
	}
	tr := kernel(t, nil)
	r, err := Apply(tr, Policy{Patterns: []string{"@filesystems", "crc16"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"arch/crc32c-x.ko", "fs/ext4/ext4.ko", "fs/jbd2/jbd2.ko", "lib/crc16.ko"}
	if d := cmp.Diff(want, names(tr)); d != "" || len(r.Unmatched) > 0 {
		t.Errorf("%s%q", d, r.Unmatched)
	}
}

func TestHardware(t *testing.T) {
	tr := kernel(t, map[string][]byte{
		"kernel/drivers/net/igb/igb.ko":  ko("name=igb", "depends=i2c-algo-bit", "alias=pci:v00008086d0000150Esv*sd*bc*sc*i*", "firmware=igb.fw"),
		"kernel/drivers/i2c-algo-bit.ko": ko("name=i2c_algo_bit", "depends="),
		"kernel/drivers/net/other.ko":    ko("name=other", "depends=", "alias=pci:v00001234d*", "firmware=other.fw"),
		"modules.builtin.modinfo":        []byte("ahci.alias=pci:v*d*sv*sd*bc01sc06i01*\x00ahci.firmware=ahci.fw\x00"),
	})
	r, err := Apply(tr, Policy{Hardware: []string{
		"pci:v00008086d0000150Esv00008086sd00000001bc02sc00i00", "pci:v00008086d00000001sv0sd0bc01sc06i01", "acpi:NONE:",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"drivers/i2c-algo-bit.ko", "drivers/net/igb/igb.ko"}, names(tr)); d != "" {
		t.Error(d)
	}
	if r.Driven != 2 || !slices.Equal(r.Firmware, []string{"ahci.fw", "igb.fw"}) {
		t.Errorf("%+v", r)
	}
}

func TestParseHardware(t *testing.T) {
	got, wrong := ParseHardware("# a NAS\npci:v1d2\n\nusb:v1 # stick\npci:v1d2\ndmi:bvn#x:\nnonsense\n: a\n")
	if d := cmp.Diff([]string{"dmi:bvn#x:", "pci:v1d2", "usb:v1"}, got); d != "" {
		t.Error(d)
	}
	if len(wrong) != 2 || !strings.Contains(wrong[7], `"nonsense" is no modalias`) || wrong[8] == "" {
		t.Errorf("%v", wrong)
	}
}

func firmwareTree(t *testing.T) *tree.Tree {
	t.Helper()
	tr := tree.New()
	for _, dir := range []string{"lib/firmware/rtl_nic", "lib/firmware/brcm", "lib/firmware/old"} {
		if err := tr.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, link := range map[string]string{
		"rtl_nic/a.fw": "", "rtl_nic/b.fw.zst": "", "rtl_nic/c.fw.xz": "", "old/x.fw": "",
		"brcm/brcmfmac1-sdio.board.txt": "", "alias.fw": "rtl_nic/alias2.fw", "rtl_nic/alias2.fw": "../real.fw", "real.fw": "",
	} {
		e := &tree.Entry{Path: "lib/firmware/" + name, Mode: 0o644, Size: 3, Open: tree.Bytes([]byte("abc"))}
		if link != "" {
			e = &tree.Entry{Path: e.Path, Mode: fs.ModeSymlink | 0o777, Link: link}
		}
		if err := tr.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

func firmwareNames(tr *tree.Tree) (out []string) {
	for e := range tr.Walk() {
		if name, ok := strings.CutPrefix(e.Path, "lib/firmware/"); ok {
			out = append(out, name)
		}
	}
	return out
}

func TestFirmware(t *testing.T) {
	tr := firmwareTree(t)
	asked := []string{"alias.fw", "brcm/brcmfmac*-sdio.*.txt", "rtl_nic/b.fw", "rtl_nic/none.fw"}
	r, err := ApplyFirmware(tr, asked, []string{"rtl_nic/c.f*"}, false)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"alias.fw", "brcm", "brcm/brcmfmac1-sdio.board.txt", "real.fw", "rtl_nic", "rtl_nic/alias2.fw", "rtl_nic/b.fw.zst", "rtl_nic/c.fw.xz"}
	if d := cmp.Diff(want, firmwareNames(tr)); d != "" {
		t.Error(d)
	}
	if r.Kept != 6 || r.Total != 8 || r.Size != 12 || !slices.Equal(r.Missing, []string{"rtl_nic/none.fw"}) {
		t.Errorf("%+v", r)
	}
	if _, err := ApplyFirmware(firmwareTree(t), nil, []string{"x.bin", "old/x.fw"}, false); err == nil || !strings.HasPrefix(err.Error(), "firmware: x.bin is required") {
		t.Error(err)
	}
	tr = firmwareTree(t)
	if r, err := ApplyFirmware(tr, nil, nil, true); err != nil || r.Kept != 8 {
		t.Errorf("%+v, %v", r, err)
	}
	tr = firmwareTree(t)
	if _, err := ApplyFirmware(tr, nil, nil, false); err != nil || len(firmwareNames(tr)) > 0 {
		t.Errorf("%q, %v", firmwareNames(tr), err)
	}
}

func FuzzParseHardware(f *testing.F) {
	f.Add("# a\npci:v1d2 # b\nusb:#\n")
	f.Fuzz(func(t *testing.T, text string) {
		aliases, wrong := ParseHardware(text)
		again, none := ParseHardware(strings.Join(aliases, "\n"))
		if !slices.Equal(aliases, again) || len(none) > 0 {
			t.Fatalf("%q, then %q, %v", aliases, again, none)
		}
		for line := range wrong {
			if line < 1 || line > strings.Count(text, "\n")+1 {
				t.Fatalf("a mistake in line %d", line)
			}
		}
	})
}
