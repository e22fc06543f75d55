package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// key is one row of a schema: how one key of a file is checked and stored. set
// returns what would be right, or nothing when the value is.
type key[T any] struct {
	name     string
	required bool
	doc      string
	set      func(*T, any) string
}

// decode reads TOML text into v by the rows of a schema and reports every
// mistake with its line.
func decode[T any](file, text string, keys []key[T], v *T) error {
	var doc map[string]any
	if _, err := toml.Decode(text, &doc); err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			return &Mistake{file, parse.Position.Line, parse.Message}
		}
		return &Mistake{file, 0, err.Error()}
	}
	lines := keyLines(text)
	var errs []error
	for _, k := range keys {
		val, ok := doc[k.name]
		switch {
		case ok:
			if right := k.set(v, val); right != "" {
				errs = append(errs, &Mistake{file, lines[k.name], k.name + ": " + right})
			}
		case k.required:
			errs = append(errs, &Mistake{file, 0, fmt.Sprintf("key %q is missing (%s)", k.name, k.doc)})
		}
		delete(doc, k.name)
	}
	for _, unknown := range slices.Sorted(maps.Keys(doc)) {
		text := fmt.Sprintf("unknown key %q", unknown)
		if near := nearest(unknown, keys); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		errs = append(errs, &Mistake{file, lines[unknown], text})
	}
	slices.SortStableFunc(errs, func(a, b error) int { return a.(*Mistake).Line - b.(*Mistake).Line })
	return errors.Join(errs...)
}

func word[T any](at func(*T) *string) func(*T, any) string {
	return func(t *T, v any) string {
		s, ok := v.(string)
		if !ok || strings.ContainsAny(s, "\n\x00") {
			return "write a text of one line"
		}
		*at(t) = s
		return ""
	}
}

func oneOf[T any](words []string, at func(*T) *string) func(*T, any) string {
	return func(t *T, v any) string {
		s, ok := v.(string)
		if !ok || !slices.Contains(words, s) {
			return fmt.Sprintf("%v is none of %s", quoted(v), strings.Join(words, ", "))
		}
		*at(t) = s
		return ""
	}
}

func list[T any](right func(string) string, at func(*T) *[]string) func(*T, any) string {
	return func(t *T, v any) string {
		values, ok := v.([]any)
		if !ok {
			return "write a list of texts"
		}
		for _, v := range values {
			s, ok := v.(string)
			if !ok {
				return fmt.Sprintf("%v in the list is no text", v)
			}
			if wrong := right(s); wrong != "" {
				return wrong
			}
			*at(t) = append(*at(t), s)
		}
		return ""
	}
}

func ids[T any](at func(*T) *map[string]int) func(*T, any) string {
	return func(t *T, v any) string {
		table, ok := v.(map[string]any)
		if !ok {
			return "write a table of name = id"
		}
		out := map[string]int{}
		for n, v := range table {
			id, ok := v.(int64)
			if !ok || id < 0 || id > 1<<31-1 {
				return fmt.Sprintf("%s = %v is no id", n, quoted(v))
			}
			if wrong := name(n); wrong != "" {
				return wrong
			}
			out[n] = int(id)
		}
		*at(t) = out
		return ""
	}
}

func quoted(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprint(v)
}

// nearest is the known key at most two edits away, if there is one.
func nearest[T any](word string, keys []key[T]) string {
	best, at := 3, ""
	for _, k := range keys {
		if d := distance(word, k.name); d < best {
			best, at = d, k.name
		}
	}
	return at
}

// distance is the number of single-letter edits between two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			next := diag
			if a[i] != b[j] {
				next = 1 + min(diag, row[j], row[j+1])
			}
			diag, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
