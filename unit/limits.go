package unit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hoopy/unit/schema"
)

// PidsLeast is the smallest pids_max: the launcher is a Go program and needs so
// many threads for itself.
const PidsLeast = 8

// Rlimits are the names of the limits of setrlimit(2), at their numbers on
// x86_64 and aarch64.
var Rlimits = []string{"cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile",
	"memlock", "as", "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"}

// Capabilities are the names of capabilities(7), at their numbers.
var Capabilities = []string{"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid",
	"setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
	"sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
	"sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
	"mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
	"checkpoint_restore"}

// LimitNumber is RLIMIT_NAME of setrlimit(2) for a name of Rlimits; false: there
// is none.
func LimitNumber(name string) (int, bool) { return number(Rlimits, name) }

// CapabilityNumber is the number of a capability by its name, in any case, with
// or without CAP_; false: there is none.
func CapabilityNumber(name string) (int, bool) { return number(Capabilities, capability(name)) }

func number(names []string, name string) (int, bool) {
	for n, known := range names {
		if name == known {
			return n, true
		}
	}
	return 0, false
}

// capability is the plain form of a name as people write it: CAP_NET_RAW.
func capability(name string) string { return strings.TrimPrefix(strings.ToLower(name), "cap_") }

func checkCapability(v any) string {
	if _, ok := CapabilityNumber(v.(string)); ok {
		return ""
	}
	return "is no capability" + schema.DidYouMean(capability(v.(string)), Capabilities)
}

// parseRlimit reads 4096, "4096", "unlimited" and "1024:unlimited".
func parseRlimit(v any) (soft, hard uint64, ok bool) {
	switch v := v.(type) {
	case int64:
		return uint64(v), uint64(v), true
	case string:
		first, second, both := strings.Cut(v, ":")
		if !both {
			second = first
		}
		soft, ok1 := limitNumber(first)
		hard, ok2 := limitNumber(second)
		return soft, hard, ok1 && ok2 && soft <= hard
	}
	return 0, 0, false
}

func limitNumber(s string) (uint64, bool) {
	if s == "unlimited" {
		return Infinity, true
	}
	n, err := strconv.ParseUint(s, 10, 63)
	return n, err == nil
}

func checkRlimit(v any) string {
	if _, _, ok := parseRlimit(v); !ok {
		return `is no limit; write a number, "unlimited", or "1024:4096" for a soft and a higher hard one`
	}
	return ""
}

// cpuPeriod is the period of cpu.max that CPUMax counts in.
const cpuPeriod = 100 * time.Millisecond

// parsePercent reads "150%" as processor time in each cpuPeriod.
func parsePercent(s string) (time.Duration, bool) {
	digits, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseUint(digits, 10, 20)
	return time.Duration(n) * cpuPeriod / 100, ok && err == nil && n > 0 && n <= 100_000
}

func checkPercent(v any) string {
	if _, ok := parsePercent(v.(string)); !ok {
		return `is no share of a processor; write "50%"`
	}
	return ""
}

// process reads how the unit's processes run.
func (u *Unit) process(doc *schema.Doc) (mistakes []*schema.Mistake) {
	p := Process{
		User: doc.String("user"), Group: doc.String("group"), Groups: doc.List("groups"),
		Directory: doc.String("directory"), Umask: 0o022, EnvFiles: list(doc, "env_file"),
		TTY: doc.String("tty"), Stdin: doc.String("stdin"), Stdout: doc.String("stdout"), Stderr: doc.String("stderr"),
		Nice: int(doc.Int("nice")), IOClass: doc.String("io_class"), IOLevel: 4,
		Policy: doc.String("policy"), Priority: int(doc.Int("priority")), OOMScore: int(doc.Int("oom_score")),
		MemoryMax: doc.Size("memory_max"), MemoryHigh: doc.Size("memory_high"),
		CPUWeight: int(doc.Int("cpu_weight")), IOWeight: int(doc.Int("io_weight")),
		Bounded: doc.Has("capabilities"), Capabilities: capabilities(doc, "capabilities"), Ambient: capabilities(doc, "ambient"),
		NoNewPrivs: doc.Bool("no_new_privs", false), PrivateTmp: doc.Bool("private_tmp", false),
		ReadOnly: doc.Bool("read_only", false), Writable: doc.List("writable"),
	}
	if mask, ok := parseUmask(doc.String("umask")); ok {
		p.Umask = mask
	}
	if doc.Has("io_level") {
		p.IOLevel = int(doc.Int("io_level"))
	}
	if p.Policy == "other" {
		p.Policy = ""
	}
	p.CPUMax, _ = parsePercent(doc.String("cpu_max"))
	env := doc.Map("env")
	for _, name := range sortedKeys(env) {
		p.Env = append(p.Env, name+"="+env[name])
	}
	switch n := doc.Value("pids_max").(type) {
	case int64:
		p.PidsMax = n
	case string:
		p.PidsMax = -1
	}
	limits := doc.Table("limits")
	for _, name := range Rlimits {
		if soft, hard, ok := parseRlimit(limits.Value(name)); ok {
			p.Rlimits = append(p.Rlimits, Rlimit{name, soft, hard})
		}
	}
	u.Process = p
	say := func(wrong bool, key, text string) {
		if wrong {
			mistakes = append(mistakes, doc.Mistake(key, text))
		}
	}
	realtime := p.Policy == "fifo" || p.Policy == "rr"
	say(p.Priority != 0 && !realtime, "priority", `priority is for policy = "fifo" and "rr"; take it out`)
	say(realtime && p.Priority == 0, "policy", fmt.Sprintf("policy = %q wants a priority; write priority = 1", p.Policy))
	say(doc.Has("io_level") && p.IOClass == "", "io_level", `io_level is for io_class = "best-effort" and "realtime"; write that too`)
	say(p.TTY != "" && (p.Stdin != "" || p.Stdout != "" || p.Stderr != ""), "tty", "tty is stdin, stdout and stderr; take out the others")
	say(len(p.Writable) > 0 && !p.ReadOnly, "writable", "writable is for read_only = true; write that too")
	say(p.MemoryHigh > 0 && p.MemoryMax > 0 && p.MemoryHigh > p.MemoryMax, "memory_high", "memory_high is above memory_max")
	for _, name := range p.Ambient {
		say(p.Bounded && !slices.Contains(p.Capabilities, name), "ambient", fmt.Sprintf("ambient: %q is not among capabilities; add it there", name))
	}
	return mistakes
}

// list is a key that takes one text or several.
func list(doc *schema.Doc, key string) []string {
	if s := doc.String(key); s != "" {
		return []string{s}
	}
	return doc.List(key)
}

func capabilities(doc *schema.Doc, key string) []string {
	var names []string
	for _, name := range doc.List(key) {
		names = append(names, capability(name))
	}
	return names
}
