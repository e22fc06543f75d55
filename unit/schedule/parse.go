package schedule

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// field is one of the five: its name in mistakes, its bounds, and the words that
// stand for its numbers from least on.
type field struct {
	name        string
	least, most int
	words       []string
}

var fields = [5]field{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"weekday", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

const (
	minute = iota
	hour
	day
	month
	weekday
)

// shorthands of crontab(5). @annually and @midnight are second names.
var shorthands = [...]struct{ word, expr string }{
	{"@hourly", "0 * * * *"},
	{"@daily", "0 0 * * *"},
	{"@midnight", "0 0 * * *"},
	{"@weekly", "0 0 * * 0"},
	{"@monthly", "0 0 1 * *"},
	{"@yearly", "0 0 1 1 *"},
	{"@annually", "0 0 1 1 *"},
}

// Parse reads a cron expression: minute, hour, day of the month, month and day
// of the week (0 and 7 are Sunday), each a list of values, ranges (a-b) and *,
// the latter two with a step (*/15). Months and weekdays have names of three
// letters. Besides, L is the last day of a month, sun#2 its second Sunday and
// sun#L its last; and @hourly, @daily, @weekly, @monthly and @yearly.
//
// An error says what is wrong and, where that is known, what would be right; it
// does not repeat the expression. What could never come ("0 0 30 2 *") is an
// error.
func Parse(expr string) (c Cron, err error) {
	texts := strings.Fields(expr)
	if len(texts) == 1 && texts[0][0] == '@' {
		if expr, err = shorthand(texts[0]); err != nil {
			return Cron{}, err
		}
		texts = strings.Fields(expr)
	}
	if len(texts) != len(fields) {
		return Cron{}, errors.New("has " + strconv.Itoa(len(texts)) + " fields, not 5: minute, hour, day, month, weekday")
	}
	for i, text := range texts {
		for item := range strings.SplitSeq(text, ",") {
			if err := c.add(i, item); err != nil {
				return Cron{}, err
			}
		}
	}
	if err := c.possible(); err != nil {
		return Cron{}, err
	}
	return c, nil
}

func shorthand(word string) (string, error) {
	for _, s := range shorthands {
		if strings.EqualFold(s.word, word) {
			return s.expr, nil
		}
	}
	if strings.EqualFold(word, "@reboot") {
		return "", errors.New(`is for on_boot; write on_boot = "1s"`)
	}
	return "", errors.New(strconv.Quote(word) + " is none of @hourly, @daily, @weekly, @monthly, @yearly")
}

// add takes one item of a list into field i.
func (c *Cron) add(i int, item string) error {
	f := fields[i]
	if i == day && strings.EqualFold(item, "L") {
		c.days |= lastDay
		return nil
	}
	weeks := uint8(everyWeek)
	if name, week, nth := strings.Cut(item, "#"); nth && i == weekday {
		switch n := strings.ToLower(week); {
		case n == "l":
			weeks = lastWeek
		case len(n) == 1 && '1' <= n[0] && n[0] <= '5':
			weeks = 1 << (n[0] - '0')
		default:
			return errors.New("weekday " + strconv.Quote(item) + ": write #1 to #5, or #L for the last of the month")
		}
		v, err := f.number(name)
		if err != nil {
			return err
		}
		c.weekdays[v%7] |= weeks
		return nil
	}
	from, to, step, err := f.bounds(item)
	if err != nil {
		return err
	}
	for v := from; v <= to; v += step {
		switch i {
		case minute:
			c.minutes |= 1 << v
		case hour:
			c.hours |= 1 << v
		case day:
			c.days |= 1 << v
		case month:
			c.months |= 1 << v
		case weekday:
			c.weekdays[v%7] |= weeks
		}
	}
	return nil
}

// bounds reads a value, a range or a star, with the step behind it.
func (f field) bounds(item string) (from, to, step int, err error) {
	span, by, stepped := strings.Cut(item, "/")
	step = 1
	if stepped {
		n, ok := digits(by)
		if !ok || n < 1 || n > f.most {
			return 0, 0, 0, errors.New(f.name + " step " + strconv.Quote(by) + " is out of range 1-" + strconv.Itoa(f.most))
		}
		step = n
	}
	low, high, ranged := strings.Cut(span, "-")
	switch {
	case span == "*":
		from, to = f.least, f.most
		if f.name == fields[weekday].name {
			to = 6 // Sunday only once, for the steps
		}
		return from, to, step, nil
	case span == "?":
		return 0, 0, 0, errors.New(f.name + ` "?" is not known here; write *`)
	}
	if from, err = f.number(low); err != nil {
		return 0, 0, 0, err
	}
	if !ranged {
		if stepped {
			return 0, 0, 0, errors.New(f.name + " " + strconv.Quote(item) + " has a step and no range; write " +
				strconv.Quote(low+"-"+strconv.Itoa(f.most)+"/"+by))
		}
		return from, from, 1, nil
	}
	if to, err = f.number(high); err != nil {
		return 0, 0, 0, err
	}
	if to == 0 && f.name == fields[weekday].name && from > 0 {
		to = 7 // fri-sun
	}
	if from > to {
		return 0, 0, 0, errors.New(f.name + " range " + strconv.Quote(span) + " goes backwards; write " +
			strconv.Quote(low+"-"+strconv.Itoa(f.most)+","+strconv.Itoa(f.least)+"-"+high))
	}
	return from, to, step, nil
}

// number reads a value of the field, by number or by name.
func (f field) number(text string) (int, error) {
	for i, w := range f.words {
		if strings.EqualFold(w, text) {
			return f.least + i, nil
		}
	}
	n, ok := digits(text)
	switch {
	case ok && f.least <= n && n <= f.most:
		return n, nil
	case ok:
		return 0, errors.New(f.name + " " + text + " is out of range " + strconv.Itoa(f.least) + "-" + strconv.Itoa(f.most))
	case f.words != nil:
		return 0, errors.New(f.name + " " + strconv.Quote(text) + " is no number and none of " + strings.Join(f.words, ", "))
	default:
		return 0, errors.New(f.name + " " + strconv.Quote(text) + " is no number")
	}
}

// digits reads up to four digits: no sign, no space.
func digits(text string) (n int, ok bool) {
	if len(text) > 4 {
		return 0, false
	}
	for _, r := range text {
		if r < '0' || r > '9' {
			return 0, false
		}
		n = 10*n + int(r-'0')
	}
	return n, text != ""
}

// possible finds days that no month has.
func (c Cron) possible() error {
	if !c.anyWeekday() || c.days&lastDay != 0 {
		return nil
	}
	for m := 1; m <= 12; m++ {
		most := date{2000, time.Month(m), 1}.days() // of a leap year
		if c.months>>m&1 != 0 && c.days&(1<<(most+1)-1) != 0 {
			return nil
		}
	}
	return errors.New("never comes: no month in it has such a day")
}
