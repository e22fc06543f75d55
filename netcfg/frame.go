package netcfg

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
)

const (
	serverPort = 67
	clientPort = 68
	ipHeader   = 20
	udpHeader  = 8
	protoUDP   = 17
)

// toClient is the filter of the packet socket: first fragments of UDP over
// IPv4 to port 68, so that nothing else of the interface is copied to us. The
// socket is a datagram one: offset 0 is the IP header.
var toClient = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 9, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protoUDP, SkipTrue: 6},
	bpf.LoadAbsolute{Off: 6, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x3fff, SkipTrue: 4}, // more fragments, or a later one
	bpf.LoadMemShift{Off: 0},
	bpf.LoadIndirect{Off: 2, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: clientPort, SkipTrue: 1},
	bpf.RetConstant{Val: 65535},
	bpf.RetConstant{Val: 0},
}

// frame wraps payload in UDP and IPv4, from source (unspecified or invalid:
// 0.0.0.0) to everybody.
func frame(payload []byte, source netip.Addr) []byte {
	b := make([]byte, ipHeader+udpHeader+len(payload))
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[8] = 64
	b[9] = protoUDP
	if source.Is4() {
		copy(b[12:16], source.AsSlice())
	}
	copy(b[16:20], []byte{255, 255, 255, 255})
	binary.BigEndian.PutUint16(b[10:], ^sum(b[:ipHeader], 0))
	u := b[ipHeader:]
	binary.BigEndian.PutUint16(u[0:], clientPort)
	binary.BigEndian.PutUint16(u[2:], serverPort)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	copy(u[udpHeader:], payload)
	// Pseudo header: both addresses, protocol, length.
	check := ^sum(u, uint32(sum(b[12:20], 0))+protoUDP+uint32(len(u)))
	if check == 0 {
		check = 0xffff // 0 means none, RFC 768
	}
	binary.BigEndian.PutUint16(u[6:], check)
	return b
}

// unframe is the payload of a UDP packet to port 68. UDP's checksum is not
// looked at: a packet of this very machine (a container, a VM's host) has none
// yet, and transaction id, MAC and cookie are checked later.
func unframe(b []byte) ([]byte, bool) {
	if len(b) < ipHeader || b[0]>>4 != 4 || b[9] != protoUDP {
		return nil, false
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if head < ipHeader || total > len(b) || total < head+udpHeader {
		return nil, false
	}
	u := b[head:total]
	n := int(binary.BigEndian.Uint16(u[4:]))
	if binary.BigEndian.Uint16(u[2:]) != clientPort || n < udpHeader || n > len(u) {
		return nil, false
	}
	return u[udpHeader:n], true
}

// sum is the ones' complement sum of RFC 1071, begun at s.
func sum(b []byte, s uint32) uint16 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
