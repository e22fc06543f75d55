package schema

import (
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// places are the lines of everything in a file, by path. A path is what join
// and elem make. The file is scanned when a line is asked for: good files are
// the rule, and 1,000 of them are to load in milliseconds.
type places struct {
	text string
	at   map[string]int
}

func (p *places) line(path string) int {
	if p.at == nil {
		p.at = find(p.text)
	}
	return p.at[path]
}

// join is the path of key in the table path. The separators cannot stand in a
// TOML key unescaped and, escaped, would cost a wrong line number, no more.
func join(path, key string) string { return path + "\x00" + key }

// elem is the path of element i of the list path.
func elem(path string, i int) string { return path + "\x01" + strconv.Itoa(i) }

// parent is the path around path; nothing around a top-level key.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, "\x00\x01"))] }

// find scans text that the TOML parser has accepted: this is no second opinion
// on syntax. Of a table that is opened in several places it keeps the first.
func find(text string) map[string]int {
	s := newScanner(text)
	s.file()
	return s.places
}

// depthMax is how deep values and keys may be nested. The parser's memory grows
// with the square of the depth, and its stack with it: 64 KiB of dots would cost
// gigabytes.
const depthMax = 32

// tooDeep is the line where text is nested deeper than depthMax; 0: nowhere.
// Few files are worth a scan.
func tooDeep(text string) int {
	brackets := strings.Count(text, "[") + strings.Count(text, "{")
	if brackets <= depthMax && strings.Count(text, ".") <= depthMax {
		return 0
	}
	s := newScanner(text)
	s.file()
	return s.deep
}

// nest counts one bracket or key part more, and ends the scan at depthMax.
func (s *scanner) nest(n int) bool {
	if n <= depthMax {
		return true
	}
	if s.deep == 0 {
		s.deep = s.line
	}
	s.at = len(s.text)
	return false
}

func newScanner(text string) *scanner {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff", "\ufeff"} { // as the parser does
		if rest, ok := strings.CutPrefix(text, mark); ok {
			text = rest
			break
		}
	}
	return &scanner{text: text, line: 1, places: map[string]int{}, counts: map[string]int{}}
}

type scanner struct {
	text   string
	at     int
	line   int
	places map[string]int
	counts map[string]int // elements of each [[name]] so far, by path

	depth int // open brackets of the value
	deep  int // the line where depthMax was passed and the scan ended; 0: nowhere

	keys [][]string // every key in the order of the file, as MetaData.Keys has it: for the test that holds both together
	want bool       // whether keys is wanted
}

func (s *scanner) file() {
	table, names := "", []string(nil)
	for {
		s.space(true)
		if s.at >= len(s.text) {
			return
		}
		if s.text[s.at] != '[' {
			s.keyValue(table, names)
			continue
		}
		s.at++
		array := s.take('[')
		s.space(false)
		line, key := s.line, s.key()
		names = key
		table = ""
		for i, part := range key {
			table = join(table, part)
			last := i == len(key)-1
			if n := s.counts[table]; n > 0 && !(last && array) {
				table = elem(table, n-1)
			} else if last && array {
				s.note(table, line)
				s.counts[table]++
				table = elem(table, n)
			}
			s.note(table, line)
		}
		s.record(nil, key)
		s.space(false)
		s.take(']')
		if array {
			s.take(']')
		}
	}
}

// keyValue scans a.b = value in the table path.
func (s *scanner) keyValue(path string, names []string) {
	line := s.line
	start := s.at
	key := s.key()
	for _, part := range key {
		path = join(path, part)
		s.note(path, line)
	}
	names = s.record(names, key)
	s.space(false)
	s.take('=')
	s.space(false)
	s.value(path, names)
	if s.at == start { // not TOML: never the case after the parser
		s.at++
	}
}

func (s *scanner) value(path string, names []string) {
	if s.at >= len(s.text) {
		return
	}
	s.depth++
	defer func() { s.depth-- }()
	switch c := s.text[s.at]; c {
	case '"', '\'':
		s.quoted()
	case '[':
		if !s.nest(s.depth) {
			return
		}
		s.at++
		for i := 0; ; i++ {
			s.space(true)
			if s.at >= len(s.text) || s.take(']') {
				return
			}
			at := s.at
			s.note(elem(path, i), s.line)
			s.value(elem(path, i), names)
			s.space(true)
			s.take(',')
			if s.at == at {
				s.at++
			}
		}
	case '{':
		if !s.nest(s.depth) {
			return
		}
		s.at++
		for {
			s.space(true)
			if s.at >= len(s.text) || s.take('}') {
				return
			}
			s.keyValue(path, names)
			s.space(true)
			s.take(',')
		}
	default:
		for s.at < len(s.text) && !strings.ContainsRune(",]}#\n", rune(s.text[s.at])) {
			s.at++
		}
	}
}

// key scans a dotted key.
func (s *scanner) key() []string {
	var parts []string
	for s.at < len(s.text) && s.nest(s.depth+len(parts)+1) {
		s.space(false)
		start := s.at
		if s.at < len(s.text) && (s.text[s.at] == '"' || s.text[s.at] == '\'') {
			s.quoted()
			parts = append(parts, unquote(s.text[start:s.at]))
		} else {
			for s.at < len(s.text) && !strings.ContainsRune(" \t\r\n.=]#{},[", rune(s.text[s.at])) {
				s.at++
			}
			parts = append(parts, s.text[start:s.at])
		}
		s.space(false)
		if !s.take('.') {
			break
		}
	}
	return parts
}

// quoted moves past a string of any of the four forms.
func (s *scanner) quoted() {
	quote := s.text[s.at : s.at+1]
	end := quote
	if three := strings.Repeat(quote, 3); strings.HasPrefix(s.text[s.at:], three) {
		end = three
	}
	s.at += len(end)
	for s.at < len(s.text) {
		switch {
		case quote == `"` && s.text[s.at] == '\\':
			s.step()
			s.step()
		case strings.HasPrefix(s.text[s.at:], end):
			s.at += len(end)
			for range 2 { // up to two quotes may stand before the closing three
				if len(end) == 3 {
					s.take(quote[0])
				}
			}
			return
		default:
			s.step()
		}
	}
}

func (s *scanner) step() {
	if s.at < len(s.text) {
		if s.text[s.at] == '\n' {
			s.line++
		}
		s.at++
	}
}

// space moves past blanks and, with lines, past ends of line and comments.
func (s *scanner) space(lines bool) {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == ' ' || c == '\t':
		case lines && (c == '\n' || c == '\r'):
		case lines && c == '#':
			end := strings.IndexByte(s.text[s.at:], '\n')
			if end < 0 {
				s.at = len(s.text)
				return
			}
			s.at += end
			continue
		default:
			return
		}
		s.step()
	}
}

func (s *scanner) take(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) note(path string, line int) {
	if s.places[path] == 0 {
		s.places[path] = line
	}
}

func (s *scanner) record(names, key []string) []string {
	if !s.want {
		return nil
	}
	all := append(append([]string{}, names...), key...)
	s.keys = append(s.keys, all)
	return all
}

// unquote is the text of a quoted key: the parser's own reading of it.
func unquote(quoted string) string {
	if strings.HasPrefix(quoted, "'") {
		return strings.Trim(quoted, "'")
	}
	if !strings.Contains(quoted, `\`) {
		return strings.Trim(quoted, `"`)
	}
	var doc map[string]string
	if _, err := toml.Decode("k = "+quoted, &doc); err != nil {
		return quoted
	}
	return doc["k"]
}
