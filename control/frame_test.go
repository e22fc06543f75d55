package control

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hoopy/unit"
)

func TestSplit(t *testing.T) {
	long := strings.Repeat("x", 400)
	frames, err := split(Response{Error: &Error{CodeTimeout, "t"}, Machine: &Machine{}, Units: []unit.Report{{Name: "a", LastLines: []string{long}}, {Name: "b"}, {Name: "c", LastLines: []string{long, long}}}}, 700)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, f := range frames {
		var r Response
		if err := readFrame(bytes.NewReader(f), 700, &r); err != nil {
			t.Fatal(err)
		}
		for _, u := range r.Units {
			names = append(names, u.Name)
		}
		last := i == len(frames)-1
		if r.More == last || (r.Error != nil) != last || (r.Machine != nil) != (i == 0) {
			t.Errorf("frame %d: %+v", i, r)
		}
	}
	if d := cmp.Diff([]string{"a", "b", "c"}, names); d != "" {
		t.Error(d)
	}
	if _, err := split(Response{Text: []string{long, long}}, 700); !errors.Is(err, ErrFrame) {
		t.Error(err)
	}
	if frames, err := split(Response{More: true, Lines: make([]Line, 40)}, 700); err != nil || len(frames) < 2 {
		t.Error(err)
	}
}

func FuzzFrame(f *testing.F) {
	good, _ := appendFrame(nil, &Request{Version: 1, Op: Start, Names: []string{"a"}, Wait: 1})
	f.Add(good)
	f.Add([]byte{})
	f.Add([]byte("\xff\xff\xff\xff{"))
	f.Add(append(binary.LittleEndian.AppendUint32(nil, 2), "[]"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Request
		if err := readFrame(bytes.NewReader(b), RequestMax, &r); err != nil {
			return
		}
		if e := check(Peer{UID: 4294967294}, &r); e == nil && rootOnly[r.Op] {
			t.Errorf("a stranger may %s", r.Op)
		}
		again, err := appendFrame(nil, &r)
		if err != nil {
			t.Fatal(err)
		}
		var back Request
		if err := readFrame(bytes.NewReader(again), FrameMax, &back); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, back); d != "" {
			t.Error(d)
		}
		for _, c := range []byte(who(Peer{}, &r)) {
			if c < ' ' || c > '~' {
				t.Errorf("%q reaches the console", who(Peer{}, &r))
			}
		}
	})
}

func FuzzResponse(f *testing.F) {
	good, _ := appendFrame(nil, &Response{Version: 1, Machine: &Machine{}, Units: []unit.Report{{Name: "a", State: unit.BackOff}}})
	f.Add(good)
	f.Add([]byte("\x02\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Response
		if err := readFrame(bytes.NewReader(b), FrameMax, &r); err != nil {
			return
		}
		if _, err := split(r, FrameMax); err != nil {
			t.Fatal(err)
		}
	})
}
