package schedule

import (
	"testing"
	"time"
)

func TestParseMistakes(t *testing.T) {
	for expr, want := range map[string]string{
		"":                "has 0 fields, not 5: minute, hour, day, month, weekday",
		"0 2 * *":         "has 4 fields, not 5: minute, hour, day, month, weekday",
		"0 0 2 * * *":     "has 6 fields, not 5: minute, hour, day, month, weekday",
		"TZ=0":            "has 1 fields, not 5: minute, hour, day, month, weekday",
		"@reboot":         `is for on_boot; write on_boot = "1s"`,
		"@Dayly":          `"@Dayly" is none of @hourly, @daily, @weekly, @monthly, @yearly`,
		"61 * * * *":      "minute 61 is out of range 0-59",
		"0 24 * * *":      "hour 24 is out of range 0-23",
		"0 0 0 * *":       "day 0 is out of range 1-31",
		"0 0 1 13 *":      "month 13 is out of range 1-12",
		"0 0 * * 8":       "weekday 8 is out of range 0-7",
		"0 0 * * sonday":  `weekday "sonday" is no number and none of sun, mon, tue, wed, thu, fri, sat`,
		"0 0 * januar *":  `month "januar" is no number and none of jan, feb, mar, apr, may, jun, jul, aug, sep, oct, nov, dec`,
		"-1 * * * *":      `minute "" is no number`,
		"1- * * * *":      `minute "" is no number`,
		"1,,2 * * * *":    `minute "" is no number`,
		"+1 * * * *":      `minute "+1" is no number`,
		"1-2-3 * * * *":   `minute "2-3" is no number`,
		"99999 * * * *":   `minute "99999" is no number`,
		"*/0 * * * *":     `minute step "0" is out of range 1-59`,
		"*/60 * * * *":    `minute step "60" is out of range 1-59`,
		"*/ * * * *":      `minute step "" is out of range 1-59`,
		"*/5/5 * * * *":   `minute step "5/5" is out of range 1-59`,
		"5/15 * * * *":    `minute "5/15" has a step and no range; write "5-59/15"`,
		"0 22-2 * * *":    `hour range "22-2" goes backwards; write "22-23,0-2"`,
		"0 0 * * sat-mon": `weekday range "sat-mon" goes backwards; write "sat-7,0-mon"`,
		"0 0 ? * mon":     `day "?" is not known here; write *`,
		"0 0 l-3 * *":     `day "l" is no number`,
		"0 0 * * mon#6":   `weekday "mon#6": write #1 to #5, or #L for the last of the month`,
		"0 0 * * #1":      `weekday "" is no number and none of sun, mon, tue, wed, thu, fri, sat`,
		"0 0 30 2 *":      "never comes: no month in it has such a day",
		"0 0 31 4,6,9 *":  "never comes: no month in it has such a day",
	} {
		if _, err := Parse(expr); err == nil || err.Error() != want {
			t.Errorf("Parse(%q) = %v, want %s", expr, err, want)
		}
	}
}

func TestNext(t *testing.T) {
	const layout = "2006-01-02 15:04:05"
	for _, c := range []struct{ expr, after, want string }{
		{"* * * * *", "2026-11-21 03:17:10", "2026-11-21 03:18:00"},
		{"*/15 * * * *", "2026-11-21 03:15:00", "2026-11-21 03:30:00"},
		{"50-59/4 * * * *", "2026-11-21 03:55:00", "2026-11-21 03:58:00"},
		{"0 2 * * *", "2026-11-21 02:00:00", "2026-11-22 02:00:00"},
		{"0 2 * * *", "2026-11-21 01:59:59", "2026-11-21 02:00:00"},
		{"0 3 * * 6", "2026-11-21 03:17:10", "2026-11-28 03:00:00"},
		{"0 5 1 * *", "2026-12-15 00:00:00", "2027-01-01 05:00:00"},
		{"0 0 * * 7", "2026-11-21 00:00:00", "2026-11-22 00:00:00"},
		{"0 0 * * Fri-Sun", "2026-11-21 00:00:00", "2026-11-22 00:00:00"},
		{"0 0 * * sun-mon", "2026-11-22 00:00:00", "2026-11-23 00:00:00"},
		{"0 0 * * */2", "2026-11-21 00:00:00", "2026-11-22 00:00:00"},
		{"0 0 13 * 5", "2026-11-07 00:00:00", "2026-11-13 00:00:00"}, // day or weekday …
		{"0 0 13 * 5", "2026-11-13 00:00:00", "2026-11-20 00:00:00"},
		{"0 0 */2 * 5", "2026-11-19 00:00:00", "2026-11-20 00:00:00"}, // … as in busybox
		{"0 0 1-31 * 5", "2026-11-21 00:00:00", "2026-11-27 00:00:00"},
		{"0 0 L * *", "2028-02-01 00:00:00", "2028-02-29 00:00:00"},
		{"0 0 L * *", "2100-02-01 00:00:00", "2100-02-28 00:00:00"},
		{"0 0 29 2 *", "2096-03-01 00:00:00", "2104-02-29 00:00:00"},
		{"0 0 * feb sun#5", "2088-03-01 00:00:00", "2128-02-29 00:00:00"},
		{"0 2 * * sun#1", "2026-11-21 00:00:00", "2026-12-06 02:00:00"},
		{"0 2 * * sun#L", "2026-11-21 00:00:00", "2026-11-29 02:00:00"},
		{"0 2 * * 0#L,mon#1", "2026-11-30 00:00:00", "2026-12-07 02:00:00"},
		{"@hourly", "2026-11-21 03:17:10", "2026-11-21 04:00:00"},
		{"@daily", "2026-12-31 03:17:10", "2027-01-01 00:00:00"},
		{"@weekly", "2026-11-21 03:17:10", "2026-11-22 00:00:00"},
		{"@monthly", "2026-11-21 03:17:10", "2026-12-01 00:00:00"},
		{"@yearly", "2026-11-21 03:17:10", "2027-01-01 00:00:00"},
	} {
		cron, err := Parse(c.expr)
		if err != nil {
			t.Errorf("%q: %v", c.expr, err)
			continue
		}
		after, err := time.Parse(layout, c.after)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := cron.Next(after); !ok || got.Format(layout) != c.want {
			t.Errorf("%q after %s: %s %t, want %s", c.expr, c.after, got.Format(layout), ok, c.want)
		}
	}
	var never Cron
	if got, ok := never.Next(time.Unix(0, 0)); ok {
		t.Errorf("the zero Cron comes at %v", got)
	}
	feb30 := Cron{minutes: 1, hours: 1, days: 1 << 30, months: 1 << 2}
	for i := range feb30.weekdays {
		feb30.weekdays[i] = everyWeek
	}
	if got, ok := feb30.Next(time.Unix(0, 0)); ok {
		t.Errorf("the 30th of February comes at %v", got)
	}
	feb30.hours = everyHour
	if got, ok := feb30.Next(time.Unix(0, 0)); ok {
		t.Errorf("each hour of the 30th of February comes at %v", got)
	}
}

func TestWords(t *testing.T) {
	now := time.Date(2026, 11, 21, 13, 17, 10, 0, time.UTC) // a Saturday
	for _, c := range []struct {
		in   time.Duration
		want string
	}{
		{-time.Hour, "next now"},
		{0, "next now"},
		{1500 * time.Millisecond, "next in 2 s"},
		{12 * time.Minute, "next in 12 min"},
		{time.Hour + 13*time.Minute, "next today 14:30"},
		{13 * time.Hour, "next tomorrow 02:17"},
		{24*time.Hour + 13*time.Hour, "next Monday 02:17"},
		{7 * 24 * time.Hour, "next 28 Nov 13:17"},
		{50 * 24 * time.Hour, "next 10 Jan 2027 13:17"},
	} {
		if got := Words(now.Add(c.in), now); got != c.want {
			t.Errorf("in %v: %q, want %q", c.in, got, c.want)
		}
	}
	if got := Words(time.Time{}, now); got != "" {
		t.Errorf("never: %q", got)
	}
	for d, want := range map[time.Duration]string{15 * time.Minute: "15m", time.Hour: "1h", 90 * time.Minute: "1h30m",
		10 * time.Second: "10s", 10 * time.Hour: "10h", 65 * time.Second: "1m5s", 20 * time.Minute: "20m"} {
		if got := short(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
