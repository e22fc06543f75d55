package netcfg

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"hoopy/unit"
)

// exact says whether a link means one interface: by its MAC or by a name
// without wildcards. Such links go first.
func exact(l *unit.LinkConfig) bool {
	return l.MatchMAC != "" || l.MatchName != "" && !strings.ContainsAny(l.MatchName, `*?[\`)
}

// matches says whether every criterion of l that is set holds for i. A link
// without any matches nothing; lo and ports of a bridge or bond never match.
func matches(l *unit.LinkConfig, i iface) bool {
	if i.loopback || i.port || l.MatchName == "" && l.MatchMAC == "" && l.MatchDriver == "" {
		return false
	}
	if l.MatchName != "" {
		if ok, err := filepath.Match(l.MatchName, i.name); err != nil || !ok {
			return false
		}
	}
	return (l.MatchMAC == "" || strings.EqualFold(l.MatchMAC, i.mac.String())) &&
		(l.MatchDriver == "" || l.MatchDriver == i.driver)
}

// wanted describes what a link looks for.
func wanted(l *unit.LinkConfig) string {
	var s []string
	if l.MatchName != "" {
		s = append(s, "name "+l.MatchName)
	}
	if l.MatchMAC != "" {
		s = append(s, "mac "+l.MatchMAC)
	}
	if l.MatchDriver != "" {
		s = append(s, "driver "+l.MatchDriver)
	}
	return strings.Join(s, ", ")
}

// present describes the interfaces there are, lo apart.
func present(list []iface) string {
	const most = 8 // a machine with more has containers
	var s []string
	for _, i := range list {
		if i.loopback {
			continue
		}
		if len(s) == most {
			s = append(s, "…")
			break
		}
		d := i.name + " " + i.mac.String()
		if i.driver != "" {
			d += " (" + i.driver + ")"
		}
		s = append(s, d)
	}
	if s == nil {
		return "no interface is present"
	}
	return "present: " + strings.Join(s, ", ")
}

func noMatch(l *unit.LinkConfig, list []iface) string {
	return fmt.Sprintf("no interface matches %s; %s", wanted(l), present(list))
}

// byOrder sorts interfaces as the kernel numbered them.
func byOrder(list []iface) {
	sort.Slice(list, func(i, j int) bool { return list[i].index < list[j].index })
}

// Wired lists the names of the wired network cards, in order: Ethernet
// interfaces in sysfs that have a device and are not wireless. sys is where
// sysfs is mounted. None is not an error.
func Wired(sys string) []string {
	dir, err := os.Open(filepath.Join(sys, "class/net"))
	if err != nil {
		return nil
	}
	defer dir.Close()
	all, _ := dir.Readdirnames(-1) // what was read before an error counts
	sort.Strings(all)
	var names []string
	for _, name := range all {
		at := filepath.Join(sys, "class/net", name)
		kind, err := os.ReadFile(filepath.Join(at, "type"))
		if err != nil || strings.TrimSpace(string(kind)) != "1" { // ARPHRD_ETHER
			continue
		}
		if exists(filepath.Join(at, "device")) && !exists(filepath.Join(at, "phy80211")) && !exists(filepath.Join(at, "wireless")) {
			names = append(names, name)
		}
	}
	return names
}

func exists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}
