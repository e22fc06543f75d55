package process

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTrees(t *testing.T) {
	proc := t.TempDir()
	put := func(pid int, stat string) {
		dir := filepath.Join(proc, strconv.Itoa(pid))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(100, "100 (sshd) S 1 100 100 0 -1")
	put(200, "200 (sshd-session) S 100 200 200 0 -1")
	put(201, "201 (sshd-session) S 200 200 200 0 -1")
	put(202, "202 (sh) S 201 202 202 0 -1")
	put(300, "300 (sshd: a) S b) S 100 300 300 0 -1") // a name made to mislead
	put(400, "400 (tmux: server) S 1 400 400 0 -1")
	put(401, "401 (sh) S 400 401 401 0 -1")
	put(500, "500 (cut")
	for _, c := range []struct {
		name string
		pids []int
		main int
		want map[int][]int
	}{
		{"nobody", nil, 100, map[int][]int{}},
		{"no session", []int{100}, 100, map[int][]int{}},
		{"all", []int{100, 200, 201, 202, 300, 400, 401, 500, 999}, 100,
			map[int][]int{200: {200, 201, 202}, 300: {300}, 400: {400, 401}}},
		{"the main process is gone", []int{202, 201, 200}, 0, map[int][]int{200: {200, 201, 202}}},
		{"the root is gone", []int{202, 201}, 100, map[int][]int{201: {201, 202}}},
	} {
		got := trees(c.pids, c.main, parentIn(proc))
		for _, pids := range got {
			slices.Sort(pids)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	ring := map[int]int{1: 2, 2: 1}
	if got := trees([]int{1, 2}, 0, func(pid int) int { return ring[pid] }); len(got) == 0 {
		t.Error("a ring of parents: nothing")
	}
}

func FuzzParent(f *testing.F) {
	f.Add("1 (a) S 0 1")
	f.Add("")
	f.Add(")")
	f.Add("300 (sshd: a) S b) S 100 300")
	f.Fuzz(func(t *testing.T, stat string) {
		if parseParent(stat) < 0 {
			t.Errorf("%q: a negative parent", stat)
		}
	})
}
