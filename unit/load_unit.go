package unit

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"hoopy/unit/schema"
)

// unit reads one file of etc/svc. The unit is whole only when there is no
// error.
func (c *Config) unit(name, file, text string) (*Unit, error) {
	doc, err := schema.Parse(file, text, UnitKeys)
	mistakes := schema.Mistakes(err)
	switch {
	case slices.Contains(milestones, name):
		mistakes = append(mistakes, &schema.Mistake{File: file, Text: fmt.Sprintf("the name %q is taken by a milestone", name)})
	case !GoodName(name):
		mistakes = append(mistakes, &schema.Mistake{File: file,
			Text: fmt.Sprintf("%q is no name of a unit; write small letters, digits, . _ @ and -, at most %d", name, NameMax)})
	}
	if doc == nil {
		return nil, schema.Join(mistakes)
	}
	u := &Unit{
		Name: name, File: file,
		Description: doc.String("description"),
		Needs:       doc.List("needs"), Wants: doc.List("wants"), After: doc.List("after"), Before: doc.List("before"),
		Essential: doc.Bool("essential", false), Manual: doc.Bool("manual", false),
		Restart:      restarts[doc.String("restart")],
		StopMain:     doc.String("stop") == "main",
		StartTimeout: orDefault(doc.Duration("start_timeout"), DefaultStartTimeout),
		StopTimeout:  orDefault(doc.Duration("stop_timeout"), DefaultStopTimeout),
		Process: Process{
			User: doc.String("user"), Group: doc.String("group"), Directory: doc.String("directory"),
			Umask: 0o022, TTY: doc.String("tty"), MemoryMax: doc.Size("memory_max"),
		},
	}
	if mask, ok := parseUmask(doc.String("umask")); ok {
		u.Umask = mask
	}
	u.StopSignal, _ = SignalNumber(doc.String("stop_signal"))
	env := doc.Map("env")
	for _, k := range slices.Sorted(maps.Keys(env)) {
		u.Env = append(u.Env, k+"="+env[k])
	}
	switch n := doc.Value("pids_max").(type) {
	case int64:
		u.PidsMax = n
	case string:
		u.PidsMax = -1
	}
	switch ready := doc.Value("ready").(type) {
	case string:
		if ready == "notify" {
			u.ReadyBy = ByNotify
		}
	case *schema.Doc:
		u.ReadyBy, u.ReadyPort = ByTCP, uint16(ready.Int("tcp"))
	}
	if m := u.command(doc); m != nil {
		mistakes = append(mistakes, m)
	}
	if doc.String("kind") == "task" {
		mistakes = append(mistakes, u.task(doc)...)
	}
	c.lines[name] = doc
	return u, schema.Join(mistakes)
}

var restarts = map[string]Restart{"always": Always, "on-failure": OnFailure, "never": Never}

// command takes the command in either of its forms.
func (u *Unit) command(doc *schema.Doc) *schema.Mistake {
	switch v := doc.Value("command").(type) {
	case string:
		if strings.TrimSpace(v) == "" {
			return doc.Mistake("command", "command is empty")
		}
		u.Command = []string{"/bin/sh", "-c", v}
	case []string:
		u.Command = v
		if len(v) == 0 {
			return doc.Mistake("command", "command is empty")
		}
		if !path.IsAbs(v[0]) {
			return doc.Mistake("command", fmt.Sprintf("command: %q is no absolute path; write where the program is, such as %q", v[0], "/usr/sbin/"+path.Base(v[0])))
		}
	}
	return nil
}

// task changes the defaults to those of a task and says what a task cannot
// have.
func (u *Unit) task(doc *schema.Doc) (mistakes []*schema.Mistake) {
	u.Kind, u.ReadyBy, u.ReadyPort = Task, ByExit, 0
	if doc.Has("ready") {
		mistakes = append(mistakes, doc.Mistake("ready", "a task is ready when it has exited with 0; take out ready"))
	}
	switch {
	case !doc.Has("restart"):
		u.Restart = Never
	case u.Restart == Always:
		mistakes = append(mistakes, doc.Mistake("restart", `a task cannot have restart = "always"; write "on-failure" or "never"`))
	}
	return mistakes
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
