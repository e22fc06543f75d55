package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hoopy/unit"
)

func TestFromFstab(t *testing.T) {
	const frood = "UUID=B61B-19E7 /media/usb vfat noatime,rw,fmask=177 0 0\n/dev/cdrom /media/cdrom iso9660 noauto,ro 0 0\n"
	for _, tt := range []struct {
		name, fstab, init string
		mounts, links     int
		note              string
	}{
		{"none", "", "", 0, 0, ""},
		{"without init.toml", frood, "", 1, 1, "1 of its lines"},
		{"with init.toml", frood, "hostname = \"frood\"\n[[link]]\nname = \"a\"\nmatch.name = \"a\"\n[[link]]\nname = \"b\"\nmatch.name = \"b\"", 1, 2, "1 of its lines"},
		{"disks of its own", frood, "[persist]\ndevice = \"/dev/sda1\"", 0, 0, "has disks of its own"},
		{"nothing in it", "# a word\n", "", 0, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{"fstab": tt.fstab, "init.toml": tt.init} {
				if text == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(root, "etc", name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, notes, err := fromFstab(root)
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(notes, "\n"); !strings.Contains(all, tt.note) || tt.note == "" && all != "" {
				t.Errorf("notes: %s", all)
			}
			if tt.mounts == 0 {
				if text != nil {
					t.Errorf("made %s", text)
				}
				return
			}
			files := unit.ReadFiles(os.DirFS(filepath.Join(root, "etc"))).WithMachine(string(text))
			c, err := files.Load("root/etc")
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Machine.Mounts) != tt.mounts || !c.Machine.Mounts[0].Persist || len(c.Machine.Links) != tt.links {
				t.Errorf("%+v", c.Machine)
			}
		})
	}
}
