package keeper

import (
	"os"

	"hoopy/kmsg"
)

const (
	holdersWithin = Second
	holdersNamed  = 3
)

// blame says who keeps a mount from going.
func (k *keeper) blame(m *leaving) {
	who := ""
	if !k.step(m.target, holdersWithin, func() error { who = holders("", m.target); return nil }) {
		return // who is still written to
	}
	if who == "" {
		who = "nobody alive"
	}
	k.log.Final("  ", m.target, " is held by ", who)
}

// holders names the processes that use what is below where, "rsync (pid 4120)",
// else what of the kernel does: swap, a loop device, another mount. Empty: it found
// none. Only links and tables are read, below root: it asks no disk.
func holders(root, where string) (who string) {
	named := 0
	add := func(what string) {
		if named++; named <= holdersNamed {
			if who != "" {
				who += ", "
			}
			who += what
		}
	}
	for _, pid := range list(root + "/proc") {
		if pid[0] < '0' || pid[0] > '9' || !uses(root+"/proc/"+pid, where) {
			continue
		}
		var buf [64]byte
		comm := readFile(root+"/proc/"+pid+"/comm", buf[:])
		for len(comm) > 0 && comm[len(comm)-1] == '\n' {
			comm = comm[:len(comm)-1]
		}
		add(string(comm) + " (pid " + pid + ")")
	}
	for _, path := range swaps(readFile(root+"/proc/swaps", make([]byte, 65536))) {
		if below(path, where) {
			add("swap on " + path)
		}
	}
	for _, dev := range list(root + "/sys/block") {
		var buf [4096]byte
		file := readFile(root+"/sys/block/"+dev+"/loop/backing_file", buf[:])
		if below(string(file), where) {
			add("/dev/" + dev)
		}
	}
	eachMount(readFile(root+"/proc/self/mountinfo", make([]byte, 1<<20)), func(m mountPoint) {
		if m.target != where && below(m.target, where) {
			add("the mount on " + m.target)
		}
	})
	if named > holdersNamed {
		who += " and " + kmsg.Num(int64(named-holdersNamed)) + " more"
	}
	return who
}

// uses says whether the process of the folder proc has something open below where.
func uses(proc, where string) bool {
	for _, link := range [...]string{"/cwd", "/root", "/exe"} {
		if to, err := os.Readlink(proc + link); err == nil && below(to, where) {
			return true
		}
	}
	for _, fd := range list(proc + "/fd") {
		if to, err := os.Readlink(proc + "/fd/" + fd); err == nil && below(to, where) {
			return true
		}
	}
	return false
}

// list names what is in a folder, as far as it goes.
func list(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	names, _ := f.Readdirnames(-1)
	_ = f.Close() // it was only read
	return names
}

func below(path, where string) bool {
	n := len(where)
	return len(path) >= n && path[:n] == where && (len(path) == n || path[n] == '/' || path[n] == '\n')
}
