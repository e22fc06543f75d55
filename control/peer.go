package control

import (
	"net/netip"
	"os"
	"strconv"
)

// Peer is who is at the other end, as the kernel says it.
type Peer struct {
	PID int
	UID uint32
}

// trusted says whether the peer may change things: it is root, or the user that
// this server runs as, which on a machine is root.
func (p Peer) trusted() bool { return p.UID == 0 || int64(p.UID) == int64(os.Getuid()) }

// who describes the asker for console and log: root from 192.168.1.20 (svc
// poweroff). What the client says of itself is let through only if it is an
// address and a short plain text.
func who(p Peer, r *Request) string {
	s := "root"
	if p.UID != 0 {
		s = "uid " + strconv.FormatUint(uint64(p.UID), 10)
	}
	if a, err := netip.ParseAddr(r.From); err == nil && a.Zone() == "" {
		s += " from " + a.String()
	}
	if plain(r.Via) {
		return s + " (" + r.Via + ")"
	}
	return s + " (pid " + strconv.Itoa(p.PID) + ")"
}

func plain(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '(' || c == ')' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
