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
	"strconv"
	"strings"

	"hoopy/unit/schema"
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
	// Modules names and what these depend on. See package modules.
	AllModules bool
	Modules    []string
	// RootHash is root's password as crypt(3) writes it; empty means that no
	// password opens the account ("*").
	RootHash string
	// Cmdline is the kernel's command line; empty is valid.
	Cmdline string
	// Compression of the initramfs: zstd, gzip or none.
	Compression string
	// SkipScripts names packages whose install scripts are not run.
	SkipScripts []string
	// Users and Groups give ids to names before any package script asks.
	Users, Groups map[string]int
}

// GoArch is the architecture in Go's words.
func (c *Config) GoArch() string {
	if c.Arch == "aarch64" {
		return "arm64"
	}
	return "amd64"
}

// Keys is the schema of image.toml.
var Keys = []schema.Key{
	{Name: "arch", Type: schema.Enum, Words: []string{"x86_64", "aarch64"}, Required: true,
		Doc: "Alpine's name of the architecture.", Example: `"x86_64"`},
	{Name: "branch", Type: schema.String, Required: true, Check: checkName,
		Doc: "The folder of the mirrors: a release or edge.", Example: `"v3.22"`},
	{Name: "mirrors", Type: schema.List, Required: true, Check: checkMirror,
		Doc: "Base addresses of Alpine mirrors, asked in this order.", Example: `["https://dl-cdn.alpinelinux.org/alpine"]`},
	{Name: "repositories", Type: schema.List, Required: true, Check: checkName,
		Doc: "Folders of the branch; a package comes from the first that has it.", Example: `["main", "community"]`},
	{Name: "provides", Type: schema.List, Check: checkName,
		Doc: "Names that the image itself provides, so that no package is chosen for them.", Example: `["initramfs-generator"]`},
	{Name: "modules", Type: schema.Union, Required: true, Any: []schema.Key{
		{Type: schema.Enum, Words: []string{"all"}}, {Type: schema.List, Check: checkPattern}},
		Doc:     "Kernel modules: all of them, or a list of names, shell patterns and folders that end in a slash; what they depend on is added.",
		Example: `["virtio_*", "ext4"]`},
	{Name: "root_hash", Type: schema.String, Check: checkHash,
		Doc: "Root's password as crypt(3) writes it.", Default: "no password opens the account", Example: `"$6$salt$hash"`},
	{Name: "cmdline", Type: schema.String, Doc: "The kernel's command line.", Default: "empty", Example: `"quiet"`},
	{Name: "compression", Type: schema.Enum, Words: []string{"zstd", "gzip", "none"},
		Doc: "Of the initramfs.", Default: "zstd", Example: `"zstd"`},
	{Name: "skip_scripts", Type: schema.List, Check: checkName,
		Doc: "Packages whose install scripts are not run.", Example: `["mkinitfs"]`},
	{Name: "users", Type: schema.Map, Check: checkName,
		Doc: "Ids of users, given before any package asks.", Example: `{ chrony = "100" }`},
	{Name: "groups", Type: schema.Map, Check: checkName,
		Doc: "Ids of groups, given before any package asks.", Example: `{ chrony = "101" }`},
}

// Load reads image.toml. The error joins one *schema.Mistake for each mistake.
func Load(file string) (*Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, missing(err, file)
	}
	return Parse(filepath.Base(file), string(text))
}

// Parse reads the text of an image.toml; file is the name for mistakes.
func Parse(file, text string) (*Config, error) {
	d, err := schema.Parse(file, text, Keys)
	if err != nil {
		return nil, err
	}
	c := &Config{
		Arch: d.String("arch"), Branch: d.String("branch"), Mirrors: d.List("mirrors"),
		Repositories: d.List("repositories"), Provides: d.List("provides"), RootHash: d.String("root_hash"),
		Cmdline: d.String("cmdline"), Compression: d.String("compression"), SkipScripts: d.List("skip_scripts"),
		Users: map[string]int{}, Groups: map[string]int{},
	}
	if c.Compression == "" {
		c.Compression = "zstd"
	}
	c.Modules, _ = d.Value("modules").([]string)
	c.AllModules = d.String("modules") == "all"
	var mistakes []*schema.Mistake
	for key, list := range map[string][]string{"mirrors": c.Mirrors, "repositories": c.Repositories} {
		if len(list) == 0 {
			mistakes = append(mistakes, d.Mistake(key, key+" is empty; name one at least"))
		}
	}
	for key, to := range map[string]map[string]int{"users": c.Users, "groups": c.Groups} {
		for name, id := range d.Map(key) {
			n, err := strconv.ParseUint(id, 10, 31)
			if err != nil {
				mistakes = append(mistakes, d.Mistake(key, fmt.Sprintf("%s: %s = %q is no id; write a number as a text", key, name, id)))
			}
			to[name] = int(n)
		}
	}
	if err := schema.Join(mistakes); err != nil {
		return nil, err
	}
	return c, nil
}

func checkHash(v any) string {
	s := v.(string)
	if !strings.HasPrefix(s, "$") || strings.Count(s, "$") < 3 || strings.ContainsAny(s, ": \n") {
		return "is no hash; write what openssl passwd -6 prints, never a password"
	}
	return ""
}

func checkMirror(v any) string {
	s := v.(string)
	for _, scheme := range []string{"https://", "http://", "file:///"} {
		if strings.HasPrefix(s, scheme) && len(s) > len(scheme) {
			return ""
		}
	}
	return "is no address; write https://…, http://… or file:///…"
}

func checkPattern(v any) string {
	s := v.(string)
	if s == "" || strings.ContainsAny(s, " \n") || strings.HasPrefix(s, "/") {
		return "is neither a pattern of module names nor a folder"
	}
	return ""
}

func checkName(v any) string {
	s := v.(string)
	if s == "" || strings.ContainsAny(s, " \t\n/:#") || s[0] == '-' || s[0] == '.' {
		return "is no name"
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
	var errs []*schema.Mistake
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		for _, n := range strings.Fields(line) {
			if slices.Contains(names, n) {
				errs = append(errs, mistake(file, i+1, fmt.Sprintf("%q stands here twice", n)))
				continue
			}
			if strings.ContainsAny(n, ":/\"'") || n[0] == '-' {
				errs = append(errs, mistake(file, i+1, fmt.Sprintf("%q is no package name", n)))
				continue
			}
			names = append(names, n)
		}
	}
	if len(names) == 0 && len(errs) == 0 {
		errs = append(errs, mistake(file, 0, "names no package"))
	}
	return names, schema.Join(errs)
}

func mistake(file string, line int, text string) *schema.Mistake {
	return &schema.Mistake{File: filepath.Base(file), Line: line, Text: text}
}

func missing(err error, file string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return mistake(file, 0, "no such file; is this the folder of an image? (-C DIR names another)")
	}
	return err
}
