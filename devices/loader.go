package devices

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/devices/modindex"
)

// Verdict is what became of a module.
type Verdict uint8

const (
	Loaded      Verdict = iota + 1 // the kernel took it now
	Present                        // was loaded before
	Builtin                        // part of the kernel: nothing to load
	NoDevice                       // ENODEV: the driver found nothing to drive; normal
	Unresolved                     // ENOENT: a module it needs refused to load; normal
	Blacklisted                    // not tried, by configuration
	Unknown                        // neither module nor alias of this kernel
	Late                           // not through when the caller's context ended
	Failed                         // anything else: see Err
)

var verdictNames = [...]string{
	"", "loaded", "present", "built in", "no device", "unresolved", "blacklisted", "unknown", "late", "failed",
}

func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "?"
}

// Good reports whether the module's code is in the kernel.
func (v Verdict) Good() bool { return v == Loaded || v == Present || v == Builtin }

// Result is the verdict over one module. Err is nil for Loaded, Present and
// Builtin; else it names the module and wraps the kernel's errno or the
// context's error.
type Result struct {
	Module  string
	Verdict Verdict
	Err     error
}

// Loader loads modules. All methods may be called at once; one module is
// loaded by one caller while the others wait for it, each no longer than its
// own context. At most max(4, NumCPU) modules of the background and as many of
// the foreground are with the kernel at a time: each occupies a thread, for as
// long as the driver probes.
//
// The index files stay mapped for the life of the process and must not be
// truncated meanwhile; depmod replaces them by rename.
type Loader struct {
	root, dir   string // "/" or a test's folder; lib/modules/RELEASE below it
	conf        *conf
	dep, alias  *modindex.Index
	builtin     *modindex.Index
	builtinName *modindex.Index // by alias
	compression string          // what the kernel unpacks itself: gzip, xz, zstd
	kernel      kernel
	debug       func(string)
	slots       [2]chan struct{} // by lane

	mu   sync.Mutex
	done map[string]*insertion
}

// lane keeps the way to the network from queueing behind the rest.
type lane uint8

const (
	foreground lane = iota
	background      // at nice 10
)

// LoaderConfig configures NewLoader. The zero value is the running machine
// without a command line.
type LoaderConfig struct {
	Root    string       // folder that stands for "/"; empty is "/"
	Release string       // empty is uname -r
	Cmdline string       // text of /proc/cmdline
	Log     func(string) // mistakes in modprobe.d and the like; nil drops them
	Debug   func(string) // each module's verdict; nil drops them

	testOnlyKernel kernel
}

// NewLoader maps the index and reads the configuration. A missing or broken
// index file is logged and counts as empty: a kernel without modules boots.
func NewLoader(c LoaderConfig) *Loader {
	if c.Root == "" {
		c.Root = "/"
	}
	if c.Release == "" {
		c.Release = release()
	}
	l := &Loader{
		root: c.Root, dir: filepath.Join(c.Root, "lib/modules", c.Release),
		conf:  readConf(c.Root, c.Release, c.Cmdline),
		debug: c.Debug, kernel: c.testOnlyKernel,
		done: map[string]*insertion{},
	}
	if l.debug == nil {
		l.debug = func(string) {}
	}
	if l.kernel == nil {
		l.kernel = system{}
	}
	log := c.Log
	if log == nil {
		log = func(string) {}
	}
	for i := range l.slots {
		l.slots[i] = make(chan struct{}, max(4, runtime.NumCPU()))
	}
	for name, into := range map[string]**modindex.Index{
		"modules.dep.bin": &l.dep, "modules.alias.bin": &l.alias,
		"modules.builtin.bin": &l.builtin, "modules.builtin.alias.bin": &l.builtinName,
	} {
		index, err := mapIndex(filepath.Join(l.dir, name))
		if err != nil {
			log(err.Error())
		}
		*into = index
	}
	for _, note := range l.conf.notes {
		log(note)
	}
	l.compression = firstLine(filepath.Join(l.root, "sys/module/compression"))
	return l
}

// Load loads a module by name or alias with everything that it needs. Params
// ("name=value") follow those of modprobe.d and the command line. A blacklisted
// module is loaded if it is asked for by its own name, as modprobe(8) does.
//
// There is at least one result; several modules may share an alias.
func (l *Loader) Load(ctx context.Context, name string, params ...string) []Result {
	return l.load(ctx, name, request{params: params})
}

// LoadAlias loads what drives a device. The blacklist counts.
func (l *Loader) LoadAlias(ctx context.Context, modalias string) []Result {
	return l.load(ctx, modalias, request{blacklist: true})
}

// request says how to load.
type request struct {
	params    []string
	blacklist bool // counts for names, too
	lane      lane
}

func (l *Loader) load(ctx context.Context, name string, r request) []Result {
	found := l.resolve(name)
	if found.builtin {
		return []Result{{Module: found.modules[0], Verdict: Builtin}}
	}
	if len(found.modules) == 0 {
		return []Result{{name, Unknown, &ModuleError{name, unix.ENOENT}}}
	}
	var out []Result
	for _, module := range found.modules {
		if l.conf.denied[module] || l.conf.blacklist[module] && (r.blacklist || found.alias) {
			out = append(out, Result{module, Blacklisted, &ModuleError{module, unix.EPERM}})
			continue
		}
		out = append(out, l.loadModule(ctx, module, name, r))
	}
	return out
}

// loadModule inserts the steps of module's plan one after the other, unless the
// module is there, which implies what it needs.
func (l *Loader) loadModule(ctx context.Context, module, alias string, r request) Result {
	if l.live(module) {
		return Result{Module: module, Verdict: Present}
	}
	out := Result{module, Unknown, &ModuleError{module, unix.ENOENT}}
	for _, s := range l.plan(module, alias, r.params) {
		if s.builtin {
			if s.name == module {
				out = Result{Module: module, Verdict: Builtin}
			}
			continue
		}
		got := l.insert(ctx, s, r.lane)
		if s.name == module {
			out = got
		}
		if got.Verdict == Late {
			return got
		}
	}
	return out
}

// ModuleError is an error with the module it belongs to.
type ModuleError struct {
	Module string
	Err    error
}

func (e *ModuleError) Error() string { return "module " + e.Module + ": " + e.Err.Error() }
func (e *ModuleError) Unwrap() error { return e.Err }

// insertion is one module's way into the kernel. result is valid once done is
// closed.
type insertion struct {
	done   chan struct{}
	result Result
	at     time.Time

	mu  sync.Mutex
	tid int // of the polite thread that loads it; else 0
}

// polite lowers the calling thread's priority, until hurry or its end.
func (in *insertion) polite() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if unix.Setpriority(unix.PRIO_PROCESS, 0, 10) == nil {
		in.tid = unix.Gettid()
	}
}

// hurry raises it again: the way to the network waits for this module.
func (in *insertion) hurry() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.tid != 0 {
		_ = unix.Setpriority(unix.PRIO_PROCESS, in.tid, 0) // without the right to, it stays slow
		in.tid = 0
	}
}

// retryAfter is how long a refusal stands; an event for the same device later
// than that tries again.
const retryAfter = 10 * time.Second

// stale reports whether the insertion says nothing of the present any more.
func (in *insertion) stale(l *Loader) bool {
	select {
	case <-in.done:
	default:
		return false
	}
	if in.result.Verdict.Good() {
		return !l.exists(in.result.Module)
	}
	return in.result.Verdict == Late || time.Since(in.at) > retryAfter
}

// insert loads one module without regard to others, once.
func (l *Loader) insert(ctx context.Context, s step, in lane) Result {
	l.mu.Lock()
	one := l.done[s.name]
	first := one == nil || one.stale(l)
	if first {
		one = &insertion{done: make(chan struct{})}
		l.done[s.name] = one
	}
	l.mu.Unlock()
	if !first && in == foreground {
		one.hurry()
	}
	if first {
		select {
		case l.slots[in] <- struct{}{}:
			defer func() { <-l.slots[in] }()
			if ctx.Err() == nil { // both may be ready
				go l.run(one, s, in)
				break
			}
			one.end(late(ctx, s.name))
		case <-ctx.Done():
			one.end(late(ctx, s.name))
		}
	}
	select {
	case <-one.done:
		if !first && one.result.Verdict == Late && ctx.Err() == nil {
			return l.insert(ctx, s, in) // the one we waited for had less time
		}
		return one.result
	case <-ctx.Done():
		return late(ctx, s.name)
	}
}

func late(ctx context.Context, module string) Result {
	return Result{module, Late, &ModuleError{module, context.Cause(ctx)}}
}

func (in *insertion) end(r Result) {
	in.mu.Lock()
	in.tid = 0
	in.mu.Unlock()
	in.result, in.at = r, time.Now()
	close(in.done)
}

// run owns a thread until the kernel has answered, and ends with it: its nice
// value must not reach other goroutines. Nobody can end a finit_module that
// hangs; callers are bound by their contexts, and the slot is theirs.
func (l *Loader) run(one *insertion, s step, in lane) {
	result := Result{s.name, Failed, &ModuleError{s.name, errors.New("loading panicked")}}
	defer func() {
		_ = recover()
		l.debug("module " + s.name + ": " + result.Verdict.String())
		one.end(result)
	}()
	runtime.LockOSThread()
	if in == background {
		one.polite()
	}
	err := l.give(s)
	result = Result{s.name, verdict(err), nil}
	if !result.Verdict.Good() {
		result.Err = &ModuleError{s.name, err}
	}
}

// errLoaded says that sysfs has the module already.
var errLoaded = errors.New("already loaded")

func verdict(err error) Verdict {
	switch {
	case err == nil:
		return Loaded
	case errors.Is(err, unix.EEXIST), errors.Is(err, errLoaded):
		return Present
	case errors.Is(err, unix.ENODEV):
		return NoDevice
	case errors.Is(err, errNoFile):
		return Failed
	case errors.Is(err, unix.ENOENT):
		return Unresolved
	}
	return Failed
}

// live reports whether the module is loaded and through with its start.
func (l *Loader) live(name string) bool {
	return firstLine(filepath.Join(l.root, "sys/module", name, "initstate")) == "live"
}

// exists reports whether sysfs knows the module; true where there is no sysfs.
func (l *Loader) exists(name string) bool {
	dir := filepath.Join(l.root, "sys/module")
	if _, err := os.Stat(dir); err != nil {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// firstLine reads a small file; empty if it cannot.
func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// target is what a name stands for.
type target struct {
	modules []string
	alias   bool // found by an alias, not by the module's name
	builtin bool
}

// resolve looks name up in kmod's order: modprobe.d, modules by name, built-in
// modules by name, aliases, aliases of built-in modules.
func (l *Loader) resolve(name string) target {
	if modules := l.conf.alias(name); len(modules) > 0 {
		return target{modules: modules, alias: true}
	}
	module := strings.ReplaceAll(name, "-", "_")
	if _, ok := l.dep.Get(module); ok {
		return target{modules: []string{module}}
	}
	if _, ok := l.builtin.Get(module); ok {
		return target{modules: []string{module}, builtin: true}
	}
	if modules := texts(l.alias.Search(name)); len(modules) > 0 {
		return target{modules: modules, alias: true}
	}
	if modules := texts(l.builtinName.Search(name)); len(modules) > 0 {
		return target{modules: modules, alias: true, builtin: true}
	}
	return target{}
}

func texts(values []modindex.Value) (out []string) {
	for _, v := range values {
		if !slices.Contains(out, v.Text) {
			out = append(out, v.Text)
		}
	}
	return out
}
