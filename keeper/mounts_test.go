package keeper

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMountTable(t *testing.T) {
	seen := map[string]int{}
	for i, r := range mountTable {
		if _, twice := seen[r.target]; twice {
			t.Errorf("%s stands twice", r.target)
		}
		seen[r.target] = i
		if r.flags&unix.MS_NOSUID == 0 {
			t.Errorf("%s lets programs be setuid", r.target)
		}
		for dir := r.target; len(dir) > 1; dir = dir[:bytes.LastIndexByte([]byte(dir), '/')] {
			if at, ok := seen[dir]; ok && at > i {
				t.Errorf("%s is mounted before %s", r.target, dir)
			}
		}
	}
	for _, first := range []string{"/proc", "/sys", "/dev", "/sys/fs/cgroup"} {
		if seen[first] >= firstMounts {
			t.Errorf("%s must stand before the supervisor starts", first)
		}
	}
}
