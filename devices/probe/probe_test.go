package probe

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// view is what blkid -o udev prints of Info.
func view(info Info) map[string]string {
	v := map[string]string{}
	set := func(key, value string) {
		if value != "" {
			v[key] = value
		}
	}
	set("ID_FS_TYPE", info.Type)
	set("ID_FS_USAGE", info.Usage)
	set("ID_FS_LABEL", SafeString(info.Label))
	set("ID_FS_LABEL_ENC", EncodeString(info.Label))
	set("ID_FS_UUID", SafeString(info.UUID))
	set("ID_FS_UUID_ENC", EncodeString(info.UUID))
	set("ID_FS_UUID_SUB", SafeString(info.UUIDSub))
	set("ID_FS_VERSION", EncodeString(info.Version))
	if info.Ambivalent != nil {
		v["ID_FS_AMBIVALENT"] = "yes"
	}
	return v
}

// oracle asks libblkid.
func oracle(t testing.TB, file string) map[string]string {
	t.Helper()
	out, err := exec.Command("blkid", "-p", "-o", "udev", file).Output()
	if exit := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &exit) && (exit.ExitCode() == 2 || exit.ExitCode() == 8)) {
		t.Fatalf("blkid %s: %v", file, err)
	}
	v := map[string]string{}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "ID_FS_AMBIVALENT":
			v[key] = "yes"
		case "ID_FS_TYPE", "ID_FS_USAGE", "ID_FS_LABEL", "ID_FS_LABEL_ENC", "ID_FS_UUID", "ID_FS_UUID_ENC", "ID_FS_UUID_SUB", "ID_FS_VERSION":
			v[key] = value
		}
	}
	return v
}

func probeFile(t testing.TB, file string) Info {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	info, err := Probe(f, size)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestAsBlkid(t *testing.T) {
	run(t, "blkid", "-V")
	for _, m := range images {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			file := m.make(t)
			want := oracle(t, file)
			if m.name != "zero" && len(want) == 0 {
				t.Fatal("blkid sees nothing: the test shows nothing")
			}
			if diff := cmp.Diff(want, view(probeFile(t, file))); diff != "" {
				t.Errorf("blkid -, probe +\n%s", diff)
			}
		})
	}
}

// TestDamaged overwrites bytes in superblocks and cuts images short: what is
// still recognised must be what blkid sees too.
func TestDamaged(t *testing.T) {
	run(t, "blkid", "-V")
	for _, m := range images {
		if m.size == 0 || m.size > 128 || strings.HasPrefix(m.name, "md") || m.name == "bcache" {
			continue // md and bcache: blkid 2.38 checks no sums, and other magics win
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			file := m.make(t)
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			random := rand.New(rand.NewPCG(1, uint64(len(m.name))))
			size := m.size << 20
			for range 12 {
				off := random.Int64N(8 << 10)
				old := make([]byte, 1+random.IntN(16))
				f.ReadAt(old, off)
				junk := make([]byte, len(old))
				for i := range junk {
					junk[i] = byte(random.Uint32())
				}
				f.WriteAt(junk, off)
				compareDamaged(t, f, size)
				f.WriteAt(old, off)
			}
			for _, cut := range []int64{size / 2, 1 << 20, 64<<10 + 100, 40 << 10, 4096, 1500, 512} {
				if cut < size {
					f.Truncate(cut)
					compareDamaged(t, f, cut)
				}
			}
		})
	}
}

func compareDamaged(t *testing.T, f *os.File, size int64) {
	t.Helper()
	info, err := Probe(f, size)
	if err != nil {
		t.Fatal(err)
	}
	if info.Type == "" {
		return
	}
	if diff := cmp.Diff(oracle(t, f.Name()), view(info)); diff != "" {
		t.Errorf("%d bytes: blkid -, probe +\n%s", size, diff)
	}
}

func imageNamed(t testing.TB, name string) image {
	t.Helper()
	for _, m := range images {
		if m.name == name {
			return m
		}
	}
	t.Fatalf("no image %s", name)
	return image{}
}

func TestHealth(t *testing.T) {
	tests := []struct {
		image string
		off   int64
		mask  byte
		want  Health
	}{
		{"ext4-no-csum", 0, 0, Clean},
		{"ext4-no-csum", 0x400 + 0x3a, 1, Dirty},
		{"ext4-no-csum", 0x400 + 0x60, 4, Dirty}, // needs recovery
		{"ext4-no-csum", 0x400 + 0x3a, 2, Faulty},
		{"fat32", 0, 0, Clean},
		{"fat32", 0x41, 1, Dirty},
		{"fat16", 0x25, 1, Dirty},
		{"fat16", 0x25, 2, Faulty},
		{"exfat", 0, 0, Clean},
		{"exfat", 106, 2, Dirty},
		{"exfat", 106, 4, Faulty},
		{"ntfs", 0, 0, Clean},
		{"swap", 0, 0, Unknown},
	}
	for _, test := range tests {
		t.Run(test.image+"-"+test.want.String(), func(t *testing.T) {
			file := imageNamed(t, test.image).make(t)
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			b := make([]byte, 1)
			f.ReadAt(b, test.off)
			b[0] ^= test.mask
			f.WriteAt(b, test.off)
			if got := probeFile(t, file).Health; got != test.want {
				t.Errorf("health is %v, want %v", got, test.want)
			}
		})
	}
}

func TestZFS(t *testing.T) {
	b := make([]byte, 64<<20)
	writeZFS(b, poolPairs("tank", 1))
	want := &ZFS{Pool: "tank", PoolGUID: 1<<63 + 5, VdevGUID: 77, TopGUID: 999, HostID: 0xc0ffee, Hostname: "frood",
		State: Exported, Txg: 42, Tops: 1, Leaves: []uint64{77, 78}}
	for _, where := range []string{"front", "end"} {
		info, err := Probe(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, info.ZFS); diff != "" {
			t.Errorf("%s: %s", where, diff)
		}
		clear(b[:512<<10])
	}
	wide := make([]uint64, 200) // the pairs of a wide vdev go beyond the first read
	for i := range wide {
		wide[i] = uint64(i) + 1
	}
	writeZFS(b, poolOf("wide", 0, wide...))
	info, _ := Probe(bytes.NewReader(b), int64(len(b)))
	if info.ZFS == nil || len(info.ZFS.Leaves) != len(wide) {
		t.Errorf("a vdev of %d devices: %+v", len(wide), info.ZFS)
	}
}

func TestMembers(t *testing.T) {
	if info := probeFile(t, imageNamed(t, "btrfs-dual").make(t)); info.Members != 2 {
		t.Errorf("btrfs of 2 devices: %+v", info)
	}
}

func TestAmbivalent(t *testing.T) {
	info := probeFile(t, imageNamed(t, "zfs-under-ext4").make(t))
	if diff := cmp.Diff(Info{Ambivalent: []string{"ext4", "zfs_member"}}, info); diff != "" {
		t.Error(diff)
	}
}

// meter counts reads, and fails those at or behind bad.
type meter struct {
	r     io.ReaderAt
	bad   int64
	reads int
	bytes int
}

func (m *meter) ReadAt(b []byte, off int64) (int, error) {
	m.reads++
	m.bytes += len(b)
	if m.bad > 0 && off+int64(len(b)) > m.bad {
		return 0, io.ErrClosedPipe
	}
	return m.r.ReadAt(b, off)
}

func TestFewReads(t *testing.T) {
	tests := []struct {
		image string
		most  int
	}{{"zero", 2}, {"ext4", 2}, {"btrfs", 2}, {"swap", 2}, {"zfs", 2}, {"luks2", 2}, {"xfs", 2}, {"fat32", 3}, {"exfat", 3}, {"ntfs", 5}, {"zfs-odd-size", 3}}
	for _, test := range tests {
		t.Run(test.image, func(t *testing.T) {
			f, err := os.Open(imageNamed(t, test.image).make(t))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			size, _ := f.Seek(0, io.SeekEnd)
			m := &meter{r: f}
			if _, err := Probe(m, size); err != nil {
				t.Fatal(err)
			}
			if m.reads > test.most {
				t.Errorf("%d reads, want at most %d", m.reads, test.most)
			}
			t.Logf("%d reads, %d bytes", m.reads, m.bytes)
		})
	}
}

func TestUnreadable(t *testing.T) {
	b := make([]byte, 8<<20)
	writeMD1(b, 4096)
	info, err := Probe(&meter{r: bytes.NewReader(b), bad: 1 << 20}, int64(len(b)))
	if !errors.Is(err, io.ErrClosedPipe) || info.Type != "linux_raid_member" {
		t.Errorf("got %q, %v", info.Type, err)
	}
	if info, err = Probe(bytes.NewReader(b[:100<<10]), int64(len(b))); err != nil || info.Type != "linux_raid_member" {
		t.Errorf("a device shorter than it says: %q, %v", info.Type, err)
	}
}

func TestNames(t *testing.T) {
	tests := []struct{ in, encoded, safe string }{
		{"", "", ""},
		{"plain-1.0", "plain-1.0", "plain-1.0"},
		{" a  b ", `\x20a\x20\x20b\x20`, "a_b"},
		{"a/b\\c", `a\x2fb\x5cc`, `a/b\c`},
		{"Grüße", "Grüße", "Grüße"},
		{"a\x01\xff", `a\x01\xff`, "a\x01_"},
		{"\ufdd0", `\xef\xb7\x90`, "___"},
	}
	for _, test := range tests {
		if got := EncodeString(test.in); got != test.encoded {
			t.Errorf("EncodeString(%q) = %q, want %q", test.in, got, test.encoded)
		}
		if got := SafeString(test.in); got != test.safe {
			t.Errorf("SafeString(%q) = %q, want %q", test.in, got, test.safe)
		}
	}
}
