package launch

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Account is a user as passwd(5) and group(5) have it.
type Account struct {
	Name        string
	UID, GID    uint32
	Home, Shell string
	Groups      []uint32 // supplementary, without GID
}

// LookupAccount finds user and group, names or numbers, in the files below etc
// ("/etc"). An empty user is root; an empty group the user's own. A number that
// passwd does not know needs a group. Groups besides those of group(5) are
// extra, names or numbers too. For root alone group(5) is not read: root needs
// no group to be let in anywhere.
func LookupAccount(etc, user, group string, extra ...string) (*Account, error) {
	passwd, err := os.ReadFile(etc + "/passwd")
	if err != nil && user != "" {
		if _, numeric := id(user); !numeric {
			return nil, err
		}
	}
	if user == "" && group == "" && len(extra) == 0 {
		return account(passwd, nil, user, group)
	}
	groups, err := os.ReadFile(etc + "/group")
	if err != nil {
		for _, name := range append([]string{group}, extra...) {
			if _, numeric := id(name); !numeric && name != "" {
				return nil, err
			}
		}
	}
	return account(passwd, groups, user, group, extra...)
}

func account(passwd, groups []byte, user, group string, extra ...string) (*Account, error) {
	name := user
	if name == "" {
		name = "root"
	}
	a, ok := findUser(passwd, name)
	if !ok {
		uid, numeric := id(name)
		switch {
		case user == "":
			a = &Account{Name: "root", Home: "/root", Shell: "/bin/sh"}
		case !numeric:
			return nil, fmt.Errorf("no such user in /etc/passwd")
		case group == "":
			return nil, fmt.Errorf("not in /etc/passwd, so a group must be given")
		default:
			a = &Account{Name: name, UID: uid, Home: "/", Shell: "/bin/sh"}
		}
	}
	own := a.GID
	if group != "" {
		gid, ok := findGroup(groups, group)
		if !ok {
			return nil, fmt.Errorf("no group %q in /etc/group", group)
		}
		a.GID = gid
	}
	a.Groups = memberships(groups, a.Name, a.GID)
	if own != a.GID && ok {
		a.Groups = append(a.Groups, own)
	}
	for _, name := range extra {
		gid, ok := findGroup(groups, name)
		if !ok {
			return nil, fmt.Errorf("no group %q in /etc/group", name)
		}
		if gid != a.GID && !slices.Contains(a.Groups, gid) {
			a.Groups = append(a.Groups, gid)
		}
	}
	return a, nil
}

// groupsMax is NGROUPS_MAX of Linux.
const groupsMax = 65536

// findUser finds the first line of passwd(5) with that name, else with that
// number.
func findUser(passwd []byte, name string) (*Account, bool) {
	var byID *Account
	uid, numeric := id(name)
	for line := range bytes.Lines(passwd) {
		f := strings.Split(strings.TrimSuffix(string(line), "\n"), ":")
		if len(f) < 7 || f[0] == "" {
			continue
		}
		u, ok1 := id(f[2])
		g, ok2 := id(f[3])
		if !ok1 || !ok2 {
			continue
		}
		a := &Account{Name: f[0], UID: u, GID: g, Home: f[5], Shell: f[6]}
		if a.Home == "" {
			a.Home = "/"
		}
		if a.Shell == "" {
			a.Shell = "/bin/sh"
		}
		if f[0] == name {
			return a, true
		}
		if numeric && u == uid && byID == nil {
			byID = a
		}
	}
	return byID, byID != nil
}

func findGroup(groups []byte, name string) (uint32, bool) {
	for line := range bytes.Lines(groups) {
		f := strings.Split(strings.TrimSuffix(string(line), "\n"), ":")
		if len(f) >= 3 && f[0] == name {
			if gid, ok := id(f[2]); ok {
				return gid, true
			}
		}
	}
	return id(name)
}

func memberships(groups []byte, user string, own uint32) (gids []uint32) {
	seen := map[uint32]bool{own: true}
	for line := range bytes.Lines(groups) {
		f := strings.Split(strings.TrimSuffix(string(line), "\n"), ":")
		if len(f) < 4 {
			continue
		}
		gid, ok := id(f[2])
		if !ok || seen[gid] || len(gids) == groupsMax {
			continue
		}
		for _, member := range strings.Split(f[3], ",") {
			if member == user {
				seen[gid] = true
				gids = append(gids, gid)
				break
			}
		}
	}
	return gids
}

// id is a user or group number; 4294967295 is none, the system calls take it
// for "leave it as it is".
func id(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && n != 1<<32-1 && s[0] != '+'
}
