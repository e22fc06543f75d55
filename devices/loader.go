package devices

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"hoopy/devices/modindex"
)

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

// BuiltIn says whether a module is part of the kernel.
func (l *Loader) BuiltIn(module string) bool {
	_, ok := l.builtin.Get(module)
	return ok
}

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
