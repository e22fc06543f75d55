package keeper

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPacketRoundTrip(t *testing.T) {
	for op := OpHello; op <= OpPing; op++ {
		want := Packet{Op: op, Epoch: 0xfffefdfc, Token: 1<<63 | 7, A: 1<<64 - 1, B: 42, Payload: []byte("sshd")}
		b := want.Append(nil)
		if len(b) != HeaderSize+4 {
			t.Fatalf("op %d: %d bytes", op, len(b))
		}
		var got Packet
		if !got.Decode(b) {
			t.Fatalf("op %d: not decoded", op)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("op %d: %s", op, d)
		}
	}
}

func TestPacketRefused(t *testing.T) {
	good := (&Packet{Op: OpHello}).Append(nil)
	edit := func(i int, v byte) []byte { b := bytes.Clone(good); b[i] = v; return b }
	for name, b := range map[string][]byte{
		"empty":        nil,
		"short":        good[:HeaderSize-1],
		"long":         append(bytes.Clone(good), make([]byte, PayloadMax+1)...),
		"version":      edit(0, Version+1),
		"no op":        edit(2, 0),
		"op past last": edit(2, byte(OpPing)+1),
	} {
		if new(Packet).Decode(b) {
			t.Errorf("%s: decoded", name)
		}
	}
	if b := (&Packet{Op: OpStore, Payload: make([]byte, 999)}).Append(nil); len(b) != PacketMax {
		t.Errorf("a payload that is too long makes %d bytes", len(b))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add((&Packet{Op: OpSpawn, Epoch: 1, Token: 1<<32 | 1, Payload: []byte("sshd")}).Append(nil))
	f.Add((&Packet{Op: OpPing, A: 9}).Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		if p.Decode(b) && !bytes.Equal(p.Append(nil), b) {
			t.Errorf("%x decodes to %+v, which is something else", b, p)
		}
	})
}
