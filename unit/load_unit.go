package unit

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"hoopy/unit/schedule"
	"hoopy/unit/schema"
)

// unit reads one file of etc/svc, and changes nothing in c. The unit is whole
// only when there is no error.
func (c *Config) unit(name, file, text string) (*Unit, *schema.Doc, error) {
	doc, err := schema.Parse(file, text, c.keys)
	mistakes := schema.Mistakes(err)
	switch {
	case slices.Contains(milestones, name):
		mistakes = append(mistakes, &schema.Mistake{File: file, Text: fmt.Sprintf("the name %q is taken by a milestone", name)})
	case !GoodName(name):
		mistakes = append(mistakes, &schema.Mistake{File: file,
			Text: fmt.Sprintf("%q is no name of a unit; write small letters, digits, . _ @ and -, at most %d", name, NameMax)})
	}
	if doc == nil {
		return nil, nil, schema.Join(mistakes)
	}
	u := &Unit{
		Name: name, File: file,
		Description: doc.String("description"),
		Needs:       doc.List("needs"), Wants: doc.List("wants"), After: doc.List("after"), Before: doc.List("before"),
		Essential: doc.Bool("essential", false), Manual: doc.Bool("manual", false),
		Conditions: conditions(doc.Table("conditions")),
		Watchdog:   doc.Duration("watchdog"), FDStore: int(doc.Int("fd_store")),
		Restart:      restarts[doc.String("restart")],
		StopMain:     doc.String("stop") == "main",
		StartTimeout: orDefault(doc.Duration("start_timeout"), DefaultStartTimeout),
		StopTimeout:  orDefault(doc.Duration("stop_timeout"), DefaultStopTimeout),
		HookTimeout:  orDefault(doc.Duration("hook_timeout"), DefaultHookTimeout),
		LogFile:      logFile(doc),
	}
	u.StopSignal, _ = SignalNumber(doc.String("stop_signal"))
	u.ReloadSignal, _ = SignalNumber(doc.String("reload_signal"))
	say := func(m *schema.Mistake) {
		if m != nil {
			mistakes = append(mistakes, m)
		}
	}
	var m *schema.Mistake
	u.Command, m = argv(doc, "command")
	say(m)
	for p := StartPre; p < Parts; p++ {
		u.Hooks[p], m = argv(doc, p.String())
		say(m)
	}
	if u.ReloadSignal != 0 && u.Hooks[Reload] != nil {
		say(doc.Mistake("reload_signal", "reload and reload_signal are two ways to say it; take out one"))
	}
	mistakes = append(mistakes, u.process(doc)...)
	mistakes = append(mistakes, u.ready(doc)...)
	mistakes = append(mistakes, u.health(doc)...)
	switch doc.String("kind") {
	case "task":
		u.Kind = Task
		mistakes = append(mistakes, u.once(doc)...)
	case "timer":
		u.Kind = Timer
		mistakes = append(mistakes, u.once(doc)...)
		if !doc.Has("start_timeout") {
			u.StartTimeout = longest
		}
	}
	mistakes = append(mistakes, u.timer(doc)...)
	return u, doc, schema.Join(mistakes)
}

var restarts = map[string]Restart{"always": Always, "on-failure": OnFailure, "never": Never}

// argv takes a program in either of its forms; nil if the key is not there.
func argv(doc *schema.Doc, key string) ([]string, *schema.Mistake) {
	switch v := doc.Value(key).(type) {
	case string:
		if strings.TrimSpace(v) == "" {
			return nil, doc.Mistake(key, key+" is empty")
		}
		return []string{"/bin/sh", "-c", v}, nil
	case []string:
		if len(v) == 0 {
			return nil, doc.Mistake(key, key+" is empty")
		}
		if !path.IsAbs(v[0]) {
			return nil, doc.Mistake(key, fmt.Sprintf("%s: %q is no absolute path; write where the program is, such as %q", key, v[0], "/usr/sbin/"+path.Base(v[0])))
		}
		return v, nil
	}
	return nil, nil
}

// once changes the defaults to those of what runs to its end, and says what
// that cannot have.
func (u *Unit) once(doc *schema.Doc) (mistakes []*schema.Mistake) {
	kind := "a " + u.Kind.String()
	u.ReadyBy = ByExit
	for _, key := range []string{"ready", "health", "watchdog", "fd_store", "reload", "reload_signal"} {
		if doc.Has(key) {
			mistakes = append(mistakes, doc.Mistake(key, kind+" is done when it has exited with 0; take out "+key))
		}
	}
	switch {
	case !doc.Has("restart"):
		u.Restart = Never
	case u.Restart == Always:
		mistakes = append(mistakes, doc.Mistake("restart", kind+` cannot have restart = "always"; write "on-failure" or "never"`))
	}
	return mistakes
}

// timer reads when a timer is due.
func (u *Unit) timer(doc *schema.Doc) (mistakes []*schema.Mistake) {
	if u.Kind != Timer {
		for _, key := range []string{"cron", "every", "on_boot", "jitter", "catch_up"} {
			if doc.Has(key) {
				mistakes = append(mistakes, doc.Mistake(key, key+` is for a timer; write kind = "timer"`))
			}
		}
		return mistakes
	}
	t := &TimerConfig{Cron: list(doc, "cron"), Every: doc.Duration("every"), OnBoot: doc.Duration("on_boot"),
		Jitter: doc.Duration("jitter"), CatchUp: doc.Bool("catch_up", false)}
	u.Timer = t
	switch {
	case len(t.Cron) > 0 && t.Every > 0:
		mistakes = append(mistakes, doc.Mistake("every", "cron and every are two ways to say it; take out one"))
	case len(t.Cron) == 0 && t.Every == 0 && t.OnBoot == 0 && !doc.Has("cron") && !doc.Has("every"):
		mistakes = append(mistakes, doc.Mistake("kind", `a timer is never due; write cron = "0 2 * * *", every = "15m" or on_boot = "5m"`))
	}
	return mistakes
}

// conditions reads the table of that name.
func conditions(doc *schema.Doc) (all []Condition) {
	for _, c := range []struct {
		key string
		op  ConditionOp
	}{{"path", PathExists}, {"cmdline", CmdlineWord}, {"module", ModuleLoaded}, {"mount", MountPresent}} {
		for _, text := range list(doc, c.key) {
			text, not := strings.CutPrefix(text, "!")
			all = append(all, Condition{c.op, text, not})
		}
	}
	if doc.Has("safe_mode") {
		all = append(all, Condition{Op: NotInSafeMode, Not: doc.Bool("safe_mode", false)})
	}
	return all
}

// Defaults of log_file.
const (
	logFileSize  = 1 << 20
	logFileCount = 4
	logFileEvery = 30 * time.Second
)

func logFile(doc *schema.Doc) *LogFile {
	l := &LogFile{Size: logFileSize, Count: logFileCount, Every: logFileEvery}
	switch v := doc.Value("log_file").(type) {
	case string:
		l.Path = v
	case *schema.Doc:
		l.Path = v.String("path")
		l.Size = orDefault(v.Size("size"), l.Size)
		l.Count = orDefault(int(v.Int("count")), l.Count)
		l.Every = orDefault(v.Duration("every"), l.Every)
	default:
		return nil
	}
	return l
}

func checkCron(v any) string {
	if _, err := schedule.Parse(v.(string)); err != nil {
		return "will not do: " + err.Error()
	}
	return ""
}

func checkEvery(v any) string {
	if d := v.(time.Duration); d < time.Second || d > 366*24*time.Hour {
		return `is out of range; write "1s" to "8784h", or cron for certain days`
	}
	return ""
}

func checkCondition(v any) string {
	if s := strings.TrimPrefix(v.(string), "!"); s == "" || strings.ContainsAny(s, "\n\x00") {
		return "is empty; write what must be there"
	}
	return ""
}

// checkMaybe takes an absolute path with or without - before it.
func checkMaybe(v any) string { return checkAbsolute(strings.TrimPrefix(v.(string), "-")) }

func checkOutput(v any) string {
	if s := v.(string); s != "null" && !strings.HasPrefix(s, "/") {
		return `is neither "null" nor an absolute path`
	}
	return ""
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
