package schema

import (
	"fmt"
	"strings"
)

// Page writes the reference of keys as a Markdown list, under the name that a
// reader finds them by.
func Page(keys []Key) string {
	var b strings.Builder
	page(&b, keys, "")
	return b.String()
}

func page(b *strings.Builder, keys []Key, within string) {
	for _, k := range keys {
		if within != "" && k.Doc == "" {
			continue // what it belongs to says all about it
		}
		name := within + k.Name
		title := "`" + name + "`"
		switch k.Type {
		case Tables:
			title = "`[[" + name + "]]`"
		case Table:
			title = "`[" + name + "]`"
		}
		fmt.Fprintf(b, "- %s: %s", title, k.kind())
		if k.Required {
			b.WriteString(", required")
		}
		if k.Default != "" {
			fmt.Fprintf(b, ", default %s", k.Default)
		}
		b.WriteString(".")
		if k.Live {
			b.WriteString(" *")
		}
		if k.Doc != "" {
			b.WriteString("\n  " + strings.ReplaceAll(k.Doc, "\n", "\n  "))
		}
		if k.Example != "" {
			fmt.Fprintf(b, "\n  Example: `%s = %s`.", k.Name, k.Example)
		}
		b.WriteString("\n")
		page(b, k.Keys, name+".")
	}
}

// kind is the type in words.
func (k Key) kind() string {
	switch k.Type {
	case Int:
		if k.Min != 0 || k.Max != 0 {
			return fmt.Sprintf("whole number from %d to %d", k.Min, k.Max)
		}
		return "whole number"
	case Bool:
		return "true or false"
	case Duration:
		return "duration"
	case Size:
		return "size"
	case List:
		return "list of texts"
	case Table:
		return "table"
	case Tables:
		return "tables, any number"
	case Map:
		return "table of texts"
	case Enum:
		words := make([]string, len(k.Words))
		for i, w := range k.Words {
			words[i] = "`\"" + w + "\"`"
		}
		return Or(words)
	case Union:
		kinds := make([]string, len(k.Any))
		for i, one := range k.Any {
			kinds[i] = one.kind()
			if one.Type == Table {
				kinds[i] = "`" + one.right() + "`"
			}
		}
		return Or(kinds)
	}
	return "text"
}
