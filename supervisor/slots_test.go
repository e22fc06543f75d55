package supervisor

import (
	"bytes"
	"fmt"
	"testing"
)

func TestSlotsKeepTheLast(t *testing.T) {
	mem := make([]byte, 4096)
	s := NewSlots(mem)
	if s.Last() != nil {
		t.Error("empty memory holds a snapshot")
	}
	for i := range 10 {
		want := []byte(fmt.Sprintf("snapshot %d %s", i, bytes.Repeat([]byte("x"), i*100)))
		if err := s.Save(want); err != nil {
			t.Fatal(err)
		}
		s = NewSlots(mem) // a new epoch
		if got := s.Last(); !bytes.Equal(got, want) {
			t.Fatalf("last is %q, want %q", got, want)
		}
	}
	if err := s.Save(make([]byte, 4096)); err == nil {
		t.Error("a snapshot that does not fit was taken")
	}
	if got := s.Last(); !bytes.HasPrefix(got, []byte("snapshot 9")) {
		t.Errorf("the last snapshot is gone: %q", got)
	}
}

// Whatever byte of the newer slot is wrong, the older one serves.
func TestSlotsSurviveATornWrite(t *testing.T) {
	mem := make([]byte, 512)
	s := NewSlots(mem)
	_ = s.Save([]byte("older"))
	_ = s.Save([]byte("newer"))
	for i := range 256 { // seq 2 lies in the first slot
		torn := bytes.Clone(mem)
		torn[i] ^= 0x55
		got := string(NewSlots(torn).Last())
		inUse := i < 20 || i >= slotHeader && i < slotHeader+5
		if inUse && got != "older" {
			t.Errorf("byte %d wrong: last is %q, want the older", i, got)
		}
		if !inUse && got != "newer" {
			t.Errorf("byte %d, unused, wrong: last is %q", i, got)
		}
	}
}

func FuzzSlots(f *testing.F) {
	mem := make([]byte, 256)
	_ = NewSlots(mem).Save([]byte("seed"))
	f.Add(mem)
	f.Fuzz(func(t *testing.T, mem []byte) {
		if len(mem) < 64 {
			return
		}
		s := NewSlots(mem)
		s.Last()
		if err := s.Save([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if got := string(s.Last()); got != "x" && s.seq != 0 {
			t.Errorf("last is %q after a save of x", got)
		}
	})
}
