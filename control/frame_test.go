package control

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
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
	if _, err := split(Response{Lines: []Line{{Text: long + long}}}, 700); !errors.Is(err, ErrFrame) {
		t.Error(err)
	}
	// A machine with more mistakes than fit still has a status.
	frames, err = split(Response{Machine: &Machine{Mistakes: []string{"first", long, long}}, Units: []unit.Report{{Name: "a"}}}, 700)
	if err != nil {
		t.Fatal(err)
	}
	if all := joined(t, frames, 700); len(all.Units) != 1 || len(all.Machine.Mistakes) != 1 || all.Machine.Mistakes[0] != "first" {
		t.Errorf("%+v", all)
	}
	if frames, err := split(Response{More: true, Lines: make([]Line, 40)}, 700); err != nil || len(frames) < 2 {
		t.Error(err)
	}
}

// joined puts frames together as a client does.
func joined(t *testing.T, frames [][]byte, limit int) (all Response) {
	t.Helper()
	for i, f := range frames {
		var r Response
		if err := readFrame(bytes.NewReader(f), limit, &r); err != nil {
			t.Fatal(err)
		}
		if i < len(frames)-1 && !r.More {
			t.Fatalf("frame %d of %d is the last", i+1, len(frames))
		}
		all.add(&r)
	}
	all.Version = Version
	return all
}

// Every list comes out of the frames as it went in.
func TestSplitLists(t *testing.T) {
	var r Response
	for i := range 200 {
		name := fmt.Sprint("unit", i)
		r.Units = append(r.Units, unit.Report{Name: name})
		r.Lines = append(r.Lines, Line{Text: name})
		r.Changes = append(r.Changes, unit.Change{Name: name})
		r.Nodes = append(r.Nodes, unit.Node{Name: name})
		r.Spans = append(r.Spans, unit.Span{Name: name})
		r.Reasons = append(r.Reasons, unit.Reason{Name: name})
	}
	r.Version, r.Machine, r.Error = Version, &Machine{Hostname: "frood"}, &Error{CodeTimeout, "late"}
	frames, err := split(r, 900)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, joined(t, frames, 900)); d != "" {
		t.Error(d)
	}
}

func FuzzFrame(f *testing.F) {
	good, _ := appendFrame(nil, &Request{Version: Version, Op: Start, Names: []string{"a"}, Wait: 1})
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
	good, _ := appendFrame(nil, &Response{Version: Version, Machine: &Machine{}, Units: []unit.Report{{Name: "a", State: unit.BackOff}}})
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
		frames, err := split(r, 1500)
		if err != nil { // something in it is larger than that
			return
		}
		all := joined(t, frames, 1500)
		if len(all.Lines) != len(r.Lines) || len(all.Units) != len(r.Units) || len(all.Nodes) != len(r.Nodes) ||
			len(all.Spans) != len(r.Spans) || len(all.Reasons) != len(r.Reasons) || len(all.Changes) != len(r.Changes) ||
			(all.Error == nil) != (r.Error == nil) || all.More != r.More {
			t.Errorf("%+v became %+v", r, all)
		}
	})
}
