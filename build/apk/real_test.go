package apk

import (
	"testing"
)

func TestRealPackages(t *testing.T) {
	r := alpineRepos(t, "main")[0]
	if len(r.Packages) < 100 {
		t.Fatalf("%d packages, want 100 or more", len(r.Packages))
	}
	c := openCache(t)
	entries := 0
	for _, p := range r.Packages {
		a, err := c.Fetch(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		entries += len(a.Entries)
	}
	if entries < 2000 {
		t.Errorf("%d entries in all packages, want 2000 or more", entries)
	}
	t.Logf("%d packages, %d entries, index by %s: %s", len(r.Packages), entries, r.Key, r.Description)
}

func TestRealIndexes(t *testing.T) {
	for _, r := range alpineRepos(t, "full/main", "full/community") {
		if len(r.Packages) < 5000 {
			t.Errorf("%s: %d packages, want 5000 or more", r.Location, len(r.Packages))
		}
		bad := 0
		for _, p := range r.Packages {
			if !ValidVersion(p.Version) {
				bad++
				t.Logf("invalid version: %s", p.ID())
			}
		}
		t.Logf("%s: %d packages, %d with versions that apk calls invalid", r.Location, len(r.Packages), bad)
	}
}
