package ring

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hoopy/unit"
)

func TestPost(t *testing.T) {
	r, memfd, rd, wr := pipes(t, Size)
	feed(t, r, rd, wr, "a\nhal")
	post := func(text string) {
		t.Helper()
		if err := r.Post([]byte(text), 4, 10, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	post("one")
	post(strings.Repeat("x", LineMax+1))
	feed(t, r, rd, wr, "f")
	post("two")
	long := strings.Repeat("x", LineMax)
	under := []string{"1 a", "2 one", "3 " + long, "4 two", "5 half…"}
	if d := cmp.Diff(under, texts(r.Lines(9))); d != "" {
		t.Error(d)
	}
	r = reopen(t, memfd, 2)
	if d := cmp.Diff(under, texts(r.Lines(9))); d != "" {
		t.Error("taken over: " + d)
	}
	if d := cmp.Diff(under[3:], texts(r.Lines(2))); d != "" {
		t.Error("the last two: " + d)
	}
	c := r.Oldest()
	var got []string
	drain := func() {
		for l, ok := c.Next(); ok; l, ok = c.Next() {
			got = append(got, texts([]Line{l})...)
			if want := int8(4); (l.Severity == want) == strings.ContainsAny(l.Text, "ah") || (l.Facility == 10) != (l.Severity == want) {
				t.Errorf("%d.%d of %.9q", l.Facility, l.Severity, l.Text)
			}
		}
	}
	drain()
	feed(t, r, rd, wr, " and half\nha")
	drain()
	r.End()
	drain()
	if d := cmp.Diff([]string{"1 a", "2 one", "3 " + long, "4 two", "5 half and half", "6 ha"}, got); d != "" {
		t.Error(d)
	}
	later := reopen(t, memfd, 3)
	if err := r.Post(nil, 1, 1, nil, nil); err != ErrFenced {
		t.Error(err)
	}
	if err := later.Post(nil, 1, 1, func(stamp uint64) {
		if !later.mu.TryLock() {
			return
		}
		t.Error("others may write between begin and done")
	}, nil); err != nil {
		t.Error(err)
	}
}

// TestPlan: whoever died between the beginning of a post and its end is told
// which it was.
func TestPlan(t *testing.T) {
	r, memfd, _, _ := pipes(t, Size)
	var stamp uint64
	inRing := 0
	r.testOnlyStep = func() {
		if stamp == 0 {
			return
		}
		now, err := view(picture(r.mem), 2)
		if err != nil {
			t.Fatal(err)
		}
		if there := len(now.Lines(9)) == 1; there != now.Posted(stamp) {
			t.Fatalf("there %v, posted %v", there, now.Posted(stamp))
		} else if there {
			inRing++
		}
	}
	if err := r.Post([]byte("a"), 1, 0, func(s uint64) { stamp = s }, func() { stamp = 0 }); err != nil {
		t.Fatal(err)
	}
	if inRing != 1 {
		t.Errorf("%d steps after the line was there", inRing)
	}
	if reopen(t, memfd, 2).Posted(1) {
		t.Error("a line of another stamp")
	}
}

func TestCursorLoses(t *testing.T) {
	r, _, rd, wr := pipes(t, sizeMin)
	slow, seen, lost := r.After(0), uint64(0), uint64(0)
	rnd := rand.New(rand.NewPCG(5, 6))
	for n := range 30000 {
		text := fmt.Sprintf("line %d\n", n+1)
		if k := rnd.IntN(len(text)); n%3 == 0 { // in two pieces, with a post between them
			feed(t, r, rd, wr, text[:k])
			feed(t, r, rd, wr, text[k:])
		} else {
			feed(t, r, rd, wr, text)
		}
		for n%10000 < 3000 && rnd.IntN(4) > 0 {
			l, ok := slow.Next()
			if !ok {
				break
			}
			seen, lost = seen+1, lost+l.Lost
			if want := fmt.Sprintf("line %d", l.Seq); l.Seq != seen+lost || l.Text != want && (l.Lost == 0 || !strings.HasSuffix(want, l.Text)) {
				t.Fatalf("%d seen, %d lost, then %+v", seen, lost, l)
			}
		}
	}
	if lost == 0 {
		t.Error("it lost nothing: no test")
	}
	t.Logf("%d seen, %d lost", seen, lost)
}

// TestMerge holds Merge against sorting.
func TestMerge(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	var rings []*Ring
	for range 5 {
		r, _, _, _ := pipes(t, Size)
		rings = append(rings, r)
	}
	merge := func(open bool) *Merge {
		m := new(Merge)
		for i, r := range rings {
			c := r.Oldest()
			c.Open = open
			m.Add(fmt.Sprint(i), c)
		}
		return m
	}
	type line struct {
		name string
		Line
	}
	drain := func(m *Merge) (lines []line) {
		m.Poll()
		for name, l, ok := m.Next(); ok; name, l, ok = m.Next() {
			lines = append(lines, line{name, l})
		}
		return lines
	}
	if m := merge(true); len(drain(m)) != 0 {
		t.Error("empty rings have lines")
	}
	stamp := uint64(1000)
	for i := range 3000 {
		r := rings[rnd.IntN(4)] // one stays empty
		if rnd.IntN(3) > 0 {
			stamp += uint64(rnd.IntN(1 << rnd.IntN(40)))
		}
		r.mu.Lock()
		n := copy(r.stage, fmt.Sprintf("%d\n", i))
		if err := r.take(0, n, stamp); err != nil {
			t.Fatal(err)
		}
		r.mu.Unlock()
	}
	rings[2].mu.Lock()
	rings[2].take(0, copy(rings[2].stage, "open"), stamp+1)
	rings[2].mu.Unlock()
	all := drain(merge(true))
	if len(all) != 3001 || !slices.IsSortedFunc(all, func(a, b line) int {
		if a.Stamp != b.Stamp {
			return int(min(max(int64(a.Stamp)-int64(b.Stamp), -1), 1))
		}
		return strings.Compare(a.name, b.name)
	}) {
		t.Fatalf("%d lines, or in disorder", len(all))
	}
	if last := all[3000]; !last.Open || last.Text != "open" {
		t.Errorf("last %+v", last)
	}
	if n := len(drain(merge(false))); n != 3000 {
		t.Errorf("%d finished lines", n)
	}
	for _, n := range []int{0, 1, 2, 10, 63, 64, 65, 100, 1000, 2999, 3000, 3001, 3002, 1 << 40} {
		m := merge(true)
		m.Last(n)
		if d := cmp.Diff(all[max(0, 3001-n):], append([]line{}, drain(m)...), cmp.AllowUnexported(line{})); d != "" {
			t.Errorf("the last %d: %s", n, d)
		}
	}
	for range 50 {
		since := unit.Time(rnd.Uint64N(stamp + 10))
		m := merge(true)
		m.Seek(since)
		want := all[slices.IndexFunc(append(all, line{Line: Line{Stamp: 1 << 62}}), func(l line) bool { return l.Stamp >= since }):]
		if got := drain(m); len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
			t.Errorf("since %d: %d lines, not %d", since, len(got), len(want))
		}
		m = merge(true)
		m.Seek(since)
		m.Last(17)
		if got := drain(m); !slices.Equal(got, want[max(0, len(want)-17):]) {
			t.Errorf("the last 17 since %d: %d lines of %d", since, len(got), len(want))
		}
	}
	// What comes later is merged with what comes with it.
	m := merge(false)
	drain(m)
	rings[4].Note("b")
	rings[0].Note("c")
	if got := drain(m); len(got) != 2 || got[0].Text != "b" || got[1].Text != "c" {
		t.Errorf("%+v", got)
	}
}

// TestOldest: who begins to read a full ring has time until the first line that
// it gives is dropped.
func TestOldest(t *testing.T) {
	r, _, rd, wr := pipes(t, Size)
	if _, ok := r.Oldest().Next(); ok {
		t.Error("an empty ring has a line")
	}
	feed(t, r, rd, wr, "first\n")
	if l, ok := r.Oldest().Next(); !ok || l.Text != "first" {
		t.Errorf("%+v", l)
	}
	for r.Lost() < 100 {
		feed(t, r, rd, wr, "another line that goes into the ring\n")
	}
	c := r.Oldest()
	feed(t, r, rd, wr, strings.Repeat("another line that goes into the ring\n", 100))
	n := 0
	for l, ok := c.Next(); ok; l, ok = c.Next() {
		if n++; l.Lost != 0 {
			t.Fatalf("line %d: %d lost", n, l.Lost)
		}
	}
	if all := len(r.Lines(1 << 20)); n < all*14/16 || n > all {
		t.Errorf("%d lines of %d", n, all)
	}
	feed(t, r, rd, wr, "the beginning of a line")
	if l, ok := r.Oldest().Next(); !ok || l.Lost != 0 {
		t.Errorf("%+v", l)
	}
}
