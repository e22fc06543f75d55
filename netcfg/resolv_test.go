package netcfg

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkResolv fails on anything but the lines that we write.
func checkResolv(t *testing.T, text string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != ours {
		t.Fatalf("begins with %q", lines[0])
	}
	for i, line := range lines[1:] {
		words := strings.Split(line, " ")
		switch {
		case words[0] == "search" && i == 0:
			for _, w := range words[1:] {
				if !isName(w) {
					t.Fatalf("line %q", line)
				}
			}
		case words[0] == "nameserver" && len(words) == 2:
			if _, err := netip.ParseAddr(words[1]); err != nil {
				t.Fatalf("line %q", line)
			}
		default:
			t.Fatalf("line %q", line)
		}
	}
	if len(lines) > 2+mostDNS {
		t.Fatalf("%d lines", len(lines))
	}
}

func TestResolvConf(t *testing.T) {
	a := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	for _, c := range []struct {
		leases []terms
		want   string
	}{
		{nil, "# hoopy\n"},
		{[]terms{{DNS: []netip.Addr{a("1.1.1.1")}}}, "# hoopy\nnameserver 1.1.1.1\n"},
		{[]terms{
			{DNS: []netip.Addr{a("1.1.1.1"), a("2.2.2.2")}, Search: []string{"lan", "home"}},
			{DNS: []netip.Addr{a("2.2.2.2"), a("3.3.3.3"), a("4.4.4.4")}, Search: []string{"home", "work", "bad\nname"}},
		}, "# hoopy\nsearch lan home work\nnameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n"},
	} {
		if got := resolvConf(c.leases); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		checkResolv(t, c.want)
	}
}

func TestPublish(t *testing.T) {
	const text = "# hoopy\nnameserver 1.1.1.1\n"
	for _, c := range []struct {
		name  string
		lay   func(etc, file string) error
		ours  bool
		still string
	}{
		{"missing", func(etc, file string) error { return nil }, true, ""},
		{"ours already", func(etc, file string) error { return os.Symlink(file, etc) }, true, ""},
		{"a file of ours", func(etc, file string) error { return os.WriteFile(etc, []byte("# hoopy\nnameserver 9.9.9.9\n"), 0o644) }, true, ""},
		{"a file of ours without an end", func(etc, file string) error { return os.WriteFile(etc, []byte("# hoopy"), 0o644) }, true, ""},
		{"somebody's", func(etc, file string) error { return os.WriteFile(etc, []byte("nameserver 9.9.9.9\n"), 0o644) }, false, "nameserver 9.9.9.9\n"},
		{"nearly ours", func(etc, file string) error { return os.WriteFile(etc, []byte("# hoopy is not me\n"), 0o644) }, false, "# hoopy is not me\n"},
		{"empty", func(etc, file string) error { return os.WriteFile(etc, nil, 0o644) }, false, ""},
		{"a link elsewhere", func(etc, file string) error { return os.Symlink("/run/elsewhere", etc) }, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			etc, file := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "run/hoopy/resolv.conf")
			if err := c.lay(etc, file); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := publish(file, etc, text); err != nil {
					t.Fatal(err)
				}
			}
			to, _ := os.Readlink(etc)
			if (to == file) != c.ours {
				t.Errorf("links to %q, ours: %v", to, c.ours)
			}
			b, err := os.ReadFile(file)
			if err != nil || string(b) != text {
				t.Errorf("%q, %v", b, err)
			}
			if c.still != "" {
				if b, err := os.ReadFile(etc); err != nil || string(b) != c.still {
					t.Errorf("%q, %v", b, err)
				}
			}
			left, err := filepath.Glob(filepath.Join(dir, "*.hoopy"))
			if err != nil || left != nil {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}
