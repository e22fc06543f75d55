package schema

import (
	"maps"
	"slices"
)

// Diff names the keys whose values differ between two tables, sorted; a key
// that only one has differs.
func Diff(a, b *Doc) (keys []string) {
	for _, key := range slices.Sorted(maps.Keys(a.values)) {
		if !equal(a.values[key], b.values[key]) {
			keys = append(keys, key)
		}
	}
	for key := range b.values {
		if !a.Has(key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// equal compares values as Doc.Value gives them.
func equal(a, b any) bool {
	switch a := a.(type) {
	case []string:
		b, ok := b.([]string)
		return ok && slices.Equal(a, b)
	case map[string]string:
		b, ok := b.(map[string]string)
		return ok && maps.Equal(a, b)
	case *Doc:
		b, ok := b.(*Doc)
		return ok && len(Diff(a, b)) == 0
	case []*Doc:
		b, ok := b.([]*Doc)
		return ok && slices.EqualFunc(a, b, func(x, y *Doc) bool { return len(Diff(x, y)) == 0 })
	case nil:
		return b == nil
	}
	switch b.(type) {
	case []string, map[string]string, *Doc, []*Doc:
		return false
	}
	return a == b
}
