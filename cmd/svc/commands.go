package main

// command is one of svc. Help, docs/svc.md and completion are made from it.
type command struct {
	name     string
	run      func(a *app, o options) error
	operands string // as help shows them
	wants    string // what is missing when there are too few
	least    int    // operands
	most     int    // the same; negative: any number
	verbatim int    // from this operand on, everything is a command of its own; 0: nowhere
	units    bool   // its operands are names of units
	flags    []option
	about    string // in a few words
	text     string // what else there is to know
	examples []string
}

// option is a flag of a command.
type option struct {
	long, short string
	value       string // what follows it; empty: nothing
	about       string
}

// find is the command of that name; nil: there is none.
func find(name string) *command {
	for _, c := range table() {
		if c.name == name {
			return &c
		}
	}
	return nil
}

const aUnit = "a unit"

var (
	flagTimeout = option{"timeout", "", "TIME", "how long to wait for the units, 2m unless said; the units go by their own time-outs"}
	flagJSON    = option{"json", "", "", "everything there is, for programs"}
	flagsEnd    = []option{
		{"force", "f", "", "at once, without init and without stopping anything"},
		{"no-sync", "n", "", "with -f: without writing out what is still in memory"}}
)

// table is every command, in the order of help.
func table() []command {
	return []command{
		{name: "status", run: (*app).status, operands: "[NAME…]", most: -1, units: true,
			flags: []option{{"all", "a", "", "fold nothing"}, flagJSON, {"names", "", "", "the names alone, one in a line"},
				{"timeout", "", "TIME", "how long init may take to answer, 10s unless said"}},
			about: "what runs, and what is not well",
			text: "Without a name: the machine and its units; the dull ones fold into a line. With one name: everything about that unit. " +
				"With several: those alone. The exit code is 1 if a unit that was named is not well.",
			examples: []string{"svc status", "svc status -a", "svc status sshd", "svc status --json"}},
		{name: "start", run: (*app).start, operands: "NAME…", wants: aUnit, least: 1, most: -1, units: true,
			flags: []option{flagTimeout}, about: "start units and what they need",
			text: "It waits until they are ready, a task until it has ended, and shows what became of them. " +
				"When the time is over, it says so and the start goes on."},
		{name: "stop", run: (*app).stop, operands: "NAME…", wants: aUnit, least: 1, most: -1, units: true,
			flags: []option{{"force", "", "", "stop what needs them, too, or the last link"}, flagTimeout}, about: "stop units",
			text: "Refused, with their names, when others that run need them, and for the last link that is up."},
		{name: "restart", run: (*app).restart, operands: "NAME…", wants: aUnit, least: 1, most: -1, units: true,
			flags: []option{flagTimeout}, about: "stop and start units",
			text: "A service may restart itself: once init has heard, it does not matter that the one who asked ends."},
		{name: "reload", run: (*app).reload, operands: "[NAME…]", most: -1, units: true,
			flags: []option{{"dry-run", "n", "", "show what would change, and change nothing"}, flagTimeout},
			about: "have units, or init itself, read their files anew",
			text: "With names: these units do as their reload key says. Without: init reads /etc/init.toml and /etc/svc anew. " +
				"It first prints what differs and which processes restart for it, then does it, and shows what became of the units that changed; " +
				"all others keep their processes. A mistake in any file leaves everything as it was; all mistakes are printed, the exit code is 1. " +
				"It also ends safe mode.",
			examples: []string{"svc reload --dry-run", "svc reload", "svc reload nginx"}},
		{name: "signal", run: (*app).signal, operands: "NAME… SIGNAL", wants: "a unit and a signal", least: 1, most: -1, units: true,
			flags:    []option{{"signal", "s", "SIGNAL", "the signal, when it does not come last"}},
			about:    "send a signal to the main process",
			text:     "A signal is a name, with or without SIG, or a number.",
			examples: []string{"svc signal dnsmasq USR1", "svc signal -s HUP a b"}},
		{name: "wait", run: (*app).wait, operands: "NAME…", wants: aUnit, least: 1, most: -1, units: true,
			flags: []option{flagTimeout}, about: "wait until units are ready, and tasks have ended",
			text: "It starts nothing. The exit code is 1 if one has failed or is not settled when the time is over."},
		{name: "reset", run: (*app).reset, operands: "NAME…", wants: aUnit, least: 1, most: -1, units: true,
			about: "forget past failures and counts", text: "A transient unit of svc run that has ended goes away."},
		{name: "run", run: (*app).runUnit, operands: "[--] CMD [ARG…]", wants: "a command", least: 1, most: -1, verbatim: 1,
			flags: []option{{"name", "", "NAME", "what the unit is called; run-1, run-2 … unless said"},
				{"user", "", "USER", "who runs it; root unless said"},
				{"dir", "", "DIR", "its working directory; / unless said"},
				{"env", "", "KEY=VALUE", "an environment variable; may be given several times"},
				{"kind", "", "KIND", "task, which may take 24 hours, or service; task unless said"},
				{"wait", "w", "", "follow its log until it ends, and exit with its exit code"}},
			about: "run a command as a unit of its own",
			text: "The unit has a log, limits and a place in svc status as any other, is never restarted by itself, and is gone after a boot or a svc reset. " +
				"CMD is looked for in PATH. With -w, Ctrl-C ends svc alone: the command goes on.",
			examples: []string{"svc run -w -- btrfs scrub start -B /tank", "svc run --name rsync --user backup -- rsync -a /tank /mnt"}},
		{name: "exec", run: (*app).execute, operands: "NAME [--] CMD [ARG…]", wants: "a unit and a command", least: 2, most: -1, verbatim: 2, units: true,
			about: "run a command here as a unit runs",
			text: "With the user, environment and limits of a unit, beside its processes, and with this terminal. CMD is looked for in PATH. " +
				"The exit code is that of the command; 126 and 127 as in a shell when it could not be executed.",
			examples: []string{"svc exec tailscaled -- sh", "svc exec nginx id"}},
		{name: "logs", run: (*app).logs, operands: "[NAME…]", most: -1, units: true,
			flags: []option{{"follow", "f", "", "go on with what comes, also when the supervisor is replaced"},
				{"lines", "n", "N", "the last N lines, or all; 50 unless said, all with --since"},
				{"since", "", "WHEN", "only what was said since then: 10m, 13:05, 2026-11-21, \"2026-11-21 10:00\""},
				{"all", "a", "", "of all units; so it is without a name"},
				{"kernel", "k", "", "the kernel's log, alone or besides"}, flagJSON},
			about: "what units have said, by time",
			text: "The logs of several units are merged, and each line begins with its unit. Lines that were lost, because " +
				"a unit wrote faster than its log turns over, are counted. --json prints one object in a line.",
			examples: []string{"svc logs -f sshd", "svc logs --since 10m", "svc logs -k -n 20", "svc logs --since 13:05 samba wsdd"}},
		{name: "why", run: (*app).why, operands: "NAME", wants: aUnit, least: 1, most: 1, units: true, flags: []option{flagJSON},
			about: "what holds a unit back, or brought it down", examples: []string{"svc why photos"}},
		{name: "blame", run: (*app).blame, most: 0,
			flags: []option{{"end", "", "", "of the end of the machine instead, or else of the last end"}, flagJSON, {"svg", "", "", "draw it"}},
			about: "the time line of the boot",
			text: "One bar for each unit: dots while it waits, full while it starts. What the boot waited for last, and what that waited for, " +
				"is marked with * : only there a boot can become faster. The time line of the last end is kept on the persistence device.",
			examples: []string{"svc blame", "ssh root@nas svc blame --svg > boot.svg"}},
		{name: "graph", run: (*app).graph, operands: "[NAME]", most: 1, units: true,
			flags: []option{{"dot", "", "", "for graphviz"}, flagJSON},
			about: "who needs whom", text: "What a unit needs or wants stands below it. With a name: of that unit alone, and who needs it.",
			examples: []string{"svc graph sshd", "ssh root@nas svc graph --dot | dot -Tsvg > graph.svg"}},
		{name: "unlock", run: (*app).unlock, operands: "POOL[/DATASET]", wants: "a pool or a dataset", least: 1, most: 1,
			flags: []option{flagTimeout},
			about: "open an encrypted dataset",
			text: "It asks for the passphrase on the terminal and does not show it; when there is none, it reads the first line of its input. " +
				"The passphrase stands on no command line, in no log and on no disk. What waits for the dataset then starts.",
			examples: []string{"ssh -t root@nas svc unlock tank/photos"}},
		{name: "check", run: (*app).check, operands: "[DIR]", most: 1,
			about: "find mistakes in the files under DIR, /etc unless said", text: "It needs no init, and works on the host that builds the image as well.",
			examples: []string{"svc check root/etc"}},
		{name: "poweroff", run: (*app).poweroff, most: 0, flags: flagsEnd, about: "end the machine in order",
			text: "If init does not answer within 3 s, PID 1 is asked by signal, which is said. Never guessed from an abbreviation."},
		{name: "reboot", run: (*app).reboot, most: 0, flags: flagsEnd, about: "the same, and start again"},
		{name: "halt", run: (*app).halt, most: 0, flags: append([]option{{"poweroff", "p", "", "turn the power off"}}, flagsEnd...),
			about: "the same, and leave the power on"},
		{name: "completion", run: (*app).completion, operands: "SHELL", wants: "a shell: bash, zsh or ash", least: 1, most: 1,
			about: "a script with which a shell completes commands and units",
			text: "For bash and zsh; an image with one of them has it already (bash with the package bash-completion). " +
				"The ash of busybox can complete nothing but names of files. There, as in any shell, type the beginning and press Enter: " +
				"on a terminal svc takes what only one command or unit begins with.",
			examples: []string{`eval "$(svc completion bash)"`}},
		{name: "version", run: (*app).version, most: 0, about: "of svc, image and init"},
		{name: "help", run: (*app).help, operands: "[COMMAND]", most: 1, about: "this list, or more about one command"},
	}
}
