package schedule

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	cron "github.com/netresearch/go-cron"
)

// oracle is the library that we would use if it were lighter.
var oracle = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor |
	cron.DowNth | cron.DowLast | cron.DomL | cron.DowOrDom)

// randomField writes a field that Parse takes.
func randomField(r *rand.Rand, f field) string {
	if r.IntN(3) == 0 {
		return "*"
	}
	most := f.most
	if f.words != nil && f.least == 0 {
		most = 6 // the oracle steps over Sunday twice
	}
	number := func(from int) int { return from + r.IntN(most-from+1) }
	word := func(n int) string {
		if f.words != nil && r.IntN(2) == 0 && n-f.least < len(f.words) {
			return f.words[n-f.least]
		}
		return strconv.Itoa(n)
	}
	var items []string
	for range 1 + r.IntN(3) {
		low := number(f.least)
		high := number(low)
		step := "/" + strconv.Itoa(1+r.IntN(max(1, high-low))) // the oracle takes no step as large as the range
		switch r.IntN(6) {
		case 0:
			items = append(items, "*"+step)
		case 1:
			items = append(items, word(low)+"-"+word(high)+step)
		case 2:
			items = append(items, word(low)+"-"+word(high))
		case 3:
			switch f.name {
			case "day":
				items = append(items, "L")
				continue
			case "weekday":
				items = append(items, word(low)+"#"+[]string{"1", "2", "3", "4", "5", "L"}[r.IntN(6)])
				continue
			}
			fallthrough
		default:
			items = append(items, word(low))
		}
	}
	return strings.Join(items, ",")
}

// TestNextAgreesWithLibrary draws expressions and moments. Where the two mean
// different things on purpose, a draw is passed over: a day field that lets all
// days through without being a star, and times beyond the five years that the
// library looks ahead.
func TestNextAgreesWithLibrary(t *testing.T) {
	compared := 0
	for seed := range uint64(20_000) {
		r := rand.New(rand.NewPCG(seed, 4))
		var texts []string
		for _, f := range fields {
			texts = append(texts, randomField(r, f))
		}
		expr := strings.Join(texts, " ")
		ours, err := Parse(expr)
		if err != nil {
			if strings.HasPrefix(err.Error(), "never comes") {
				continue
			}
			t.Fatalf("%q: %v", expr, err)
		}
		theirs, err := oracle.Parse(expr)
		if err != nil {
			t.Fatalf("%q: the library says %v", expr, err)
		}
		if ours.anyDay() != (texts[day] == "*") || ours.anyWeekday() != (texts[weekday] == "*") {
			continue
		}
		now := time.Unix(r.Int64N(4_000_000_000), 0).UTC()
		for range 5 {
			want := theirs.Next(now)
			if want.IsZero() {
				break
			}
			got, ok := ours.Next(now)
			if !ok || !got.Equal(want) {
				t.Fatalf("%q after %v: %v %t, the library says %v", expr, now, got, ok, want)
			}
			compared++
			now = got
		}
	}
	if compared < 50_000 {
		t.Errorf("only %d times were compared", compared)
	}
}

// FuzzParse: no expression and no moment may panic, take long, or give a time
// that is not after the moment; in UTC each time is one that the fields let
// through.
func FuzzParse(f *testing.F) {
	for _, expr := range []string{"*/15 * * * *", "0 2 * * sun#1", "0 0 L feb *", "@weekly", "@reboot", "TZ=0", "CRON_TZ=X 0 0 * * *",
		"0 0 29 2 *", "1-5,7,*/3 22-2 ? jan-mar fri-sun", "5/15 * * * *", "0 0 * * 1#L,7#5", "\x00 0 * * *"} {
		f.Add(expr, int64(1_774_000_000))
		f.Add(expr, int64(-9_000_000_000))
	}
	berlin := zone(f, "Europe/Berlin")
	f.Fuzz(func(t *testing.T, expr string, unix int64) {
		c, err := Parse(expr)
		if err != nil {
			if c != (Cron{}) {
				t.Errorf("%q: an error and a value", expr)
			}
			return
		}
		for _, loc := range []*time.Location{time.UTC, berlin} {
			now := time.Unix(unix%9_000_000_000, unix%1_000_000_000).In(loc)
			for range 3 {
				next, ok := c.Next(now)
				if !ok {
					t.Fatalf("%q after %v: never", expr, now)
				}
				if !next.After(now) || next.Nanosecond() != 0 {
					t.Fatalf("%q after %v: %v", expr, now, next)
				}
				y, m, d := next.Date()
				on := date{y, m, d}
				if loc == time.UTC && !(c.month(on) && c.day(on) && c.hours>>next.Hour()&1 != 0 && c.minutes>>next.Minute()&1 != 0) {
					t.Fatalf("%q after %v: %v is none of its times", expr, now, next)
				}
				now = next
			}
		}
	})
}

func BenchmarkNext(b *testing.B) {
	now := time.Date(2026, 11, 21, 3, 17, 10, 0, zone(b, "Europe/Berlin"))
	for _, expr := range []string{"*/15 * * * *", "0 2 * * *", "0 5 1 1 *", "0 0 29 2 *"} {
		c, err := Parse(expr)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(expr, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				c.Next(now)
			}
		})
	}
}
