package netcfg

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"os"

	"github.com/google/go-cmp/cmp"
)

func testRecord() record {
	t := testTerms(time.Hour)
	return record{Version: recordVersion, Boot: "b", Iface: "eth0", Index: 2, MAC: mac1.String(),
		Asked: start, Terms: t, On: plan(t, 100)}
}

func TestRecord(t *testing.T) {
	path := recordPath(t.TempDir(), "lan")
	if _, ok, err := loadRecord(path); ok || err != nil {
		t.Errorf("missing: %v, %v", ok, err)
	}
	want := testRecord()
	if err := want.save(path); err != nil {
		t.Fatal(err)
	}
	got, ok, err := loadRecord(path)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if d := cmp.Diff(want, got, sameIP, sameP, inside); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if p := recordPath("/run", "../etc/x"); filepath.Dir(p) != "/run" {
		t.Errorf("a name leads out of the folder: %s", p)
	}
}

func TestBadRecords(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"":                "unexpected end",
		"{":               "unexpected end",
		`{"version":2}`:   "version 2, not 1",
		`{"version":1}`:   "no sound lease",
		`{"version":"1"}`: "a text, not int",
	} {
		path := filepath.Join(dir, "x.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := loadRecord(path); ok || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", text, ok, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	path := recordPath(f.TempDir(), "lan")
	if err := testRecord().save(path); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		c, _ := client{}.step(start, input{op: begin, lease: hold(r.Terms, r.Asked), ok: true})
		if c.phase == rebooting {
			message{ask: c.lease.terms.Addr.Addr()}.bytes(mac1, "")
		}
		checkResolv(t, resolvConf([]terms{r.Terms}))
		broadcastOf(r.Terms.Addr)
	})
}
