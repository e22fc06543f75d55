package install

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"hoopy/build/tree"
)

// table is one of etc/passwd, etc/group and etc/shadow, line by line. Lines
// that are not records are kept as they are.
type table struct {
	path  string
	lines [][]string // fields
}

func readTable(t *tree.Tree, name string) (*table, error) {
	data, err := t.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &table{path: name}, nil
	}
	if err != nil {
		return nil, err
	}
	tb := &table{path: name}
	text := strings.TrimSuffix(string(data), "\n")
	if text == "" {
		return tb, nil
	}
	for _, l := range strings.Split(text, "\n") {
		tb.lines = append(tb.lines, strings.Split(l, ":"))
	}
	return tb, nil
}

// write puts the table back; it must have been there, so that its mode and
// owner are somebody's decision.
func (tb *table) write(t *tree.Tree) error {
	var b strings.Builder
	for _, l := range tb.lines {
		b.WriteString(strings.Join(l, ":"))
		b.WriteByte('\n')
	}
	_, err := t.WriteFile(tb.path, []byte(b.String()), 0o644)
	return err
}

// find returns the record whose first field is name.
func (tb *table) find(name string) []string {
	for _, l := range tb.lines {
		if l[0] == name {
			return l
		}
	}
	return nil
}

// number returns the third field of a record.
func number(l []string) (int, bool) {
	if len(l) < 3 {
		return 0, false
	}
	n, err := strconv.Atoi(l[2])
	return n, err == nil && n >= 0
}

// numbers returns all third fields.
func (tb *table) numbers() map[int]string {
	out := map[int]string{}
	for _, l := range tb.lines {
		if n, ok := number(l); ok {
			if _, dup := out[n]; !dup {
				out[n] = l[0]
			}
		}
	}
	return out
}

// idTable is the last reading of etc/passwd and etc/group, good for as long as
// their entries are the same.
type idTable struct {
	passwd, group *tree.Entry
	read          bool
	users, groups map[string]int
}

// of brings the table up to date.
func (ids *idTable) of(t *tree.Tree) (*idTable, error) {
	passwd, _ := t.Get("etc/passwd")
	group, _ := t.Get("etc/group")
	if ids.read && passwd == ids.passwd && group == ids.group {
		return ids, nil
	}
	ids.passwd, ids.group, ids.read = passwd, group, true
	var err error
	if ids.users, err = names(t, "etc/passwd"); err != nil {
		return nil, err
	}
	ids.groups, err = names(t, "etc/group")
	return ids, err
}

func names(t *tree.Tree, file string) (map[string]int, error) {
	tb, err := readTable(t, file)
	if err != nil {
		return nil, fmt.Errorf("owners: %w", err)
	}
	out := map[string]int{"root": 0}
	for _, l := range tb.lines {
		if n, ok := number(l); ok {
			out[l[0]] = n
		}
	}
	return out, nil
}

// uid is the number of a user of the tree; a name that it does not know leaves
// the number of the archive, as in apk.
func (ids *idTable) uid(name string, or int) int { return lookUp(ids.users, name, or) }
func (ids *idTable) gid(name string, or int) int { return lookUp(ids.groups, name, or) }

func lookUp(m map[string]int, name string, or int) int {
	if n, ok := m[name]; ok && name != "" {
		return n
	}
	return or
}
