package main

import (
	"os"
	"strings"
	"testing"

	"hoopy/build/apk"
)

func TestScreen(t *testing.T) {
	var out strings.Builder
	s := &screen{w: &out}
	s.note("a note")
	s.progress(apk.Progress{OfPackages: 2, OfBytes: 4_000_000})
	s.progress(apk.Progress{Packages: 1, OfPackages: 2, Bytes: 1_250_000, OfBytes: 4_000_000})
	s.note("amid")
	s.progress(apk.Progress{Packages: 1, OfPackages: 2, Bytes: 3_000_000, OfBytes: 4_000_000})
	s.progress(apk.Progress{Packages: 2, OfPackages: 2, Bytes: 4_000_000, OfBytes: 4_000_000})
	s.clear()
	const gone = "\r\x1b[K"
	want := "a note\n" +
		"fetching   0 of 2 packages, 0.0 of 4.0 MB" + gone +
		"fetching   1 of 2 packages, 1.2 of 4.0 MB" + gone +
		"amid\n" +
		"fetching   1 of 2 packages, 3.0 of 4.0 MB" + gone
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestOnlyTerminalsGetProgress(t *testing.T) {
	t.Setenv("TERM", "xterm")
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if terminal(&strings.Builder{}) || terminal(null) {
		t.Error("neither is a terminal")
	}
}
