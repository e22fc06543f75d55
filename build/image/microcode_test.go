package image

import (
	"bytes"
	"strings"
	"testing"

	"hoopy/build/cpio"
	"hoopy/build/tree"
)

// ucodeImage is what an -ucode package lays in boot/.
func ucodeImage(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	for _, dir := range []string{"kernel", "kernel/x86", microcodeDir} {
		if err := w.Add(cpio.Header{Name: dir, Mode: cpio.TypeDir | 0o755}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Add(cpio.Header{Name: name, Mode: cpio.TypeRegular | 0o600, MTime: 7, Size: uint32(len(content))}, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestMicrocode(t *testing.T) {
	tr := treeOf(t, "etc/motd")
	if data, err := microcode(tr); data != nil || err != nil {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	lay(t, tr, "boot/intel-ucode.img", string(ucodeImage(t, microcodeDir+"/GenuineIntel.bin", "intel's")))
	lay(t, tr, microcodeDir+"/AuthenticAMD.bin", "amd's own")
	lay(t, tr, "boot/other.img", "something else")
	data, err := microcode(tr)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"amd's own", "intel's"} {
		if at := bytes.Index(data, []byte(want)); at < 0 || at%16 != 0 {
			t.Errorf("%q at %d", want, at)
		}
	}
	c, err := inspect(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(c.Entries) != 5 || len(data)%4 != 0 {
		t.Errorf("%d entries in %d bytes, %v", len(c.Entries), len(data), err)
	}
	for content, want := range map[string]string{
		"nonsense": "microcode boot/amd-ucode.img (pkg-1-r0): cpio: ",
		string(ucodeImage(t, "kernel/x86/other", "x")): "microcode boot/amd-ucode.img (pkg-1-r0): holds no kernel/x86/microcode",
	} {
		tr := tree.New()
		lay(t, tr, "boot/amd-ucode.img", content)
		if _, err := microcode(tr); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
