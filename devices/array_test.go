package devices

import (
	"os"
	"path/filepath"
	"testing"
)

// TestArrayName: mdadm notes the name down, and leaves it to us to make it.
func TestArrayName(t *testing.T) {
	w := newWorld(t, CatalogConfig{})
	if err := os.MkdirAll(filepath.Join(w.root, "run/mdadm"), 0o755); err != nil {
		t.Fatal(err)
	}
	const noted = "md12 1.2 0a0b0c0d:00000001:00000002:00000003 /dev/md/other\n" +
		"md127 1.2 0a0b0c0d:00000001:00000002:00000004 /dev/md/mirror\nmd1 1.2 x /dev/md1\n\nmd2 \nmd3 1.2 x /dev/md/../sda\n"
	if err := os.WriteFile(filepath.Join(w.root, "run/mdadm/map"), []byte(noted), 0o600); err != nil {
		t.Fatal(err)
	}
	for node, want := range map[string]string{"md127": "mirror", "md12": "other", "md1": "", "md2": "", "md3": ".._sda", "md": ""} {
		if got := w.arrayName(node); got != want {
			t.Errorf("%s: %q, want %q", node, got, want)
		}
	}
	u := w.plug("md127", 0, swapImage("on a mirror", 1))
	w.expect("disk md127 swap on a mirror")
	if got := w.link("md/mirror"); got != "../md127" {
		t.Errorf("md/mirror -> %q", got)
	}
	w.pull(u)
	w.expect("gone md127")
	if got := w.link("md/mirror"); got != "" {
		t.Errorf("md/mirror -> %q, though it has gone", got)
	}
}
