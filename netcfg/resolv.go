package netcfg

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ours is the first line of a resolv.conf that we may replace.
const ours = "# hoopy"

// resolvConf is the text of resolv.conf(5) for leases, the preferred first.
// Nothing stands in it that parseTerms did not check.
func resolvConf(leases []terms) string {
	var b strings.Builder
	b.WriteString(ours + "\n")
	var domains, servers []string
	for _, t := range leases {
		for _, s := range t.Search {
			if len(domains) < mostSearch && isName(s) && !slices.Contains(domains, s) {
				domains = append(domains, s)
			}
		}
		for _, a := range t.DNS {
			if s := a.String(); len(servers) < mostDNS && !slices.Contains(servers, s) {
				servers = append(servers, s)
			}
		}
	}
	if domains != nil {
		b.WriteString("search " + strings.Join(domains, " ") + "\n")
	}
	for _, s := range servers {
		b.WriteString("nameserver " + s + "\n")
	}
	return b.String()
}

// publish writes text to file and makes etc (/etc/resolv.conf) a link to it,
// if etc is missing or begins with "# hoopy"; anything else there is somebody
// else's and stays. A reader sees the old text or the new one.
func publish(file, etc, text string) error {
	if err := replace(file, text); err != nil {
		return fmt.Errorf("resolv.conf: %w", err)
	}
	if _, err := os.Lstat(etc); err == nil {
		if to, err := os.Readlink(etc); err == nil && to == file || !begins(etc) {
			return nil
		}
	}
	temp := etc + ".hoopy"
	_ = os.Remove(temp) // of a life before
	if err := os.Symlink(file, temp); err != nil {
		return fmt.Errorf("resolv.conf: %w", err)
	}
	if err := os.Rename(temp, etc); err != nil {
		return fmt.Errorf("resolv.conf: %w", errors.Join(err, os.Remove(temp)))
	}
	return nil
}

// begins says whether the first line of path is ours.
func begins(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	line, err := bufio.NewReaderSize(f, 64).ReadSlice('\n')
	return strings.TrimSpace(string(line)) == ours && (err == nil || len(line) < 64)
}

// replace makes text the content of path, whole or not at all. Its folder is
// made if need be.
func replace(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temp := path + ".new"
	if err := os.WriteFile(temp, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
