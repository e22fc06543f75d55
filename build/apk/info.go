package apk

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// parseInfo reads .PKGINFO: "key = value" lines, some keys more than once.
// Unknown keys are passed over, as apk does.
func parseInfo(text []byte) (*Info, error) {
	in := &Info{}
	deps := func(to *[]Dep, s string) error {
		d, err := ParseDeps(s)
		*to = append(*to, d...)
		return err
	}
	num := func(to *int64, s string) (err error) {
		*to, err = strconv.ParseInt(s, 10, 64)
		if err != nil || *to < 0 {
			return fmt.Errorf("%w: %q is no size or time", ErrFormat, s)
		}
		return nil
	}
	small := func(to *int, s string) (err error) {
		if *to, err = strconv.Atoi(s); err != nil {
			return fmt.Errorf("%w: %q is no number", ErrFormat, s)
		}
		return nil
	}
	line := 0
	for l := range bytes.Lines(text) {
		line++
		s := strings.TrimRight(string(l), "\r\n")
		if s == "" || s[0] == '#' {
			continue
		}
		key, v, ok := strings.Cut(s, " = ")
		if !ok {
			continue
		}
		var err error
		switch key {
		case "pkgname":
			in.Name = v
		case "pkgver":
			in.Version = v
		case "arch":
			in.Arch = v
		case "origin":
			in.Origin = v
		case "license":
			in.License = v
		case "pkgdesc":
			in.Description = v
		case "url":
			in.URL = v
		case "commit":
			in.Commit = v
		case "maintainer":
			in.Maintainer = v
		case "builddate":
			err = num(&in.BuildTime, v)
		case "size":
			err = num(&in.InstalledSize, v)
		case "depend":
			err = deps(&in.Depends, v)
		case "provides":
			err = deps(&in.Provides, v)
		case "install_if":
			err = deps(&in.InstallIf, v)
		case "replaces":
			err = deps(&in.Replaces, v)
		case "replaces_priority":
			err = small(&in.ReplacesPriority, v)
		case "provider_priority":
			err = small(&in.ProviderPriority, v)
		case "triggers":
			in.Triggers = append(in.Triggers, strings.Fields(v)...)
		case "datahash":
			in.DataHash = v
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", line, key, err)
		}
	}
	if in.Name == "" || in.Version == "" {
		return nil, fmt.Errorf("%w: pkgname and pkgver are needed", ErrFormat)
	}
	return in, nil
}

// format is the reverse of parseInfo.
func (in *Info) format() []byte {
	var b bytes.Buffer
	put := func(key, v string) {
		if v != "" {
			fmt.Fprintf(&b, "%s = %s\n", key, v)
		}
	}
	num := func(key string, v int64) {
		if v != 0 {
			put(key, strconv.FormatInt(v, 10))
		}
	}
	put("pkgname", in.Name)
	put("pkgver", in.Version)
	put("pkgdesc", in.Description)
	put("url", in.URL)
	num("builddate", in.BuildTime)
	put("size", strconv.FormatInt(in.InstalledSize, 10))
	put("arch", in.Arch)
	put("origin", in.Origin)
	put("commit", in.Commit)
	put("maintainer", in.Maintainer)
	put("license", in.License)
	for _, l := range []struct {
		key  string
		deps []Dep
	}{{"replaces", in.Replaces}, {"depend", in.Depends}, {"provides", in.Provides}, {"install_if", in.InstallIf}} {
		for _, d := range l.deps {
			put(l.key, d.String())
		}
	}
	num("replaces_priority", int64(in.ReplacesPriority))
	num("provider_priority", int64(in.ProviderPriority))
	put("triggers", strings.Join(in.Triggers, " "))
	put("datahash", in.DataHash)
	return b.Bytes()
}
