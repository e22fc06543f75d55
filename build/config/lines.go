package config

import "strings"

// keyLines finds the line of each key at the top of a TOML text, tables
// included; of a key that is written in several places, the first. The text
// must have passed the TOML parser: this is no second opinion on its syntax.
func keyLines(text string) map[string]int {
	at := map[string]int{}
	table := ""
	depth := 0   // open brackets of a value
	closes := "" // the end of the multi-line string that we are in
	for i, line := range strings.Split(text, "\n") {
		rest := strings.TrimSpace(line)
		if depth == 0 && closes == "" {
			if rest == "" || rest[0] == '#' {
				continue
			}
			if rest[0] == '[' {
				table = firstKey(strings.TrimLeft(rest, "[ \t"))
				note(at, table, i+1)
				continue
			}
			if table == "" {
				note(at, firstKey(rest), i+1)
			}
		}
		depth, closes = value(rest, depth, closes)
	}
	return at
}

func note(at map[string]int, key string, line int) {
	if at[key] == 0 {
		at[key] = line
	}
}

// firstKey is the first part of a dotted key, unquoted.
func firstKey(s string) string {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		key, _, _ := strings.Cut(s[1:], s[:1])
		return key
	}
	end := strings.IndexAny(s, ".=] \t")
	if end < 0 {
		return s
	}
	return s[:end]
}

// value follows brackets and strings through one line.
func value(s string, depth int, closes string) (int, string) {
	for s != "" {
		if closes != "" {
			if s[0] == '\\' && closes[0] == '"' {
				s = s[min(2, len(s)):]
				continue
			}
			if strings.HasPrefix(s, closes) {
				s, closes = s[len(closes):], ""
				continue
			}
			s = s[1:]
			continue
		}
		switch {
		case strings.HasPrefix(s, `"""`), strings.HasPrefix(s, `'''`):
			closes, s = s[:3], s[3:]
			continue
		case s[0] == '"' || s[0] == '\'':
			closes = s[:1]
		case s[0] == '#':
			return depth, ""
		case s[0] == '[' || s[0] == '{':
			depth++
		case s[0] == ']' || s[0] == '}':
			depth--
		}
		s = s[1:]
	}
	if len(closes) == 1 {
		closes = ""
	}
	return depth, closes
}
