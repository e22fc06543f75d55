package devices

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hoopy/devices/modindex"
)

// confDirs hold modprobe.d(5) files; a file hides those of its name in later
// folders.
var confDirs = [...]string{
	"etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d",
}

// conf is what modprobe.d, modules.softdep and the kernel's command line say.
// Module names are in the kernel's spelling.
type conf struct {
	aliases   []confAlias
	options   map[string][]string
	blacklist map[string]bool
	denied    map[string]bool // module_blacklist=: the kernel refuses these
	soft      map[string]softdep
	notes     []string
}

type confAlias struct{ pattern, module string }

type softdep struct{ pre, post []string }

// readConf reads all of it below root; cmdline is the text of /proc/cmdline and
// is heard last, so that its options win. Unreadable files are notes.
func readConf(root, release, cmdline string) *conf {
	c := &conf{
		options: map[string][]string{}, blacklist: map[string]bool{},
		denied: map[string]bool{}, soft: map[string]softdep{},
	}
	files := map[string]string{}
	for _, dir := range confDirs {
		dir = filepath.Join(root, dir)
		list, err := list(dir)
		if err != nil && !os.IsNotExist(err) {
			c.notes = append(c.notes, err.Error())
		}
		for _, name := range list {
			if _, hidden := files[name]; !hidden && strings.HasSuffix(name, ".conf") {
				files[name] = filepath.Join(dir, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		c.file(files[name])
	}
	soft := filepath.Join(root, "lib/modules", release, "modules.softdep")
	if _, err := os.Stat(soft); err == nil {
		c.file(soft)
	}
	c.commandLine(cmdline)
	return c
}

func (c *conf) file(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		c.notes = append(c.notes, err.Error())
		return
	}
	c.parse(path, string(text))
}

// parse takes the text of one modprobe.d file.
func (c *conf) parse(path, text string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0][0] == '#' {
			continue
		}
		if len(f) < 2 || (f[0] != "blacklist" && len(f) < 3) {
			c.notes = append(c.notes, path+": incomplete: "+strings.TrimSpace(line))
			continue
		}
		name := modindex.ModuleName(f[1])
		switch f[0] {
		case "alias":
			c.aliases = append(c.aliases, confAlias{modindex.Normalize(f[1]), modindex.ModuleName(f[2])})
		case "blacklist":
			c.blacklist[name] = true
		case "options":
			c.options[name] = append(c.options[name], strings.Join(f[2:], " "))
		case "softdep":
			c.softdep(name, f[2:])
		case "install", "remove":
			c.notes = append(c.notes, path+": "+f[0]+" "+f[1]+": commands are not run")
		default:
			c.notes = append(c.notes, path+": unknown word "+f[0])
		}
	}
}

// softdep takes "pre: a b post: c". As with kmod, the first line for a module
// counts, so that modprobe.d wins over modules.softdep, and words before the
// first colon word are ignored ("softdep cifs gcm" of Debian).
func (c *conf) softdep(name string, words []string) {
	s, had := c.soft[name]
	if had {
		return
	}
	into := (*[]string)(nil)
	for _, w := range words {
		switch {
		case w == "pre:":
			into = &s.pre
		case w == "post:":
			into = &s.post
		case into != nil:
			*into = append(*into, w)
		}
	}
	c.soft[name] = s
}

// commandLine takes module.param=value, modprobe.blacklist=a,b and
// module_blacklist=a,b.
func (c *conf) commandLine(text string) {
	for _, word := range splitCommandLine(text) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "modprobe.blacklist", "module_blacklist":
			for name := range strings.SplitSeq(value, ",") {
				if name == "" {
					continue
				}
				c.blacklist[modindex.ModuleName(name)] = true
				if key == "module_blacklist" {
					c.denied[modindex.ModuleName(name)] = true
				}
			}
			continue
		}
		// A dot after '=' belongs to the value: root=/dev/x.y is no option.
		module, param, ok := strings.Cut(key, ".")
		if !ok || module == "" || param == "" {
			continue
		}
		name := strings.ReplaceAll(module, "-", "_")
		c.options[name] = append(c.options[name], param+word[len(key):])
	}
}

// splitCommandLine cuts at white space outside double quotes, and ends at the
// word "--", after which words belong to init.
func splitCommandLine(text string) (words []string) {
	quoted, start := false, -1
	end := func(i int) {
		if start >= 0 {
			words = append(words, text[start:i])
		}
		start = -1
	}
	for i := range len(text) {
		switch c := text[i]; {
		case !quoted && (c == ' ' || c == '\t' || c == '\n'):
			end(i)
		default:
			if c == '"' {
				quoted = !quoted
			}
			if start < 0 {
				start = i
			}
		}
	}
	end(len(text))
	if i := slices.Index(words, "--"); i >= 0 {
		words = words[:i]
	}
	return words
}

// alias gives the modules that the alias lines name for a looked-up string.
func (c *conf) alias(key string) (out []string) {
	key = modindex.Normalize(key)
	for _, a := range c.aliases {
		if !slices.Contains(out, a.module) && modindex.Match(a.pattern, key) {
			out = append(out, a.module)
		}
	}
	return out
}
