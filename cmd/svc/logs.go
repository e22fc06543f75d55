package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"hoopy/control"
	"hoopy/unit"
)

// logsBound is how long logs without -f may take.
const logsBound = 30 * time.Second

// logs prints the last lines of units, and with -f what comes.
func (a *app) logs(o options) error {
	r := control.Request{Op: control.Logs, Names: o.names, N: 50, Follow: o.has("follow"), Kernel: o.has("kernel"), Via: a.via, From: a.from}
	r.All = o.has("all") || len(o.names) == 0 && !r.Kernel
	if r.All {
		r.Names = nil
	}
	if o.has("since") {
		since, err := a.since(o.value("since"))
		if err != nil {
			return err
		}
		r.Since, r.N = since, -1
	}
	if v := o.value("lines"); o.has("lines") {
		n, err := strconv.Atoi(v)
		switch {
		case v == "all":
			n = -1
		case err != nil || n < 0:
			return misuse("-n wants a number of lines, or all")
		}
		r.N = n
	}
	t := newTail(a, r)
	t.jsonLines = o.has("json")
	ask := func() error {
		if r.Follow {
			return t.follow(context.Background())
		}
		ctx, cancel := context.WithTimeout(context.Background(), logsBound)
		defer cancel()
		return t.run(ctx)
	}
	err := ask()
	var refusal *control.Error
	if !errors.As(err, &refusal) || refusal.Code != control.CodeUnknown || t.any {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), control.StatusTimeout+slack)
	defer cancel()
	if t.request.Names, err = a.resolve(ctx, r.Names, refusal); err != nil {
		return err
	}
	return ask()
}

// since reads a moment of the past: how long ago, a time of today or yesterday,
// a day, or both. The answer is on the clock that stamps lines, which init
// tells, so that it holds whatever the wall clock did meanwhile.
func (a *app) since(text string) (unit.Time, error) {
	now := time.Now()
	at, ok := moment(text, now)
	if !ok {
		return 0, misuse("--since %q is no time; write 10m, 13:05, 2026-11-21 or \"2026-11-21 13:05\"", text)
	}
	got, err := a.ask(control.Request{Op: control.Ping}, control.StatusTimeout+slack)
	if err != nil {
		return 0, err
	}
	if got.Machine == nil {
		return 0, nil
	}
	return max(1, got.Machine.Uptime.Add(at.Sub(now))), nil
}

// moment is when text means, seen from now.
func moment(text string, now time.Time) (time.Time, bool) {
	if d, err := time.ParseDuration(strings.TrimSuffix(text, " ago")); err == nil {
		return now.Add(-d), d > 0
	}
	for _, clock := range []string{"15:04:05", "15:04"} {
		if t, err := time.ParseInLocation(clock, text, now.Location()); err == nil {
			at := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location())
			if at.After(now) {
				at = at.AddDate(0, 0, -1)
			}
			return at, true
		}
	}
	for _, form := range []string{"2006-01-02 15:04:05.000", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", time.RFC3339} {
		if t, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
