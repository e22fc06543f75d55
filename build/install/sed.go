package install

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

// sed is the part of sed that package scripts use: s and d, with a regular
// expression or a line number for an address or none; -E, -e, -n, -i, -r.
func sed(v *invocation) error {
	var scripts, files []string
	extended, inPlace, quiet := false, false, false
	args := v.args
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			files = append(files, args[i+1:]...)
			break
		}
		if len(a) < 2 || a[0] != '-' {
			files = append(files, a)
			continue
		}
	letters:
		for j := 1; j < len(a); j++ {
			switch a[j] {
			case 'E', 'r':
				extended = true
			case 'i':
				if inPlace = true; j+1 < len(a) && strings.IndexByte("Eenr", a[j+1]) < 0 {
					return noSuchUse("-i with a suffix")
				}
			case 'n':
				quiet = true
			case 'e':
				text := a[j+1:]
				if text == "" {
					if i++; i == len(args) {
						return failed("-e needs a script")
					}
					text = args[i]
				}
				scripts = append(scripts, text)
				break letters
			default:
				return noSuchUse("no flag -%c", a[j])
			}
		}
	}
	if len(scripts) == 0 {
		if len(files) == 0 {
			return failed("no script")
		}
		scripts, files = files[:1], files[1:]
	}
	steps, err := parseSed(strings.Join(scripts, "\n"), extended)
	if err != nil {
		return err
	}
	if inPlace {
		for _, f := range files {
			data, err := v.script.in.t.ReadFile(v.at(f))
			if err != nil {
				return err
			}
			var out bytes.Buffer
			runSed(&out, data, steps, quiet)
			if _, err := v.script.in.t.WriteFile(v.at(f), out.Bytes(), 0o644); err != nil {
				return err
			}
		}
		return nil
	}
	var data []byte
	for _, f := range files {
		d, err := v.script.in.t.ReadFile(v.at(f))
		if err != nil {
			return err
		}
		data = append(data, d...)
	}
	if len(files) == 0 {
		if data, err = v.stdin(); err != nil {
			return err
		}
	}
	runSed(&v.out, data, steps, quiet)
	return nil
}

// sedStep is one command of a script.
type sedStep struct {
	match   *regexp.Regexp // address; nil: see line
	line    int            // address; 0: every line
	not     bool
	op      byte // 's', 'd' or 'p'
	re      *regexp.Regexp
	replace string // in sed's own form
	all     bool
	print   bool
}

func runSed(out *bytes.Buffer, data []byte, steps []sedStep, quiet bool) {
	n := 0
	for l := range strings.Lines(string(data)) {
		n++
		text, nl := strings.CutSuffix(l, "\n")
		end := ""
		if nl {
			end = "\n"
		}
		gone := false
		for _, s := range steps {
			on := s.match == nil && (s.line == 0 || s.line == n) || s.match != nil && s.match.MatchString(text)
			if on == s.not {
				continue
			}
			switch s.op {
			case 'd':
				gone = true
			case 'p':
				out.WriteString(text + end)
			case 's':
				was := text
				text = s.substitute(text)
				if s.print && was != text {
					out.WriteString(text + end)
				}
			}
			if gone {
				break
			}
		}
		if !gone && !quiet {
			out.WriteString(text + end)
		}
	}
}

func (s *sedStep) substitute(text string) string {
	most := 1
	if s.all {
		most = -1
	}
	var b strings.Builder
	at := 0
	for _, m := range s.re.FindAllStringSubmatchIndex(text, most) {
		b.WriteString(text[at:m[0]])
		for i := 0; i < len(s.replace); i++ {
			c := s.replace[i]
			group := -1
			switch {
			case c == '&':
				group = 0
			case c == '\\' && i+1 < len(s.replace):
				i++
				switch c = s.replace[i]; {
				case isDigit(c):
					group = int(c - '0')
				case c == 'n':
					c = '\n'
				case c == 't':
					c = '\t'
				}
			}
			if group < 0 {
				b.WriteByte(c)
			} else if 2*group+1 < len(m) && m[2*group] >= 0 {
				b.WriteString(text[m[2*group]:m[2*group+1]])
			}
		}
		at = m[1]
	}
	return b.String() + text[at:]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// parseSed reads a script.
func parseSed(text string, extended bool) ([]sedStep, error) {
	var steps []sedStep
	rest := text
	for {
		rest = strings.TrimLeft(rest, " \t\n;")
		if rest == "" {
			return steps, nil
		}
		if rest[0] == '#' {
			_, rest, _ = strings.Cut(rest, "\n")
			continue
		}
		s := sedStep{}
		var err error
		if rest[0] == '/' {
			var re string
			var ok bool
			if re, rest, ok = cutSed(rest[1:], '/'); !ok {
				return nil, failed("unterminated address in %q", text)
			}
			if s.match, err = sedRegexp(re, extended, false); err != nil {
				return nil, err
			}
		} else if n := len(rest) - len(strings.TrimLeft(rest, "0123456789")); n > 0 {
			if s.line, err = strconv.Atoi(rest[:n]); err != nil || s.line == 0 {
				return nil, failed("line %q", rest[:n])
			}
			rest = rest[n:]
		}
		rest = strings.TrimLeft(rest, " \t")
		if strings.HasPrefix(rest, "!") {
			s.not, rest = true, strings.TrimLeft(rest[1:], " \t")
		}
		if rest == "" {
			return nil, failed("no command in %q", text)
		}
		s.op, rest = rest[0], rest[1:]
		switch s.op {
		case 'd', 'p':
		case 's':
			if rest, err = s.parseS(rest, extended); err != nil {
				return nil, err
			}
		default:
			return nil, noSuchUse("sed has only s, d and p here, not %q", s.op)
		}
		if t := strings.TrimLeft(rest, " \t"); t != "" && t[0] != '\n' && t[0] != ';' {
			return nil, noSuchUse("%q behind a command", rest)
		}
		steps = append(steps, s)
	}
}

func (s *sedStep) parseS(rest string, extended bool) (string, error) {
	if rest == "" {
		return "", failed("bare s")
	}
	delim := rest[0]
	re, rest, ok := cutSed(rest[1:], delim)
	if !ok {
		return "", failed("unterminated s")
	}
	if s.replace, rest, ok = cutSed(rest, delim); !ok {
		return "", failed("unterminated s")
	}
	fold := false
	for rest != "" && strings.IndexByte("gpiI", rest[0]) >= 0 {
		switch rest[0] {
		case 'g':
			s.all = true
		case 'p':
			s.print = true
		default:
			fold = true
		}
		rest = rest[1:]
	}
	var err error
	if s.re, err = sedRegexp(re, extended, fold); err != nil {
		return "", err
	}
	for i := 0; i+1 < len(s.replace); i++ {
		if s.replace[i] != '\\' {
			continue
		}
		if i++; isDigit(s.replace[i]) && int(s.replace[i]-'0') > s.re.NumSubexp() {
			return "", failed("no group \\%c in %q", s.replace[i], re)
		}
	}
	return rest, nil
}

// cutSed takes what stands before the next bare delimiter; an escaped one loses
// its backslash.
func cutSed(s string, delim byte) (part, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			i++
			if s[i] != delim {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
		case c == delim:
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// sedRegexp translates a POSIX expression, basic or extended, to Go's.
func sedRegexp(re string, extended, fold bool) (*regexp.Regexp, error) {
	var b strings.Builder
	if fold {
		b.WriteString("(?i)")
	}
	for i := 0; i < len(re); i++ {
		c := re[i]
		switch {
		case c == '[':
			n := classEnd(re[i:])
			if n < 0 {
				return nil, failed("unmatched [ in %q", re)
			}
			// a backslash is an ordinary character there
			b.WriteString(strings.ReplaceAll(re[i:i+n], `\`, `\\`))
			i += n - 1
		case c == '\\' && i+1 < len(re):
			i++
			switch c = re[i]; {
			case c == '<' || c == '>':
				b.WriteString(`\b`)
			case strings.IndexByte("(){}|+?", c) >= 0:
				if extended {
					b.WriteByte('\\')
				}
				b.WriteByte(c)
			case isDigit(c):
				return nil, noSuchUse("back-reference in %q", re)
			case c == 'n' || c == 't' || c == 's' || c == 'S' || c == 'w' || c == 'W' || c == 'b' || c == 'B':
				b.WriteByte('\\')
				b.WriteByte(c)
			default:
				b.WriteString(regexp.QuoteMeta(string(c)))
			}
		case !extended && strings.IndexByte("(){}|+?", c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case !extended && c == '*' && (i == 0 || i == 1 && re[0] == '^'):
			b.WriteString(`\*`)
		case !extended && c == '^' && i > 0, !extended && c == '$' && i+1 < len(re):
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	out, err := regexp.Compile(b.String())
	if err != nil {
		return nil, noSuchUse("expression %q: %v", re, err)
	}
	out.Longest()
	return out, nil
}

// classEnd is the length of the bracket expression that s begins with.
func classEnd(s string) int {
	i := 1
	if i < len(s) && s[i] == '^' {
		i++
	}
	if i < len(s) && s[i] == ']' {
		i++
	}
	for ; i < len(s); i++ {
		if s[i] == '[' && i+1 < len(s) && strings.IndexByte(":.=", s[i+1]) >= 0 {
			end := strings.Index(s[i+2:], string(s[i+1])+"]")
			if end < 0 {
				return -1
			}
			i += end + 3
			continue
		}
		if s[i] == ']' {
			return i + 1
		}
	}
	return -1
}
