//go:build priv

package devices

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

func tool(t *testing.T, argv ...string) string {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Skip(argv[0], "is missing")
	}
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Skipf("%v: %v\n%s", argv, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestLoop reads real file systems on a partitioned loop device and asks blkid(8)
// for the same.
func TestLoop(t *testing.T) {
	image := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 32<<20); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", "-q", image)
	cmd.Stdin = strings.NewReader("label: gpt\nstart=2048, name=\"my data\"\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("sfdisk: %v\n%s", err, out)
	}
	loop := tool(t, "losetup", "-fP", "--show", image)
	t.Cleanup(func() { _ = exec.Command("losetup", "-d", loop).Run() })
	name := filepath.Base(loop)
	part := name + "p1"
	w := newWorld(t, CatalogConfig{testOnlyOpen: openVolume})
	if err := os.Remove(filepath.Join(w.root, "sys")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/sys", filepath.Join(w.root, "sys")); err != nil {
		t.Fatal(err)
	}
	keys := []string{"UUID", "LABEL", "PARTUUID", "PARTLABEL"}
	if _, ok := existing("/sys/class/block", part, "block"); !ok {
		t.Log("the kernel reads no partitions of", loop)
		part, keys = name, keys[:2]
		tool(t, "wipefs", "-q", "-a", loop)
	}
	nodes := []string{name}
	if part != name {
		nodes = append(nodes, part)
	}
	for _, node := range nodes {
		u, ok := existing("/sys/class/block", node, "block")
		if !ok {
			t.Skip("no ", node)
		}
		if err := unix.Mknod(filepath.Join(w.root, "dev", node), unix.S_IFBLK|0o600, int(diskOf(u).Dev)); err != nil {
			t.Skip("mknod:", err)
		}
	}
	tool(t, "mkfs.ext4", "-q", "-L", "a b", filepath.Join(w.root, "dev", part))
	for _, node := range nodes {
		u, _ := existing("/sys/class/block", node, "block")
		w.Event(u)
	}
	through := make(chan struct{})
	w.Settle(func() { close(through) })
	select {
	case <-through:
	case <-time.After(time.Minute):
		t.Fatal("not settled")
	}
	for _, key := range keys {
		value := tool(t, "blkid", "-p", "-s", map[string]string{"PARTUUID": "PART_ENTRY_UUID", "PARTLABEL": "PART_ENTRY_NAME"}[key]+map[string]string{"UUID": "UUID", "LABEL": "LABEL"}[key],
			"-o", "value", filepath.Join(w.root, "dev", part))
		value = strings.ReplaceAll(value, " ", `\x20`)
		if got := w.link("disk/by-" + strings.ToLower(key) + "/" + value); value == "" || got != "../../"+part {
			t.Errorf("by-%s/%s -> %q", strings.ToLower(key), value, got)
		}
	}
	// mke2fs once more: the watch of a real node. The kernel's event for it does
	// not come here.
	for len(w.said) > 0 {
		<-w.said
	}
	tool(t, "mkfs.ext4", "-q", "-F", "-L", "other", filepath.Join(w.root, "dev", part))
	deadline := time.After(time.Minute)
	for {
		select {
		case s := <-w.said:
			if s == "disk "+part+" ext4 other" {
				return
			}
			continue
		case <-deadline:
			t.Fatal("the new label was not seen")
		}
	}
}

// TestLibudev has udevadm(8) hear what we pass on, through its filter.
func TestLibudev(t *testing.T) {
	if _, err := exec.LookPath("udevadm"); err != nil {
		t.Skip("udevadm is missing")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// libudev listens only where it believes that udevd runs.
	cmd := exec.CommandContext(ctx, "unshare", "-m", "sh", "-c", "mount -t tmpfs none /run && mkdir /run/udev && : > /run/udev/control && exec stdbuf -oL udevadm monitor --udev --property --subsystem-match=block/disk")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Skip("unshare:", err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	c := NewCatalog(CatalogConfig{Rules: []unit.DeviceRule{}})
	if c.listen = openListeners(); c.listen < 0 {
		t.Fatal("no socket")
	}
	defer unix.Close(c.listen)
	links, err := filepath.Glob("/sys/block/*")
	if err != nil || len(links) == 0 {
		t.Skip("no block device here")
	}
	real, ok := existing("/sys/block", filepath.Base(links[0]), "block")
	if !ok {
		t.Skip("no block device here")
	}
	e := &entry{since: 7, props: map[string]string{"ID_FS_TYPE": "zfs_member"}, links: []string{"disk/by-id/x"}}
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C: // until it listens
				other := real
				other.Subsystem = "net"
				c.tell(e, other) // its filter refuses this
				c.tell(e, real)
			}
		}
	}()
	lines := bufio.NewScanner(out)
	seen := map[string]bool{}
	for lines.Scan() {
		seen[lines.Text()] = true
		if seen["ID_FS_TYPE=zfs_member"] && seen["DEVNAME=/dev/"+real.DevName] && seen["DEVLINKS=/dev/disk/by-id/x"] && seen["ACTION=add"] {
			return
		}
	}
	t.Errorf("udevadm heard %v", seen)
}

// TestDatabase has udevadm(8) and lsblk(8) read what we write about a disk that
// is here.
func TestDatabase(t *testing.T) {
	w := newWorld(t, CatalogConfig{})
	links, err := filepath.Glob("/sys/block/*")
	if err != nil || len(links) == 0 {
		t.Skip("no block device here")
	}
	name := filepath.Base(links[0])
	for _, l := range links { // lsblk leaves out what has no size
		if attr(l, "size") != "0" {
			name = filepath.Base(l)
		}
	}
	u, ok := existing("/sys/block", name, "block")
	if !ok {
		t.Skip("no block device here")
	}
	if err := os.MkdirAll(filepath.Join(w.root, "run/udev/data"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.Catalog.record(&entry{u: u, since: 7, links: []string{"disk/by-id/x"}, props: map[string]string{"ID_FS_TYPE": "ext4", "ID_FS_LABEL": "a_b", "ID_FS_LABEL_ENC": `a\x20b`}})
	in := "mount --bind " + w.root + "/run /run && "
	out := tool(t, "unshare", "-m", "sh", "-c", in+"udevadm info /sys/block/"+name)
	for _, want := range []string{"S: disk/by-id/x", "E: ID_FS_TYPE=ext4", "E: USEC_INITIALIZED=7"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if _, err := os.Stat("/dev/" + name); err != nil {
		return
	}
	if out := tool(t, "unshare", "-m", "sh", "-c", in+"lsblk -dno FSTYPE,LABEL /dev/"+name); strings.Join(strings.Fields(out), " ") != "ext4 a b" {
		t.Errorf("lsblk: %q", out)
	}
}
