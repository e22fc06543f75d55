package devices

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"hoopy/devices/modindex"
)

// fakeKernel records what it is given and answers with errors by module.
type fakeKernel struct {
	root string
	fail map[string]error
	hang map[string]chan struct{}

	mu     sync.Mutex
	calls  []string
	now    atomic.Int32
	most   int32
	called chan string // if set, told of each call
	thread func()      // if set, called on the loading thread
}

func (k *fakeKernel) take(call, name string) error {
	n := k.now.Add(1)
	defer k.now.Add(-1)
	k.mu.Lock()
	k.calls = append(k.calls, call)
	k.most = max(k.most, n)
	k.mu.Unlock()
	if k.called != nil {
		k.called <- name
	}
	if k.thread != nil {
		k.thread()
	}
	if gate := k.hang[name]; gate != nil {
		<-gate
	}
	if err := k.fail[name]; err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(k.root, "sys/module", name), 0o755)
}

func (k *fakeKernel) finit(f *os.File, params string, flags int) error {
	name := modindex.ModuleName(f.Name())
	call := name
	if flags == compressedFile {
		if err := k.fail["compressed"]; err != nil {
			return err
		}
		call += " packed"
	}
	return k.take(strings.TrimRight(call+" "+params, " "), name)
}

func (k *fakeKernel) init(image []byte, params string) error {
	return k.take(strings.TrimRight("image "+string(image)+" "+params, " "), string(image))
}

func (k *fakeKernel) remove(name string) error {
	if err := k.take("remove "+name, name); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(k.root, "sys/module", name))
}

func (k *fakeKernel) said() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.calls...)
}

// machine lays a tree of files and indexes its modules. A module is
// "path: key=value;…" and its file holds its own name.
func machine(t testing.TB, files map[string]string, modules ...string) (LoaderConfig, *fakeKernel) {
	t.Helper()
	root := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var mods []modindex.Module
	for _, m := range modules {
		path, fields, _ := strings.Cut(m, ": ")
		info := &modindex.Modinfo{}
		for f := range strings.SplitSeq(fields, ";") {
			switch key, value, _ := strings.Cut(f, "="); key {
			case "alias":
				info.Alias = append(info.Alias, value)
			case "depends":
				info.Depends = strings.Split(value, ",")
			case "softdep":
				info.Softdep = append(info.Softdep, value)
			}
		}
		mods = append(mods, modindex.Module{Path: path, Info: info})
		write("lib/modules/1.0/"+path, modindex.ModuleName(path))
	}
	index, err := modindex.Build(mods, nil, []byte("kernel/vfat-core.ko\n"), []byte("vfat_core.alias=fs-vfat\x00"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range index {
		write("lib/modules/1.0/"+name, string(data))
	}
	write("sys/module/kernel/x", "")
	for name, text := range files {
		write(name, text)
	}
	k := &fakeKernel{root: root}
	return LoaderConfig{
		Root: root, Release: "1.0", testOnlyKernel: k,
		Log: func(s string) { t.Log(s) },
	}, k
}

var disk = []string{
	"kernel/ext4.ko: alias=fs-ext4;depends=mbcache,jbd2;softdep=pre: crypto-crc32c post: after",
	"kernel/jbd2.ko: softdep=pre: crypto-crc32c nosuch",
	"kernel/mbcache.ko: ",
	"kernel/crc32c-intel.ko: alias=crypto-crc32c",
	"kernel/crc32c-generic.ko: alias=crypto-crc32c",
	"kernel/after.ko: ",
}

func verdicts(results []Result) (out []string) {
	for _, r := range results {
		out = append(out, r.Module+" "+r.Verdict.String())
	}
	return out
}

func TestLoadOrder(t *testing.T) {
	c, k := machine(t, map[string]string{
		"etc/modprobe.d/a.conf":     "options ext4 a=1 \\\n b=2\n",
		"lib/modprobe.d/a.conf":     "options ext4 hidden=1\n",
		"usr/lib/modprobe.d/b.conf": "# comment\noptions fs-ext4 c=3\n",
	}, disk...)
	c.Cmdline = `quiet ext4.d="x y" root=/dev/sda1 -- ext4.no=1`
	l := NewLoader(c)
	got := verdicts(l.Load(t.Context(), "fs-ext4", "e=5"))
	if d := cmp.Diff([]string{"ext4 loaded"}, got); d != "" {
		t.Error(d)
	}
	want := []string{"mbcache", "crc32c_generic", "crc32c_intel", "jbd2", `ext4 a=1 b=2 d="x y" c=3 e=5`, "after"}
	if d := cmp.Diff(want, k.said()); d != "" {
		t.Error(d)
	}
	l.Load(t.Context(), "ext4")
	if d := cmp.Diff(want, k.said()); d != "" {
		t.Errorf("the second time: %s", d)
	}
}

func TestVerdicts(t *testing.T) {
	c, k := machine(t, map[string]string{
		"sys/module/live/initstate": "live\n",
		"etc/modprobe.d/x.conf":     "blacklist shy\nalias my-* live\n",
	}, "kernel/nodev.ko: ", "kernel/child.ko: depends=nodev", "kernel/there.ko: ", "kernel/bad.ko: ",
		"kernel/live.ko: ", "kernel/shy.ko: alias=pci:v1*", "kernel/denied.ko: ", "kernel/lost.ko: ", "kernel/x.ko.xz: ")
	c.Cmdline = "module_blacklist=denied modprobe.blacklist=other"
	k.fail = map[string]error{"nodev": unix.ENODEV, "child": unix.ENOENT, "there": unix.EEXIST, "bad": unix.EINVAL}
	if err := os.Remove(filepath.Join(c.Root, "lib/modules/1.0/kernel/lost.ko")); err != nil {
		t.Fatal(err)
	}
	l := NewLoader(c)
	for _, row := range []struct {
		name string
		want Verdict
		is   error
	}{
		{"nodev", NoDevice, unix.ENODEV},
		{"child", Unresolved, unix.ENOENT},
		{"there", Present, nil},
		{"bad", Failed, unix.EINVAL},
		{"live", Present, nil},
		{"my-own", Present, nil},
		{"shy", Loaded, nil},
		{"denied", Blacklisted, unix.EPERM},
		{"lost", Failed, errNoFile},
		{"x", Failed, nil},
		{"vfat-core", Builtin, nil},
		{"fs-vfat", Builtin, nil},
		{"fs-nosuch", Unknown, unix.ENOENT},
		{"", Unknown, unix.ENOENT},
	} {
		r := l.Load(t.Context(), row.name)
		if len(r) != 1 || r[0].Verdict != row.want || row.is != nil && !errors.Is(r[0].Err, row.is) || r[0].Verdict.Good() != (r[0].Err == nil) {
			t.Errorf("%q: %v", row.name, r)
		}
	}
	if r := l.LoadAlias(t.Context(), "pci:v1d2"); r[0].Verdict != Blacklisted {
		t.Errorf("alias of a blacklisted module: %v", r)
	}
	for v, name := range verdictNames {
		if got := Verdict(v).String(); got != name {
			t.Errorf("%d: %s", v, got)
		}
	}
}

func TestCompressed(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := io.WriteString(w, "g"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		compression string
		fail        error
		want        string
	}{
		"by the kernel":     {"gzip\n", nil, "g packed"},
		"not built in":      {"gzip\n", unix.EOPNOTSUPP, "image g"},
		"another algorithm": {"zstd\n", nil, "image g"},
		"none":              {"", nil, "image g"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"lib/modules/1.0/kernel/g.ko.gz": z.String()}
			if row.compression != "" {
				files["sys/module/compression"] = row.compression
			}
			c, k := machine(t, files, "kernel/g.ko.gz: ")
			k.fail = map[string]error{"compressed": row.fail}
			if r := NewLoader(c).Load(t.Context(), "g"); r[0].Verdict != Loaded {
				t.Error(r)
			}
			if d := cmp.Diff([]string{row.want}, k.said()); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestOnce has many callers ask for one module; a removed one is loaded again,
// a refused one after a while.
func TestOnce(t *testing.T) {
	c, k := machine(t, nil, "kernel/a.ko: depends=b", "kernel/b.ko: ", "kernel/no.ko: ")
	k.fail = map[string]error{"no": unix.ENODEV}
	synctest.Test(t, func(t *testing.T) {
		l := NewLoader(c)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if r := l.Load(t.Context(), "a"); !r[0].Verdict.Good() {
					t.Error(r)
				}
			})
		}
		wg.Wait()
		if d := cmp.Diff([]string{"b", "a"}, k.said()); d != "" {
			t.Error(d)
		}
		if err := os.RemoveAll(filepath.Join(c.Root, "sys/module/a")); err != nil {
			t.Fatal(err)
		}
		l.Load(t.Context(), "a")
		l.Load(t.Context(), "no")
		l.Load(t.Context(), "no")
		time.Sleep(retryAfter + time.Second) // of the bubble's clock
		l.Load(t.Context(), "no")
		if d := cmp.Diff([]string{"b", "a", "a", "no", "no"}, k.said()); d != "" {
			t.Error(d)
		}
	})
}

// TestHang lets finit_module hang: callers go on at their bound, others are not
// kept from loading, and the slots come back.
func TestHang(t *testing.T) {
	names := []string{"kernel/ok.ko: "}
	for _, n := range strings.Fields("a b c d e f g h i j k l m n o p q r s t u v w x y z") {
		names = append(names, "kernel/"+n+".ko: ")
	}
	c, k := machine(t, nil, names...)
	gate := make(chan struct{})
	k.hang = map[string]chan struct{}{}
	for _, n := range names[1:] {
		k.hang[modindex.ModuleName(strings.TrimSuffix(n, ": "))] = gate
	}
	l := NewLoader(c)
	slots := cap(l.slots[foreground])
	k.called = make(chan string, 2*len(names))
	short, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, n := range names[1:] {
		wg.Go(func() {
			module := modindex.ModuleName(strings.TrimSuffix(n, ": "))
			if r := l.Load(short, module); r[0].Verdict != Late || !errors.Is(r[0].Err, context.Canceled) {
				t.Error(r)
			}
		})
	}
	for range slots {
		<-k.called
	}
	cancel()
	wg.Wait()
	if r := l.Load(t.Context(), "ok"); r[0].Verdict != Loaded {
		t.Error(r)
	}
	close(gate)
	for _, n := range names[1:] {
		if r := l.Load(t.Context(), modindex.ModuleName(strings.TrimSuffix(n, ": "))); !r[0].Verdict.Good() {
			t.Error("after all:", r)
		}
	}
	if int(k.most) > 2*slots+1 {
		t.Errorf("%d at a time, %d slots", k.most, slots)
	}
}

func TestNoIndex(t *testing.T) {
	var notes []string
	l := NewLoader(LoaderConfig{Root: t.TempDir(), Release: "1.0", Log: func(s string) { notes = append(notes, s) }})
	if r := l.Load(t.Context(), "x"); r[0].Verdict != Unknown {
		t.Error(r)
	}
	if len(notes) != 4 {
		t.Errorf("notes: %q", notes)
	}
}

// TestNice: background modules load at nice 10, unless the network needs them.
func TestNice(t *testing.T) {
	c, k := machine(t, nil, "kernel/slow.ko: ", "kernel/fast.ko: ")
	tids, gate := make(chan int, 2), make(chan struct{})
	k.thread = func() { tids <- unix.Gettid(); <-gate }
	l := NewLoader(c)
	nice := func(tid int) int {
		n, err := unix.Getpriority(unix.PRIO_PROCESS, tid)
		if err != nil {
			t.Fatal(err)
		}
		return 20 - n // the raw call gives 1 to 40
	}
	base := nice(0)
	if base != 0 {
		t.Skip("the test runs at nice", base)
	}
	var wg sync.WaitGroup
	wg.Go(func() { l.load(t.Context(), "slow", request{lane: background}) })
	slow := <-tids
	if n := nice(slow); n != 10 {
		t.Errorf("in the background: nice %d", n)
	}
	wg.Go(func() { l.load(t.Context(), "fast", request{lane: foreground}) })
	if n := nice(<-tids); n != 0 {
		t.Errorf("in the foreground: nice %d", n)
	}
	if os.Geteuid() == 0 { // raising takes CAP_SYS_NICE
		done, cancel := context.WithCancel(t.Context())
		cancel()
		l.load(done, "slow", request{lane: foreground})
		if n := nice(slow); n != 0 {
			t.Errorf("after the network asked for it: nice %d", n)
		}
	}
	close(gate)
	wg.Wait()
}
