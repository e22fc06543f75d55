package probe

import (
	"bytes"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const script = `label: gpt
label-id: 5D41402A-BC4B-4A76-B971-9D911017C592
1 : start=2048, size=2048, type=C12A7328-F81F-11D2-BA4B-00C04FC93EC9, uuid=11111111-2222-3333-4444-555555555555, name="EFI system"
3 : start=8192, size=4096, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="Größe/1"
9 : start=16384, size=1024, type=6A898CC3-1DD2-11B2-99A6-080020736631, attrs="GUID:63", name="zfs-0123456789abcdef0123456789abcdef"
`

const scriptDOS = `label: dos
label-id: 0xb61b19e7
1 : start=2048, size=2048, type=c, bootable
3 : start=4096, size=12288, type=5
4 : start=20480, size=2048, type=83
5 : start=6144, size=2048, type=83
6 : start=10240, size=1024, type=82
`

// tableImage makes a disk of 16 MiB with a table.
func tableImage(t testing.TB, script string, args ...string) *os.File {
	t.Helper()
	run(t, "sfdisk", "--version")
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 16<<20); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", append(append([]string{"-q"}, args...), name)...)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// rows is what partx -P prints of a table.
func rows(table Table) (out []string) {
	for _, p := range table.Partitions {
		kind := p.Type
		label := p.Label
		if strings.HasPrefix(kind, "0x") {
			label = ""
		}
		out = append(out, strconv.Itoa(p.Number)+" "+strconv.FormatInt(p.Start/512, 10)+" "+strconv.FormatInt(p.Size/512, 10)+
			" "+kind+" "+p.UUID+" "+strconv.FormatUint(p.Flags, 16)+" "+label)
	}
	return out
}

func partx(t testing.TB, name string, args ...string) (out []string) {
	t.Helper()
	text := run(t, "partx", append(append([]string{"-g", "-P", "-o", "NR,START,SECTORS,TYPE,UUID,FLAGS,NAME"}, args...), name)...)
	for line := range strings.Lines(text) {
		var fields []string
		for i, f := range strings.Split(line, "\"") {
			if i%2 == 1 { // partx writes bytes that are not ASCII as \x and two digits
				if plain, err := strconv.Unquote(`"` + f + `"`); err == nil {
					f = plain
				}
				fields = append(fields, f)
			}
		}
		if len(fields) == 7 {
			fields[5] = strings.TrimPrefix(fields[5], "0x")
			out = append(out, strings.Join(fields, " "))
		}
	}
	return out
}

func readTable(t testing.TB, f *os.File, sector int) Table {
	t.Helper()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	table, err := ReadTable(f, size, sector)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestTables(t *testing.T) {
	run(t, "partx", "-V")
	for _, test := range []struct{ name, script, kind, uuid string }{
		{"gpt", script, "gpt", id},
		{"dos", scriptDOS, "dos", "b61b19e7"},
		{"empty-gpt", "label: gpt\nlabel-id: 5D41402A-BC4B-4A76-B971-9D911017C592\n", "gpt", id},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := tableImage(t, test.script)
			got := readTable(t, f, 512)
			if got.Type != test.kind || got.UUID != test.uuid || got.Damaged {
				t.Errorf("table is %s %s, damaged %v", got.Type, got.UUID, got.Damaged)
			}
			want := partx(t, f.Name())
			if test.name != "empty-gpt" && len(want) < 3 {
				t.Fatalf("partx prints %q", want)
			}
			if diff := cmp.Diff(want, rows(got)); diff != "" {
				t.Errorf("partx -, probe +\n%s", diff)
			}
			out := run(t, "blkid", "-p", "-o", "udev", f.Name())
			if !strings.Contains(out, "ID_PART_TABLE_TYPE="+got.Type+"\n") || !strings.Contains(out, "ID_PART_TABLE_UUID="+got.UUID+"\n") {
				t.Errorf("blkid says %s", out)
			}
		})
	}
}

func TestDamagedGPT(t *testing.T) {
	f := tableImage(t, script)
	whole := readTable(t, f, 512)
	f.WriteAt([]byte{0x11}, 1024+40) // an entry
	second := readTable(t, f, 512)
	if !second.Damaged {
		t.Error("a wrong sum of the entries is not seen")
	}
	second.Damaged = false
	if diff := cmp.Diff(whole, second); diff != "" {
		t.Errorf("the second copy: %s", diff)
	}
	f.WriteAt([]byte{0x77}, 16<<20-512+60)
	if got := readTable(t, f, 512); got.Type != "PMBR" || got.Partitions != nil {
		t.Errorf("both damaged: %+v", got)
	}
}

// TestSectors reads a GPT of sectors of 4096 bytes, which sfdisk cannot write
// into a file.
func TestSectors(t *testing.T) {
	const sector = 4096
	b := make([]byte, 16<<20)
	b[446+4] = 0xee
	copy(b[510:], "\x55\xaa")
	entries := b[2*sector : 2*sector+128*128]
	copy(entries, "a type, 16 bytesa uuid, 16 bytes")
	le.PutUint64(entries[32:], 256)
	le.PutUint64(entries[40:], 511)
	copy(entries[56:], "f\x00o\x00u\x00r\x00")
	h := b[sector : sector+92]
	copy(h, "EFI PART")
	for off, v := range map[int]uint64{24: 1, 40: 8, 48: 4000, 72: 2} {
		le.PutUint64(h[off:], v)
	}
	for _, f := range [][2]uint32{{12, 92}, {80, 128}, {84, 128}, {88, crc32.ChecksumIEEE(entries)}} {
		le.PutUint32(h[f[0]:], f[1])
	}
	le.PutUint32(h[16:], crc32.ChecksumIEEE(h))
	got, err := ReadTable(bytes.NewReader(b), int64(len(b)), sector)
	if err != nil || len(got.Partitions) != 1 || got.Partitions[0].Start != 1<<20 || got.Partitions[0].Size != 1<<20 || got.Partitions[0].Label != "four" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestBootSectorIsNoTable: the signature of a boot record alone means nothing.
func TestBootSectorIsNoTable(t *testing.T) {
	for _, name := range []string{"fat12", "fat16", "fat32", "exfat", "ntfs"} {
		f, err := os.Open(imageNamed(t, name).make(t))
		if err != nil {
			t.Fatal(err)
		}
		if got := readTable(t, f, 512); got.Type != "" {
			t.Errorf("%s: %+v", name, got)
		}
		f.Close()
	}
}

// TestLoop follows a chain of logical partitions that bites its tail.
func TestLoop(t *testing.T) {
	b := make([]byte, 1<<20)
	for _, at := range []int{0, 512} {
		copy(b[at+510:], "\x55\xaa")
		e := b[at+446:]
		e[4] = 5
		le.PutUint32(e[8:], 1-uint32(at/512))
		le.PutUint32(e[12:], 100)
		e = e[16:]
		e[4] = 0x83
		le.PutUint32(e[8:], 1)
		le.PutUint32(e[12:], 1)
	}
	table, _ := ReadTable(bytes.NewReader(b), int64(len(b)), 512)
	if n := len(table.Partitions); table.Type != "dos" || n == 0 || n > 200 {
		t.Errorf("%s with %d partitions", table.Type, n)
	}
}

// TestCovered: the superblock of a raid in the last partition is not the disk's.
func TestCovered(t *testing.T) {
	f := tableImage(t, "label: dos\nstart=2048, size=30720\n")
	b := make([]byte, 16<<20)
	f.ReadAt(b, 0)
	writeMD090(b[1<<20:])
	info, _ := Probe(bytes.NewReader(b), int64(len(b)))
	part, _ := Probe(bytes.NewReader(b[1<<20:]), int64(len(b)-1<<20))
	if info.Type != "" || part.Type != "linux_raid_member" {
		t.Errorf("disk %q, partition %q", info.Type, part.Type)
	}
}
