package zfs

import (
	"strconv"
	"strings"
)

// found is a pool as zpool import lists it, or as zpool status shows it: the texts
// after "pool:", "id:" and so on, each in one line. See zpool-import(8) and
// zpool-status(8).
type found struct {
	name, state, status, scan, errors string
	id                                uint64
	vdevs                             []vdev
	more                              bool // disks are missing that nobody knows
}

// vdev is a line of the tree of a pool.
type vdev struct {
	depth       int
	name, state string
	text        string // what stands behind the state and the counts
	leaf        bool   // a disk: nothing is below it
}

func (v *vdev) missing() bool { return v.leaf && (v.state == "UNAVAIL" || v.state == "REMOVED") }

// spare: it has a state of its own only where it is listed as a spare.
func (v *vdev) spare() bool { return v.state == "AVAIL" || v.state == "INUSE" }

// parse reads the output of zpool import without a pool, or of zpool status.
func parse(out string) (pools []found) {
	var f *found
	key := ""
	for _, line := range strings.Split(out, "\n") {
		line = strings.TrimRight(line, "\r\n")
		text := strings.TrimSpace(line)
		word, rest, _ := strings.Cut(text, " ")
		rest = strings.TrimSpace(rest)
		switch {
		case text == "":
			continue
		case word == "pool:" && rest != "":
			pools = append(pools, found{name: rest})
			f = &pools[len(pools)-1]
			key = word
			continue
		case f == nil:
			continue
		case isKey(word) && !strings.HasPrefix(line, "\t"):
			key = word
			text = rest
		}
		switch key {
		case "id:":
			f.id, _ = strconv.ParseUint(text, 10, 64)
		case "state:":
			f.state = text
		case "status:":
			f.status = join(f.status, text)
		case "scan:":
			f.scan = join(f.scan, text)
		case "errors:":
			f.errors = join(f.errors, text)
		case "config:":
			if strings.HasPrefix(text, "Additional devices") {
				f.more, key = true, ""
				continue
			}
			f.vdev(line)
		}
	}
	return pools
}

func isKey(word string) bool {
	switch word {
	case "id:", "state:", "status:", "action:", "see:", "comment:", "scan:", "scrub:", "remove:", "checkpoint:", "expand:", "dedup:", "config:", "errors:":
		return true
	}
	return false
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + " " + b
}

// vdev takes a line of the tree; those that name no state are headings, and names
// of spares.
func (f *found) vdev(line string) {
	fields := strings.Fields(line)
	if len(fields) < 2 || !isState(fields[1]) || strings.HasPrefix(fields[0], "indirect-") {
		return
	}
	v := vdev{name: fields[0], state: fields[1], leaf: len(f.vdevs) > 0}
	for _, c := range line {
		if c == '\t' {
			v.depth += 8
		} else if c == ' ' {
			v.depth++
		} else {
			break
		}
	}
	rest := fields[2:]
	for len(rest) > 0 && isCount(rest[0]) {
		rest = rest[1:]
	}
	v.text = strings.Join(rest, " ")
	if n := len(f.vdevs); n > 0 && v.depth > f.vdevs[n-1].depth {
		f.vdevs[n-1].leaf = false
	}
	f.vdevs = append(f.vdevs, v)
}

func isState(s string) bool {
	switch s {
	case "ONLINE", "DEGRADED", "FAULTED", "OFFLINE", "UNAVAIL", "REMOVED", "SUSPENDED", "AVAIL", "INUSE":
		return true
	}
	return false
}

// isCount says whether s is a number as zpool shows it: "0", "1.2K", "-".
func isCount(s string) bool { return s[0] >= '0' && s[0] <= '9' || s == "-" }

// dataset is a line of zfs list.
type dataset struct {
	name, where string
	on          bool // canmount
	locked      bool // its key is not loaded
	mounted     bool
	root        string // the dataset that has its key; empty: it needs none
	key         string // keylocation
}

const datasetColumns = "name,mountpoint,canmount,keystatus,mounted,encryptionroot,keylocation"

// datasets reads what zfs list -H -p -o datasetColumns says.
func datasets(out string) (list []dataset) {
	for _, line := range strings.Split(out, "\n") {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 7 || f[0] == "" {
			continue
		}
		d := dataset{name: f[0], where: f[1], on: f[2] == "on", locked: f[3] == "unavailable", mounted: f[4] == "yes", root: f[5], key: f[6]}
		if d.root == "-" {
			d.root = ""
		}
		list = append(list, d)
	}
	return list
}

// space is a line of zpool list -Hp -o name,health,capacity,size.
type space struct {
	health  string
	percent string
	size    uint64
}

func parseSpace(out string) (s space, ok bool) {
	f := strings.Split(strings.TrimSpace(out), "\t")
	if len(f) != 4 {
		return s, false
	}
	s.health, s.percent = f[1], strings.TrimSuffix(f[2], "%")
	size, err := strconv.ParseUint(f[3], 10, 64)
	s.size = size
	return s, err == nil && isState(s.health)
}

// String is what of it is shown: "45% of 14.5T".
func (s space) String() string { return s.percent + "% of " + human(s.size) }

// human is a number of bytes in powers of 1024, with one digit behind the point
// where that says something.
func human(n uint64) string {
	const units = "BKMGTPE"
	i, rest := 0, uint64(0)
	for n >= 1024 && i < len(units)-1 {
		n, rest, i = n/1024, n%1024, i+1
	}
	tenth := rest * 10 / 1024
	s := strconv.FormatUint(n, 10)
	if i > 0 && n < 100 && tenth > 0 {
		s += "." + strconv.FormatUint(tenth, 10)
	}
	return s + units[i:i+1]
}
