// Package schema reads TOML strictly, by a table that says which keys there
// are, of which type, and what they mean.
//
// A key the table does not know, a value of the wrong type and a value out of
// its range are mistakes; each names file, line and key and says what would be
// right, and all mistakes of a file are reported at once. The table also makes
// the reference page, so the page cannot tell a lie.
//
// The package reads no file and knows no unit: package unit and the build
// bring their tables. It is portable.
//
// BurntSushi/toml does the syntax. It stops at the first wrong type and gives
// no positions of keys, hence the walk over map[string]any and the scanner in
// places.go, which finds the line of each key.
package schema

import (
	"errors"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// Type is what may stand behind a key.
type Type uint8

const (
	String   Type = iota // a text
	Int                  // a whole number
	Bool                 // true or false
	Duration             // a Go duration as a text, "1m30s"; more than 0
	Size                 // bytes as a text, "256M" (K, M, G, T: powers of 1024); more than 0
	List                 // a list of texts
	Table                // a table with the keys of Key.Keys
	Tables               // [[name]]: any number of such tables
	Enum                 // one of Key.Words
	Map                  // a table with free keys, all values texts
	Union                // one of Key.Any
)

// Key is one row of the table.
type Key struct {
	Name     string
	Type     Type
	Required bool
	Live     bool     // of the outermost table: a change of it needs no fresh start
	Keys     []Key    // of Table and Tables
	Words    []string // of Enum
	Any      []Key    // of Union: what it may be; names are not used
	Min, Max int64    // of Int; both 0: any
	// Check looks at a value of the right type: string, int64, bool,
	// time.Duration, []string (for which it is called once per element, with a
	// string). It returns what would be right, or nothing when the value is.
	// Of a Map it is asked about each key.
	Check func(v any) string

	Doc     string // what it means, for the page: one sentence or more
	Default string // as the page shows it; empty: none
	Example string // as the page shows it and mistakes suggest it: a whole value
}

// Doc is a table of a file that was read: the good keys only. Every getter
// gives the zero value for a key that is not there or had a mistake.
type Doc struct {
	file   string
	path   string // of the place, see places
	shown  string // of the table, for people: "link.match."
	values map[string]any
	places *places
	bad    bool
}

// Parse reads text by the rows of keys. file is the name that mistakes show.
// The error joins one *Mistake for each mistake, in the order of lines. The Doc
// is nil only when text is no TOML.
func Parse(file, text string, keys []Key) (*Doc, error) {
	tree, m := syntax(file, text)
	if m != nil {
		return nil, m
	}
	w := walk{file: file, places: &places{text: text}}
	doc := w.table(tree, keys, "", "")
	return doc, w.err()
}

// syntax has the parser make a tree of text. A parser that panics is a mistake
// like any other: the supervisor must not die of a file.
func syntax(file, text string) (tree map[string]any, m *Mistake) {
	defer func() {
		if v := recover(); v != nil {
			tree, m = nil, &Mistake{File: file, Text: oneLine(fmt.Sprintf("the TOML parser stumbled: %v", v))}
		}
	}()
	if line := tooDeep(text); line > 0 {
		return nil, &Mistake{File: file, Line: line, Text: fmt.Sprintf("nested more than %d deep", depthMax)}
	}
	var top any // not a map: the parser then gives its own without a copy
	_, err := toml.Decode(text, &top)
	var parse toml.ParseError
	switch {
	case errors.As(err, &parse):
		return nil, &Mistake{File: file, Line: lineOf(parse.Position, text), Key: parse.LastKey, Text: oneLine(parserWords.Replace(parse.Message))}
	case err != nil:
		return nil, &Mistake{File: file, Text: oneLine(err.Error())}
	}
	tree, _ = top.(map[string]any)
	return tree, nil
}

// parserWords are what the parser calls by their codes.
var parserWords = strings.NewReplacer(`'\n'`, "the end of the line", `'\x00'`, "the end of the file")

// lineOf is where a mistake of syntax stands. Of one at the end of a line the
// parser may name the next.
func lineOf(p toml.Position, text string) int {
	if p.Start < len(text) && text[p.Start] == '\n' {
		return 1 + strings.Count(text[:p.Start], "\n")
	}
	return p.Line
}

// Has says whether key is there and good.
func (d *Doc) Has(key string) bool { _, ok := d.values[key]; return ok }

// Bad says whether this table, or one inside it, had a mistake.
func (d *Doc) Bad() bool { return d.bad }

// Line is where key, or the table itself for an empty key, stands: 1 is the
// first line, 0 means that it does not stand in the file.
func (d *Doc) Line(key string) int {
	if key == "" {
		return d.places.line(d.path)
	}
	return d.places.line(join(d.path, key))
}

// ElemLine is where element i of the list key stands.
func (d *Doc) ElemLine(key string, i int) int {
	if n := d.places.line(elem(join(d.path, key), i)); n > 0 {
		return n
	}
	return d.Line(key)
}

// Mistake is a mistake about key that the table could not find.
func (d *Doc) Mistake(key, text string) *Mistake {
	d.bad = true
	line := d.Line(key)
	if line == 0 {
		line = d.Line("")
	}
	return &Mistake{File: d.file, Line: line, Key: d.shown + key, Text: text}
}
