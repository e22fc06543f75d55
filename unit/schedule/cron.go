package schedule

import (
	"math/bits"
	"time"
)

// Cron is a parsed cron expression. Its zero value never comes.
//
// A day counts if its month does and, where both fields say something, its day
// of the month or its day of the week, as crontab(5) has it; a field that lets
// every value through says nothing, however it is written (as in busybox).
type Cron struct {
	minutes uint64 // bits 0 to 59
	hours   uint32 // bits 0 to 23
	days    uint32 // bits 1 to 31, and lastDay
	months  uint16 // bits 1 to 12
	// weekdays has for each day from Sunday the weeks of the month in which it
	// counts: bits 1 to 5, and lastWeek.
	weekdays [7]uint8
}

const (
	lastDay   = 1 << 0 // "L" among days
	lastWeek  = 1 << 6 // "sun#L" among weekdays
	everyWeek = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5

	everyHour = 1<<24 - 1
	everyDay  = 1<<32 - 2
)

// searchYears bounds the search for the next time: a fifth Sunday in February
// comes every 28 years, and once in 40 where a leap year is left out.
const searchYears = 41

// Next is the first time after after, to the minute, in after's time zone; false
// if there is none in 41 years.
//
// Where the clock is put forward, what falls into the part that does not exist
// comes once, at the moment of the change; where it is put back, what falls into
// the part that exists twice comes at the first of the two. An expression whose
// hour is * goes by real time instead: "*/15 * * * *" comes every 15 minutes on
// those days too. Both as cron(8) has it.
func (c Cron) Next(after time.Time) (time.Time, bool) {
	if c.hours == everyHour {
		return c.nextReal(after)
	}
	year, month, day := after.Date()
	first := uint(after.Hour()) // earlier hours of the day have been, in whichever order
	for d := (date{year, month, day}); d.year <= year+searchYears; d = d.next(c.month(d)) {
		if c.month(d) && c.day(d) {
			for hours := c.hours >> first << first; hours != 0; hours &= hours - 1 {
				for minutes := c.minutes; minutes != 0; minutes &= minutes - 1 {
					t := d.at(bits.TrailingZeros32(hours), bits.TrailingZeros64(minutes), after.Location())
					if t.After(after) {
						return t, true
					}
				}
			}
		}
		first = 0
	}
	return time.Time{}, false
}

// nextReal is Next where every hour counts: it walks real minutes.
func (c Cron) nextReal(after time.Time) (time.Time, bool) {
	t := wholeMinute(after)
	for last := after.Year() + searchYears; t.Year() <= last; {
		year, month, day := t.Date()
		d := date{year, month, day}
		if !c.month(d) || !c.day(d) {
			next := d.next(c.month(d)).at(0, 0, t.Location())
			if !next.After(t) { // that midnight comes twice
				next = wholeMinute(t)
			}
			t = next
			continue
		}
		if c.minutes>>t.Minute()&1 != 0 && t.Second() == 0 {
			return t, true
		}
		t = wholeMinute(t)
	}
	return time.Time{}, false
}

// wholeMinute is the first whole minute after t. Offsets of old have seconds, so
// it goes by the clock's own.
func wholeMinute(t time.Time) time.Time {
	return t.Add(time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
}

func (c Cron) month(d date) bool { return c.months>>d.month&1 != 0 }

// day says whether the day counts, its month apart.
func (c Cron) day(d date) bool {
	day := uint(d.day)
	fromEnd := d.days() - d.day
	inMonth := c.days>>day&1 != 0 || c.days&lastDay != 0 && fromEnd == 0
	weeks := c.weekdays[d.weekday()]
	inWeek := weeks>>((day-1)/7+1)&1 != 0 || weeks&lastWeek != 0 && fromEnd < 7
	switch {
	case c.anyDay():
		return inWeek
	case c.anyWeekday():
		return inMonth
	default:
		return inMonth || inWeek
	}
}

func (c Cron) anyDay() bool { return c.days&everyDay == everyDay }

func (c Cron) anyWeekday() bool {
	for _, weeks := range c.weekdays {
		if weeks&everyWeek != everyWeek {
			return false
		}
	}
	return true
}

// date is a day of the calendar; zones are no part of it.
type date struct {
	year  int
	month time.Month
	day   int
}

func (d date) days() int { return time.Date(d.year, d.month+1, 0, 0, 0, 0, 0, time.UTC).Day() }

func (d date) weekday() time.Weekday {
	return time.Date(d.year, d.month, d.day, 0, 0, 0, 0, time.UTC).Weekday()
}

// next is the day after, or the first of the month after.
func (d date) next(sameMonth bool) date {
	if d.day++; !sameMonth || d.day > d.days() {
		d.day = 1
		if d.month++; d.month > time.December {
			d.year, d.month = d.year+1, time.January
		}
	}
	return d
}

// at is the moment when the clocks of a zone show hour and minute that day: the
// first if they do so twice, the end of the gap if they leave it out.
func (d date) at(hour, minute int, zone *time.Location) time.Time {
	t := time.Date(d.year, d.month, d.day, hour, minute, 0, 0, zone)
	start, end := t.ZoneBounds()
	_, offset := t.Zone()
	want := time.Date(d.year, d.month, d.day, hour, minute, 0, 0, time.UTC).Unix()
	switch got := t.Unix() + int64(offset); {
	case got > want && !start.IsZero():
		return start
	case got < want && !end.IsZero():
		return end
	}
	if !start.IsZero() {
		_, before := start.Add(-1).Zone()
		if first := time.Unix(want-int64(before), 0); first.Before(start) {
			return first.In(zone)
		}
	}
	return t
}
