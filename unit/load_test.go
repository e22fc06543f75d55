package unit

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"hoopy/unit/schema"
)

var update = flag.Bool("update", false, "write docs/units.md anew")

func files(pairs ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fsys[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fsys
}

const sshdFile = `description = "OpenSSH server"
command     = ["/usr/sbin/sshd", "-D", "-e"]
needs       = ["network"]
after       = ["devices"]
essential   = true
ready       = { tcp = 22 }
stop        = "main"
stop_signal = "INT"
stop_timeout = "1m30s"
user = "nobody"
umask = "077"
env = { B = "2", A = "1" }
pids_max = "max"
memory_max = "256M"
`

func TestLoad(t *testing.T) {
	c, err := Load(files(
		"init.toml", "hostname = \"frood\"\nmodules = [\"tun\"]\n[[link]]\nname = \"lan\"\nmatch = { mac = \"D0-50-99-C0-FF-EE\" }\n[[link]]\nname=\"wan\"\nmatch.driver = \"virtio_net\"\ndhcp4 = false\nessential = false\n",
		"svc/sshd.toml", sshdFile,
		"svc/getty@ttyS0.toml", "command = \"exec /sbin/getty 115200 ttyS0\"\ntty = \"ttyS0\"\n",
		"svc/keys.toml", "kind = \"task\"\ncommand = [\"/usr/bin/ssh-keygen\", \"-A\"]\nbefore = [\"sshd\"]\nstart_timeout = \"90s\"\npids_max = 9",
		"svc/README", "no unit", "svc/.hidden.toml", "no unit",
	), "/etc")
	if err != nil {
		t.Fatal(err)
	}
	wantMachine := &Machine{Hostname: "frood", Modules: []string{"tun"}, Links: []LinkConfig{
		{Name: "lan", MatchMAC: "d0:50:99:c0:ff:ee", DHCP4: true, Essential: true}, {Name: "wan", MatchDriver: "virtio_net"}}}
	if d := cmp.Diff(wantMachine, c.Machine); d != "" {
		t.Error(d)
	}
	want := []*Unit{
		{Name: "getty@ttyS0", File: "/etc/svc/getty@ttyS0.toml", Command: []string{"/bin/sh", "-c", "exec /sbin/getty 115200 ttyS0"},
			Process: Process{TTY: "ttyS0", Umask: 0o22, IOLevel: 4}, StartTimeout: time.Minute, StopTimeout: 10 * time.Second, HookTimeout: 30 * time.Second},
		{Name: "keys", File: "/etc/svc/keys.toml", Kind: Task, ReadyBy: ByExit, Restart: Never, Command: []string{"/usr/bin/ssh-keygen", "-A"},
			Before: []string{"sshd"}, StartTimeout: 90 * time.Second, StopTimeout: 10 * time.Second, HookTimeout: 30 * time.Second, Process: Process{Umask: 0o22, IOLevel: 4, PidsMax: 9}},
		{Name: "sshd", File: "/etc/svc/sshd.toml", Description: "OpenSSH server", Command: []string{"/usr/sbin/sshd", "-D", "-e"},
			Needs: []string{"network"}, After: []string{"devices"}, Essential: true, ReadyBy: ByTCP, ReadyPort: 22, StopMain: true, StopSignal: 2,
			StartTimeout: time.Minute, StopTimeout: 90 * time.Second, HookTimeout: 30 * time.Second, Process: Process{User: "nobody", Umask: 0o77, IOLevel: 4, Env: []string{"A=1", "B=2"}, PidsMax: -1, MemoryMax: 256 << 20}},
	}
	if d := cmp.Diff(want, c.Units, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	if c.Files.Len() != 4 {
		t.Errorf("%d files", c.Files.Len())
	}
	g, err := c.Graph()
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Units) != 3+4+2 {
		t.Errorf("%d units", len(g.Units))
	}
}

func TestLoadMistakes(t *testing.T) {
	for _, tt := range []struct{ name, file, text, want string }{
		{"unknown", "svc/a.toml", "command = [\"/x\"]\nneed = []", `etc/svc/a.toml:2: unknown key "need"; did you mean "needs"?`},
		{"relative", "svc/a.toml", `command = ["sshd"]`, `etc/svc/a.toml:1: command: "sshd" is no absolute path; write where the program is, such as "/usr/sbin/sshd"`},
		{"empty", "svc/a.toml", `command = []`, `etc/svc/a.toml:1: command is empty`},
		{"empty text", "svc/a.toml", `command = " "`, `etc/svc/a.toml:1: command is empty`},
		{"missing", "svc/a.toml", ``, `etc/svc/a.toml: key "command" is missing; write command = ["/usr/sbin/sshd", "-D"]`},
		{"task ready", "svc/a.toml", "command = [\"/x\"]\nkind = \"task\"\nready = \"notify\"", `etc/svc/a.toml:3: a task is done when it has exited with 0; take out ready`},
		{"task always", "svc/a.toml", "command = [\"/x\"]\nkind = \"task\"\nrestart = \"always\"", `etc/svc/a.toml:3: a task cannot have restart = "always"; write "on-failure" or "never"`},
		{"name", "svc/Bad Name.toml", `command = ["/x"]`, `etc/svc/Bad Name.toml: "Bad Name" is no name of a unit; write small letters, digits, . _ @ and -, at most 64`},
		{"milestone", "svc/boot.toml", `command = ["/x"]`, `etc/svc/boot.toml: the name "boot" is taken by a milestone`},
		{"umask", "svc/a.toml", "command = [\"/x\"]\numask = \"8\"", `etc/svc/a.toml:2: umask = "8" is no mask; write three octal digits such as "022"`},
		{"tty", "svc/a.toml", "command = [\"/x\"]\ntty = \"/dev/ttyS0\"", `etc/svc/a.toml:2: tty = "/dev/ttyS0" is a path; write "ttyS0"`},
		{"signal", "svc/a.toml", "command = [\"/x\"]\nstop_signal = \"TRM\"", `etc/svc/a.toml:2: stop_signal = "TRM" is none of "HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "WINCH" or "PWR"; did you mean "TERM"?`},
		{"timeout", "svc/a.toml", "command = [\"/x\"]\nstop_timeout = \"48h\"", `etc/svc/a.toml:2: stop_timeout = "48h0m0s" is too long; write "24h" or less`},
		{"port", "svc/a.toml", "command = [\"/x\"]\nready = { tcp = 0 }", `etc/svc/a.toml:2: ready.tcp = 0 is out of range; write a number from 1 to 65535`},
		{"pids", "svc/a.toml", "command = [\"/x\"]\npids_max = \"many\"", `etc/svc/a.toml:2: pids_max = "many" is none of "max"; did you mean "max"?`},
		{"env", "svc/a.toml", "command = [\"/x\"]\n[env]\n\"A=\" = \"b\"", `etc/svc/a.toml:3: env.A= is no name of a variable; write letters, digits and _`},
		{"mac short", "init.toml", "[[link]]\nname = \"lan\"\nmatch = { mac = \"d0:50:99:c0:ff\" }", `etc/init.toml:3: link "lan": mac "d0:50:99:c0:ff" has 5 bytes, not 6`},
		{"mac wrong", "init.toml", "[[link]]\nname = \"lan\"\nmatch = { mac = \"zz\" }", `etc/init.toml:3: link "lan": mac "zz" is no hardware address; write six bytes such as "d0:50:99:c0:ff:ee"`},
		{"no match", "init.toml", "[[link]]\nname = \"lan\"\nmatch = {}", `etc/init.toml:3: link "lan": match says nothing; write match = { name = "eth0" }`},
		{"twice", "init.toml", "[[link]]\nname = \"lan\"\nmatch = {name=\"a\"}\n[[link]]\nname = \"lan\"\nmatch = {name=\"b\"}", `etc/init.toml:5: link "lan" is there twice`},
		{"host", "init.toml", `hostname = "a_b"`, `etc/init.toml:1: hostname = "a_b" is no host name; write letters, digits and -`},
		{"syntax", "init.toml", "hostname = \n", `etc/init.toml:1: expected value but found the end of the line instead`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Load(files(tt.file, tt.text), "etc")
			if err == nil {
				t.Fatal("no mistake found")
			}
			if d := cmp.Diff(tt.want, err.Error()); d != "" {
				t.Error(d)
			}
			if len(c.Units) != 0 {
				t.Errorf("a bad unit was loaded: %+v", c.Units[0])
			}
			if len(c.Machine.Links) == 0 {
				t.Error("the machine cannot be reached")
			}
		})
	}
}

// A bad file costs its unit alone, and a bad init.toml not the way in.
func TestLoadGoesOn(t *testing.T) {
	fsys := files("init.toml", "[[link", "svc/a.toml", "x", "svc/b.toml", "command = [\"/b\"]", "svc/c.toml", "y = 1")
	fsys["svc/d.toml"] = &fstest.MapFile{Mode: fs.ModeDir}
	c, err := Load(fsys, "/etc")
	if len(schema.Mistakes(err)) != 5 { // c has two
		t.Errorf("%v", err)
	}
	if len(c.Units) != 1 || c.Units[0].Name != "b" {
		t.Errorf("units %v", c.Units)
	}
	if d := cmp.Diff([]LinkConfig{FallbackLink}, c.Machine.Links); d != "" {
		t.Error(d)
	}
	c, err = Load(files(), "/etc")
	if err != nil || len(c.Machine.Links) != 1 || len(c.Units) != 0 {
		t.Errorf("empty folder: %v %+v", err, c)
	}
	c, err = Load(files("init.toml", "hostname = \"x\""), "/etc")
	if err != nil || len(c.Machine.Links) != 0 {
		t.Errorf("no link asked for: %v %+v", err, c.Machine)
	}
	c, err = Load(files("svc/a.toml", strings.Repeat("#", fileMax+1)), "/etc")
	if err == nil || len(c.Units) != 0 || !strings.Contains(err.Error(), "larger") {
		t.Errorf("large file: %v", err)
	}
}

func TestBuiltin(t *testing.T) {
	m := &Machine{Links: []LinkConfig{{Name: "lan", Essential: true}, {Name: "wan"}}}
	var names []string
	for _, u := range Builtin(m) {
		names = append(names, u.Name)
		if u.ReadyBy != ByArm || len(u.Needs)+len(u.Wants)+len(u.After)+len(u.Before) > 0 {
			t.Errorf("%+v", u)
		}
		if u.Kind == Link && (u.Essential != u.Link.Essential || u.Link == nil || u.StartTimeout != LeaseTimeout) {
			t.Errorf("%+v", u)
		}
	}
	if d := cmp.Diff([]string{"boot", "devices", "network", "online", "link:lan", "link:wan"}, names); d != "" {
		t.Error(d)
	}
}

func TestGoodName(t *testing.T) {
	for name, want := range map[string]bool{"sshd": true, "getty@ttyS0": true, "a.b_c-1": true, "9p": true, strings.Repeat("a", 64): true,
		"": false, "Sshd": false, ".a": false, "-a": false, "@a": false, "a/b": false, "a:b": false, "a b": false, "ä": false, strings.Repeat("a", 65): false} {
		if GoodName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// docs/units.md is made from the tables that check the files.
func TestPage(t *testing.T) {
	const file = "../docs/units.md"
	want := pageHead + schema.Page(UnitKeys()) + pageMachine + schema.Page(MachineKeys)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(got), want); d != "" {
		t.Errorf("go test ./unit -run TestPage -update writes it anew: %s", d)
	}
}

const pageHead = `# Units and the machine: every key

This page is made from the tables that check the files (` + "`unit/load_keys.go`" + `);
a test holds both together. Files are strict TOML: a key that is not listed here
is a mistake. ` + "`svc check root/etc`" + ` shows all mistakes with file and line, on the
machine and on the host that builds the image.

Durations are texts such as ` + "`\"500ms\"`, `\"30s\"`, `\"1m30s\"`, `\"24h\"`" + `. Sizes are texts
such as ` + "`\"64K\"`, `\"256M\"`, `\"2G\"`" + `, powers of 1024.

After ` + "`svc reload`" + ` a key that is marked * holds for what runs; a change of any
other starts the unit anew, and ` + "`svc reload --dry-run`" + ` says so before.

## /etc/svc/NAME.toml

One service, task or timer. NAME is its name: small letters, digits and ` + "`. _ @ -`" + `, at most
64, the first a letter or a digit; after an ` + "`@`" + ` also capital letters
(` + "`getty@ttyS0`" + `). The names boot, devices, network and online are those of the
milestones: ` + "`devices`" + ` is ready when the devices present at boot have their drivers,
` + "`network`" + ` when an essential link has an address, ` + "`online`" + ` when there is a default
route, ` + "`boot`" + ` when every unit of the boot is ready, failed or skipped.

A file NAME@.toml is a template. Each instance NAME@WORD, which ` + "`instances`" + ` in
init.toml names, which a unit needs or wants, or which ` + "`svc start`" + ` asks for, is a unit of
its own with WORD in place of every ` + "`%i`" + ` (` + "`%%`" + ` is a percent sign).

`

const pageMachine = `
## /etc/init.toml

The machine. Without this file, or when it is bad and leaves no link, the machine
asks for an address with DHCP on a wired interface (` + "`e*`" + `).

`

func FuzzLoad(f *testing.F) {
	f.Add("a", sshdFile, "hostname = \"a\"\n[[link]]\nname = \"lan\"\nmatch = { mac = \"d0:50:99:c0:ff:ee\" }")
	f.Add("b", "command = \"x\"\nneeds = [\"b\"]", "link = [{}]")
	f.Fuzz(func(t *testing.T, name, svc, machine string) {
		if strings.ContainsAny(name, "/\x00") || name == "" || !fs.ValidPath(name) {
			return
		}
		c, err := Load(files("init.toml", machine, "svc/"+name+".toml", svc), "/etc")
		for _, u := range c.Units {
			if !GoodName(u.Name) || len(u.Command) == 0 || u.Command[0][0] != '/' || u.StartTimeout <= 0 || u.StopTimeout <= 0 {
				t.Errorf("%+v", u)
			}
		}
		for _, m := range schema.Mistakes(err) {
			if m.File == "" || m.Text == "" {
				t.Errorf("%+v", m)
			}
		}
		g, _ := c.Graph()
		holds(t, g)
	})
}

// Many files are read at once, and what comes of it is the same every time.
func TestLoadMany(t *testing.T) {
	const n = 40 * filesEach
	var all []string
	for i := range n {
		text := plainFile
		if i%7 == 3 {
			text += "need = []\nrestart = \"soon\"\n"
		}
		all = append(all, fmt.Sprintf("svc/u%04d.toml", i), text)
	}
	fsys := files(all...)
	var first string
	for range 5 {
		c, err := Load(fsys, "/etc")
		if err == nil || first != "" && err.Error() != first {
			t.Fatalf("%v\nthe first time %s", err, first)
		}
		first = err.Error()
		if got := strings.Count(first, "\n") + 1; got != 2*(n/7) || !strings.HasPrefix(first, "/etc/svc/u0003.toml:6: unknown key") {
			t.Fatalf("%d mistakes: %s", got, first)
		}
		if len(c.Units) != n-n/7 || !slices.IsSortedFunc(c.Units, func(a, b *Unit) int { return strings.Compare(a.Name, b.Name) }) || len(c.bad) != n/7 {
			t.Fatalf("%d units, %d bad", len(c.Units), len(c.bad))
		}
	}
}

// A file over which the reader panics costs its unit alone.
func TestLoadPanics(t *testing.T) {
	c := &Config{dir: "/etc", keys: []schema.Key{{Name: "a", Check: func(any) string { panic("oh") }}},
		Files: ReadFiles(files("svc/x.toml", `a = "b"`))}
	if r := c.parse([]string{"svc/x.toml"})[0]; r.unit != nil || r.err == nil || r.err.Error() != "/etc/svc/x.toml: the reader stumbled: oh" {
		t.Errorf("%+v", r)
	}
}
