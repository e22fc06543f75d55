package schedule

import (
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// TestNextInZones takes days that are no 24 hours. Times are given in UTC where
// the local one is ambiguous.
func TestNextInZones(t *testing.T) {
	for _, c := range []struct{ zone, expr, after, want string }{
		// 2027-03-28 02:00 CET is 03:00 CEST.
		{"Europe/Berlin", "30 2 * * *", "2027-03-28T00:00:00+01:00", "2027-03-28T03:00:00+02:00"},
		{"Europe/Berlin", "30 2 * * *", "2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"},
		{"Europe/Berlin", "*/20 2 * * *", "2027-03-28T03:00:00+02:00", "2027-03-29T02:00:00+02:00"}, // once
		{"Europe/Berlin", "0 2,3 * * *", "2027-03-28T03:00:00+02:00", "2027-03-29T02:00:00+02:00"},
		{"Europe/Berlin", "0 3 * * *", "2027-03-28T00:00:00+01:00", "2027-03-28T03:00:00+02:00"},
		{"Europe/Berlin", "*/15 * * * *", "2027-03-28T01:45:00+01:00", "2027-03-28T03:00:00+02:00"},
		{"Europe/Berlin", "30 * * * *", "2027-03-28T01:45:00+01:00", "2027-03-28T03:30:00+02:00"},
		// 2026-10-25 03:00 CEST is 02:00 CET.
		{"Europe/Berlin", "30 2 * * *", "2026-10-25T00:00:00+02:00", "2026-10-25T02:30:00+02:00"},
		{"Europe/Berlin", "30 2 * * *", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"},
		{"Europe/Berlin", "30 2 * * *", "2026-10-25T02:10:00+01:00", "2026-10-26T02:30:00+01:00"},
		{"Europe/Berlin", "0 3 * * *", "2026-10-25T02:30:00+02:00", "2026-10-25T03:00:00+01:00"},
		{"Europe/Berlin", "30 * * * *", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"},
		{"Europe/Berlin", "*/15 * * * *", "2026-10-25T02:45:00+02:00", "2026-10-25T02:00:00+01:00"},
		// Half an hour: 2026-10-04 02:00 is 02:30, 2027-04-04 02:00 is 01:30.
		{"Australia/Lord_Howe", "10 2 * * *", "2026-10-04T00:00:00+10:30", "2026-10-04T02:30:00+11:00"},
		{"Australia/Lord_Howe", "45 1 * * *", "2027-04-04T01:45:00+11:00", "2027-04-05T01:45:00+10:30"},
		{"Australia/Lord_Howe", "45 * * * *", "2027-04-04T01:45:00+11:00", "2027-04-04T01:45:00+10:30"},
		// Midnight is missing: 2018-11-04 00:00 is 01:00.
		{"America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00:00-03:00", "2018-11-04T01:00:00-02:00"},
		{"America/Sao_Paulo", "5 * 4 * *", "2018-11-03T12:00:00-03:00", "2018-11-04T01:05:00-02:00"},
		// Midnight comes twice: 2018-02-18 00:00 is 2018-02-17 23:00.
		{"America/Sao_Paulo", "30 23 17 * *", "2018-02-17T23:30:00-02:00", "2018-03-17T23:30:00-03:00"},
		{"America/Sao_Paulo", "30 * 17 * *", "2018-02-17T23:30:00-02:00", "2018-02-17T23:30:00-03:00"},
		// A whole day is missing.
		{"Pacific/Apia", "0 12 30 12 *", "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00"},
		{"Pacific/Apia", "0 * 30 12 *", "2011-12-29T12:00:00-10:00", "2012-12-30T00:00:00+14:00"},
		// Offsets with seconds.
		{"Africa/Monrovia", "* * * * *", "1972-01-07T00:42:40Z", "1972-01-07T00:43:30Z"},
		{"Africa/Monrovia", "* * * * *", "1972-01-07T00:43:30Z", "1972-01-07T00:45:00Z"},
	} {
		cron, err := Parse(c.expr)
		if err != nil {
			t.Fatal(err)
		}
		after, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := cron.Next(after.In(zone(t, c.zone)))
		if want, err := time.Parse(time.RFC3339, c.want); err != nil || !ok || !got.Equal(want) {
			t.Errorf("%s %q after %s: %s, want %s", c.zone, c.expr, c.after, got.Format(time.RFC3339), c.want)
		}
	}
}

// scan is Next said in another way: it looks at every second minute of real
// time in turn, and remembers what the clock has shown.
func scan(c Cron, from, to time.Time) (all []time.Time) {
	shown := map[string]bool{}
	matches := func(wall time.Time) bool {
		y, m, d := wall.Date()
		day := date{y, m, d}
		return c.month(day) && c.day(day) && c.hours>>wall.Hour()&1 != 0 && c.minutes>>wall.Minute()&1 != 0
	}
	clock := func(t time.Time) time.Time { // what the wall shows, as if it were UTC
		_, offset := t.Zone()
		return t.UTC().Add(time.Duration(offset) * time.Second)
	}
	before := clock(from)
	for t := from; !t.After(to); t = t.Add(time.Minute) {
		wall, due := clock(t), false
		if c.hours == everyHour {
			due = matches(wall)
		} else {
			for w := before.Add(time.Minute); !w.After(wall); w = w.Add(time.Minute) {
				if key := w.String(); matches(w) && !shown[key] {
					shown[key], due = true, true
				}
			}
		}
		if due && t.After(from) {
			all = append(all, t)
		}
		before = wall
	}
	return all
}

// TestNextAgreesWithScan holds Next to every minute of the weeks around the
// changes of four zones.
func TestNextAgreesWithScan(t *testing.T) {
	for name, changes := range map[string][]string{
		"Europe/Berlin":       {"2026-10-25", "2027-03-28"},
		"Australia/Lord_Howe": {"2026-10-04", "2027-04-04"},
		"America/Sao_Paulo":   {"2018-02-18", "2018-11-04"},
		"Pacific/Apia":        {"2011-12-30", "2012-04-01"},
	} {
		loc := zone(t, name)
		for _, change := range changes {
			at, err := time.Parse("2006-01-02", change)
			if err != nil {
				t.Fatal(err)
			}
			from, to := at.Add(-48*time.Hour).In(loc), at.Add(72*time.Hour).In(loc)
			for _, expr := range []string{"* * * * *", "*/15 * * * *", "30 * * * *", "30 2 * * *", "*/20 1-3 * * *",
				"15,45 0,1,2,23 * * *", "0 0 * * *", "59 23 * * *", "5-10 0-22 * * *", "30 1 * * sun", "0 */2 * * *"} {
				c, err := Parse(expr)
				if err != nil {
					t.Fatal(err)
				}
				next := from
				for _, want := range scan(c, from, to) {
					if next, _ = c.Next(next); !next.Equal(want) {
						t.Errorf("%s %q: %v, the scan says %v", name, expr, next, want)
						break
					}
				}
				if next, _ = c.Next(next); !next.After(to) {
					t.Errorf("%s %q: %v is not in the scan", name, expr, next)
				}
			}
		}
	}
}
