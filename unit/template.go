package unit

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"hoopy/unit/schema"
)

// A template is svc/NAME@.toml. Its instance NAME@WORD is the same text with
// WORD wherever it says %i.

// instanceText is the text of a template for one instance. It keeps its lines,
// so a mistake names the right one.
func instanceText(text, instance string) string {
	const percent = "\x00" // stands in no file: the parser refuses it
	text = strings.ReplaceAll(text, "%%", percent)
	text = strings.ReplaceAll(text, "%i", instance)
	return strings.ReplaceAll(text, percent, "%")
}

func isTemplate(name string) bool {
	return strings.HasPrefix(name, serviceFolder) && strings.HasSuffix(name, "@.toml")
}

// instance makes the unit called name of its template; nil if it has none, or a
// bad one.
func (c *Config) instance(name string) (*Unit, *schema.Doc, error) {
	text := c.InstanceText(name)
	before, _, _ := strings.Cut(name, "@")
	if text == "" || c.bad[before+"@"] {
		return nil, nil, nil
	}
	return c.unit(name, path.Join(c.dir, serviceFolder, before+"@.toml"), text)
}

// Transient makes a unit of the text that svc run sent. It is safe for concurrent
// use.
func (c *Config) Transient(name, text string) (*Unit, error) {
	u, _, err := c.unit(name, "svc run", text)
	if err != nil {
		return nil, err
	}
	u.File, u.Transient = "", true
	return u, nil
}

// instances makes those that init.toml names and that units need or want.
func (c *Config) instances() error {
	var mistakes []*schema.Mistake
	have := map[string]bool{}
	for _, u := range c.Units {
		have[u.Name] = true
	}
	ask := func(name string) bool {
		if have[name] || c.bad[name] {
			return true
		}
		u, doc, err := c.instance(name)
		mistakes = append(mistakes, schema.Mistakes(err)...)
		if u == nil || err != nil {
			return err != nil || c.bad[name[:strings.IndexByte(name+"@", '@')]+"@"]
		}
		have[name] = true
		c.Units, c.lines[name] = append(c.Units, u), doc
		return true
	}
	for i, name := range c.Machine.Instances {
		if !ask(name) {
			before, _, _ := strings.Cut(name, "@")
			mistakes = append(mistakes, &schema.Mistake{File: path.Join(c.dir, machineFile), Line: c.top.ElemLine("instances", i), Key: "instances",
				Text: fmt.Sprintf("instances: %q has no template; write svc/%s@.toml", name, before)})
		}
	}
	for i := 0; i < len(c.Units); i++ { // an instance may need others
		for _, name := range slices.Concat(c.Units[i].Needs, c.Units[i].Wants) {
			if strings.Contains(name, "@") {
				ask(name)
			}
		}
	}
	return schema.Join(mistakes)
}

func checkInstance(v any) string {
	if _, instance, ok := strings.Cut(v.(string), "@"); !ok || instance == "" || !GoodName(v.(string)) {
		return `is no name of an instance; write "getty@ttyS0"`
	}
	return ""
}

// InstanceText is the text of the unit called name as its template has it; empty
// if it has none.
func (c *Config) InstanceText(name string) string {
	before, instance, isInstance := strings.Cut(name, "@")
	text := c.Files.text[serviceFolder+before+"@.toml"]
	if !isInstance || instance == "" {
		return ""
	}
	return instanceText(text, instance)
}
