package zfs

import (
	"os"
	"slices"
	"testing"
	"time"

	"hoopy/unit"
)

func TestHang(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		p, q := mirror("tank", 1000), mirror("other", 2000)
		bubble(t, []*fakePool{p, q}, nil, func(r *rig) {
			r.z.deaf = deaf
			r.z.hang = func(argv []string) bool { return slices.Contains(argv, "/dev/disk/by-id/ata-tank_1") }
			for i := range 2 {
				r.a.Disk(disk(p, i+1))
				r.a.Disk(disk(q, i+1))
			}
			r.do(unit.Start, tank(nil), 1)
			r.do(unit.Start, tank(func(c *unit.PoolConfig) { c.Name = "other" }), 2)
			r.pass(time.Second)
			r.has("ready", "log: pool:other: other is imported, ONLINE")
			r.pass(time.Hour)
			r.has("noted: zpool import does not answer since 30 s")
			if n := r.called("ata-tank_1"); n > 7 || deaf && n != 1 {
				t.Errorf("deaf %v: %d calls that hang", deaf, n)
			}
			r.do(unit.Stop, tank(nil), 1)
			r.pass(time.Second)
			r.do(unit.Kill, tank(nil), 1)
			r.pass(unit.KillTimeout)
			r.has("empty")
		})
	}
}

// TestHangAtEnd holds that a zpool that hangs costs nothing at the end where the
// kernel has no pool to give back.
func TestHangAtEnd(t *testing.T) {
	const list = "/proc/spl/kstat/zfs"
	for _, c := range []struct {
		name string
		here string // in the kernel's list
		deaf bool
		most time.Duration
	}{
		{"nothing is imported", "/$import", false, 100 * time.Millisecond},
		{"nothing, and zpool cannot be ended", "/other", true, graceTime + 100*time.Millisecond},
		{"half", "/tank", true, graceTime + halfTime + 2*busyTime},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mirror("tank", 1000)
			bubble(t, []*fakePool{p}, nil, func(r *rig) {
				here := r.root + list
				r.z.deaf, r.z.hang = c.deaf, func(argv []string) bool {
					// As spa_import has it: the name first, then the disks.
					if argv[1] == "import" {
						_ = os.MkdirAll(here+c.here+"/state", 0o755)
					}
					return true
				}
				if err := os.MkdirAll(here, 0o755); err != nil {
					t.Fatal(err)
				}
				r.a.Disk(disk(p, 1))
				r.a.Disk(disk(p, 2))
				r.do(unit.Start, tank(nil), 1)
				r.pass(5 * time.Second)
				if r.called("zpool import") != 1 {
					t.Errorf("%q", r.z.calls)
				}
				r.do(unit.Stop, tank(nil), 1)
				r.pass(c.most)
				r.has("empty")
				r.quiet("is exported")
			})
		})
	}
}

func TestHealthHangs(t *testing.T) {
	p := mirror("tank", 1000)
	bubble(t, []*fakePool{p}, nil, func(r *rig) {
		r.a.Disk(disk(p, 1))
		r.a.Disk(disk(p, 2))
		r.do(unit.Start, tank(nil), 1)
		r.pass(time.Second)
		r.has("ready")
		r.z.change(func() { r.z.deaf, r.z.hang = true, func([]string) bool { return true } })
		n := r.called("")
		r.pass(2 * time.Hour)
		r.has("sick: zpool does not answer", "noted: zpool list does not answer since 60 min")
		if m := r.called(""); m != n+1 {
			t.Errorf("%d calls more", m-n)
		}
		// The supervisor ends: nothing is waited for.
		r.end()
		r.quiet("empty")
	})
}
