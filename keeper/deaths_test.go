package keeper

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeaths(t *testing.T) {
	at := func(s ...int) []Duration {
		var d []Duration
		for _, x := range s {
			d = append(d, Duration(x)*Second)
		}
		return d
	}
	for _, c := range []struct {
		name string
		at   []Duration
		want []mode
	}{
		{"two are nothing", at(1, 2), []mode{normal, normal}},
		{"three in a minute", at(1, 30, 61), []mode{normal, normal, safe}},
		{"three in more than a minute", at(1, 30, 62), []mode{normal, normal, normal}},
		{"a slow first, then three", at(0, 100, 110, 120), []mode{normal, normal, normal, safe}},
		{"three more", at(1, 2, 3, 4, 5, 6, 7), []mode{normal, normal, safe, safe, safe, rescue, rescue}},
		{"three more, later", at(1, 2, 3, 1000, 2000, 2001, 2002), []mode{normal, normal, safe, safe, safe, safe, rescue}},
	} {
		d := deaths{window: Minute}
		var got []mode
		for _, now := range c.at {
			before := d.mode
			if d.died(now) != (d.mode != before) {
				t.Errorf("%s: at %d a change is not reported", c.name, now)
			}
			got = append(got, d.mode)
		}
		if x := cmp.Diff(c.want, got); x != "" {
			t.Errorf("%s: %s", c.name, x)
		}
	}
}

func TestDeathsEnd(t *testing.T) {
	d := deaths{window: Minute, mode: rescue}
	if !d.lived() || d.mode != safe {
		t.Errorf("after rescue: mode %d", d.mode)
	}
	if d.lived() || d.mode != safe {
		t.Errorf("a long life alone ends safe mode")
	}
	for i := range Duration(deathsMost) {
		d.mode = safe
		if !d.fresh(i*Second) || d.mode != normal {
			t.Errorf("fresh start %d is refused", i)
		}
	}
	if d.mode = safe; d.fresh(9*Second) || d.mode != safe {
		t.Errorf("a fourth fresh start in ten seconds is granted")
	}
	if !d.fresh(10 * Second) {
		t.Errorf("a fresh start is refused when the first is long past")
	}
}
