package unit

import (
	"slices"

	"hoopy/unit/schema"
)

// UnitKeys are the keys of etc/svc/NAME.toml. The table is made when it is asked
// for: most processes of /init never do.
func UnitKeys() []schema.Key {
	return slices.Concat(unitKeys(), readyKeys(), stopKeys(), timerKeys(), processKeys(), limitKeys())
}

// command is a key that takes a program in either form.
func command(k schema.Key) schema.Key {
	k.Type, k.Any = schema.Union, []schema.Key{{Type: schema.List}, {Type: schema.String}}
	return k
}

// texts is a key that takes one text or a list of them.
func texts(k schema.Key) schema.Key { return command(k) }

func unitKeys() []schema.Key {
	return []schema.Key{
		{Name: "description", Type: schema.String, Check: checkLine, Live: true,
			Doc: "One line for people."},
		{Name: "kind", Type: schema.Enum, Words: []string{"service", "task", "timer"}, Default: "`\"service\"`",
			Doc: "A service is a process that is meant to stay. A task runs once; it is ready when it has exited with 0, and stays ready. A timer runs each time that it is due, and waits between its runs."},
		command(schema.Key{Name: "command", Required: true, Example: `["/usr/sbin/sshd", "-D"]`,
			Doc: "The program, by its absolute path, and its arguments. A single text is run by `/bin/sh -c`; start it with `exec` where the shell is not needed any more. In a template, here as everywhere in its file, `%i` is what stands after the @ of the instance."}),

		{Name: "needs", Type: schema.List, Example: `["network"]`, Live: true,
			Doc: "Units that must be ready first. If one stops or fails, this unit stops too, and starts again when that one is ready."},
		{Name: "wants", Type: schema.List, Live: true,
			Doc: "Units that are started with this one and waited for; if one fails, this unit starts all the same."},
		{Name: "after", Type: schema.List, Example: `["devices"]`, Live: true,
			Doc: "Order alone: this unit starts after those, if they are starting; it does not start them."},
		{Name: "before", Type: schema.List, Live: true,
			Doc: "Order alone: the same, seen from the other side."},
		{Name: "essential", Type: schema.Bool, Default: "`false`", Live: true,
			Doc: "Part of the way to the machine (sshd, tailscaled). After 20 s its unmet edges, `needs` included, no longer hold it back, and no lost need stops it. It is never given up."},
		{Name: "manual", Type: schema.Bool, Default: "`false`", Live: true,
			Doc: "Not started at boot; `svc start`, or a unit that needs or wants it, starts it."},
		{Name: "conditions", Type: schema.Table, Example: `{ path = "/dev/kvm" }`, Live: true,
			Doc: "What must hold when it is to start; otherwise it is skipped, and says why. `!` before a text turns it round.",
			Keys: []schema.Key{
				texts(schema.Key{Name: "path", Check: checkCondition, Example: `"/dev/kvm"`,
					Doc: "A path that exists, or a shell pattern that a path matches. Of a list, all must hold."}),
				texts(schema.Key{Name: "cmdline", Check: checkCondition, Example: `"debug"`,
					Doc: "A word of the kernel's command line; `\"name=\"` holds for any value."}),
				texts(schema.Key{Name: "module", Check: checkCondition, Example: `"zfs"`,
					Doc: "A kernel module that is loaded or built in."}),
				texts(schema.Key{Name: "mount", Check: checkCondition, Example: `"/persist"`,
					Doc: "A path on which something is mounted."}),
				{Name: "safe_mode", Type: schema.Bool,
					Doc: "`false`: not in safe mode, where only essential units are started."},
			}},
	}
}

func readyKeys() []schema.Key {
	return []schema.Key{
		{Name: "ready", Type: schema.Union, Default: "`\"spawned\"`", Live: true,
			Any: []schema.Key{
				{Type: schema.Enum, Words: []string{"spawned", "notify"}},
				{Type: schema.Table, Example: "{ tcp = 22 }", Keys: []schema.Key{
					{Name: "tcp", Type: schema.Int, Min: 1, Max: 65535, Example: "22"},
					{Name: "unix", Type: schema.String, Check: checkAbsolute, Example: `"/run/x.sock"`},
					{Name: "fd", Type: schema.Int, Min: 3, Max: 1023, Example: "3"},
					{Name: "pid_file", Type: schema.String, Check: checkAbsolute, Example: `"/run/x.pid"`},
					{Name: "http", Type: schema.String, Check: checkURL, Example: `"http://127.0.0.1:8080/"`},
					command(schema.Key{Name: "exec", Example: `["/usr/bin/pg_isready"]`}),
					{Name: "period", Type: schema.Duration, Check: checkTimeout},
				}},
			},
			Doc: "What makes a service ready. `\"spawned\"`: the program has started. `\"notify\"`: it says so with sd_notify(3). `{ tcp = 22 }`, `{ unix = \"/run/x.sock\" }`: something on the machine listens there (nothing connects to it). `{ fd = 3 }`: it writes a line to that descriptor, as s6 has it. `{ pid_file = \"/run/x.pid\" }`: it puts itself into the background and writes its pid there. `{ http = \"http://127.0.0.1:8080/\" }`, `{ exec = [\"/usr/bin/pg_isready\"] }`: the answer is 2xx or 3xx, the program exits with 0; asked every `period` (1 s)."},
		{Name: "start_timeout", Type: schema.Duration, Default: "`\"60s\"`; of a timer none", Check: checkTimeout, Live: true,
			Doc: "From the start of the program to ready; for a task or a timer, to its exit. Then the start has failed."},
		{Name: "health", Type: schema.Table, Example: `{ http = "http://127.0.0.1:8080/" }`, Live: true,
			Doc: "A question that is asked again and again once the unit is ready. One of `tcp`, `unix`, `http` and `exec` says which.",
			Keys: []schema.Key{
				{Name: "tcp", Type: schema.String, Check: checkHostPort, Example: `"127.0.0.1:80"`,
					Doc: "An address that takes a connection."},
				{Name: "unix", Type: schema.String, Check: checkAbsolute, Example: `"/run/x.sock"`,
					Doc: "A socket that takes one."},
				{Name: "http", Type: schema.String, Check: checkURL, Example: `"http://127.0.0.1:8080/"`,
					Doc: "A page that is answered with 2xx or 3xx. The host is an address or localhost."},
				command(schema.Key{Name: "exec", Example: `["/usr/bin/pg_isready"]`,
					Doc: "A program that exits with 0, run as the unit itself."}),
				{Name: "period", Type: schema.Duration, Default: "`\"10s\"`", Check: checkTimeout,
					Doc: "From one question to the next."},
				{Name: "timeout", Type: schema.Duration, Default: "`\"3s\"`", Check: checkTimeout,
					Doc: "For one answer."},
				{Name: "threshold", Type: schema.Int, Min: 1, Max: 1000, Default: "3",
					Doc: "Failures in a row that are one too many."},
				{Name: "action", Type: schema.Enum, Words: []string{"restart", "note"}, Default: "`\"restart\"`",
					Doc: "What follows then; `\"note\"`: `svc status` shows it, no more."},
			}},
		{Name: "watchdog", Type: schema.Duration, Check: checkTimeout,
			Doc: "It sends WATCHDOG=1 with sd_notify(3) at least that often, or is ended with SIGABRT and started again."},
		{Name: "fd_store", Type: schema.Int, Min: 0, Max: 64, Default: "0",
			Doc: "How many descriptors it may leave for its next run (FDSTORE=1 of sd_notify(3))."},
		{Name: "restart", Type: schema.Enum, Words: []string{"always", "on-failure", "never"}, Default: "`\"always\"`; of a task or a timer `\"never\"`", Live: true,
			Doc: "When a process that ended is started again, with a growing delay. `\"on-failure\"`: after an exit other than 0, or a signal. A task or a timer cannot have `\"always\"`. An exit code of 125 says never again, whatever stands here."},
	}
}

func stopKeys() []schema.Key {
	return []schema.Key{
		command(schema.Key{Name: "start_pre", Live: true,
			Doc: "Runs before the command, in the same cgroup and as the same user. If it fails, the command is not started."}),
		command(schema.Key{Name: "start_post", Live: true,
			Doc: "Runs when the command is ready; the unit is ready after it. If it fails, the start has failed."}),
		command(schema.Key{Name: "stop_pre", Live: true,
			Doc: "Runs before the stop signal."}),
		command(schema.Key{Name: "stop_post", Live: true,
			Doc: "Runs when nothing of the unit is left, however it ended."}),
		command(schema.Key{Name: "reload", Live: true,
			Doc: "What `svc reload NAME` runs; $MAINPID is the main process."}),
		{Name: "reload_signal", Type: schema.Enum, Words: []string{"HUP", "USR1", "USR2", "WINCH"}, Live: true,
			Doc: "What `svc reload NAME` sends to the main process instead."},
		{Name: "hook_timeout", Type: schema.Duration, Default: "`\"30s\"`", Check: checkTimeout, Live: true,
			Doc: "For each of those programs."},
		{Name: "stop", Type: schema.Enum, Words: []string{"group", "main"}, Default: "`\"group\"`",
			Doc: "`\"main\"` ends the main process alone and leaves what it started, such as the sessions of sshd, until the machine ends."},
		{Name: "stop_signal", Type: schema.Enum, Words: stopSignals, Default: "`\"TERM\"`", Live: true,
			Doc: "The signal that asks the main process to end."},
		{Name: "stop_timeout", Type: schema.Duration, Default: "`\"10s\"`", Check: checkTimeout, Live: true,
			Doc: "From the stop signal to SIGKILL for all its processes."},
	}
}

func timerKeys() []schema.Key {
	return []schema.Key{
		texts(schema.Key{Name: "cron", Check: checkCron, Example: `"0 2 * * sun"`, Live: true,
			Doc: "Of a timer: when it is due, as crontab(5) writes it, in local time: minute, hour, day of the month, month, day of the week; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`."}),
		{Name: "every", Type: schema.Duration, Check: checkEvery, Example: `"15m"`, Live: true,
			Doc: "Of a timer: from the start of one run to the next. Never are there two at once."},
		{Name: "on_boot", Type: schema.Duration, Check: checkTimeout, Live: true,
			Doc: "Of a timer: a first run so long after the boot."},
		{Name: "jitter", Type: schema.Duration, Check: checkTimeout, Live: true,
			Doc: "Of a timer: each run is up to so much later, so that not everything happens at once."},
		{Name: "catch_up", Type: schema.Bool, Default: "`false`", Live: true,
			Doc: "Of a timer: a run that was missed while the machine was off is made up for, once."},
	}
}
