package unit

import (
	"strconv"
	"strings"

	"hoopy/unit/schema"
)

func processKeys() []schema.Key {
	return []schema.Key{
		{Name: "user", Type: schema.String, Default: "root", Check: checkUser,
			Doc: "The user that the program runs as, with the groups of that user."},
		{Name: "group", Type: schema.String, Default: "the user's own", Check: checkUser,
			Doc: "The group that the program runs as."},
		{Name: "groups", Type: schema.List, Check: checkUser,
			Doc: "Groups besides those that the user is in."},
		{Name: "directory", Type: schema.String, Default: "`\"/\"`", Check: checkAbsolute,
			Doc: "The working directory."},
		{Name: "umask", Type: schema.String, Default: "`\"022\"`", Check: checkUmask, Example: `"022"`,
			Doc: "The file mode creation mask, in octal."},
		{Name: "env", Type: schema.Map, Check: checkEnv, Example: `{ TZ = "UTC" }`,
			Doc: "Environment variables, added to PATH, HOME, USER, LOGNAME and SHELL."},
		texts(schema.Key{Name: "env_file", Check: checkMaybe, Example: `"/persist/foo.env"`,
			Doc: "Files of NAME=value lines, read at the start; `env` wins. With `-` before it, a file may be missing."}),
		{Name: "tty", Type: schema.String, Check: checkTTY, Example: `"ttyS0"`,
			Doc: "The terminal that becomes stdin, stdout, stderr and controlling terminal. If the machine does not have it, the unit is skipped."},
		{Name: "stdin", Type: schema.String, Check: checkAbsolute, Default: "`\"/dev/null\"`",
			Doc: "A file to read from."},
		{Name: "stdout", Type: schema.String, Check: checkOutput, Default: "the log",
			Doc: "`\"null\"`, or a file that is appended to."},
		{Name: "stderr", Type: schema.String, Check: checkOutput, Default: "the log",
			Doc: "The same for stderr."},
		{Name: "log_file", Type: schema.Union, Example: `"/persist/log/foo"`, Live: true,
			Any: []schema.Key{
				{Type: schema.String, Check: checkAbsolute},
				{Type: schema.Table, Example: `{ path = "/persist/log/foo", size = "1M" }`, Keys: []schema.Key{
					{Name: "path", Type: schema.String, Required: true, Check: checkAbsolute, Example: `"/persist/log/foo"`},
					{Name: "size", Type: schema.Size},
					{Name: "count", Type: schema.Int, Min: 1, Max: 100},
					{Name: "every", Type: schema.Duration, Check: checkTimeout},
				}},
			},
			Doc: "A file that the log is appended to as well: a new one after `size` (1M), `count` (4) of them kept, at most one write `every` (30s): flash wears out."},
	}
}

func limitKeys() []schema.Key {
	return []schema.Key{
		{Name: "pids_max", Type: schema.Union, Default: strconv.Itoa(DefaultPidsMax), Live: true,
			Any: []schema.Key{{Type: schema.Int, Min: PidsLeast, Max: 1 << 22}, {Type: schema.Enum, Words: []string{"max"}}},
			Doc: "The most processes and threads that it may have at a time; `\"max\"`: no limit."},
		{Name: "memory_max", Type: schema.Size, Default: "no limit", Example: `"256M"`, Live: true,
			Doc: "The most memory that its processes may use together; then the kernel kills one of them."},
		{Name: "memory_high", Type: schema.Size, Default: "no limit", Example: `"192M"`, Live: true,
			Doc: "From there on the kernel takes memory away from it and slows it down."},
		{Name: "cpu_weight", Type: schema.Int, Min: 1, Max: 10000, Default: "100", Live: true,
			Doc: "Its share of the processors when they are short."},
		{Name: "cpu_max", Type: schema.String, Check: checkPercent, Example: `"150%"`, Live: true,
			Doc: "The most processor time it may have; `\"100%\"` is one processor."},
		{Name: "io_weight", Type: schema.Int, Min: 1, Max: 10000, Default: "100", Live: true,
			Doc: "Its share of the disks when they are busy."},
		{Name: "limits", Type: schema.Table, Example: `{ nofile = 4096, core = "unlimited" }`,
			Doc: "Limits of setrlimit(2), each a number, `\"unlimited\"`, or a soft and a hard one as `\"1024:4096\"`. Their names: " +
				strings.Join(Rlimits, ", ") + ".",
			Keys: rlimitKeys()},
		{Name: "nice", Type: schema.Int, Min: -20, Max: 19, Default: "0",
			Doc: "Its nice value, see setpriority(2)."},
		{Name: "io_class", Type: schema.Enum, Words: []string{"realtime", "best-effort", "idle"}, Default: "as the nice value says",
			Doc: "Its class for disks, see ioprio_set(2)."},
		{Name: "io_level", Type: schema.Int, Min: 0, Max: 7, Default: "4",
			Doc: "Its level within `\"realtime\"` or `\"best-effort\"`, 0 the first."},
		{Name: "policy", Type: schema.Enum, Words: []string{"other", "batch", "idle", "fifo", "rr"}, Default: "`\"other\"`",
			Doc: "Its scheduling policy, see sched(7)."},
		{Name: "priority", Type: schema.Int, Min: 1, Max: 99,
			Doc: "Its priority under `\"fifo\"` and `\"rr\"`."},
		{Name: "oom_score", Type: schema.Int, Min: -1000, Max: 1000, Default: "0",
			Doc: "How gladly the kernel kills it when memory is out: -1000 never, 1000 first."},
		{Name: "capabilities", Type: schema.List, Check: checkCapability, Default: "all", Example: `["net_bind_service"]`,
			Doc: "The capabilities(7) that it can ever have."},
		{Name: "ambient", Type: schema.List, Check: checkCapability, Example: `["net_bind_service"]`,
			Doc: "Those that it keeps although it runs as a user other than root."},
		{Name: "no_new_privs", Type: schema.Bool, Default: "`false`",
			Doc: "No program that it executes can gain privileges (setuid, file capabilities)."},
		{Name: "private_tmp", Type: schema.Bool, Default: "`false`",
			Doc: "It has a /tmp and a /var/tmp of its own."},
		{Name: "read_only", Type: schema.Bool, Default: "`false`",
			Doc: "It cannot write to the file system, but below `writable`, /dev, /proc, /sys and /run."},
		{Name: "writable", Type: schema.List, Check: checkMaybe, Example: `["/persist"]`,
			Doc: "What it can write to all the same. With `-` before it, a path may be missing."},
	}
}

func rlimitKeys() []schema.Key {
	keys := make([]schema.Key, len(Rlimits))
	for i, name := range Rlimits {
		keys[i] = schema.Key{Name: name, Type: schema.Union, Any: []schema.Key{{Type: schema.Int, Min: 0, Max: 1 << 62},
			{Type: schema.String, Check: checkRlimit}}, Example: `"1024:4096"`}
	}
	return keys
}
