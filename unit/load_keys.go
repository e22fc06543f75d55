package unit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// longest is the longest time-out that a file may ask for.
const longest = 24 * time.Hour

// stopSignals are those that a program may take as its word to end.
var stopSignals = []string{"HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "WINCH", "PWR"}

// NameMax bounds the name of a unit of a file, in bytes.
const NameMax = 64

// GoodName says whether name may be the NAME of svc/NAME.toml:
// [a-z0-9][a-z0-9._@-]{0,63}. An instance such as getty@ttyS0 may have capital
// letters after its @.
func GoodName(name string) bool {
	if name == "" || len(name) > NameMax {
		return false
	}
	instance := false
	for i, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && strings.IndexByte("._-", c) >= 0:
		case i > 0 && c == '@':
			instance = true
		case instance && c >= 'A' && c <= 'Z':
		default:
			return false
		}
	}
	return true
}

func checkName(v any) string {
	if s := v.(string); !GoodName(s) || strings.Contains(s, "@") {
		return "is no name; write small letters, digits, . _ and -"
	}
	return ""
}

func checkLine(v any) string {
	for _, r := range v.(string) {
		if r < ' ' || r == 0x7f {
			return "has a control character; write one line"
		}
	}
	return ""
}

func checkTimeout(v any) string {
	if v.(time.Duration) > longest {
		return `is too long; write "24h" or less`
	}
	return ""
}

func checkAbsolute(v any) string {
	if !strings.HasPrefix(v.(string), "/") {
		return fmt.Sprintf("is no absolute path; write %q", "/"+strings.TrimPrefix(v.(string), "./"))
	}
	return ""
}

func checkUser(v any) string {
	if s := v.(string); s == "" || len(s) > 32 || strings.ContainsAny(s, ": /\t\n") || s[0] == '-' {
		return "is no name of a user or group"
	}
	return ""
}

func checkUmask(v any) string {
	if _, ok := parseUmask(v.(string)); !ok {
		return `is no mask; write three octal digits such as "022"`
	}
	return ""
}

func parseUmask(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 8, 9)
	return uint32(n), err == nil && len(s) >= 3 && len(s) <= 4
}

func checkEnv(v any) string {
	for i, c := range []byte(v.(string)) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return "is no name of a variable; write letters, digits and _"
		}
	}
	if v.(string) == "" {
		return "is empty; write a name of a variable"
	}
	return ""
}

func checkTTY(v any) string {
	s := v.(string)
	if short := strings.TrimPrefix(s, "/dev/"); short != s && plainWord(short, "_-.") {
		return fmt.Sprintf("is a path; write %q", short)
	}
	if !plainWord(s, "_-.") || s[0] == '.' {
		return `is no terminal; write "ttyS0"`
	}
	return ""
}

func checkModule(v any) string {
	if !plainWord(v.(string), "_-") {
		return "is no name of a module"
	}
	return ""
}

func checkPattern(v any) string {
	if s := v.(string); !plainWord(s, "_-.*?[]@:") || len(s) > 64 {
		return "is no pattern of an interface name"
	}
	return ""
}

func checkHost(v any) string {
	s := v.(string)
	if len(s) > 64 {
		return "is longer than 64 letters"
	}
	for label := range strings.SplitSeq(s, ".") {
		if !plainWord(label, "-") || label[0] == '-' || label[len(label)-1] == '-' || len(label) > 63 {
			return "is no host name; write letters, digits and -"
		}
	}
	return ""
}

// plainWord says whether s is made of ASCII letters, digits and extra alone.
func plainWord(s, extra string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(extra, c) >= 0) {
			return false
		}
	}
	return s != ""
}
