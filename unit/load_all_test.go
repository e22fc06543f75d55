package unit

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// everyKey has each key of a service once.
const everyKey = `description = "all"
command = ["/bin/a", "100%%", "%i"]
needs = ["network"]
wants = ["b"]
after = ["c"]
before = ["d"]
essential = true
manual = true
conditions = { path = ["/dev/kvm", "!/run/x*"], cmdline = "debug", module = "zfs", mount = "/persist", safe_mode = false }
ready = { exec = "pg_isready", period = "2s" }
start_timeout = "1m"
health = { http = "http://localhost:8080/x", period = "1m", threshold = 5, action = "note" }
watchdog = "30s"
fd_store = 3
restart = "on-failure"
start_pre = "mkdir /run/a"
start_post = ["/bin/post"]
stop_pre = ["/bin/pre"]
stop_post = ["/bin/after"]
reload = ["/bin/kill", "-HUP", "$MAINPID"]
hook_timeout = "5s"
stop = "main"
stop_signal = "INT"
stop_timeout = "90s"
user = "a"
group = "b"
groups = ["video"]
directory = "/a"
umask = "077"
env = { A = "1" }
env_file = "-/persist/a.env"
stdin = "/in"
stdout = "null"
stderr = "/err"
log_file = { path = "/persist/log/a", size = "2M", count = 2, every = "1m" }
pids_max = "max"
memory_max = "256M"
memory_high = "192M"
cpu_weight = 50
cpu_max = "150%"
io_weight = 10
limits = { nofile = "1024:4096", core = "unlimited", nproc = 7 }
nice = -5
io_class = "best-effort"
io_level = 0
policy = "rr"
priority = 1
oom_score = -500
capabilities = ["CAP_NET_RAW", "net_bind_service"]
ambient = ["cap_net_raw"]
no_new_privs = true
private_tmp = true
read_only = true
writable = ["/persist", "-/x"]
`

func TestEveryKey(t *testing.T) {
	c, err := Load(files("svc/a.toml", everyKey, "svc/b.toml", `command = "b"`, "svc/c.toml", `command = "c"`, "svc/d.toml", `command = "d"`), "/etc")
	if err != nil {
		t.Fatal(err)
	}
	want := &Unit{Name: "a", File: "/etc/svc/a.toml", Description: "all", Command: []string{"/bin/a", "100%%", "%i"},
		Needs: []string{"network"}, Wants: []string{"b"}, After: []string{"c"}, Before: []string{"d"}, Essential: true, Manual: true,
		Conditions: []Condition{{PathExists, "/dev/kvm", false}, {PathExists, "/run/x*", true}, {CmdlineWord, "debug", false},
			{ModuleLoaded, "zfs", false}, {MountPresent, "/persist", false}, {NotInSafeMode, "", false}},
		ReadyBy: ByProbe, ReadyProbe: &Probe{Exec: []string{"/bin/sh", "-c", "pg_isready"}, Period: 2 * time.Second, Timeout: 3 * time.Second},
		Restart: OnFailure, Health: &Health{Probe: Probe{HTTP: "http://localhost:8080/x", Period: time.Minute, Timeout: 3 * time.Second}, Threshold: 5, Note: true},
		Watchdog: 30 * time.Second, FDStore: 3, StopMain: true, StopSignal: 2,
		StartTimeout: time.Minute, StopTimeout: 90 * time.Second, HookTimeout: 5 * time.Second,
		Hooks: [Parts][]string{StartPre: {"/bin/sh", "-c", "mkdir /run/a"}, StartPost: {"/bin/post"}, StopPre: {"/bin/pre"},
			StopPost: {"/bin/after"}, Reload: {"/bin/kill", "-HUP", "$MAINPID"}},
		LogFile: &LogFile{"/persist/log/a", 2 << 20, 2, time.Minute},
		Process: Process{User: "a", Group: "b", Groups: []string{"video"}, Directory: "/a", Umask: 0o77, Env: []string{"A=1"}, EnvFiles: []string{"-/persist/a.env"},
			Stdin: "/in", Stdout: "null", Stderr: "/err", PidsMax: -1, MemoryMax: 256 << 20, MemoryHigh: 192 << 20, CPUWeight: 50, CPUMax: 150 * time.Millisecond, IOWeight: 10,
			Rlimits: []Rlimit{{"core", Infinity, Infinity}, {"nproc", 7, 7}, {"nofile", 1024, 4096}}, Nice: -5, IOClass: "best-effort", Policy: "rr", Priority: 1, OOMScore: -500,
			Bounded: true, Capabilities: []string{"net_raw", "net_bind_service"}, Ambient: []string{"net_raw"}, NoNewPrivs: true, PrivateTmp: true, ReadOnly: true, Writable: []string{"/persist", "-/x"}}}
	if d := cmp.Diff(want, c.Units[0], cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	// What the table of keys has and this text has not is no key of a service.
	for _, k := range UnitKeys() {
		has := c.lines["a"].Has(k.Name)
		switch k.Name {
		case "kind", "tty", "reload_signal", "cron", "every", "on_boot", "jitter", "catch_up":
			has = true
		}
		if !has {
			t.Errorf("key %s is not tried", k.Name)
		}
	}
}

func TestReadyForms(t *testing.T) {
	for text, want := range map[string]Unit{
		`{ unix = "/run/a" }`:           {ReadyBy: ByUnix, ReadyPath: "/run/a"},
		`{ fd = 3 }`:                    {ReadyBy: ByFD, ReadyFD: 3},
		`{ pid_file = "/run/a.pid" }`:   {ReadyBy: ByPidFile, ReadyPath: "/run/a.pid"},
		`{ http = "http://[::1]:80/" }`: {ReadyBy: ByProbe, ReadyProbe: &Probe{HTTP: "http://[::1]:80/", Period: time.Second, Timeout: HealthTimeout}},
		`{ tcp = 22 }`:                  {ReadyBy: ByTCP, ReadyPort: 22},
	} {
		c, err := Load(files("svc/a.toml", "command = \"a\"\nready = "+text), "/etc")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		u := c.Units[0]
		got := Unit{ReadyBy: u.ReadyBy, ReadyPath: u.ReadyPath, ReadyFD: u.ReadyFD, ReadyPort: u.ReadyPort, ReadyProbe: u.ReadyProbe}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

func TestTimer(t *testing.T) {
	c, err := Load(files("svc/scrub.toml", "kind = \"timer\"\ncommand = \"scrub\"\ncron = \"0 2 * * sun\"\njitter = \"5m\"\ncatch_up = true"), "/etc")
	if err != nil {
		t.Fatal(err)
	}
	u := c.Units[0]
	want := &TimerConfig{Cron: []string{"0 2 * * sun"}, Jitter: 5 * time.Minute, CatchUp: true}
	if d := cmp.Diff(want, u.Timer); d != "" || u.Kind != Timer || u.ReadyBy != ByExit || u.Restart != Never || u.StartTimeout != longest {
		t.Errorf("%s %+v", d, u)
	}
}

func TestMoreMistakes(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`ready = { tcp = 22, unix = "/a" }`, `ready has 2 of tcp, unix, fd, pid_file, http or exec; write one`},
		{`ready = { period = "1s" }`, `ready has 0 of tcp, unix, fd, pid_file, http or exec; write one`},
		{`ready = { tcp = 22, period = "1s" }`, `ready.period is for http and exec; take it out`},
		{"fd_store = 2\nready = { fd = 4 }", `ready.fd = 4 is taken by what fd_store keeps; write 5 or more`},
		{`ready = { exec = [] }`, `exec is empty`},
		{`health = { tcp = "nas:80" }`, `health.tcp = "nas:80" is no address and port; write "127.0.0.1:80" or "[::1]:80"`},
		{`health = { http = "https://127.0.0.1/" }`, `health.http = "https://127.0.0.1/" asks for TLS, which a probe does not speak; write an "http://" address, or exec`},
		{`health = { http = "http://nas.lan/" }`, `health.http = "http://nas.lan/" has no address as its host; write "http://127.0.0.1:8080/" or "http://localhost:8080/"`},
		{`start_pre = ["mkdir"]`, `start_pre: "mkdir" is no absolute path; write where the program is, such as "/usr/sbin/mkdir"`},
		{"reload = \"x\"\nreload_signal = \"HUP\"", `reload and reload_signal are two ways to say it; take out one`},
		{`capabilities = ["net_raww"]`, `capabilities: "net_raww" is no capability; did you mean "net_raw"?`},
		{"capabilities = [\"net_raw\"]\nambient = [\"net_admin\"]", `ambient: "net_admin" is not among capabilities; add it there`},
		{`limits = { nofile = "9:1" }`, `limits.nofile = "9:1" is no limit; write a number, "unlimited", or "1024:4096" for a soft and a higher hard one`},
		{`limits = { files = 9 }`, `unknown key "limits.files"`},
		{`cpu_max = "2"`, `cpu_max = "2" is no share of a processor; write "50%"`},
		{`policy = "fifo"`, `policy = "fifo" wants a priority; write priority = 1`},
		{`priority = 3`, `priority is for policy = "fifo" and "rr"; take it out`},
		{`io_level = 3`, `io_level is for io_class = "best-effort" and "realtime"; write that too`},
		{"tty = \"ttyS0\"\nstdin = \"/x\"", `tty is stdin, stdout and stderr; take out the others`},
		{`writable = ["/x"]`, `writable is for read_only = true; write that too`},
		{"memory_max = \"1M\"\nmemory_high = \"2M\"", `memory_high is above memory_max`},
		{`stdout = "log"`, `stdout = "log" is neither "null" nor an absolute path`},
		{`env_file = ["-x"]`, `env_file: "-x" is no absolute path; write "/x"`},
		{`pids_max = 3`, `pids_max = 3 is out of range; write a number from 8 to 4194304`},
		{`cron = "0 2 * * *"`, `cron is for a timer; write kind = "timer"`},
		{`kind = "timer"`, `a timer is never due; write cron = "0 2 * * *", every = "15m" or on_boot = "5m"`},
		{"kind = \"timer\"\nevery = \"1ms\"", `every = "1ms" is out of range; write "1s" to "8784h", or cron for certain days`},
		{"kind = \"timer\"\nevery = \"1h\"\ncron = \"@daily\"", `cron and every are two ways to say it; take out one`},
		{"kind = \"timer\"\nevery = \"1h\"\nhealth = { tcp = \"127.0.0.1:1\" }", `a timer is done when it has exited with 0; take out health`},
		{`conditions = { path = "!" }`, `conditions.path = "!" is empty; write what must be there`},
	} {
		_, err := Load(files("svc/a.toml", "command = \"a\"\n"+tt.text), "/etc")
		if err == nil || !strings.Contains(err.Error(), ": "+tt.want) {
			t.Errorf("%s:\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
	_, err := Load(files("svc/a.toml", "command = \"a\"\nkind = \"timer\"\ncron = \"61 * * * *\""), "/etc")
	if err == nil || !strings.Contains(err.Error(), "61") {
		t.Errorf("cron: %v", err)
	}
}

func TestTemplates(t *testing.T) {
	const getty = "command = [\"/sbin/getty\", \"115200\", \"%i\"]\ndescription = \"100%% %i\"\ntty = \"%i\"\n"
	c, err := Load(files("init.toml", "instances = [\"getty@ttyS0\"]\n[[link]]\nname = \"a\"\nmatch.name = \"a\"", "svc/getty@.toml", getty,
		"svc/a.toml", "command = \"a\"\nwants = [\"getty@tty1\"]\nafter = [\"getty@tty2\"]", "svc/getty@tty3.toml", "command = \"own\""), "/etc")
	var names []string
	for _, u := range c.Units {
		names = append(names, u.Name)
	}
	if d := cmp.Diff([]string{"a", "getty@tty1", "getty@tty3", "getty@ttyS0"}, names); d != "" || err != nil {
		t.Fatal(d, err)
	}
	if u := c.Units[3]; u.TTY != "ttyS0" || u.Command[2] != "ttyS0" || u.Description != "100% ttyS0" || u.File != "/etc/svc/getty@.toml" {
		t.Errorf("%+v", u)
	}
	if u, err := c.Transient("getty@hvc0", c.InstanceText("getty@hvc0")); u == nil || err != nil || u.TTY != "hvc0" {
		t.Errorf("%+v %v", u, err)
	}
	if text := c.InstanceText("x@y"); text != "" {
		t.Errorf("%q", text)
	}
	if _, err := c.Graph(); err == nil || !strings.Contains(err.Error(), "getty@tty2") {
		t.Errorf("an order alone makes no instance: %v", err)
	}
	for text, want := range map[string]string{
		"init.toml": `etc/init.toml:1: instances: "x@y" has no template; write svc/x@.toml`,
	} {
		_, err := Load(files(text, "instances = [\"x@y\"]"), "etc")
		if err == nil || err.Error() != want {
			t.Errorf("%v", err)
		}
	}
	_, err = Load(files("svc/b@.toml", "command = [\"%i\"]\nneed = 1", "init.toml", "instances = [\"b@c\"]"), "etc")
	if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "etc/svc/b@.toml:2: unknown key") {
		t.Errorf("a bad template is said once: %v", err)
	}
}

func TestFiles(t *testing.T) {
	f := ReadFiles(files("init.toml", "hostname = \"a\"", "svc/a.toml", "command = \"a\"", "svc/x", "", "svc/b.toml", ""))
	f = f.WithTransients(map[string]string{"run-1": "command = \"sleep 9\""})
	back, err := ParseFiles(f.Append(nil))
	if err != nil || !bytes.Equal(back.Append(nil), f.Append(nil)) || back.Len() != 4 {
		t.Fatalf("%v %+v", err, back)
	}
	c, _ := back.Load("/etc")
	if len(c.Units) != 2 || !c.Units[1].Transient || c.Units[1].File != "" || c.Units[0].Transient {
		t.Errorf("%+v", c.Units)
	}
	fresh := ReadFiles(files("svc/a.toml", "command = \"a\""))
	if got := f.Transients(fresh); got.Len() != 2 || fresh.Len() != 1 || f.WithTransients(map[string]string{"run-1": ""}).Len() != 3 {
		t.Errorf("%+v", got)
	}
	if _, err := ParseFiles(f.Append(nil)[1:]); !errors.Is(err, ErrFiles) {
		t.Errorf("%v", err)
	}
}

func FuzzParseFiles(f *testing.F) {
	f.Add(ReadFiles(files("init.toml", "x", "svc/a.toml", "y")).Append(nil))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		if files, err := ParseFiles(b); err == nil {
			c, _ := files.Load("/etc")
			c.Graph()
		}
	})
}

func TestDiff(t *testing.T) {
	load := func(pairs ...string) *Config {
		t.Helper()
		c, err := Load(files(pairs...), "/etc")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const lan = "[[link]]\nname = \"lan\"\nmatch.name = \"e*\"\n"
	was := load("init.toml", "modules = [\"tun\"]\n"+lan, "svc/a.toml", "command = \"a\"", "svc/b.toml", "command = \"b\"\n[env]\nA = \"1\"", "svc/c.toml", "command = \"c\"", "svc/d.toml", "command = \"d\"")
	now := load("init.toml", "hostname = \"x\"\nmodules = [\"tap\"]\n"+lan+"dhcp4 = false", "svc/a.toml", "# a word\ncommand = \"a\"", "svc/b.toml", "command = \"b\"\n[env]\nA = \"2\"",
		"svc/c.toml", "command = \"c\"\nrestart = \"never\"", "svc/e.toml", "command = \"e\"")
	want := []Change{
		{Name: "b", Op: Changed, Keys: []string{"env"}, Restart: true},
		{Name: "c", Op: Changed, Keys: []string{"restart"}},
		{Name: "d", Op: Removed}, {Name: "e", Op: Added},
		{Name: "init.toml", Op: Changed, Keys: []string{"hostname", "modules"}},
		{Name: "link:lan", Op: Changed, Keys: []string{"dhcp4"}, Restart: true},
	}
	if d := cmp.Diff(want, Diff(was, now)); d != "" {
		t.Error(d)
	}
	if d := Diff(was, was); len(d) > 0 {
		t.Errorf("%v", d)
	}
	more, err := was.Files.WithTransients(map[string]string{"run-1": "command = \"r\""}).Load("/etc")
	if err != nil {
		t.Fatal(err)
	}
	if d := append(Diff(was, more), Diff(more, was)...); len(d) > 0 || len(more.Units) != len(was.Units)+1 {
		t.Errorf("a unit of svc run counts as a change: %v", d)
	}
}
