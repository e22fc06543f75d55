// Package klog reads the kernel's log where it is, in the kernel: /dev/kmsg gives
// every reader all records that are still there, one with each read(2), and
// says EPIPE where some were overwritten before they were read. Nothing is
// copied and nothing runs while nobody asks. The format is that of
// Documentation/ABI/testing/dev-kmsg of Linux.
package klog

import (
	"bytes"
	"strconv"
	"strings"
)

// Record is one record of /dev/kmsg.
type Record struct {
	Seq                uint64
	Usec               uint64 // of the kernel's local_clock() when it was made
	Severity, Facility int8   // severity plus one, as in ring.Line
	Text               string
}

// Parse reads a record: "prio,seq,usec,flags[,more]...;text\n", then lines of
// " KEY=value", which are skipped. False: it is none.
func Parse(b []byte) (r Record, ok bool) {
	head, text, ok := bytes.Cut(b, []byte(";"))
	if !ok {
		return r, false
	}
	prio, head, _ := bytes.Cut(head, []byte(","))
	seq, head, _ := bytes.Cut(head, []byte(","))
	usec, _, ok := bytes.Cut(head, []byte(","))
	if !ok {
		return r, false
	}
	p, err := strconv.ParseUint(string(prio), 10, 32)
	if err != nil {
		return r, false
	}
	r.Severity, r.Facility = int8(p&7)+1, int8(p>>3&0x1f)
	if r.Seq, err = strconv.ParseUint(string(seq), 10, 64); err != nil {
		return r, false
	}
	if r.Usec, err = strconv.ParseUint(string(usec), 10, 64); err != nil {
		return r, false
	}
	text, _, _ = bytes.Cut(text, []byte("\n"))
	r.Text = unescape(text)
	return r, true
}

// unescape undoes \xNN, as which the kernel writes what is not printable ASCII,
// and the backslash itself. A newline, of a record with several lines, becomes a
// space.
func unescape(b []byte) string {
	var s strings.Builder
	for len(b) > 0 {
		c, n := b[0], 1
		if c == '\\' && len(b) >= 4 && b[1] == 'x' {
			if v, err := strconv.ParseUint(string(b[2:4]), 16, 8); err == nil {
				c, n = byte(v), 4
			}
		}
		if c == '\n' {
			c = ' '
		}
		s.WriteByte(c)
		b = b[n:]
	}
	return s.String()
}
