package schema

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bytes is a number of bytes.
type Bytes int64

// String writes b as a size that Parse reads: "256M".
func (b Bytes) String() string {
	for _, u := range []struct {
		bits uint
		unit string
	}{{40, "T"}, {30, "G"}, {20, "M"}, {10, "K"}} {
		if b != 0 && b&(1<<u.bits-1) == 0 {
			return strconv.FormatInt(int64(b>>u.bits), 10) + u.unit
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// parseSize reads digits and at most one of K, M, G, T.
func parseSize(s string) (Bytes, bool) {
	if s == "" {
		return 0, false
	}
	shift := uint(0)
	if i := strings.IndexByte("KMGT", s[len(s)-1]); i >= 0 {
		shift = 10 * uint(i+1)
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseUint(s, 10, 62)
	if err != nil || n > 1<<62>>shift {
		return 0, false
	}
	return Bytes(n << shift), true
}

// nearDuration guesses the duration that was meant, or nothing.
func nearDuration(v any) string {
	if n, ok := v.(int64); ok && n > 0 {
		return shortDuration(time.Duration(n) * time.Second)
	}
	s, ok := v.(string)
	if !ok {
		return ""
	}
	s = strings.ToLower(s)
	var total time.Duration
	for s = strings.TrimLeft(s, " ,+"); s != ""; s = strings.TrimLeft(s, " ,") {
		digits := s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
		s = strings.TrimLeft(s[len(digits):], " ")
		word := s[:len(s)-len(strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyz"))]
		s = s[len(word):]
		unit, known := durationWords[word]
		n, err := strconv.ParseInt(digits, 10, 32)
		if err != nil || !known {
			return ""
		}
		total += time.Duration(n) * unit
	}
	if total <= 0 {
		return ""
	}
	return shortDuration(total)
}

var durationWords = map[string]time.Duration{
	"": time.Second, "ms": time.Millisecond, "msec": time.Millisecond,
	"s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
	"w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour, "weeks": 7 * 24 * time.Hour,
}

// shortDuration is d.String() without the zeros at its end: "15m", not "15m0s".
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// nearSize guesses the size that was meant, or nothing.
func nearSize(v any) string {
	if n, ok := v.(int64); ok && n > 0 {
		return Bytes(n).String()
	}
	s, ok := v.(string)
	if !ok {
		return ""
	}
	s = strings.ToUpper(strings.ReplaceAll(s, " ", ""))
	s = strings.TrimSuffix(strings.TrimSuffix(s, "B"), "I")
	if b, ok := parseSize(s); ok && b > 0 {
		return b.String()
	}
	return ""
}

// right is a value that would do, as TOML.
func (k Key) right() string {
	if k.Example != "" {
		return k.Example
	}
	switch k.Type {
	case Int:
		return "a whole number"
	case Bool:
		return "true or false"
	case Duration:
		return `a duration such as "30s"`
	case Size:
		return `a size such as "256M"`
	case List:
		return `a list such as ["a", "b"]`
	case Table, Map:
		return "a table { … }"
	case Tables:
		return "[[" + k.Name + "]]"
	case Enum:
		return quoteAll(k.Words)
	case Union:
		words := make([]string, len(k.Any))
		for i, one := range k.Any {
			words[i] = one.right()
		}
		return Or(words)
	}
	return "a text"
}

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return Or(quoted)
}

// show writes a foreign value, cut short.
func show(v any) string {
	s := ""
	switch v := v.(type) {
	case string:
		s = strconv.Quote(v)
	case map[string]any:
		s = "{ … }"
	case []any, []map[string]any:
		s = "[ … ]"
	default:
		s = fmt.Sprint(v)
	}
	if r := []rune(s); len(r) > 60 {
		s = string(r[:59]) + "…"
	}
	return s
}
