package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"hoopy/build/apk"
	"hoopy/unit/schema"
)

// Packages reads the list of wanted packages: dependencies as in apk's world
// ("openssh", "linux-lts<6.13", "tailscale@edge", "!mkinitfs"), any number a
// line; `#` starts a comment. A name twice is a mistake, and so is a pin that
// is not among tags; nil tags take every pin.
func Packages(file string, tags []string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, missing(err, file)
	}
	return ParsePackages(file, string(text), tags)
}

// ParsePackages reads the text of such a list; file is the name for mistakes.
func ParsePackages(file, text string, tags []string) ([]string, error) {
	var words []string
	var errs []*schema.Mistake
	first := map[string]int{}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		for _, word := range strings.Fields(line) {
			say := func(format string, args ...any) {
				errs = append(errs, mistake(file, i+1, fmt.Sprintf(format, args...)))
			}
			d, err := apk.ParseDep(word)
			switch {
			case err != nil || strings.ContainsAny(word, "/\"'") || d.Name[0] == '-':
				say("%q is no package; write a name, name=1.2, name<2, name@pin or !name", word)
			case d.Version != "" && !apk.ValidVersion(d.Version):
				say("%q: %q is no version", word, d.Version)
			case first[d.Name] > 0 && slices.Contains(words, word):
				say("%q stands here twice", word)
			case first[d.Name] > 0:
				say("%q: %s stands in line %d already; one line says all about it", word, d.Name, first[d.Name])
			case d.Tag != "" && tags != nil && !slices.Contains(tags, d.Tag):
				say("%q: no repository of image.toml has the pin @%s", word, d.Tag)
			default:
				first[d.Name] = i + 1
				words = append(words, word)
			}
		}
	}
	if len(words) == 0 && len(errs) == 0 {
		errs = append(errs, mistake(file, 0, "names no package"))
	}
	return words, schema.Join(errs)
}
