package keeper

import (
	"os"
	"testing"
)

func TestStartTime(t *testing.T) {
	tail := "S 1 2 3 0 -1 4194560 5 6 7 8 9 10 11 12 20 0 1 0 987654 1 2 3"
	for _, c := range []struct {
		stat string
		want uint64
	}{
		{"12 (init) " + tail, 987654},
		{"12 (a (b) c) d) " + tail, 987654},
		{"", 0},
		{"12 (x) S 1", 0},
		{"12 (x) S 1 2 3 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 9x 1", 0},
	} {
		if got := startTime([]byte(c.stat)); got != c.want {
			t.Errorf("%q: %d, want %d", c.stat, got, c.want)
		}
	}
	self, err := os.ReadFile("/proc/self/stat")
	if err != nil || startTime(self) == 0 {
		t.Errorf("own start time: %d, %v", startTime(self), err)
	}
}

func TestCmdline(t *testing.T) {
	for text, want := range map[string]cmdline{
		"": {},
		"console=ttyS0 quiet hoopy.rescue hoopy.log=debug\n":     {rescue: true, debug: true, quiet: true},
		"quiet=1 nohoopy.rescue hoopy.rescue=1 hoopy.log=debugx": {},
		"x=quiet hoopy.log=info":                                 {},
		"panic=10 -- quiet":                                      {},
	} {
		if got := parseCmdline([]byte(text)); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}
