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
	// Repositories are in order of preference.
	Repositories []Repository
	// Provides are names that the image itself provides, so that no package
	// is chosen for them.
	Provides []string
	// AllModules says that every kernel module is laid; otherwise those that
	// Modules and Hardware name and what these depend on. See package modules.
	AllModules bool
	Modules    []string
	// Hardware is the file of modaliases, below the image's folder; may be empty.
	Hardware string
	// AllFirmware keeps every firmware file; otherwise those that the kept
	// modules name, and FirmwareRequired (patterns below lib/firmware), of
	// which each must be there.
	AllFirmware      bool
	FirmwareRequired []string
	// RootHash is root's password as crypt(3) writes it; empty means that no
	// password opens the account ("*").
	RootHash string
	// Cmdline is the kernel's command line; empty is valid.
	Cmdline string
	// Compression of the initramfs: zstd, lz4, gzip or none.
	Compression string
	// SkipScripts names packages whose install scripts are not run.
	SkipScripts []string
	// SetupChroot runs setup.sh in a chroot of the tree instead of the
	// interpreter: it needs root and the image's own architecture.
	SetupChroot bool
	// Users and Groups are sorted by name.
	Users  []User
	Groups []Group
	// Files are in the order of the file.
	Files []File
}

// Repository is one of Config.Repositories.
type Repository struct {
	// Tag is the pin without '@'; empty: not pinned.
	Tag string
	// Address is a whole address; else Branch and Name are folders of the
	// mirrors. An empty Branch means Config.Branch.
	Address      string
	Branch, Name string
}

// String is what image.toml says, without the pin.
func (r Repository) String() string {
	switch {
	case r.Address != "":
		return r.Address
	case r.Branch != "":
		return r.Branch + "/" + r.Name
	}
	return r.Name
}

// User is one of [users]. The zero value of a field leaves what a package says;
// for a user that no package makes it means what its comment says.
type User struct {
	Name string
	// UID is fixed; below zero: given once and kept in the lock.
	UID int
	// Group is the primary group; empty: one of the user's own name and number.
	Group string
	// Home is /home/NAME if empty, Shell /bin/sh, Description nothing.
	Home, Shell, Description string
	// Groups are further ones.
	Groups []string
	// Keys are lines of authorized_keys.
	Keys []string
	// Hash is the password as crypt(3) writes it; empty: none opens the account.
	Hash string
	// Locked shuts the account for keys, too.
	Locked bool
}

// Group is one of [groups].
type Group struct {
	Name string
	// GID is fixed; below zero: given once and kept in the lock.
	GID int
	// Members are names of users.
	Members []string
}

// File is one of [[file]].
type File struct {
	// Path is absolute.
	Path string
	// Exactly one of the four is set: text, a file of the image's folder, the
	// target of a symbolic link, a directory.
	Content, Source, Link string
	Dir                   bool
	// Mode is that of chmod(2); 0644, for a directory 0755, unless said.
	Mode uint32
	// Owner and Group are names or numbers; root unless said.
	Owner, Group string
	// Line is where it stands in image.toml.
	Line int `json:"-"`
}

// GoArch is the architecture in Go's words.
func (c *Config) GoArch() string {
	if c.Arch == "aarch64" {
		return "arm64"
	}
	return "amd64"
}

// Base is the part of the configuration that the packages' segment depends on:
// two configurations with equal Bases share it.
func (c *Config) Base() Config {
	b := *c
	b.Mirrors, b.Cmdline, b.Compression, b.Files = nil, "", "", nil
	return b
}

// IDs are the numbers that image.toml fixes, by name.
func (c *Config) IDs() (users, groups map[string]int) {
	users, groups = map[string]int{}, map[string]int{}
	for _, g := range c.Groups {
		if g.GID >= 0 {
			groups[g.Name] = g.GID
		}
	}
	for _, u := range c.Users {
		if u.UID >= 0 {
			users[u.Name] = u.UID
		}
	}
	return users, groups
}

// Tags are the pins that packages may use.
func (c *Config) Tags() (tags []string) {
	for _, r := range c.Repositories {
		if r.Tag != "" {
			tags = append(tags, r.Tag)
		}
	}
	return tags
}

// RepositoryNames lists them for people.
func (c *Config) RepositoryNames() []string {
	var out []string
	for _, r := range c.Repositories {
		name := r.String()
		if r.Tag != "" {
			name = "@" + r.Tag + " " + name
		}
		out = append(out, name)
	}
	return out
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
	users, groups := free(text)
	d, err := schema.Parse(file, text, keys(users, groups))
	if d == nil {
		return nil, err
	}
	c := &Config{
		Arch: d.String("arch"), Branch: d.String("branch"), Mirrors: d.List("mirrors"),
		Provides: d.List("provides"), RootHash: d.String("root_hash"), Hardware: d.String("hardware"),
		AllFirmware: d.String("firmware") == "all", FirmwareRequired: d.List("firmware_required"),
		Cmdline: d.String("cmdline"), Compression: d.String("compression"), SkipScripts: d.List("skip_scripts"),
		SetupChroot: d.String("setup") == "chroot",
	}
	if c.Compression == "" {
		c.Compression = "zstd"
	}
	c.Modules, _ = d.Value("modules").([]string)
	c.AllModules = d.String("modules") == "all"
	for _, r := range d.List("repositories") {
		repository, _ := parseRepository(r)
		c.Repositories = append(c.Repositories, repository)
	}
	p := &parser{Doc: d, config: c}
	p.lists()
	p.groups(groups)
	p.users(users)
	p.files()
	if err := schema.Join(append(schema.Mistakes(err), p.mistakes...)); err != nil {
		return nil, err
	}
	return c, nil
}

// parser collects what the table of keys cannot find out.
type parser struct {
	*schema.Doc
	config   *Config
	mistakes []*schema.Mistake
}

func (p *parser) say(d *schema.Doc, key, format string, args ...any) {
	p.mistakes = append(p.mistakes, d.Mistake(key, fmt.Sprintf(format, args...)))
}

func (p *parser) lists() {
	for _, key := range []string{"mirrors", "repositories"} {
		if p.Has(key) && len(p.List(key)) == 0 {
			p.say(p.Doc, key, "%s is empty; name one at least", key)
		}
	}
	plain := slices.ContainsFunc(p.config.Repositories, func(r Repository) bool { return r.Tag == "" })
	if len(p.config.Repositories) > 0 && !plain {
		p.say(p.Doc, "repositories", "repositories: all are pinned; packages without a pin could come from nowhere")
	}
}

// parseRepository reads "main", "edge/main", "https://…", each perhaps after
// "@pin ". The second value says what is wrong.
func parseRepository(s string) (r Repository, wrong string) {
	const right = `; write "main", "edge/main" or an address, with "@pin " before it where it is pinned`
	if rest, pinned := strings.CutPrefix(s, "@"); pinned {
		tag, place, ok := strings.Cut(rest, " ")
		if !ok || checkName(tag) != "" || strings.ContainsAny(tag, "@<>=~!") {
			return r, "is no pinned repository" + right
		}
		r.Tag, s = tag, strings.TrimSpace(place)
	}
	if strings.Contains(s, "://") {
		r.Address = strings.TrimRight(s, "/")
		return r, checkMirror(s)
	}
	branch, name, both := strings.Cut(s, "/")
	if !both {
		branch, name = "", s
	}
	if checkName(name) != "" || both && checkName(branch) != "" {
		return r, "is no repository" + right
	}
	r.Branch, r.Name = branch, name
	return r, ""
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
