package mounts

import (
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	holdersWithin = 200 * time.Millisecond
	holdersNamed  = 3
)

func (linux) holders(where string) string { return Holders(where) }

// Holders names the processes that use what is below where: "rsync (pid 4120)
// holds /srv/x". Nothing is followed, only links of /proc are read, so that it
// does not hang on a dead disk; after holdersWithin it says what it has. Empty:
// it found nobody.
func Holders(where string) string {
	until := time.Now().Add(holdersWithin)
	procs, err := os.Open("/proc")
	if err != nil {
		return ""
	}
	defer func() { _ = procs.Close() }()
	names, _ := procs.Readdirnames(-1) // as far as it goes
	var all []string
	for _, name := range names {
		if time.Now().After(until) || len(all) == holdersNamed {
			break
		}
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		if what := holds("/proc/"+name+"/", where); what != "" {
			comm, _ := os.ReadFile("/proc/" + name + "/comm") // it may have ended
			all = append(all, strings.TrimSpace(string(comm))+" (pid "+name+") holds "+what)
		}
	}
	return strings.Join(all, ", ")
}

// holds is the first path below where that the process of the folder proc uses.
func holds(proc, where string) string {
	for _, link := range [...]string{"cwd", "root", "exe"} {
		if to, err := os.Readlink(proc + link); err == nil && below(to, where) {
			return to
		}
	}
	if fds, err := os.Open(proc + "fd"); err == nil {
		defer func() { _ = fds.Close() }()
		names, _ := fds.Readdirnames(-1) // as far as it goes
		for _, n := range names {
			if to, err := os.Readlink(proc + "fd/" + n); err == nil && below(to, where) {
				return to
			}
		}
	}
	maps, _ := os.ReadFile(proc + "maps") // not ours to read, or gone
	for line := range strings.SplitSeq(string(maps), "\n") {
		if i := strings.IndexByte(line, '/'); i >= 0 && below(line[i:], where) {
			return line[i:]
		}
	}
	return ""
}

func below(p, where string) bool {
	return p == where || strings.HasPrefix(p, strings.TrimSuffix(where, "/")+"/")
}

// percent is what svc status shows.
func percent(n int) string { return strconv.Itoa(n) + "% used" }
