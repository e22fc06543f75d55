package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestAnonymous(t *testing.T) {
	for text, want := range map[string]int{
		"00400000-7ffe4e3f4000 ---p 00000000 00:00 0    [rollup]\nRss:      5128 kB\nPss_Anon:    12 kB\nAnonymous:          1612 kB\nKSM: 0 kB\n": 1612 << 10,
		"Rss: 1 kB\nAnonymous:             0 kB\n": 0,
		"Rss: 1 kB\nAnonymous:             0":      -1,
		"Rss: 1 kB\nAnonymous:   1x kB\n":          -1,
		"Rss: 1 kB\n":                              -1,
		"":                                         -1,
	} {
		if got := readAnonymous([]byte(text)); got != want {
			t.Errorf("readAnonymous(%q) = %d, want %d", text, got, want)
		}
	}
	// Not from the heap: that has pages to spare after other tests, and gives
	// some back at any moment.
	before := anonymous()
	block, err := unix.Mmap(-1, 0, 64<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(block)
	if after := anonymous(); before <= 0 || after < before+32<<20 {
		t.Errorf("%d bytes, then 64 MB more: %d", before, after)
	}
	if n := testing.AllocsPerRun(10, func() { anonymous() }); n > 2 {
		t.Errorf("%v allocations in each look; nobody collects them", n)
	}
}
