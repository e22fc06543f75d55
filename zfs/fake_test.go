package zfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hoopy/unit"
)

// fakePool is a mirror.
type fakePool struct {
	name         string
	guid         uint64
	disks        []string // paths
	refuse       string   // what zpool has against its import
	busy         string
	status       string // instead of one made of the disks
	imported     bool
	lost         [2]bool // disks that are not there
	offline      bool    // what is lost was taken offline
	datasets     []dataset
	keys         map[string]string
	mountRefused map[string]string
}

// fakeZFS is the tools over some pools.
type fakeZFS struct {
	mu      sync.Mutex
	pools   []*fakePool
	files   map[string]string // keys
	hang    func(argv []string) bool
	deaf    bool   // what hangs cannot be ended
	warning string // of zpool online
	freed   chan struct{}
	calls   []string
	inputs  [][]byte
}

func (z *fakeZFS) change(f func()) {
	z.mu.Lock()
	defer z.mu.Unlock()
	f()
}

func (z *fakeZFS) tool(ctx context.Context, name string, argv []string, input []byte) ([]byte, unit.Status, error) {
	argv = append([]string{filepath.Base(argv[0])}, argv[1:]...)
	z.mu.Lock()
	z.calls = append(z.calls, strings.Join(argv, " "))
	if input != nil {
		z.inputs = append(z.inputs, input)
	}
	hangs, deaf := z.hang != nil && z.hang(argv), z.deaf
	z.mu.Unlock()
	if hangs {
		if deaf {
			<-z.freed
			return nil, 0, errors.New("killed")
		}
		<-ctx.Done()
		return nil, 0, ctx.Err()
	}
	time.Sleep(10 * time.Millisecond) // of the bubble
	z.mu.Lock()
	defer z.mu.Unlock()
	out, code := z.do(argv, string(input))
	return []byte(out), unit.Status(code << 8), ctx.Err()
}

func verbOf(argv []string) string { return argv[0] + " " + argv[1] }

func (z *fakeZFS) do(argv []string, input string) (string, int) {
	last := argv[len(argv)-1]
	pool, _, _ := strings.Cut(last, "/")
	var p *fakePool
	for _, q := range z.pools {
		if q.imported && (q.name == pool || verbOf(argv) == "zpool online" && q.name == argv[2]) || !q.imported && strconv.FormatUint(q.guid, 10) == last {
			p = q
		}
	}
	verb := verbOf(argv)
	for _, q := range z.pools {
		if verb == "zpool import" && argv[len(argv)-2] == strconv.FormatUint(q.guid, 10) {
			p, q.name = q, last
		}
	}
	switch {
	case verb == "zpool list" && last == "name,guid":
		out := ""
		for _, q := range z.pools {
			if q.imported {
				out += fmt.Sprintf("%s\t%d\n", q.name, q.guid)
			}
		}
		return out, 0
	case verb == "zpool import" && argv[2] != "-N":
		out := ""
		for _, q := range z.pools {
			if q.imported {
				continue
			}
			if tree, state, n := q.tree(argv); n > 0 {
				out += fmt.Sprintf("   pool: %s\n     id: %d\n  state: %s\n action: one.\n config:\n\n%s\n", q.name, q.guid, state, tree)
			}
		}
		if out == "" {
			return "no pools available to import\n", 0
		}
		return out, 0
	case p == nil:
		return "cannot open '" + last + "': no such pool\n", 1
	case verb == "zpool import":
		if p.refuse != "" && !slices.Contains(argv, "-f") {
			return p.refuse, 1
		}
		p.imported = true
		return "", 0
	case verb == "zpool list":
		_, state, _ := p.tree(nil)
		return p.name + "\t" + state + "\t45\t15942918602752\n", 0
	case verb == "zpool status":
		tree, state, _ := p.tree(nil)
		if p.status != "" {
			return p.status, 0
		}
		if argv[2] == "-g" {
			for i, d := range p.disks {
				tree = strings.ReplaceAll(tree, filepath.Base(d)+" ", strconv.FormatUint(p.guid+uint64(i)+1, 10)+" ")
			}
		}
		return "  pool: " + p.name + "\n state: " + state + "\nconfig:\n\n" + tree + "\nerrors: No known data errors\n", 0
	case verb == "zpool online":
		for i := range p.lost {
			if last == strconv.FormatUint(p.guid+uint64(i)+1, 10) {
				p.lost[i] = false
			}
		}
		return z.warning, 0
	case verb == "zpool export":
		if p.busy != "" && argv[2] != "-f" {
			return p.busy, 1
		}
		p.imported = false
		return "", 0
	case verb == "zfs list":
		out := ""
		for _, d := range p.datasets {
			on, key, mounted, root := "on", "available", "no", d.root
			if !d.on {
				on = "noauto"
			}
			if d.locked {
				key = "unavailable"
			}
			if d.mounted {
				mounted = "yes"
			}
			if root == "" {
				root = "-"
			}
			out += strings.Join([]string{d.name, d.where, on, key, mounted, root, d.key}, "\t") + "\n"
		}
		return out, 0
	case verb == "zfs mount":
		if why := p.mountRefused[last]; why != "" {
			return why, 1
		}
		for i := range p.datasets {
			if p.datasets[i].name == last {
				p.datasets[i].mounted = true
			}
		}
		return "", 0
	case verb == "zfs load-key":
		if path, ok := strings.CutPrefix(argv[3], "file://"); ok {
			if input = z.files[path]; input == "" {
				return "Key load error: Failed to open key material file: No such file or directory\n", 255
			}
		}
		if p.keys[last] != input {
			return "Key load error: Incorrect key provided for '" + last + "'.\n", 255
		}
		for i := range p.datasets {
			if p.datasets[i].root == last {
				p.datasets[i].locked = false
			}
		}
		return "", 0
	}
	return "what is " + strings.Join(argv, " "), 2
}

// tree is the pool as far as it is seen through argv, or as it is.
func (p *fakePool) tree(argv []string) (tree, state string, n int) {
	rows := ""
	for i, d := range p.disks {
		seen := argv == nil && !p.lost[i] || slices.Contains(argv, d)
		if seen {
			n++
			rows += "\t    " + filepath.Base(d) + "  ONLINE\n"
		} else {
			state := "  UNAVAIL\n"
			if p.offline {
				state = "  OFFLINE\n"
			}
			rows += "\t    " + strconv.FormatUint(p.guid+uint64(i)+1, 10) + state
		}
	}
	for i, d := range p.disks {
		if argv != nil && n > 0 {
			p.lost[i] = !slices.Contains(argv, d)
		}
	}
	state = "ONLINE"
	if n < len(p.disks) {
		state = "DEGRADED"
	}
	return "\t" + p.name + "  " + state + "\n\t  mirror-0  " + state + "\n" + rows, state, n
}

func mirror(name string, guid uint64) *fakePool {
	p := &fakePool{name: name, guid: guid, keys: map[string]string{}, mountRefused: map[string]string{}}
	for i := range 2 {
		p.disks = append(p.disks, "/dev/disk/by-id/ata-"+name+"_"+strconv.Itoa(i+1))
	}
	p.datasets = []dataset{{name: name, where: "/" + name, on: true}}
	return p
}

// disk is the i-th of a pool, from 1.
func disk(p *fakePool, i int) unit.Disk {
	link := strings.TrimPrefix(p.disks[i-1], "/dev/")
	return unit.Disk{Node: fmt.Sprintf("%s%d", p.name, i), Type: "zfs_member", Links: []string{"disk/by-id/wwn-0x" + strconv.Itoa(i), link}, ID: filepath.Base(link),
		Pool: p.name, PoolGUID: p.guid, VdevGUID: p.guid + uint64(i)}
}

// rig is an arm over a fakeZFS.
type rig struct {
	t    *testing.T
	z    *fakeZFS
	a    *Arm
	mu   sync.Mutex
	out  []string
	end  func()
	root string
}

// bubble runs f with an arm over the pools, in a bubble of time.
func bubble(t *testing.T, pools []*fakePool, conf func(*Config), f func(r *rig)) {
	root := t.TempDir()
	for _, file := range []string{"/usr/sbin/zpool", "/usr/sbin/zfs", "/dev/zfs", "/sys/module/spl/parameters/spl_hostid", "/sys/module/zfs/version"} {
		if err := os.MkdirAll(filepath.Dir(root+file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+file, []byte("0\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		z := &fakeZFS{pools: pools, files: map[string]string{}, freed: make(chan struct{})}
		r := &rig{t: t, z: z, root: root}
		cfg := Config{Tool: z.tool, Root: root, Emit: func(e unit.Event) { r.emit(e) },
			Log:   func(line string) { r.say("log: " + line) },
			Fault: func(what any, stack []byte) { t.Errorf("panic: %v\n%s", what, stack) }}
		if conf != nil {
			conf(&cfg)
		}
		r.a = New(cfg)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { defer close(over); _ = r.a.Run(ctx) }()
		r.end = sync.OnceFunc(func() { cancel(); <-over })
		defer close(z.freed)
		defer r.end()
		f(r)
	})
}

func (r *rig) say(line string) {
	r.mu.Lock()
	r.out = append(r.out, line)
	r.mu.Unlock()
}

var opWords = map[unit.EventOp]string{unit.IsReady: "ready", unit.Lost: "lost", unit.StartFailed: "failed", unit.Empty: "empty", unit.Noted: "noted", unit.Sick: "sick", unit.Healthy: "healthy"}

func (r *rig) emit(e unit.Event) {
	r.say(strings.TrimSuffix(opWords[e.Op]+": "+e.Text, ": "))
}

// pass lets time go by.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// got is what was said since the last time, without what repeats the same in
// another second.
func (r *rig) got() (lines []string) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	lines, r.out = r.out, nil
	return lines
}

func (r *rig) do(op unit.ActionOp, u *unit.Unit, run unit.Run) {
	r.a.Do(unit.Action{Op: op, Unit: u, Run: run})
	synctest.Wait()
}

// called says how often a tool was called with these words.
func (r *rig) called(words string) (n int) {
	r.z.mu.Lock()
	defer r.z.mu.Unlock()
	for _, c := range r.z.calls {
		if strings.Contains(c, words) {
			n++
		}
	}
	return n
}

// has wants each of the texts in what was said.
func (r *rig) has(want ...string) {
	r.t.Helper()
	got := strings.Join(r.got(), "\n")
	for _, w := range want {
		if !strings.Contains(got+"\n", w+"\n") {
			r.t.Errorf("%q was not said, but\n%s", w, got)
		}
	}
}

// quiet wants none of the texts in what was said.
func (r *rig) quiet(not ...string) {
	r.t.Helper()
	got := strings.Join(r.got(), "\n")
	for _, w := range not {
		if strings.Contains(got, w) {
			r.t.Errorf("%q was said:\n%s", w, got)
		}
	}
}
