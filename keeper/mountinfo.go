package keeper

// mountPoint is one line of /proc/self/mountinfo, see proc_pid_mountinfo(5).
type mountPoint struct {
	id, parent string
	target     string // unescaped
	fstype     string
	source     string
}

// eachMount calls f for each well-formed line of b, in its order; others are
// passed over.
func eachMount(b []byte, f func(mountPoint)) {
	for len(b) > 0 {
		end := 0
		for end < len(b) && b[end] != '\n' {
			end++
		}
		if m, ok := parseMount(b[:end]); ok {
			f(m)
		}
		b = b[min(end+1, len(b)):]
	}
}

// parseMount reads "36 35 98:0 /root /target options fields… - type source options".
func parseMount(line []byte) (m mountPoint, ok bool) {
	n, dash := 0, -1
	words(line, func(w string) bool {
		switch {
		case n == 0:
			m.id = w
		case n == 1:
			m.parent = w
		case n == 4:
			m.target = unescape(w)
		case n > 5 && dash < 0 && w == "-":
			dash = n
		case dash >= 0 && n == dash+1:
			m.fstype = w
		case dash >= 0 && n == dash+2:
			m.source = unescape(w)
		}
		n++
		return true
	})
	return m, dash >= 0 && m.fstype != "" && m.target != "" && m.target[0] == '/'
}

// unescape undoes the kernel's \ooo for space, tab, newline and backslash.
func unescape(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1]) && octal(s[i+2]) && octal(s[i+3]) && s[i+1] < '4' {
			b = append(b, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func octal(c byte) bool { return c >= '0' && c <= '7' }
