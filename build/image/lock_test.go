package image

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hoopy/build/apk"
)

// moveOn makes the repository have base 2 in place of base 1.
func moveOn(t *testing.T, o Options) {
	t.Helper()
	src := filepath.Join(o.Dir, "src")
	old := filepath.Join(o.Dir, "alpine/edge/main/x86_64/base-1-r0.apk")
	if err := errors.Join(os.Rename(filepath.Join(src, "base-1-r0"), filepath.Join(src, "base-2-r0")), os.Remove(old)); err != nil {
		t.Fatal(err)
	}
	repository(t, o)
}

// forget makes the next build install its packages again.
func forget(t *testing.T, o Options, parts ...string) {
	t.Helper()
	for _, part := range append(parts, "base") {
		if err := os.RemoveAll(filepath.Join(o.Cache, part)); err != nil {
			t.Fatal(err)
		}
	}
}

// A locked package that the repository lists no more comes from the cache, with
// the network and without.
func TestLockedPackageThatTheIndexLost(t *testing.T) {
	o, notes := smallest(t)
	server := alpine(t, o)
	first := build(t, o)
	lock := read(t, filepath.Join(o.Dir, lockName))
	moveOn(t, o)
	*notes = nil
	o.Progress = func(p apk.Progress) { t.Errorf("something is downloaded: %+v", p) }
	same := func(how string) {
		t.Helper()
		forget(t, o)
		if again := build(t, o); again.ID != first.ID || !strings.Contains(again.Report, "2 from Alpine edge (main)") {
			t.Errorf("%s: was %s, is now\n%s", how, first.ID, again.Report)
		}
		if len(*notes) != 0 || read(t, filepath.Join(o.Dir, lockName)) != lock {
			t.Errorf("%s: notes %q, lock\n%s", how, *notes, read(t, filepath.Join(o.Dir, lockName)))
		}
	}
	same("online")
	if lines, err := Why(t.Context(), o, "base"); err != nil || len(lines) != 1 {
		t.Errorf("%q, %v", lines, err)
	}

	// Its index was kept for one mirror; today another answers.
	other := httptest.NewServer(http.FileServer(http.Dir(o.Dir)))
	defer other.Close()
	file := filepath.Join(o.Dir, "image.toml")
	write(t, file, strings.Replace(read(t, file), `mirrors = ["`, `mirrors = ["`+other.URL+`/alpine", "`, 1))
	same("by another mirror")

	server.Close()
	other.Close()
	same("offline")
}

// Without its file no older index helps.
func TestLockedPackageThatIsGone(t *testing.T) {
	o, _ := smallest(t)
	alpine(t, o)
	build(t, o)
	moveOn(t, o)
	forget(t, o, "apk/package")
	_, err := Build(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "package base-1-r0: ") || !strings.Contains(err.Error(), "build update chooses anew") {
		t.Error(err)
	}
	forget(t, o, "apk")
	_, err = Build(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "package base-1-r0: packages.lock names it, but main has no such package any more") {
		t.Error(err)
	}
}

func TestProgressOfADownload(t *testing.T) {
	o, _ := smallest(t)
	alpine(t, o)
	var all []apk.Progress
	o.Progress = func(p apk.Progress) { all = append(all, p) }
	build(t, o)
	if len(all) < 2 || all[0].Packages != 0 || all[len(all)-1].Packages != 2 || all[0].OfBytes == 0 {
		t.Errorf("%+v", all)
	}
}
