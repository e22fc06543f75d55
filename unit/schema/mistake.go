package schema

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Mistake is something that a person wrote and that cannot be meant so. Line 0
// is the file as a whole.
type Mistake struct {
	File string
	Line int
	Key  string // as TOML writes it, "match.mac"; may be empty
	Text string // what is wrong, and what would be right
}

// Error is the line an editor can jump to: file:line: text.
func (m *Mistake) Error() string {
	if m.Line == 0 {
		return m.File + ": " + m.Text
	}
	return m.File + ":" + strconv.Itoa(m.Line) + ": " + m.Text
}

// Mistakes takes a joined error apart, in order; an error that is no Mistake
// becomes one without file.
func Mistakes(err error) []*Mistake {
	var one *Mistake
	var many interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &many):
		var all []*Mistake
		for _, e := range many.Unwrap() {
			all = append(all, Mistakes(e)...)
		}
		return all
	case errors.As(err, &one):
		return []*Mistake{one}
	}
	return []*Mistake{{Text: err.Error()}}
}

// Join makes one error of mistakes, sorted by file and line; nil of none.
func Join(all []*Mistake) error {
	sort.SliceStable(all, func(i, j int) bool {
		a, b := all[i], all[j]
		return a.File < b.File || a.File == b.File && a.Line < b.Line
	})
	errs := make([]error, len(all))
	for i, m := range all {
		errs[i] = m
	}
	return errors.Join(errs...)
}

// Nearest is the word of words that somebody who wrote word may have meant, or
// nothing.
func Nearest(word string, words []string) string {
	if len(word) < 2 {
		return ""
	}
	best, at := 1+min(2, (len(word)+1)/2), ""
	for _, w := range words {
		if d := distance(word, w); d < best {
			best, at = d, w
		}
	}
	return at
}

// DidYouMean is the end of a mistake about an unknown word, perhaps empty.
func DidYouMean(word string, words []string) string {
	if near := Nearest(word, words); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
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

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Or writes a choice: a, b or c.
func Or(words []string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
}
