package schedule

import (
	"strconv"
	"strings"
	"time"
)

// Words says when next is, for people: "next in 12 min", "next today 14:30",
// "next Sunday 02:00", "next 3 Dec 02:00". It is empty for a zero time. Both are
// shown in now's time zone.
func Words(next, now time.Time) string {
	if next.IsZero() {
		return ""
	}
	switch left := next.Sub(now); {
	case left <= 0:
		return "next now"
	case left < time.Minute:
		return "next in " + strconv.Itoa(int((left+time.Second-1)/time.Second)) + " s"
	case left < time.Hour:
		return "next in " + strconv.Itoa(int((left+time.Minute/2)/time.Minute)) + " min"
	}
	return "next " + moment(next, now)
}

// moment names a moment by its day: relative to now within six days either way,
// by date beyond.
func moment(t, now time.Time) string {
	t = t.In(now.Location())
	clock := t.Format("15:04")
	switch days := dayNumber(t) - dayNumber(now); {
	case days == 0:
		return "today " + clock
	case days == 1:
		return "tomorrow " + clock
	case days == -1:
		return "yesterday " + clock
	case -7 < days && days < 7:
		return t.Weekday().String() + " " + clock
	case t.Year() == now.Year():
		return t.Format("2 Jan 15:04")
	default:
		return t.Format("2 Jan 2006 15:04")
	}
}

// dayNumber counts the days of the calendar, whichever hours they have.
func dayNumber(t time.Time) int64 {
	_, offset := t.Zone()
	s := t.Unix() + int64(offset)
	days := s / 86400
	if s%86400 < 0 {
		days--
	}
	return days
}

// short is a duration without the parts that are zero: "15m", not "15m0s".
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
