package config

import (
	"encoding/base64"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"hoopy/build/modules"
	"hoopy/unit/schema"
)

// Keys is the schema of image.toml, with NAME for a name that is free.
var Keys = keys([]string{"NAME"}, []string{"NAME"})

// free are the names that a text gives its users and groups: a table of tables
// with free names is a table whose keys the text decides. To a schema that
// knows none of them, each is an unknown key.
func free(text string) (users, groups []string) {
	_, err := schema.Parse("", text, []schema.Key{{Name: "users", Type: schema.Table}, {Name: "groups", Type: schema.Table}})
	for _, m := range schema.Mistakes(err) {
		if name, ok := strings.CutPrefix(m.Key, "users."); ok {
			users = append(users, name)
		} else if name, ok := strings.CutPrefix(m.Key, "groups."); ok {
			groups = append(groups, name)
		}
	}
	slices.Sort(users)
	slices.Sort(groups)
	return slices.Compact(users), slices.Compact(groups)
}

func keys(users, groups []string) []schema.Key {
	return append(plainKeys(),
		schema.Key{Name: "users", Type: schema.Table, Keys: tables(users, userKeys, "A user. A package may make it as well; what is said here wins."),
			Doc: "Users by name. A name that only has a `uid` pins the number for the package that makes the user."},
		schema.Key{Name: "groups", Type: schema.Table, Keys: tables(groups, groupKeys, "A group."),
			Doc: "Groups by name."},
		schema.Key{Name: "file", Type: schema.Tables, Keys: fileKeys, Example: "",
			Doc: "A file, folder or link that git cannot keep in root/ as it should be: another owner, another mode, a secret from outside. It is laid over packages and root/."},
	)
}

func tables(names []string, keys []schema.Key, doc string) (out []schema.Key) {
	for _, name := range names {
		out = append(out, schema.Key{Name: name, Type: schema.Table, Keys: keys, Doc: doc, Example: `{ … }`})
	}
	return out
}

func plainKeys() []schema.Key {
	return []schema.Key{
		{Name: "arch", Type: schema.Enum, Words: []string{"x86_64", "aarch64"}, Required: true,
			Doc: "Alpine's name of the architecture. Either is built on either.", Example: `"x86_64"`},
		{Name: "branch", Type: schema.String, Required: true, Check: checkName,
			Doc: "The folder of the mirrors: a release or edge.", Example: `"v3.22"`},
		{Name: "mirrors", Type: schema.List, Required: true, Check: checkMirror,
			Doc: "Base addresses of Alpine mirrors, asked in this order.", Example: `["https://dl-cdn.alpinelinux.org/alpine"]`},
		{Name: "repositories", Type: schema.List, Required: true, Check: checkRepository,
			Doc: "Where packages come from: folders of the branch (`main`), of another branch (`edge/testing`), or whole addresses, whose keys lie in `keys/`. " +
				"A package comes from the first that has it. One with a pin before it (`@edge edge/main`) is used only for packages that ask for it (`tailscale@edge`) and what these need.",
			Example: `["main", "community", "@edge edge/community"]`},
		{Name: "provides", Type: schema.List, Check: checkName,
			Doc: "Names that the image itself provides, so that no package is chosen for them.", Example: `["initramfs-generator"]`},
		{Name: "modules", Type: schema.Union, Required: true, Any: []schema.Key{
			{Type: schema.Enum, Words: []string{"all"}}, {Type: schema.List, Check: checkModule}},
			Doc:     "Kernel modules: all of them, or a list of names, shell patterns, folders that end in a slash, and sets (`@vm`; all sets are at the end of this page). What they depend on is added.",
			Example: `["@base", "@vm", "ext4", "nls_*", "drivers/virtio/"]`},
		{Name: "hardware", Type: schema.String, Check: checkInside,
			Doc: "A file with what the machine consists of, as `cat /sys/bus/*/devices/*/modalias | sort -u` prints it there; " +
				"the modules for it are added to those of `modules`.", Default: "none", Example: `"hardware"`},
		{Name: "firmware", Type: schema.Enum, Words: []string{"modules", "all"},
			Doc:     "Which firmware of the packages in the list stays: what the kept modules name, or all. What a module names and no package brings is counted in the report.",
			Default: "`\"modules\"`", Example: `"all"`},
		{Name: "firmware_required", Type: schema.List, Check: checkPattern,
			Doc: "Firmware, as patterns below lib/firmware, without which the image does not build. It stays whatever the modules name.", Example: `["rtl_nic/rtl8168h-2.fw"]`},
		{Name: "root_hash", Type: schema.String, Check: checkHash,
			Doc: "Root's password as crypt(3) writes it; `openssl passwd -6` makes one.", Default: "no password opens the account", Example: `"$6$salt$hash"`},
		{Name: "cmdline", Type: schema.String, Doc: "The kernel's command line.", Default: "empty", Example: `"quiet"`},
		{Name: "compression", Type: schema.Enum, Words: []string{"zstd", "lz4", "gzip", "none"},
			Doc: "Of the initramfs. lz4 unpacks quickest and is a third larger; gzip is for kernels that know nothing else.", Default: "`\"zstd\"`", Example: `"lz4"`},
		{Name: "skip_scripts", Type: schema.List, Check: checkName,
			Doc: "Packages whose install scripts are not run.", Example: `["mkinitfs"]`},
		{Name: "setup", Type: schema.Enum, Words: []string{"interpret", "chroot"},
			Doc: "How `setup.sh`, if it lies beside image.toml, runs on the tree of packages before root/ is laid: by the interpreter of the package scripts, " +
				"which touches nothing but the tree and knows the commands that these use; or in a chroot, with all programs of the image, for which the build must run as root on a Linux of the same architecture.",
			Default: "`\"interpret\"`", Example: `"chroot"`},
	}
}

const maxID = 1<<31 - 1

var userKeys = []schema.Key{
	{Name: "uid", Type: schema.Int, Min: 0, Max: maxID, Doc: "Its number.", Default: "given once and kept in packages.lock", Example: "1000"},
	{Name: "gid", Type: schema.Int, Min: 0, Max: maxID, Doc: "The number of its own group.", Default: "`uid`", Example: "1000"},
	{Name: "group", Type: schema.String, Check: checkName, Doc: "Its primary group.", Default: "one of its own name", Example: `"users"`},
	{Name: "home", Type: schema.String, Check: checkAbsolute, Doc: "Its folder, which is made.", Default: "/home/NAME", Example: `"/home/ann"`},
	{Name: "shell", Type: schema.String, Check: checkAbsolute, Doc: "What sshd and login start.", Default: "/bin/sh", Example: `"/sbin/nologin"`},
	{Name: "description", Type: schema.String, Check: checkField, Doc: "The name of the person.", Default: "empty", Example: `"Ann"`},
	{Name: "groups", Type: schema.List, Check: checkName, Doc: "Further groups.", Example: `["wheel"]`},
	{Name: "keys", Type: schema.List, Check: checkKey, Doc: "Lines of authorized_keys.", Example: `["ssh-ed25519 AAAA… ann"]`},
	{Name: "hash", Type: schema.String, Check: checkHash, Doc: "The password as crypt(3) writes it.", Default: "no password opens the account", Example: `"$6$salt$hash"`},
	{Name: "locked", Type: schema.Bool, Doc: "Shuts the account, for keys as well.", Default: "false", Example: "true"},
}

var groupKeys = []schema.Key{
	{Name: "gid", Type: schema.Int, Min: 0, Max: maxID, Doc: "Its number.", Default: "given once and kept in packages.lock", Example: "1001"},
	{Name: "members", Type: schema.List, Check: checkName, Doc: "Users in it.", Example: `["ann"]`},
}

var fileKeys = []schema.Key{
	{Name: "path", Type: schema.String, Required: true, Check: checkAbsolute, Doc: "Where it lies in the image.", Example: `"/etc/app/token"`},
	{Name: "content", Type: schema.String, Doc: "Its text.", Example: `"a line\n"`},
	{Name: "source", Type: schema.String, Doc: "The file with its content: below the image's folder, or absolute. A private key must be readable by you alone, here and in the image.", Example: `"secrets/token"`},
	{Name: "link", Type: schema.String, Check: checkLink, Doc: "Makes a symbolic link to this.", Example: `"/persist/token"`},
	{Name: "folder", Type: schema.Bool, Doc: "Makes a folder.", Default: "false", Example: "true"},
	{Name: "mode", Type: schema.String, Check: checkMode, Doc: "As chmod writes it in octal.", Default: "`\"0644\"`, of a folder `\"0755\"`", Example: `"0600"`},
	{Name: "owner", Type: schema.String, Check: checkName, Doc: "A user of the image, by name or number.", Default: "root", Example: `"ann"`},
	{Name: "group", Type: schema.String, Check: checkName, Doc: "A group of the image, by name or number.", Default: "root", Example: `"wheel"`},
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
		if strings.HasPrefix(s, scheme) && len(s) > len(scheme) && !strings.ContainsAny(s, " \t\n#") {
			return ""
		}
	}
	return "is no address; write https://…, http://… or file:///…"
}

func checkRepository(v any) string {
	_, wrong := parseRepository(v.(string))
	return wrong
}

func checkModule(v any) string {
	if set, ok := strings.CutPrefix(v.(string), "@"); ok {
		if _, known := modules.Sets[set]; !known {
			all := slices.Sorted(maps.Keys(modules.Sets))
			return "is no set; there are @" + strings.Join(all, ", @") + schema.DidYouMean(set, all)
		}
		return ""
	}
	return checkPattern(v)
}

func checkPattern(v any) string {
	s := v.(string)
	if s == "" || strings.ContainsAny(s, " \n") || strings.HasPrefix(s, "/") {
		return "is neither a pattern of names nor a folder"
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

func checkField(v any) string {
	if strings.ContainsAny(v.(string), ":\n") {
		return "has a colon or a line break, which may not stand in etc/passwd"
	}
	return ""
}

func checkAbsolute(v any) string {
	s := v.(string)
	if !path.IsAbs(s) || path.Clean(s) != s || s == "/" || strings.ContainsAny(s, ":\n") {
		return "is no absolute path such as \"/etc/motd\""
	}
	return ""
}

func checkInside(v any) string {
	s := v.(string)
	if s == "" || path.IsAbs(s) || path.Clean(s) != s || s == ".." || strings.HasPrefix(s, "../") {
		return "is no file below the image's folder"
	}
	return ""
}

func checkLink(v any) string {
	if s := v.(string); s == "" || strings.Contains(s, "\n") {
		return "is no target of a link"
	}
	return ""
}

func checkMode(v any) string {
	s := v.(string)
	n, err := strconv.ParseUint(s, 8, 32)
	switch {
	case err != nil || len(s) < 3 || n > 0o7777:
		return "is no mode; write four octal digits such as \"0640\""
	case n&0o022 != 0 && n&0o1000 == 0:
		return "lets others than its owner write; nothing in the image needs that"
	}
	return ""
}

// checkKey looks at one line of authorized_keys(5): perhaps options, type, key.
func checkKey(v any) string {
	s := v.(string)
	if strings.Contains(s, "\n") {
		return "has a line break"
	}
	if strings.Contains(s, "PRIVATE KEY") {
		return "is a private key; write the line of the .pub file"
	}
	fields := strings.Fields(s)
	for i, f := range fields[:max(0, len(fields)-1)] {
		if strings.HasPrefix(f, "ssh-") || strings.HasPrefix(f, "ecdsa-") || strings.HasPrefix(f, "sk-") {
			if _, err := base64.StdEncoding.DecodeString(fields[i+1]); err == nil && strings.HasPrefix(fields[i+1], "AAAA") {
				return ""
			}
		}
	}
	return "is no public key; write the line of the .pub file"
}
