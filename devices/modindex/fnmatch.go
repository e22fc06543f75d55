package modindex

// Match reports whether s matches the shell pattern as fnmatch(3) with flags 0
// would: '*' matches any run of bytes, '/' included, '?' one byte, [a-c] and
// [!a-c] one byte of (or not of) a set, and a backslash takes the next byte as
// it stands. A '[' without its ']' is an ordinary byte.
//
// Time is at most the product of both lengths.
func Match(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, i
			p++
			continue
		}
		if n, ok := matchOne(pattern[p:], s[i]); ok {
			p += n
			i++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, i = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches the first element of pattern (never '*') against c and
// gives that element's length.
func matchOne(pattern string, c byte) (int, bool) {
	if pattern == "" {
		return 0, false
	}
	switch pattern[0] {
	case '?':
		return 1, true
	case '[':
		if n, ok, closed := matchSet(pattern, c); closed {
			return n, ok
		}
	case '\\':
		if len(pattern) > 1 {
			return 2, pattern[1] == c
		}
		return 1, false
	}
	return 1, pattern[0] == c
}

// matchSet matches c against the set that pattern begins with; closed is false
// if the set has no end.
func matchSet(pattern string, c byte) (n int, ok, closed bool) {
	i := 1
	negate := i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^')
	if negate {
		i++
	}
	for first := true; ; first = false {
		if i >= len(pattern) {
			return 0, false, false
		}
		lo := pattern[i]
		if lo == ']' && !first {
			return i + 1, ok != negate, true
		}
		if lo == '\\' && i+1 < len(pattern) {
			i++
			lo = pattern[i]
		}
		i++
		hi := lo
		if i+1 < len(pattern) && pattern[i] == '-' && pattern[i+1] != ']' {
			hi = pattern[i+1]
			i += 2
			if hi == '\\' && i < len(pattern) {
				hi = pattern[i]
				i++
			}
		}
		if lo <= c && c <= hi {
			ok = true
		}
	}
}

// Normalize replaces '-' by '_' outside [...], the form in which names and
// aliases stand in the .bin files. An unmatched bracket ends the replacing.
func Normalize(alias string) string {
	depth := 0
	var out []byte
	for i := 0; i < len(alias); i++ {
		switch alias[i] {
		case '[':
			depth++
		case ']':
			if depth > 0 {
				depth--
			}
		case '-':
			if depth == 0 {
				if out == nil {
					out = []byte(alias)
				}
				out[i] = '_'
			}
		}
	}
	if out == nil {
		return alias
	}
	return string(out)
}
