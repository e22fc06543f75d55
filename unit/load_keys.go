package unit

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"hoopy/unit/schema"
)

// longest is the longest time-out that a file may ask for.
const longest = 24 * time.Hour

// UnitKeys are the keys of etc/svc/NAME.toml.
var UnitKeys = []schema.Key{
	{Name: "description", Type: schema.String, Check: checkLine,
		Doc: "One line for people."},
	{Name: "kind", Type: schema.Enum, Words: []string{"service", "task"}, Default: "`\"service\"`",
		Doc: "A service is a process that is meant to stay. A task runs once; it is ready when it has exited with 0, and stays ready."},
	{Name: "command", Type: schema.Union, Required: true, Example: `["/usr/sbin/sshd", "-D"]`,
		Any: []schema.Key{{Type: schema.List}, {Type: schema.String}},
		Doc: "The program, by its absolute path, and its arguments. A single text is run by `/bin/sh -c`; start it with `exec` where the shell is not needed any more."},

	{Name: "needs", Type: schema.List, Example: `["network"]`,
		Doc: "Units that must be ready first. If one stops or fails, this unit stops too, and starts again when that one is ready."},
	{Name: "wants", Type: schema.List,
		Doc: "Units that are started with this one and waited for; if one fails, this unit starts all the same."},
	{Name: "after", Type: schema.List, Example: `["devices"]`,
		Doc: "Order alone: this unit starts after those, if they are starting; it does not start them."},
	{Name: "before", Type: schema.List,
		Doc: "Order alone: the same, seen from the other side."},
	{Name: "essential", Type: schema.Bool, Default: "`false`",
		Doc: "Part of the way to the machine (sshd, tailscaled). After 20 s its unmet edges, `needs` included, no longer hold it back, and no lost need stops it."},
	{Name: "manual", Type: schema.Bool, Default: "`false`",
		Doc: "Not started at boot; `svc start`, or a unit that needs or wants it, starts it."},

	{Name: "ready", Type: schema.Union, Default: "`\"spawned\"`",
		Any: []schema.Key{
			{Type: schema.Enum, Words: []string{"spawned", "notify"}},
			{Type: schema.Table, Example: "{ tcp = 22 }", Keys: []schema.Key{
				{Name: "tcp", Type: schema.Int, Required: true, Min: 1, Max: 65535, Example: "22"}}},
		},
		Doc: "What makes a service ready: `\"spawned\"`, the program has started; `\"notify\"`, it says so with sd_notify(3); `{ tcp = 22 }`, something on the machine listens on that port (nothing connects to it)."},
	{Name: "restart", Type: schema.Enum, Words: []string{"always", "on-failure", "never"}, Default: "`\"always\"`; of a task `\"never\"`",
		Doc: "When a process that ended is started again, with a growing delay. `\"on-failure\"`: after an exit other than 0, or a signal. A task cannot have `\"always\"`."},
	{Name: "start_timeout", Type: schema.Duration, Default: "`\"60s\"`", Check: checkTimeout,
		Doc: "From the start of the program to ready; for a task, to its exit. Then the start has failed."},
	{Name: "stop", Type: schema.Enum, Words: []string{"group", "main"}, Default: "`\"group\"`",
		Doc: "`\"main\"` ends the main process alone and leaves what it started, such as the sessions of sshd."},
	{Name: "stop_signal", Type: schema.Enum, Words: stopSignals, Default: "`\"TERM\"`",
		Doc: "The signal that asks the main process to end."},
	{Name: "stop_timeout", Type: schema.Duration, Default: "`\"10s\"`", Check: checkTimeout,
		Doc: "From the stop signal to SIGKILL for all its processes."},

	{Name: "user", Type: schema.String, Default: "root", Check: checkUser,
		Doc: "The user that the program runs as, with the groups of that user."},
	{Name: "group", Type: schema.String, Default: "the user's own", Check: checkUser,
		Doc: "The group that the program runs as."},
	{Name: "directory", Type: schema.String, Default: "`\"/\"`", Check: checkAbsolute,
		Doc: "The working directory."},
	{Name: "umask", Type: schema.String, Default: "`\"022\"`", Check: checkUmask, Example: `"022"`,
		Doc: "The file mode creation mask, in octal."},
	{Name: "env", Type: schema.Map, Check: checkEnv, Example: `{ TZ = "UTC" }`,
		Doc: "Environment variables, added to PATH, HOME, USER, LOGNAME and SHELL."},
	{Name: "tty", Type: schema.String, Check: checkTTY, Example: `"ttyS0"`,
		Doc: "The terminal that becomes stdin, stdout, stderr and controlling terminal. If the machine does not have it, the unit is skipped."},
	{Name: "pids_max", Type: schema.Union, Default: strconv.Itoa(DefaultPidsMax),
		Any: []schema.Key{{Type: schema.Int, Min: 1, Max: 1 << 22}, {Type: schema.Enum, Words: []string{"max"}}},
		Doc: "The most processes and threads that it may have at a time; `\"max\"`: no limit."},
	{Name: "memory_max", Type: schema.Size, Default: "no limit", Example: `"256M"`,
		Doc: "The most memory that its processes may use together; then the kernel kills one of them."},
}

// MachineKeys are the keys of etc/init.toml.
var MachineKeys = []schema.Key{
	{Name: "hostname", Type: schema.String, Default: "`\"hoopy\"`, or what DHCP says", Check: checkHost,
		Doc: "The name of the machine."},
	{Name: "modules", Type: schema.List, Check: checkModule, Example: `["tun"]`,
		Doc: "Kernel modules to load at boot that no device asks for."},
	{Name: "link", Type: schema.Tables,
		Doc: "A network interface. Its unit is `link:NAME`.",
		Keys: []schema.Key{
			{Name: "name", Type: schema.String, Required: true, Example: `"lan"`, Check: checkName,
				Doc: "What the unit is called; the kernel's name of the interface stays."},
			{Name: "match", Type: schema.Table, Required: true, Example: `{ name = "eth0" }`,
				Doc: "Which interface it is: every key given must match, and there must be one.",
				Keys: []schema.Key{
					{Name: "name", Type: schema.String, Check: checkPattern, Example: `"eth*"`,
						Doc: "The kernel's name of the interface, as a shell pattern."},
					{Name: "mac", Type: schema.String, Example: `"d0:50:99:c0:ff:ee"`,
						Doc: "Its hardware address."},
					{Name: "driver", Type: schema.String, Check: checkModule, Example: `"virtio_net"`,
						Doc: "The kernel's driver of it."},
				}},
			{Name: "dhcp4", Type: schema.Bool, Default: "`true`",
				Doc: "Ask for an IPv4 address with DHCP."},
			{Name: "essential", Type: schema.Bool, Default: "`true`",
				Doc: "The milestone `network` is reached when an essential link has an address; in safe mode only essential links are used."},
		}},
}

// stopSignals are those that a program may take as its word to end.
var stopSignals = []string{"HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "WINCH", "PWR"}

// NameMax bounds the name of a unit of a file, in bytes.
const NameMax = 64

// GoodName says whether name may be the NAME of svc/NAME.toml:
// [a-z0-9][a-z0-9._@-]{0,63}. An instance such as getty@ttyS0 may have capital
// letters after its @.
func GoodName(name string) bool {
	if name == "" || len(name) > NameMax {
		return false
	}
	instance := false
	for i, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && strings.IndexByte("._-", c) >= 0:
		case i > 0 && c == '@':
			instance = true
		case instance && c >= 'A' && c <= 'Z':
		default:
			return false
		}
	}
	return true
}

func checkName(v any) string {
	if s := v.(string); !GoodName(s) || strings.Contains(s, "@") {
		return "is no name; write small letters, digits, . _ and -"
	}
	return ""
}

func checkLine(v any) string {
	for _, r := range v.(string) {
		if r < ' ' || r == 0x7f {
			return "has a control character; write one line"
		}
	}
	return ""
}

func checkTimeout(v any) string {
	if v.(time.Duration) > longest {
		return `is too long; write "24h" or less`
	}
	return ""
}

func checkAbsolute(v any) string {
	if !strings.HasPrefix(v.(string), "/") {
		return fmt.Sprintf("is no absolute path; write %q", "/"+strings.TrimPrefix(v.(string), "./"))
	}
	return ""
}

func checkUser(v any) string {
	if s := v.(string); s == "" || len(s) > 32 || strings.ContainsAny(s, ": /\t\n") || s[0] == '-' {
		return "is no name of a user or group"
	}
	return ""
}

func checkUmask(v any) string {
	if _, ok := parseUmask(v.(string)); !ok {
		return `is no mask; write three octal digits such as "022"`
	}
	return ""
}

func parseUmask(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 8, 9)
	return uint32(n), err == nil && len(s) >= 3 && len(s) <= 4
}

func checkEnv(v any) string {
	for i, c := range []byte(v.(string)) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return "is no name of a variable; write letters, digits and _"
		}
	}
	if v.(string) == "" {
		return "is empty; write a name of a variable"
	}
	return ""
}

func checkTTY(v any) string {
	s := v.(string)
	if short := strings.TrimPrefix(s, "/dev/"); short != s && plainWord(short, "_-.") {
		return fmt.Sprintf("is a path; write %q", short)
	}
	if !plainWord(s, "_-.") || s[0] == '.' {
		return `is no terminal; write "ttyS0"`
	}
	return ""
}

func checkModule(v any) string {
	if !plainWord(v.(string), "_-") {
		return "is no name of a module"
	}
	return ""
}

func checkPattern(v any) string {
	if s := v.(string); !plainWord(s, "_-.*?[]@:") || len(s) > 64 {
		return "is no pattern of an interface name"
	}
	return ""
}

func checkHost(v any) string {
	s := v.(string)
	if len(s) > 64 {
		return "is longer than 64 letters"
	}
	for label := range strings.SplitSeq(s, ".") {
		if !plainWord(label, "-") || label[0] == '-' || label[len(label)-1] == '-' || len(label) > 63 {
			return "is no host name; write letters, digits and -"
		}
	}
	return ""
}

// plainWord says whether s is made of ASCII letters, digits and extra alone.
func plainWord(s, extra string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(extra, c) >= 0) {
			return false
		}
	}
	return s != ""
}
