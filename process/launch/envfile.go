package launch

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// envFileMax bounds a file of variables, in bytes.
const envFileMax = 1 << 20

// envFiles reads the files one after the other.
func envFiles(names []string) (vars []string, f *Failure) {
	for _, name := range names {
		path, optional := strings.CutPrefix(name, "-")
		text, err := readEnvFile(path)
		if optional && absent(err) {
			continue
		}
		if err == nil {
			vars, err = parseEnv(vars, text)
		}
		if err != nil {
			return nil, fail("env_file", path, err)
		}
	}
	return vars, nil
}

func readEnvFile(path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		return "", errAbsolute
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	switch err := unix.Fstat(fd, &st); {
	case err != nil:
		return "", err
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return "", errors.New("no regular file")
	case st.Size > envFileMax:
		return "", errors.New("larger than a megabyte")
	}
	b := make([]byte, st.Size)
	n, err := unix.Pread(fd, b, 0)
	return string(b[:max(n, 0)]), err
}

// parseEnv appends the variables of a file to vars, as NAME=value. A line is
// empty, a comment after #, or NAME=value, with "export " before it if one
// likes. The value goes to the end of the line without blanks there, or is
// quoted: within '…' everything stands for itself, within "…" the pairs \", \\,
// \$ and \` stand for the second of them; after the quote there may be a
// comment. Nothing is expanded, no line goes on in the next. The error names the
// line and none of its text, which may be a secret.
func parseEnv(vars []string, text string) ([]string, error) {
	for n := 1; text != ""; n++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = strings.Trim(line, " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "export"); ok && rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
			line = strings.TrimLeft(rest, " \t")
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || !isName(name) || strings.IndexByte(value, 0) >= 0 {
			return nil, fmt.Errorf("line %d: no NAME=value", n)
		}
		if value != "" && (value[0] == '"' || value[0] == '\'') {
			var rest string
			if value, rest, ok = unquote(value); !ok {
				return nil, fmt.Errorf("line %d: no closing quote", n)
			}
			if rest = strings.TrimLeft(rest, " \t"); rest != "" && rest[0] != '#' {
				return nil, fmt.Errorf("line %d: text after the closing quote", n)
			}
		}
		vars = append(vars, name+"="+value)
	}
	return vars, nil
}

// isName: letters, digits, _, - and ., no digit first. The shell knows fewer,
// programs in other languages use these.
func isName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c == '_':
		case i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return s != ""
}

// unquote splits what begins with a quote into the text within and what follows.
func unquote(s string) (value, rest string, ok bool) {
	quote := s[0]
	var b []byte
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return string(b), s[i+1:], true
		case quote == '"' && c == '\\' && i+1 < len(s) && strings.IndexByte("\"\\$`", s[i+1]) >= 0:
			i++
			b = append(b, s[i])
		default:
			b = append(b, c)
		}
	}
	return "", "", false
}

// environment is the standard one, the variables of files over it, the unit's
// own over all. Of one name the last value counts.
func environment(s *Spec, a *Account, files []string, pid string) []string {
	env := environ{at: make(map[string]int, 16)}
	env.set(path, "HOME="+a.Home, "USER="+a.Name, "LOGNAME="+a.Name, "SHELL="+a.Shell)
	if s.Notify != "" {
		env.set("NOTIFY_SOCKET=" + s.Notify)
	}
	if s.Watchdog > 0 {
		env.set("WATCHDOG_USEC="+strconv.FormatInt(s.Watchdog.Microseconds(), 10), "WATCHDOG_PID="+pid)
	}
	if len(s.Listen) > 0 {
		env.set("LISTEN_FDS="+strconv.Itoa(len(s.Listen)), "LISTEN_PID="+pid, "LISTEN_FDNAMES="+strings.Join(s.Listen, ":"))
	}
	switch {
	case s.TTY == "":
	case len(s.TTY) > 3 && s.TTY[3] >= '0' && s.TTY[3] <= '9':
		env.set("TERM=linux")
	default:
		env.set("TERM=vt220")
	}
	env.set(files...)
	env.set(s.Env...)
	return env.vars
}

// environ is a list of NAME=value with no name twice.
type environ struct {
	vars []string
	at   map[string]int
}

func (e *environ) set(vars ...string) {
	for _, v := range vars {
		name, _, _ := strings.Cut(v, "=")
		if i, ok := e.at[name]; ok {
			e.vars[i] = v
			continue
		}
		e.at[name] = len(e.vars)
		e.vars = append(e.vars, v)
	}
}
