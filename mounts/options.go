package mounts

import (
	"strings"

	"golang.org/x/sys/unix"
)

// options are what options of mount(8) mean to mount(2).
type options struct {
	flags       uintptr
	propagation uintptr // a call of its own, afterwards
	data        string
}

// flag is an option that is one of mount(2)'s flags; with clear it is the
// absence of that.
type flag struct {
	word  string
	bit   uintptr
	clear bool
}

// flags as in libmount/src/optmap.c of util-linux.
var flags = [...]flag{
	{"ro", unix.MS_RDONLY, false}, {"rw", unix.MS_RDONLY, true},
	{"noexec", unix.MS_NOEXEC, false}, {"exec", unix.MS_NOEXEC, true},
	{"nosuid", unix.MS_NOSUID, false}, {"suid", unix.MS_NOSUID, true},
	{"nodev", unix.MS_NODEV, false}, {"dev", unix.MS_NODEV, true},
	{"sync", unix.MS_SYNCHRONOUS, false}, {"async", unix.MS_SYNCHRONOUS, true},
	{"dirsync", unix.MS_DIRSYNC, false},
	{"bind", unix.MS_BIND, false},
	{"rbind", unix.MS_BIND | unix.MS_REC, false},
	{"silent", unix.MS_SILENT, false}, {"loud", unix.MS_SILENT, true},
	{"iversion", unix.MS_I_VERSION, false}, {"noiversion", unix.MS_I_VERSION, true},
	{"mand", unix.MS_MANDLOCK, false}, {"nomand", unix.MS_MANDLOCK, true},
	{"noatime", unix.MS_NOATIME, false}, {"atime", unix.MS_NOATIME, true},
	{"nodiratime", unix.MS_NODIRATIME, false}, {"diratime", unix.MS_NODIRATIME, true},
	{"relatime", unix.MS_RELATIME, false}, {"norelatime", unix.MS_RELATIME, true},
	{"strictatime", unix.MS_STRICTATIME, false}, {"nostrictatime", unix.MS_STRICTATIME, true},
	{"lazytime", unix.MS_LAZYTIME, false}, {"nolazytime", unix.MS_LAZYTIME, true},
	{"nosymfollow", unix.MS_NOSYMFOLLOW, false}, {"symfollow", unix.MS_NOSYMFOLLOW, true},
}

// propagations as there.
var propagations = [...]flag{
	{"unbindable", unix.MS_UNBINDABLE, false}, {"runbindable", unix.MS_UNBINDABLE | unix.MS_REC, false},
	{"private", unix.MS_PRIVATE, false}, {"rprivate", unix.MS_PRIVATE | unix.MS_REC, false},
	{"slave", unix.MS_SLAVE, false}, {"rslave", unix.MS_SLAVE | unix.MS_REC, false},
	{"shared", unix.MS_SHARED, false}, {"rshared", unix.MS_SHARED | unix.MS_REC, false},
}

// forMount are for mount(8) and fstab alone.
const forMount = " defaults auto noauto user nouser users nousers owner noowner group nogroup _netdev nofail remount "

// parse reads options of mount(8). Words that it does not know are for the file
// system. A comma between double quotes belongs to the word.
func parse(text string) (o options) {
	for text != "" {
		var word string
		word, text = cutWord(text)
		o.add(word)
	}
	return o
}

func cutWord(s string) (word, rest string) {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func (o *options) add(word string) {
	for i := range flags {
		f := &flags[i]
		switch {
		case f.word != word:
			continue
		case f.clear:
			o.flags &^= f.bit
		default:
			o.flags |= f.bit
		}
		return
	}
	for i := range propagations {
		if propagations[i].word == word {
			o.propagation = propagations[i].bit
			return
		}
	}
	if word == "" || strings.HasPrefix(word, "x-") || strings.HasPrefix(word, "X-") || strings.HasPrefix(word, "comment=") ||
		!strings.Contains(word, " ") && strings.Contains(forMount, " "+word+" ") {
		return
	}
	if o.data != "" {
		o.data += ","
	}
	o.data += word
}

// option is the value of NAME=VALUE in the data; empty: it is not there.
func (o *options) option(name string) string {
	for rest := o.data; rest != ""; {
		var word string
		word, rest = cutWord(rest)
		if v, ok := strings.CutPrefix(word, name+"="); ok {
			return v
		}
	}
	return ""
}
