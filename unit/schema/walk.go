package schema

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// walk carries what the whole walk over one file shares.
type walk struct {
	file     string
	places   *places
	mistakes []*Mistake
}

func (w *walk) err() error { return Join(w.mistakes) }

// table checks one table against its rows. path is its place, shown what is
// written before a key in a mistake.
func (w *walk) table(tree map[string]any, keys []Key, path, shown string) *Doc {
	doc := &Doc{file: w.file, path: path, shown: shown, values: map[string]any{}, places: w.places}
	before, known := len(w.mistakes), 0
	for i := range keys {
		k := &keys[i]
		v, ok := tree[k.Name]
		if !ok {
			if k.Required {
				w.say(path, shown+k.Name, fmt.Sprintf("key %q is missing; write %s = %s", shown+k.Name, k.Name, k.right()))
			}
			continue
		}
		known++
		if good, ok := w.value(v, *k, join(path, k.Name), shown+k.Name); ok {
			doc.values[k.Name] = good
		}
	}
	if known < len(tree) {
		w.unknown(tree, keys, path, shown)
	}
	doc.bad = len(w.mistakes) > before
	return doc
}

// unknown says which keys no row knows.
func (w *walk) unknown(tree map[string]any, keys []Key, path, shown string) {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Name
	}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		if !slices.Contains(names, name) {
			w.say(join(path, name), shown+name, fmt.Sprintf("unknown key %q", shown+name)+DidYouMean(name, names))
		}
	}
}

// value checks v against k and gives it in the type that the getters know.
func (w *walk) value(v any, k Key, path, shown string) (any, bool) {
	switch k.Type {
	case Table:
		if t, ok := v.(map[string]any); ok {
			return w.table(t, k.Keys, path, shown+"."), true
		}
		return w.wrong(path, shown, v, "table", k)
	case Tables:
		return w.tables(v, k, path, shown)
	case Map:
		return w.mapping(v, k, path, shown)
	case List:
		return w.list(v, k, path, shown)
	case Union:
		for _, one := range k.Any {
			if one.fits(v) {
				one.Name, one.Check = k.Name, orCheck(one.Check, k.Check)
				if one.Example == "" {
					one.Example = k.Example
				}
				return w.value(v, one, path, shown)
			}
		}
		w.say(path, shown, fmt.Sprintf("%s = %s will not do; write %s", shown, show(v), k.right()))
		return nil, false
	}
	good, noun := k.scalar(v)
	if noun != "" {
		return w.wrong(path, shown, v, noun, k)
	}
	if !w.check(good, k, path, shown) {
		return nil, false
	}
	return good, true
}

func (w *walk) tables(v any, k Key, path, shown string) (any, bool) {
	var trees []map[string]any
	switch v := v.(type) {
	case []map[string]any:
		trees = v
	case []any:
		for _, e := range v {
			t, ok := e.(map[string]any)
			if !ok {
				return w.wrong(path, shown, v, "list of tables", k)
			}
			trees = append(trees, t)
		}
	default:
		return w.wrong(path, shown, v, "list of tables", k)
	}
	docs := make([]*Doc, len(trees))
	for i, t := range trees {
		docs[i] = w.table(t, k.Keys, elem(path, i), shown+".")
	}
	return docs, true
}

func (w *walk) mapping(v any, k Key, path, shown string) (any, bool) {
	t, ok := v.(map[string]any)
	if !ok {
		return w.wrong(path, shown, v, "table", k)
	}
	out := make(map[string]string, len(t))
	for _, name := range slices.Sorted(maps.Keys(t)) {
		at, key := join(path, name), shown+"."+name
		s, isText := t[name].(string)
		switch {
		case !isText:
			w.say(at, key, fmt.Sprintf("%s = %s is no text; write %q", key, show(t[name]), fmt.Sprint(t[name])))
			ok = false
		case strings.ContainsRune(s, 0):
			w.say(at, key, key+" has a zero byte")
			ok = false
		case !w.check(name, k, at, key):
			ok = false
		default:
			out[name] = s
		}
	}
	return out, ok
}

func (w *walk) list(v any, k Key, path, shown string) (any, bool) {
	elems, ok := v.([]any)
	if s, isText := v.(string); isText {
		w.say(path, shown, fmt.Sprintf("%s = %q is no list; write [%q]", shown, s, s))
		return nil, false
	} else if !ok {
		return w.wrong(path, shown, v, "list", k)
	}
	out := make([]string, 0, len(elems))
	for i, e := range elems {
		at := elem(path, i)
		s, isText := e.(string)
		switch {
		case !isText:
			w.say(at, shown, fmt.Sprintf("%s: %s is no text; write %q", shown, show(e), fmt.Sprint(e)))
			ok = false
		case strings.ContainsRune(s, 0):
			w.say(at, shown, fmt.Sprintf("%s: %q has a zero byte", shown, s))
			ok = false
		case !w.check(s, k, at, shown):
			ok = false
		default:
			out = append(out, s)
		}
	}
	return out, ok
}

// scalar gives v in k's type, or the noun of what it should have been.
func (k Key) scalar(v any) (good any, noun string) {
	s, isText := v.(string)
	switch k.Type {
	case Int:
		if n, ok := v.(int64); ok {
			return n, ""
		}
		return nil, "whole number"
	case Bool:
		if b, ok := v.(bool); ok {
			return b, ""
		}
		return nil, "truth value"
	case Duration:
		if d, err := time.ParseDuration(s); isText && err == nil {
			return d, ""
		}
		return nil, "duration"
	case Size:
		if b, ok := parseSize(s); isText && ok {
			return b, ""
		}
		return nil, "size"
	default: // String, Enum
		if isText {
			return s, ""
		}
		return nil, "text"
	}
}

// fits says whether v has the TOML type that k wants.
func (k Key) fits(v any) bool {
	switch v.(type) {
	case string:
		return k.Type == String || k.Type == Enum || k.Type == Duration || k.Type == Size
	case int64:
		return k.Type == Int
	case bool:
		return k.Type == Bool
	case []any:
		return k.Type == List || k.Type == Tables
	case []map[string]any:
		return k.Type == Tables
	case map[string]any:
		return k.Type == Table || k.Type == Map
	}
	return false
}

// check asks what the type alone cannot say.
func (w *walk) check(good any, k Key, path, shown string) bool {
	right := ""
	switch v := good.(type) {
	case string:
		switch {
		case strings.ContainsRune(v, 0):
			right = "has a zero byte"
		case k.Type == Enum && !slices.Contains(k.Words, v):
			right = "is none of " + quoteAll(k.Words) + DidYouMean(v, k.Words)
		}
	case int64:
		if (k.Min != 0 || k.Max != 0) && (v < k.Min || v > k.Max) {
			right = fmt.Sprintf("is out of range; write a number from %d to %d", k.Min, k.Max)
		}
	case time.Duration:
		if v <= 0 {
			right = "must be more than 0"
		}
	case Bytes:
		if v <= 0 {
			right = "must be more than 0"
		}
	}
	if right == "" && k.Check != nil {
		right = k.Check(good)
	}
	if right == "" {
		return true
	}
	switch v := good.(type) {
	case Bytes:
		w.say(path, shown, fmt.Sprintf("%s = %q %s", shown, v.String(), right))
	case time.Duration:
		w.say(path, shown, fmt.Sprintf("%s = %q %s", shown, v.String(), right))
	default:
		switch k.Type {
		case List:
			w.say(path, shown, fmt.Sprintf("%s: %s %s", shown, show(good), right))
		case Map:
			w.say(path, shown, shown+" "+right)
		default:
			w.say(path, shown, fmt.Sprintf("%s = %s %s", shown, show(good), right))
		}
	}
	return false
}

// wrong says that v is no noun.
func (w *walk) wrong(path, shown string, v any, noun string, k Key) (any, bool) {
	right := k.right()
	switch k.Type {
	case Bool:
		right = "true or false"
	case Duration:
		if near := nearDuration(v); near != "" {
			right = strconv.Quote(near)
		}
	case Size:
		if near := nearSize(v); near != "" {
			right = strconv.Quote(near)
		}
	case Int:
		if s, ok := v.(string); ok {
			if n, err := strconv.ParseInt(s, 10, 64); err == nil {
				right = strconv.FormatInt(n, 10)
			}
		}
	case String:
		switch v.(type) {
		case int64, float64, bool:
			right = strconv.Quote(fmt.Sprint(v))
		}
	}
	w.say(path, shown, fmt.Sprintf("%s = %s is no %s; write %s", shown, show(v), noun, right))
	return nil, false
}

func (w *walk) say(path, key, text string) {
	line := 0
	for p := path; line == 0 && p != ""; p = parent(p) {
		line = w.places.line(p)
	}
	w.mistakes = append(w.mistakes, &Mistake{File: w.file, Line: line, Key: key, Text: text})
}

func orCheck(a, b func(any) string) func(any) string {
	if a != nil {
		return a
	}
	return b
}
