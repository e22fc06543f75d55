package devices

import (
	"context"
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pilebones/go-udev/netlink"
	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// swap makes a device with a swap space: the smallest thing with a name.
func swapImage(label string, id byte) []byte {
	b := make([]byte, 64<<10)
	copy(b[4086:], "SWAPSPACE2")
	binary.LittleEndian.PutUint32(b[1024:], 1)
	binary.LittleEndian.PutUint32(b[1028:], 15)
	for i := range 16 {
		b[1036+i] = id
	}
	copy(b[1052:], label)
	return b
}

const swapUUID = "01010101-0101-0101-0101-010101010101"

// openFile stands for openVolume: the nodes of tests are plain files.
func openFile(path string) (*volume, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	return &volume{fd: fd, size: st.Size}, nil
}

// world is a catalog under test with what it told.
type world struct {
	*Catalog
	t    *testing.T
	root string
	said chan string
	mu   sync.Mutex
	log  []string
}

func (w *world) say(s string)     { w.said <- s }
func (w *world) Disk(d unit.Disk) { w.say("disk " + d.Node + " " + d.Type + " " + d.Label) }
func (w *world) Gone(node string) { w.say("gone " + node) }
func (w *world) Settled()         { w.say("settled") }
func (w *world) logged(s string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, l := range w.log {
		if strings.Contains(l, s) {
			n++
		}
	}
	return n
}

func newWorld(t *testing.T, c CatalogConfig) *world {
	w := &world{t: t, root: t.TempDir(), said: make(chan string, 1<<16)}
	for _, dir := range []string{"dev", "sys", "run", "etc"} {
		if err := os.Mkdir(filepath.Join(w.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c.Root, c.Disks, c.Quiet = w.root, []unit.Disks{w}, true
	c.Log = func(s string) {
		w.mu.Lock()
		w.log = append(w.log, s)
		w.mu.Unlock()
	}
	c.Emit = func(e unit.Event) {
		word := map[unit.EventOp]string{unit.IsReady: "ready", unit.Noted: "noted", unit.Lost: "lost", unit.Empty: "empty"}[e.Op]
		w.say(word + " " + e.Unit + " " + e.Text)
	}
	if c.testOnlyOpen == nil {
		c.testOnlyOpen = openFile
	}
	w.Catalog = NewCatalog(c)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return w
}

// plug lays a disk and tells of it.
func (w *world) plug(name string, minor int, image []byte) Uevent {
	w.t.Helper()
	u := Uevent{Action: "add", DevPath: "/devices/pci/" + name, Subsystem: "block", DevName: name, Env: map[string]string{
		"MAJOR": "8", "MINOR": strconv.Itoa(minor), "DEVTYPE": "disk", "DEVNAME": name, "DISKSEQ": strconv.Itoa(minor + 1)}}
	dir := filepath.Join(w.root, "sys", u.DevPath)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "size"), []byte(strconv.Itoa(len(image)/512)+"\n"), 0o644)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(w.root, "sys/dev/block/8:"+strconv.Itoa(minor)), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(w.root, "dev", name), image, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.Event(u)
	return u
}

func (w *world) pull(u Uevent) {
	u.Action = "remove"
	w.Event(u)
}

// expect waits for what the catalog tells next.
func (w *world) expect(want ...string) {
	w.t.Helper()
	for _, line := range want {
		select {
		case got := <-w.said:
			if strings.TrimSpace(got) != line {
				w.t.Fatalf("%q, want %q", got, line)
			}
		case <-time.After(time.Minute):
			w.t.Fatalf("no word of %q", line)
		}
	}
}

func (w *world) link(name string) string {
	to, _ := os.Readlink(filepath.Join(w.root, "dev", name))
	return to
}

func TestCatalog(t *testing.T) {
	w := newWorld(t, CatalogConfig{})
	u := w.plug("sda", 0, swapImage("my disk", 1))
	w.expect("disk sda swap my disk")
	through := make(chan struct{})
	w.Settle(func() { close(through) })
	w.expect("settled")
	<-through
	for _, name := range []string{"disk/by-uuid/" + swapUUID, `disk/by-label/my\x20disk`, "disk/by-diskseq/1"} {
		if got := w.link(name); got != "../../sda" {
			t.Errorf("%s -> %q", name, got)
		}
	}
	text, err := os.ReadFile(filepath.Join(w.root, "run/udev/data/b8:0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"S:disk/by-uuid/" + swapUUID, "I:", "E:ID_FS_TYPE=swap", "E:ID_FS_LABEL=my_disk", `E:ID_FS_LABEL_ENC=my\x20disk`, "E:ID_FS_USAGE=other"} {
		if !strings.Contains("\n"+string(text), "\n"+line) {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
	// mkfs: nobody sends an event, but the node is closed.
	if err := os.WriteFile(filepath.Join(w.root, "dev/sda"), swapImage("new", 1), 0o600); err != nil {
		t.Fatal(err)
	}
	w.expect("disk sda swap new")
	if w.link(`disk/by-label/my\x20disk`) != "" || w.link("disk/by-label/new") == "" {
		t.Error("the old label is there, or the new is not")
	}
	w.Event(u) // the same once more
	w.pull(u)
	w.expect("gone sda")
	for _, path := range []string{"dev/disk/by-label/new", "dev/disk/by-uuid/" + swapUUID, "run/udev/data/b8:0"} {
		if _, err := os.Lstat(filepath.Join(w.root, path)); err == nil {
			t.Error(path, "is still there")
		}
	}
}

// TestPartition: what the table of its disk says of a partition, and the names
// that it has from its disk.
func TestPartition(t *testing.T) {
	w := newWorld(t, CatalogConfig{Rules: []unit.DeviceRule{{Match: map[string]string{"KERNEL": "vda1"}, Link: "data"}}})
	disk := make([]byte, 1<<20)
	copy(disk[440:], "\x78\x56\x34\x12")
	copy(disk[446:], "\x00\x00\x00\x00\x83\x00\x00\x00\x08\x00\x00\x00\x80\x00\x00\x00")
	copy(disk[510:], "\x55\xaa")
	u := w.plug("vda", 0, disk)
	w.expect("disk vda")
	if err := os.WriteFile(filepath.Join(w.root, "sys", u.DevPath, "serial"), []byte("s1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/bus/block", filepath.Join(w.root, "sys", u.DevPath, "subsystem")); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(w.root, "sys", u.DevPath, "vda1")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"partition": "1\n", "size": "128\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(w.root, "dev/vda1"), swapImage("p", 1), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Event(Uevent{Action: "add", DevPath: u.DevPath + "/vda1", Subsystem: "block", DevName: "vda1",
		Env: map[string]string{"MAJOR": "8", "MINOR": "1", "DEVTYPE": "partition", "PARTN": "1"}})
	w.expect("disk vda1 swap p")
	for _, name := range []string{"disk/by-partuuid/12345678-01", "disk/by-id/virtio-s1-part1", "disk/by-label/p", "data"} {
		if got := strings.TrimPrefix(w.link(name), "../../"); got != "vda1" {
			t.Errorf("%s -> %q", name, got)
		}
	}
	text, err := os.ReadFile(filepath.Join(w.root, "run/udev/data/b8:1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"E:ID_PART_ENTRY_SCHEME=dos\n", "E:ID_PART_ENTRY_NUMBER=1\n", "E:ID_PART_ENTRY_OFFSET=8\n", "E:ID_PART_TABLE_TYPE=dos\n"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}

// TestSweep: what vanished while nobody listened, and what a former life left.
func TestSweep(t *testing.T) {
	w := newWorld(t, CatalogConfig{})
	stale := filepath.Join(w.root, "dev/disk/by-uuid/old")
	data := filepath.Join(w.root, "run/udev/data")
	for _, dir := range []string{filepath.Dir(stale), data} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../sdz", stale); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "b8:240"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	u := w.plug("sda", 0, swapImage("x", 1))
	w.expect("disk sda swap x")
	if err := os.RemoveAll(filepath.Join(w.root, "sys", u.DevPath)); err != nil {
		t.Fatal(err)
	}
	w.Settle(nil)
	w.expect("gone sda", "settled")
	for _, path := range []string{stale, filepath.Join(data, "b8:240")} {
		if _, err := os.Lstat(path); err == nil {
			t.Error(path, "is still there")
		}
	}
}

// TestTwins: two disks of one name, in either order.
func TestTwins(t *testing.T) {
	for _, order := range [][]string{{"sda", "sdb"}, {"sdb", "sda"}} {
		w := newWorld(t, CatalogConfig{})
		disks := map[string]Uevent{}
		for _, name := range order {
			disks[name] = w.plug(name, int(name[2]-'a')*16, swapImage("twin", 1))
			w.expect("disk " + name + " swap twin")
		}
		if got := w.link("disk/by-label/twin"); got != "../../sda" {
			t.Errorf("%v: %s", order, got)
		}
		if n := w.logged("/dev/disk/by-label/twin is claimed"); n != 1 || len(w.Warnings()) != 2 {
			t.Errorf("%v: told %d times; %q", order, n, w.Warnings())
		}
		w.pull(disks["sda"])
		w.expect("gone sda")
		if got := w.link("disk/by-label/twin"); got != "../../sdb" || len(w.Warnings()) != 0 {
			t.Errorf("%v: %s, %q", order, got, w.Warnings())
		}
	}
}

// TestDeadDisk: more disks than readers hang; the others are read all the same,
// and the coldplug is through.
func TestDeadDisk(t *testing.T) {
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	w := newWorld(t, CatalogConfig{testOnlyLimit: 50 * time.Millisecond, testOnlyOpen: func(path string) (*volume, error) {
		if strings.Contains(path, "dead") {
			<-gate
		}
		return openFile(path)
	}})
	t.Cleanup(open)
	for i := range atOnce + 4 {
		w.plug("dead"+strconv.Itoa(i), i, swapImage("dead", byte(i)))
	}
	w.plug("sda", 200, swapImage("alive", 200))
	w.Settle(nil)
	heard := map[string]int{}
	for heard["settled"] == 0 || heard["disk sda swap alive"] == 0 { // which a busy machine may have found late, too
		select {
		case s := <-w.said:
			heard[s]++
		case <-time.After(time.Minute):
			t.Fatal("not settled", heard)
		}
	}
	if heard["disk sda swap alive"] != 1 || heard["disk dead0  "] != 1 || len(w.Warnings()) != atOnce+4 {
		t.Error(heard, w.Warnings())
	}
	open() // they answer after all
	for range atOnce + 4 {
		if s := <-w.said; !strings.HasSuffix(s, " swap dead") {
			t.Error(s)
		}
	}
}

// TestUnreadable: a disk that is empty, gone or being taken away is nothing to read
// about; one that fails is.
func TestUnreadable(t *testing.T) {
	fails := map[string]error{"sda": unix.ENOMEDIUM, "sdb": unix.ENOENT, "sdc": unix.ENXIO, "zram1": unix.EBUSY, "sdd": unix.EIO}
	w := newWorld(t, CatalogConfig{testOnlyOpen: func(path string) (*volume, error) { return nil, fails[filepath.Base(path)] }})
	for i, name := range slices.Sorted(maps.Keys(fails)) {
		w.plug(name, i, swapImage(name, byte(i)))
	}
	w.Settle(nil)
	w.expect("settled")
	for name, err := range fails {
		want := 0
		if err == unix.EIO {
			want = 1
		}
		if n := w.logged(name + ": "); n != want {
			t.Errorf("%s: %v is said %d times, want %d", name, err, n, want)
		}
	}
}

func TestDeviceUnits(t *testing.T) {
	w := newWorld(t, CatalogConfig{})
	do := func(op unit.ActionOp, name string, run unit.Run) {
		w.Do(unit.Action{Op: op, Unit: &unit.Unit{Name: name, Kind: unit.Device}, Run: run})
	}
	byUUID := unit.DeviceUnit("UUID=" + strings.ToUpper(swapUUID))
	do(unit.Start, byUUID, 1)
	do(unit.Start, byUUID, 1) // at least once
	u := w.plug("sda", 0, swapImage("x", 1))
	w.expect("disk sda swap x", "ready "+byUUID, "noted "+byUUID+" /dev/sda")
	do(unit.Start, "device:disk/by-label/x", 2)
	w.expect("ready device:disk/by-label/x", "noted device:disk/by-label/x /dev/sda")
	do(unit.Stop, "device:disk/by-label/x", 2)
	w.expect("empty device:disk/by-label/x")
	w.pull(u)
	w.expect("gone sda", "noted "+byUUID, "lost "+byUUID+" the device is gone")
	do(unit.Adopt, "device:sda", 3)
	w.Settle(nil)
	w.expect("settled", "noted device:sda", "lost device:sda the device is gone")
	w.plug("sda", 0, swapImage("x", 1))
	heard := []string{"disk sda swap x"}
	w.expect(heard...)
	var got []string
	for range 4 {
		got = append(got, strings.TrimSpace(<-w.said))
	}
	slices.Sort(got)
	want := []string{"noted device:sda /dev/sda", "noted " + byUUID + " /dev/sda", "ready device:sda", "ready " + byUUID}
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	do(unit.Kill, byUUID, 1)
	w.expect("empty " + byUUID)
}

// TestBurst hot-plugs 64 disks at once.
func TestBurst(t *testing.T) {
	w := newWorld(t, CatalogConfig{})
	begin := time.Now()
	for i := range 64 {
		w.plug("sd"+strconv.Itoa(i), i*16, swapImage("d"+strconv.Itoa(i), byte(i)))
	}
	told := map[string]bool{}
	for len(told) < 64 {
		select {
		case s := <-w.said:
			told[s] = true
		case <-time.After(time.Minute):
			t.Fatal(len(told), "of 64")
		}
	}
	t.Log("64 disks read, linked and recorded in", time.Since(begin))
	for i := range 64 {
		if w.link("disk/by-label/d"+strconv.Itoa(i)) != "../../sd"+strconv.Itoa(i) {
			t.Error(i)
		}
	}
}

// TestFlood sends 100,000 uevents, as ten seconds of 10,000 would bring, as fast
// as they are taken: none is lost, and the last of each device counts. How many
// that are in a second, the benchmarks tell.
func TestFlood(t *testing.T) {
	const events, devices = 100_000, 64
	w := newWorld(t, CatalogConfig{})
	socket := newFakeSocket()
	got := 0
	s, err := New(Config{Root: w.root, Release: "none", Catalog: w.Catalog, testOnlyReader: socket, Log: func(l string) {
		if strings.Contains(l, "lost") {
			t.Error(l)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	all, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Run(ctx, func(u Uevent) {
			if got++; got == events {
				close(all)
			}
		})
	}()
	<-s.Coldplugged()
	w.expect("settled")
	begin := time.Now()
	for i := range events {
		n := i % devices
		name := "event" + strconv.Itoa(n)
		socket.in <- Uevent{Action: "change", DevPath: "/devices/x/" + name, Subsystem: "input", DevName: "input/" + name, Seq: uint64(i + 1),
			Env: map[string]string{"MAJOR": "13", "MINOR": strconv.Itoa(n), "DEVNAME": "input/" + name, "N": strconv.Itoa(i)}}
	}
	select {
	case <-all:
	case <-time.After(5 * time.Minute):
		t.Error("events were lost:", got)
	}
	took := time.Since(begin)
	t.Logf("%d uevents in %v, %.0f a second on %d processors", events, took, events/took.Seconds(), runtime.NumCPU())
	cancel()
	<-ended
	files, _ := os.ReadDir(filepath.Join(w.root, "run/udev/data"))
	if len(files) != devices {
		t.Errorf("%d devices are known, not %d", len(files), devices)
	}
}

// BenchmarkUevents parses and takes events of 64 block devices, each of which is
// the last word on it.
func BenchmarkUevents(b *testing.B) {
	c := NewCatalog(CatalogConfig{Quiet: true})
	var messages [64][]byte
	for i := range messages {
		n := strconv.Itoa(i)
		messages[i] = []byte("change@/devices/pci0000:00/0000:00:1f.2/ata1/host0/block/sd" + n + "\x00ACTION=change\x00SUBSYSTEM=block\x00DEVNAME=sd" + n + "\x00MAJOR=8\x00MINOR=" + n + "\x00DEVTYPE=disk\x00SEQNUM=1\x00")
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		u, err := parseUevent(messages[i%64])
		if err != nil {
			b.Fatal(err)
		}
		c.Event(u)
	}
}

// TestMatches holds our matcher against go-udev's, whose rules are regular
// expressions.
func TestMatches(t *testing.T) {
	env := map[string]string{"SUBSYSTEM": "tty", "DEVNAME": "ttyUSB0", "DEVPATH": "/devices/pci/usb1/ttyUSB0", "PRODUCT": "463/ffff/1"}
	u := Uevent{DevPath: env["DEVPATH"], Subsystem: "tty", DevName: "ttyUSB0", Env: env}
	for _, row := range []struct {
		key, pattern, regexp string
	}{
		{"SUBSYSTEM", "tty", "^tty$"}, {"SUBSYSTEM", "usb", "^usb$"}, {"SUBSYSTEM", "usb|tty", "^(usb|tty)$"},
		{"DEVNAME", "ttyUSB*", "^ttyUSB.*$"}, {"DEVNAME", "ttyUSB[0-3]", "^ttyUSB[0-3]$"}, {"DEVNAME", "ttyUSB[!0]", "^ttyUSB[^0]$"},
		{"DEVPATH", "*/ttyUSB?", "^.*/ttyUSB.$"}, {"PRODUCT", "463/*", "^463/.*$"}, {"PRODUCT", "463", "^463$"}, {"DEVNAME", "tty", "^tty$"},
	} {
		rule := netlink.RuleDefinition{Env: map[string]string{row.key: row.regexp}}
		if err := rule.Compile(); err != nil {
			t.Fatal(err)
		}
		want := rule.EvaluateEnv(env)
		if got := matches(map[string]string{row.key: row.pattern}, u); got != want {
			t.Errorf("%s=%s: %v, the library has %v", row.key, row.pattern, got, want)
		}
	}
	if !matches(map[string]string{"KERNEL": "ttyUSB0"}, u) || matches(map[string]string{"NONE": "?*"}, u) || matches(nil, u) {
		t.Error("KERNEL, a missing variable or no rule")
	}
}

func TestMonitorMessage(t *testing.T) {
	e := &entry{since: 7, props: map[string]string{"ID_FS_TYPE": "zfs_member"}, links: []string{"disk/by-id/a", "disk/by-id/b"}}
	b := monitorMessage(e, Uevent{Action: "add", Subsystem: "block", DevName: "sda", Env: map[string]string{"ACTION": "add", "DEVNAME": "sda", "SUBSYSTEM": "block", "DEVTYPE": "disk"}})
	want := "ACTION=add\x00DEVNAME=/dev/sda\x00DEVTYPE=disk\x00SUBSYSTEM=block\x00SEQNUM=1\x00ID_FS_TYPE=zfs_member\x00DEVLINKS=/dev/disk/by-id/a /dev/disk/by-id/b\x00USEC_INITIALIZED=7\x00"
	if string(b[40:]) != want || native.Uint32(b[20:]) != uint32(len(want)) || string(b[:12]) != "libudev\x00\xfe\xed\xca\xfe" {
		t.Errorf("%q", b)
	}
}

func FuzzWatch(f *testing.F) {
	f.Add(make([]byte, 16))
	f.Add([]byte("\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		eachWatch(b, func(int32) { n++ })
		if n > len(b)/16 {
			t.Error(n)
		}
	})
}
