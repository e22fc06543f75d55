package devices

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/devices/modindex"
)

// modprobeLimit bounds one call of modprobe as a whole; the kernel itself waits
// for its modprobe without a bound.
const modprobeLimit = 2 * time.Minute

const modprobeUsage = `usage: modprobe [-qvnDRbi] [-d ROOT] [-S RELEASE] [--] MODULE [PARAM=VALUE]...
       modprobe [-qvnDRbi] [-d ROOT] [-S RELEASE] -a MODULE...
       modprobe [-qvn] -r MODULE...
`

// Modprobe is modprobe(8), self-contained, as the kernel (`modprobe -q --
// fs-ext4`) and scripts call it: -a, -r, -n, -v, -q, -b, -D (--show-depends),
// -R (--resolve-alias), -d, -S, --first-time. Words of MODPROBE_OPTIONS come
// first. install and remove lines of modprobe.d are noted, never run. Args
// are without the program's name.
//
// The status is kmod's: 0 if all is loaded (or gone, with -r), built in or
// blacklisted; else 1.
func Modprobe(args []string, stdout, stderr io.Writer) int {
	args = append(strings.Fields(os.Getenv("MODPROBE_OPTIONS")), args...)
	return modprobe(args, stdout, stderr, LoaderConfig{})
}

// modprobeCall is one parsed command line.
type modprobeCall struct {
	quiet, verbose, dry, all, remove, depends, resolve, blacklist, firstTime bool

	root, release  string
	stdout, stderr io.Writer
	l              *Loader
}

func modprobe(args []string, stdout, stderr io.Writer, c LoaderConfig) int {
	m := &modprobeCall{stdout: stdout, stderr: stderr}
	names, err := m.parse(args)
	if errors.Is(err, errHelp) {
		fmt.Fprint(stdout, modprobeUsage)
		return 0
	}
	if err != nil || len(names) == 0 {
		if err == nil {
			err = errors.New("no module is named")
		}
		fmt.Fprintf(stderr, "modprobe: %v\n%s", err, modprobeUsage)
		return 1
	}
	if m.root != "" {
		c.Root = m.root
	}
	if m.release != "" {
		c.Release = m.release
	}
	if c.Cmdline == "" {
		text, _ := os.ReadFile(filepath.Join("/", c.Root, "proc/cmdline")) // none in a build chroot
		c.Cmdline = string(text)
	}
	c.Log = func(note string) {
		if m.verbose {
			fmt.Fprintln(stderr, "modprobe:", note)
		}
	}
	m.l = NewLoader(c)
	var params []string
	if !m.all && !m.remove {
		names, params = names[:1], names[1:]
	}
	ctx, cancel := context.WithTimeout(context.Background(), modprobeLimit)
	defer cancel()
	status := 0
	for _, name := range names {
		if err := m.one(ctx, name, params); err != nil {
			status = 1
		}
	}
	return status
}

var errHelp = errors.New("help")

// parse takes short options alone or joined, long ones with or without '='.
func (m *modprobeCall) parse(args []string) (names []string, err error) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			return append(names, args[i+1:]...), nil
		case strings.HasPrefix(a, "--"):
			name, value, has := strings.Cut(a[2:], "=")
			if (name == "dirname" || name == "set-version" || name == "config") && !has {
				if i++; i >= len(args) {
					return nil, fmt.Errorf("--%s wants a value", name)
				}
				value = args[i]
			}
			err = m.option(name, value)
		case len(a) > 1 && a[0] == '-':
			for j := 1; j < len(a) && err == nil; j++ {
				value := ""
				if strings.IndexByte("dSC", a[j]) >= 0 {
					value = a[j+1:]
					if value == "" {
						if i++; i >= len(args) {
							return nil, fmt.Errorf("-%c wants a value", a[j])
						}
						value = args[i]
					}
				}
				err = m.option(a[j:j+1], value)
				if value != "" {
					break
				}
			}
		default:
			names = append(names, a)
		}
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}

func (m *modprobeCall) option(name, value string) error {
	switch name {
	case "q", "quiet", "silent":
		m.quiet = true
	case "v", "verbose":
		m.verbose = true
	case "n", "dry-run", "show":
		m.dry = true
	case "a", "all":
		m.all = true
	case "r", "remove":
		m.remove = true
	case "D", "show-depends":
		m.depends = true
	case "R", "resolve-alias":
		m.resolve = true
	case "b", "use-blacklist":
		m.blacklist = true
	case "first-time":
		m.firstTime = true
	case "d", "dirname":
		m.root = value
	case "S", "set-version":
		m.release = value
	case "s", "syslog", "i", "ignore-install", "ignore-remove", "C", "config":
		// No commands are run, the log is standard error, modprobe.d is read as
		// it stands.
	case "h", "help":
		return errHelp
	default:
		return fmt.Errorf("unknown option %q", name)
	}
	return nil
}

func (m *modprobeCall) complain(err error) error {
	if !m.quiet {
		fmt.Fprintln(m.stderr, "modprobe:", err)
	}
	return err
}

func (m *modprobeCall) one(ctx context.Context, name string, params []string) error {
	if strings.HasPrefix(name, "/") || strings.HasPrefix(name, "./") {
		name = modindex.ModuleName(name)
	}
	found := m.l.resolve(name)
	if len(found.modules) == 0 {
		return m.complain(fmt.Errorf("module %q not found in %s", name, m.l.dir))
	}
	switch {
	case m.resolve:
		for _, module := range found.modules {
			fmt.Fprintln(m.stdout, module)
		}
		return nil
	case m.remove:
		return m.unload(found)
	case m.depends || m.dry:
		m.show(name, found, params)
		return nil
	}
	if m.verbose {
		m.show(name, found, params)
	}
	var last error
	for _, r := range m.l.load(ctx, name, request{params: params, blacklist: m.blacklist}) {
		last = nil
		switch {
		case r.Verdict == Blacklisted, r.Verdict.Good() && !(m.firstTime && r.Verdict != Loaded):
		case r.Verdict.Good():
			last = m.complain(&ModuleError{r.Module, errors.New("already in the kernel")})
		default:
			last = m.complain(r.Err)
		}
	}
	return last
}

// show prints what loading would do, in kmod's words.
func (m *modprobeCall) show(name string, found target, params []string) {
	if !m.depends && !m.verbose {
		return
	}
	for _, module := range found.modules {
		if m.l.conf.denied[module] || m.l.conf.blacklist[module] && (m.blacklist || found.alias) {
			continue
		}
		if found.builtin {
			if m.depends {
				fmt.Fprintln(m.stdout, "builtin", module)
			}
			continue
		}
		for _, s := range m.l.plan(module, name, params) {
			switch {
			case s.builtin && m.depends:
				fmt.Fprintln(m.stdout, "builtin", s.name)
			case s.builtin, !m.depends && m.l.live(s.name):
			default:
				fmt.Fprintln(m.stdout, strings.TrimRight("insmod "+s.path+" "+s.params, " "))
			}
		}
	}
}

// unload removes modules, then those that nobody needs any more. What is not
// loaded counts as removed, unless --first-time.
func (m *modprobeCall) unload(found target) error {
	var last error
	for _, module := range found.modules {
		switch {
		case found.builtin:
			last = m.complain(&ModuleError{module, errors.New("built in")})
			continue
		case !m.l.live(module):
			if m.firstTime {
				last = m.complain(&ModuleError{module, errors.New("not in the kernel")})
			}
			continue
		}
		steps := m.l.plan(module, module, nil)
		slices.Reverse(steps)
		// Those after module in the plan are its "post:" soft dependencies; they
		// go first, and like its dependencies only if unused.
		for _, s := range steps {
			if s.builtin || !m.l.live(s.name) || s.name != module && !m.unused(s.name) {
				continue
			}
			if m.verbose {
				fmt.Fprintln(m.stdout, "rmmod", s.name)
			}
			if m.dry {
				continue
			}
			if err := m.l.kernel.remove(s.name); err != nil && s.name == module {
				if errors.Is(err, unix.EWOULDBLOCK) {
					err = errors.New("in use")
				}
				last = m.complain(&ModuleError{module, err})
				break
			}
		}
	}
	return last
}

func (m *modprobeCall) unused(module string) bool {
	return firstLine(filepath.Join(m.l.root, "sys/module", module, "refcnt")) == "0"
}
