package ring

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

// TestDeathAnywhere takes a picture of the memory between any two stores of the
// writer, and in the middle of the zeroing, and has each taken over: what was
// read must be there, once.
func TestDeathAnywhere(t *testing.T) {
	r, _, rd, wr := pipes(t, 2*sizeMin)
	rnd := rand.New(rand.NewPCG(3, 4))
	// No line is so long that it is cut, so that the lines joined with newlines
	// are what was fed, but for the oldest that were dropped to make room.
	var fed strings.Builder
	posted, deaths := 0, 0
	posting := false
	take := func(what string, mem []byte, want string) {
		deaths++
		again, err := view(mem, 2)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		lines := again.Lines(1 << 20)
		var got strings.Builder
		post := 0
		for i, l := range lines {
			if i > 0 && l.Seq != lines[i-1].Seq+1 {
				t.Fatalf("%s: line %d follows line %d", what, l.Seq, lines[i-1].Seq)
			}
			if l.Severity != 0 {
				n, err := strconv.Atoi(l.Text)
				if err != nil || post != 0 && n != post+1 || l.Severity != 3 || l.Facility != 23 {
					t.Fatalf("%s: after post %d came %+v", what, post, l)
				}
				post = n
				continue
			}
			got.WriteString(l.Text)
			if !l.Open {
				got.WriteByte('\n')
			}
		}
		if g := got.String(); !strings.HasSuffix(want, g) || len(g) < min(len(want), 20000) {
			t.Fatalf("%s: %d bytes were read, %d are there: …%q, not …%q", what, len(want), len(g), tail(g), tail(want))
		}
		if ended := again.seq - 1; ended != uint64(strings.Count(want, "\n")+posted) && !posting || posting && post != posted && post != posted+1 {
			t.Fatalf("%s: %d lines of %d and %d posts", what, ended, strings.Count(want, "\n"), posted)
		}
	}
	r.testOnlyStep = func() {
		step := fmt.Sprintf("%d bytes fed, published %x", fed.Len(), word(r.mem, offPublished).Load())
		take(step, picture(r.mem), fed.String())
		if spent := int(r.published & 0xffff); spent > 0 {
			half := picture(r.mem)
			clear(half[headerSize : headerSize+spent/2])
			take(step+", half zeroed", half, fed.String())
		}
	}
	for range 60 {
		var b strings.Builder
		for n := rnd.IntN(12); n >= 0; n-- {
			b.WriteString(strings.Repeat(string(rune('a'+rnd.IntN(26))), rnd.IntN(1+rnd.IntN(2000))))
			if n > 0 || rnd.IntN(2) == 0 {
				b.WriteByte('\n')
			}
		}
		fed.WriteString(b.String())
		feed(t, r, rd, wr, b.String())
		for range rnd.IntN(4) {
			posting = true
			if err := r.Post([]byte(strconv.Itoa(posted+1)), 3, 23, nil, nil); err != nil {
				t.Fatal(err)
			}
			posting = false
			posted++
		}
	}
	t.Logf("%d deaths", deaths)
}

func tail(s string) string { return s[max(0, len(s)-80):] }

// picture is an aligned copy.
func picture(mem []byte) []byte {
	words := make([]uint64, len(mem)/8)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(mem))
	copy(b, mem)
	return b
}
