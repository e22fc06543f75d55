package zfs

import (
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"hoopy/unit"
)

// defaultSearch is where a disk's name is looked for, unless the configuration
// says otherwise.
const defaultSearch = "/dev/disk/by-id"

// spare says whether the disk may be a spare or a cache: their labels do not say
// of which pool.
func spare(d *unit.Disk) bool { return d.Type == "zfs_member" && d.Pool == "" && d.PoolGUID == 0 }

func isMember(d *unit.Disk) bool { return d.Pool != "" || d.PoolGUID != 0 || spare(d) }

// stranger is a pool that has no unit of its own.
type stranger struct {
	name string
	guid uint64
}

// strangers are the pools that are seen and have no unit, in the order of their
// names; settled says whether all disks of the boot have been seen.
func (a *Arm) strangers() (pools []stranger, settled bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.disks {
		s := stranger{d.Pool, d.PoolGUID}
		if d.Pool == "" || d.PoolGUID == 0 || slices.Contains(pools, s) || a.declared(&d) {
			continue
		}
		pools = append(pools, s)
	}
	sort.Slice(pools, func(i, j int) bool {
		x, y := &pools[i], &pools[j]
		return x.name < y.name || x.name == y.name && x.guid < y.guid
	})
	return pools, a.settled
}

// declared says whether the disk's pool has a unit; the caller holds the lock.
func (a *Arm) declared(d *unit.Disk) bool {
	for i := range a.cfg.Pools {
		if p := &a.cfg.Pools[i]; p.Name != "" && means(p.Name, p.GUID, d) {
			return true
		}
	}
	for _, r := range a.runs {
		if r.cfg.Name != "" && means(r.cfg.Name, r.cfg.GUID, d) {
			return true
		}
	}
	return false
}

// means says whether the disk is of the pool: by its number, if that is given.
func means(name string, guid uint64, d *unit.Disk) bool {
	if guid != 0 {
		return d.PoolGUID == guid
	}
	return d.Pool == name
}

// claimed says whether the configuration names the pool by its number: another
// pool of its name is not meant then.
func (a *Arm) claimed(guid uint64) bool {
	for i := range a.cfg.Pools {
		if guid != 0 && a.cfg.Pools[i].GUID == guid {
			return true
		}
	}
	return false
}

// members is what the disks say of a pool.
type members struct {
	paths []string // of its disks, and of what may be a spare
	here  int      // of its disks
	guids []uint64 // of the pools that are meant: two have one name
	quiet time.Duration

	settled bool // every disk of the boot has been seen
}

// sign is the same as long as the disks are.
func (m *members) sign() string { return strings.Join(m.paths, "\n") }

// members looks for the disks of a pool.
func (p *pool) members() members {
	a := p.a
	a.mu.Lock()
	defer a.mu.Unlock()
	m := members{quiet: settleTime - time.Since(a.changed), settled: a.settled}
	for _, d := range a.disks {
		mine := means(p.name, p.guid, &d) && (p.guid != 0 || !a.claimed(d.PoolGUID))
		if !mine && p.one && !p.up && d.Pool == p.name && !a.claimed(d.PoolGUID) && !slices.Contains(m.guids, d.PoolGUID) {
			m.guids = append(m.guids, d.PoolGUID) // neither is taken for the other
		}
		if !mine && !spare(&d) {
			continue
		}
		m.paths = append(m.paths, p.path(&d))
		if mine {
			m.here++
			if !slices.Contains(m.guids, d.PoolGUID) {
				m.guids = append(m.guids, d.PoolGUID)
			}
		}
	}
	sort.Strings(m.paths)
	sort.Slice(m.guids, func(i, j int) bool { return m.guids[i] < m.guids[j] })
	return m
}

// folders are those of search in which names are looked for.
func (p *pool) folders() []string {
	if len(p.cfg.Search) == 0 {
		return []string{defaultSearch}
	}
	return p.cfg.Search
}

// path is the name by which zpool is given a disk: in the first of the folders
// that has one, and there the one that people know it by.
func (p *pool) path(d *unit.Disk) string {
	for _, folder := range p.folders() {
		best := ""
		for _, l := range d.Links {
			if name, ok := strings.CutPrefix("/dev/"+l, folder+"/"); ok && (best == "" || rank(name, d) < rank(best, d) || rank(name, d) == rank(best, d) && name < best) {
				best = name
			}
		}
		if best != "" {
			return folder + "/" + best
		}
	}
	return "/dev/" + d.Node
}

func rank(name string, d *unit.Disk) int {
	switch {
	case d.ID != "" && strings.HasPrefix(name, d.ID):
		return 0
	case strings.HasPrefix(name, "wwn-") || strings.HasPrefix(name, "nvme-eui."):
		return 2
	}
	return 1
}

// called is the name of a vdev as people know it: zpool has only the number of
// one that is missing.
func (a *Arm) called(v *vdev) string {
	if guid, err := strconv.ParseUint(v.name, 10, 64); err == nil {
		a.mu.Lock()
		name := a.names[guid]
		a.mu.Unlock()
		was, ok := strings.CutPrefix(v.text, "was ")
		switch {
		case name != "":
			return name
		case ok:
			return short(was)
		}
		return "disk " + v.name
	}
	return short(v.name)
}

// back is the name of a disk that is there, by its number in zpool status -g;
// empty: it is not.
func (p *pool) back(v *vdev) string {
	guid, _ := strconv.ParseUint(v.name, 10, 64)
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	for _, d := range p.a.disks {
		if d.VdevGUID == guid && guid != 0 && d.PoolGUID == p.guid {
			return p.a.names[guid]
		}
	}
	return ""
}

// missing is a sentence on the disks that a pool lacks; n of them are missing.
func (a *Arm) missing(f *found) (text string, n int) {
	var names []string
	disks := 0
	for i := range f.vdevs {
		v := &f.vdevs[i]
		if !v.leaf || v.spare() {
			continue
		}
		disks++
		if v.missing() {
			names = append(names, a.called(v))
		}
	}
	n = len(names)
	if n > 0 {
		text = strconv.Itoa(n) + " of " + strconv.Itoa(disks) + " disks: " + list(names) + verb(n) + "missing"
	}
	if f.more {
		text = strings.TrimPrefix(text+", and more that are not known", ", and ")
		n++
	}
	return text, n
}

func verb(n int) string {
	if n == 1 {
		return " is "
	}
	return " are "
}

// list names the first of them.
func list(names []string) string {
	const most = 3
	if len(names) > most+1 {
		return strings.Join(names[:most], ", ") + " and " + strconv.Itoa(len(names)-most) + " more"
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return names[0]
}
