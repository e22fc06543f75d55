package main

import (
	"testing"
	"time"

	"hoopy/unit"
)

func TestEndText(t *testing.T) {
	at := func(ms int) unit.Time { return unit.Time(time.Hour + time.Duration(ms)*time.Millisecond) }
	spans := []unit.Span{
		{Name: "never", Kind: unit.Service, Ready: at(-1000)},
		{Name: "samba", Kind: unit.Service, Stopping: at(0), Stopped: at(1000)},
		{Name: "pool:tank", Kind: unit.Pool, Stopping: at(1000), Stopped: at(4100), StopAfter: "samba"},
		{Name: "mount:/persist", Kind: unit.Mount, Stopping: at(4100)},
	}
	wall := time.Date(2026, 11, 20, 22, 14, 7, 0, time.UTC)
	got := endText(unit.PowerOff, "root (svc poweroff)", spans, "mount:/persist", at(4213), wall)
	want := "power-off\t2026-11-20T22:14:02Z\t4213\troot (svc poweroff)\n" +
		"samba\tservice\t0\t1000\t\n" +
		"pool:tank\tpool\t1000\t4100\tsamba\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
