package main

import "testing"

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
	before := anonymous()
	block := make([]byte, 4<<20)
	for i := range block {
		block[i] = 1
	}
	after := anonymous()
	if before <= 0 || after < before+3<<20 {
		t.Errorf("%d bytes, then 4 MB more: %d", before, after)
	}
	_ = block[len(block)-1]
	if n := testing.AllocsPerRun(10, func() { anonymous() }); n > 2 {
		t.Errorf("%v allocations in each look; nobody collects them", n)
	}
}
