package keeper

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const mountinfo = `1 1 0:2 / / rw - rootfs rootfs rw
22 1 0:20 / /proc rw,nosuid shared:5 master:1 - proc proc rw
23 1 8:1 / /persist\040disk rw - ext4 /dev/sda1 rw
24 23 8:2 / /persist\040disk/b rw - xfs /dev/sdb1 rw
25 1 0:40 / /tmp rw - tmpfs tmpfs rw
26 1 0:50 / /tank rw - zfs tank rw
not a line
27 1 0:51 / relative rw - zfs tank rw
28 1 0:52 / /cut rw -
29 26 0:53 / /tank/tmp rw - tmpfs tmpfs rw
30 1 0:54 / /tanks rw - tmpfs tmpfs rw
`

func TestToUnmount(t *testing.T) {
	var got []string
	for _, m := range toUnmount([]byte(mountinfo)) {
		got = append(got, m.target)
	}
	if d := cmp.Diff([]string{"/tank/tmp", "/tank", "/persist disk/b", "/persist disk"}, got); d != "" {
		t.Error(d)
	}
}

func FuzzMountinfo(f *testing.F) {
	f.Add([]byte(mountinfo))
	f.Add([]byte(`1 2 3:4 / /\777\1 - a b`))
	f.Fuzz(func(t *testing.T, b []byte) {
		eachMount(b, func(m mountPoint) {
			if m.target == "" || m.target[0] != '/' || m.fstype == "" {
				t.Errorf("%q gives %+v", b, m)
			}
		})
	})
}

func TestSwaps(t *testing.T) {
	got := swaps([]byte("Filename\tType\tSize\n/dev/sda2 partition 8\n/swap\\040file file 9\n"))
	if d := cmp.Diff([]string{"/dev/sda2", "/swap file"}, got); d != "" {
		t.Error(d)
	}
	if got := swaps([]byte("Filename Type\n")); len(got) != 0 {
		t.Errorf("no swap: %q", got)
	}
}
