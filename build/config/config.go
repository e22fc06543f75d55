// Package config reads what says which image to build: image.toml, the list
// `packages` and the lock `packages.lock`.
//
// All three are strict. A mistake names file, line and key and says what would
// be right, and all mistakes of a file are reported at once.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Config is image.toml. The zero value of an optional key means what its
// comment says.
type Config struct {
	// Arch is Alpine's name of the architecture: x86_64 or aarch64.
	Arch string
	// Branch is the folder on the mirror: v3.22, edge.
	Branch string
	// Mirrors are base addresses (http, https, file), asked in this order.
	Mirrors []string
	// Repositories are the folders of the branch, in order of preference.
	Repositories []string
	// Provides are names that the image itself provides, so that no package
	// is chosen for them.
	Provides []string
	// AllModules says that every kernel module is laid; otherwise those that
	// a pattern of Modules names and what these depend on.
	AllModules bool
	Modules    []string
	// RootHash is root's password as crypt(3) writes it; empty means that no
	// password opens the account ("*").
	RootHash string
	// Cmdline is the kernel's command line; empty is valid.
	Cmdline string
	// Compression of the initramfs: zstd, gzip or none. Empty means zstd.
	Compression string
	// Users and Groups give ids to names before any package script asks.
	Users, Groups map[string]int
}

// Mistake is one thing that a person wrote and that cannot be meant.
type Mistake struct {
	File string
	Line int // 1-based; 0 means the file as a whole
	Text string
}

func (m *Mistake) Error() string {
	if m.Line == 0 {
		return m.File + ": " + m.Text
	}
	return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Text)
}

// GoArch is the architecture in Go's words.
func (c *Config) GoArch() string {
	if c.Arch == "aarch64" {
		return "arm64"
	}
	return "amd64"
}

// Load reads image.toml. The error joins one *Mistake for each mistake.
func Load(file string) (*Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, missing(err, file)
	}
	return Parse(filepath.Base(file), string(text))
}

// Parse reads the text of an image.toml; file is the name for mistakes.
func Parse(file, text string) (*Config, error) {
	c := &Config{Compression: "zstd"}
	if err := decode(file, text, imageKeys, c); err != nil {
		return nil, err
	}
	return c, nil
}

var archs = []string{"x86_64", "aarch64"}

// imageKeys is the schema of image.toml.
var imageKeys = []key[Config]{
	{"arch", true, "architecture", oneOf(archs, func(c *Config) *string { return &c.Arch })},
	{"branch", true, "folder of the mirror: v3.22, edge", branch},
	{"mirrors", true, "base addresses, asked in order", list(mirror, func(c *Config) *[]string { return &c.Mirrors })},
	{"repositories", true, "folders of the branch, preferred first", list(name, func(c *Config) *[]string { return &c.Repositories })},
	{"provides", false, "names that need no package", list(name, func(c *Config) *[]string { return &c.Provides })},
	{"modules", true, `"all", or patterns of module names`, modules},
	{"root_hash", false, "root's password as crypt(3) writes it", rootHash},
	{"cmdline", false, "the kernel's command line", word(func(c *Config) *string { return &c.Cmdline })},
	{"compression", false, "of the initramfs", oneOf([]string{"zstd", "gzip", "none"}, func(c *Config) *string { return &c.Compression })},
	{"users", false, "ids of users, given before packages ask", ids(func(c *Config) *map[string]int { return &c.Users })},
	{"groups", false, "ids of groups", ids(func(c *Config) *map[string]int { return &c.Groups })},
}

func branch(c *Config, v any) string {
	s, _ := v.(string)
	if wrong := name(s); wrong != "" {
		return "write a folder of the mirror: v3.22, edge"
	}
	c.Branch = s
	return ""
}

func modules(c *Config, v any) string {
	if v == "all" {
		c.AllModules = true
		return ""
	}
	if _, ok := v.([]any); !ok {
		return `write "all" or a list of module names`
	}
	return list(glob, func(c *Config) *[]string { return &c.Modules })(c, v)
}

func rootHash(c *Config, v any) string {
	s, ok := v.(string)
	if !ok || !strings.HasPrefix(s, "$") || strings.Count(s, "$") < 3 || strings.ContainsAny(s, ": \n") {
		return "write a hash such as openssl passwd -6 makes, never a password"
	}
	c.RootHash = s
	return ""
}

func mirror(s string) string {
	for _, scheme := range []string{"https://", "http://", "file:///"} {
		if strings.HasPrefix(s, scheme) && len(s) > len(scheme) {
			return ""
		}
	}
	return fmt.Sprintf("%q is no address; write https://…, http://… or file:///…", s)
}

func glob(s string) string {
	if _, err := filepath.Match(s, ""); err != nil || s == "" || strings.ContainsAny(s, "/ ") {
		return fmt.Sprintf("%q is no pattern of a module name", s)
	}
	return ""
}

func name(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\n/:#") || s[0] == '-' || s[0] == '.' {
		return fmt.Sprintf("%q is no name", s)
	}
	return ""
}

// Packages reads the list of wanted packages: one dependency a line as in
// apk's world, `#` starts a comment. Twice the same is a mistake.
func Packages(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, missing(err, file)
	}
	var names []string
	var errs []error
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		for _, n := range strings.Fields(line) {
			if slices.Contains(names, n) {
				errs = append(errs, &Mistake{filepath.Base(file), i + 1, fmt.Sprintf("%q stands here twice", n)})
				continue
			}
			if strings.ContainsAny(n, ":/\"'") || n[0] == '-' {
				errs = append(errs, &Mistake{filepath.Base(file), i + 1, fmt.Sprintf("%q is no package name", n)})
				continue
			}
			names = append(names, n)
		}
	}
	if len(names) == 0 && len(errs) == 0 {
		errs = append(errs, &Mistake{filepath.Base(file), 0, "names no package"})
	}
	return names, errors.Join(errs...)
}

func missing(err error, file string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &Mistake{filepath.Base(file), 0, "no such file; is this the folder of an image? (-C DIR names another)"}
	}
	return err
}
