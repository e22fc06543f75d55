package modules

import (
	"fmt"
	"slices"
	"strings"
)

// ParseHardware reads a list of modaliases, one a line as sysfs gives them;
// what follows a # after white space is a comment. Twice the same counts once.
// wrong names the lines that are none, numbered from 1.
func ParseHardware(text string) (aliases []string, wrong map[int]string) {
	wrong = map[int]string{}
	for i, line := range strings.Split(text, "\n") {
		if at := strings.Index(line, "#"); at == 0 || at > 0 && (line[at-1] == ' ' || line[at-1] == '\t') {
			line = line[:at]
		}
		line = strings.TrimSpace(line)
		bus, rest, ok := strings.Cut(line, ":")
		switch {
		case line == "":
		case !ok || bus == "" || rest == "" || strings.ContainsAny(bus, " \t/"):
			wrong[i+1] = fmt.Sprintf("%q is no modalias; make the file with cat /sys/bus/*/devices/*/modalias | sort -u", line)
		default:
			aliases = append(aliases, line)
		}
	}
	slices.Sort(aliases)
	return slices.Compact(aliases), wrong
}
