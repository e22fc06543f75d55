package process

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// message makes one netlink message of a sock_diag dump.
func message(kind uint16, seq uint32, body []byte) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+len(body))
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint32(b[8:], seq)
	copy(b[unix.NLMSG_HDRLEN:], body)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

func socket(state byte, port uint16) []byte {
	b := make([]byte, inetMessageSize)
	b[0], b[1] = unix.AF_INET, state
	binary.BigEndian.PutUint16(b[4:], port)
	return b
}

func TestParseDump(t *testing.T) {
	join := func(m ...[]byte) []byte { return []byte(strings.Join(strs(m), "")) }
	done := message(unix.NLMSG_DONE, 2, make([]byte, 4))
	for _, c := range []struct {
		name        string
		b           []byte
		found, done bool
		bad         bool
	}{
		{"empty", nil, false, false, false},
		{"listens", join(message(sockDiagByFamily, 2, socket(listenState, 22)), done), true, true, false},
		{"other port", join(message(sockDiagByFamily, 2, socket(listenState, 23)), done), false, true, false},
		{"established", join(message(sockDiagByFamily, 2, socket(1, 22)), done), false, true, false},
		{"goes on", message(sockDiagByFamily, 2, socket(listenState, 22)), true, false, false},
		{"other dump", join(message(sockDiagByFamily, 10, socket(listenState, 22)), done), false, true, false},
		{"error", message(unix.NLMSG_ERROR, 2, []byte{0xfe, 0xff, 0xff, 0xff}), false, true, true},
		{"short socket", join(message(sockDiagByFamily, 2, make([]byte, 8)), done), false, true, false},
		{"length beyond the end", []byte{99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, false, true, true},
	} {
		found := false
		done, err := parseDump(c.b, 2, func(body []byte) { found = found || listensOn(body, 22) })
		if found != c.found || done != c.done || (err != nil) != c.bad {
			t.Errorf("%s: found %v, done %v, %v", c.name, found, done, err)
		}
	}
}

func FuzzDump(f *testing.F) {
	f.Add(message(sockDiagByFamily, 2, socket(listenState, 22)))
	f.Add(message(unix.NLMSG_ERROR, 2, nil))
	f.Add(message(sockDiagByFamily, 2, unixSocket(listenState, attr(unixName, "/run/x"), attr(unixFile, "\x01\x00\x00\x00\x02\x00\x00\x00"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		parseDump(b, 2, func(body []byte) {
			listensOn(body, 22)
			boundTo{path: "/run/x", file: fileID{1, 2}}.matches(body)
		})
	})
}

func strs(m [][]byte) (s []string) {
	for _, b := range m {
		s = append(s, string(b))
	}
	return s
}

// unixSocket is one answer about AF_UNIX with its attributes.
func unixSocket(state byte, attrs ...[]byte) []byte {
	b := make([]byte, unixMessageSize)
	b[0], b[1], b[2] = unix.AF_UNIX, unix.SOCK_STREAM, state
	for _, a := range attrs {
		b = append(b, a...)
	}
	return b
}

func attr(kind uint16, value string) []byte {
	b := make([]byte, 4, 4+len(value))
	binary.NativeEndian.PutUint16(b, uint16(4+len(value)))
	binary.NativeEndian.PutUint16(b[2:], kind)
	b = append(b, value...)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

func TestUnixMatches(t *testing.T) {
	file := func(inode, device uint32) []byte {
		b := binary.NativeEndian.AppendUint32(nil, inode)
		return attr(unixFile, string(binary.NativeEndian.AppendUint32(b, device)))
	}
	here := boundTo{path: "/run/x", file: fileID{7, 9}}
	for _, c := range []struct {
		name string
		at   boundTo
		b    []byte
		want bool
	}{
		{"by name", boundTo{path: "/run/x"}, unixSocket(listenState, attr(unixName, "/run/x")), true},
		{"by name with its end", boundTo{path: "/run/x"}, unixSocket(listenState, attr(unixName, "/run/x\x00")), true},
		{"another name", boundTo{path: "/run/x"}, unixSocket(listenState, attr(unixName, "/run/xy")), false},
		{"abstract", boundTo{path: "/run/x"}, unixSocket(listenState, attr(unixName, "\x00/run/x")), false},
		{"by file", here, unixSocket(listenState, attr(unixName, "./x.tmp"), file(7, 9)), true},
		{"another file", here, unixSocket(listenState, attr(unixName, "./x.tmp"), file(7, 8)), false},
		{"no file", boundTo{path: "/run/x"}, unixSocket(listenState, file(0, 0)), false},
		{"not listening", here, unixSocket(7, file(7, 9)), false},
		{"short", here, []byte{unix.AF_UNIX, 0, listenState}, false},
		{"attribute beyond the end", here, unixSocket(listenState, []byte{99, 0, 0, 0}), false},
	} {
		if got := c.at.matches(c.b); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
