package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestSilence: what is typed is not shown meanwhile, and is again afterwards.
func TestSilence(t *testing.T) {
	_, slave := terminal(t)
	shows := func() bool {
		s, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return s.Lflag&unix.ECHO != 0
	}
	before := shows()
	loud, err := silence(slave)
	if err != nil || !before || shows() {
		t.Fatalf("it shows what is typed: %v", err)
	}
	loud()
	if !shows() {
		t.Error("it stays silent")
	}
}
