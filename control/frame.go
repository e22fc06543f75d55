package control

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"hoopy/json"
)

// ErrFrame is the error for bytes that are no frame of this protocol.
var ErrFrame = errors.New("no frame of the control protocol")

// readFrame reads a length, u32 little-endian, and that many bytes, at most
// limit; then v from their JSON. io.EOF: the other side has nothing more to
// say. Memory grows with what arrives, not with what is announced.
func readFrame(r io.Reader, limit int, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n == 0 || int64(n) > int64(limit) {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrFrame, n, limit)
	}
	// not io.Copy: it asks files whether they can splice, 53 kB of /init
	body, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return err
	}
	if len(body) < int(n) {
		return io.ErrUnexpectedEOF
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return nil
}

// appendFrame encodes v after b.
func appendFrame(b []byte, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...), nil
}

// split encodes r as frames of at most limit bytes of JSON, cutting its lists in
// parts. All frames but the last say More; the last says it if r did. Lists keep
// their order, the machine comes first and an error last. What does not fit even
// so gives way: last lines of a unit, then mistakes.
func split(r Response, limit int) ([][]byte, error) {
	r.Version = Version
	frame, err := appendFrame(nil, &r)
	if err != nil {
		return nil, err
	}
	if len(frame)-4 <= limit {
		return [][]byte{frame}, nil
	}
	first := Response{Machine: r.Machine, More: true}
	second := r
	second.Machine = nil
	switch {
	case len(r.Units) > 1:
		n := len(r.Units) / 2
		first.Units, second.Units = r.Units[:n], r.Units[n:]
	case len(r.Lines) > 1:
		n := len(r.Lines) / 2
		first.Lines, second.Lines = r.Lines[:n], r.Lines[n:]
	case len(r.Changes) > 1:
		n := len(r.Changes) / 2
		first.Changes, second.Changes = r.Changes[:n], r.Changes[n:]
	case len(r.Nodes) > 1:
		n := len(r.Nodes) / 2
		first.Nodes, second.Nodes = r.Nodes[:n], r.Nodes[n:]
	case len(r.Spans) > 1:
		n := len(r.Spans) / 2
		first.Spans, second.Spans = r.Spans[:n], r.Spans[n:]
	case len(r.Reasons) > 1:
		n := len(r.Reasons) / 2
		first.Reasons, second.Reasons = r.Reasons[:n], r.Reasons[n:]
	case len(r.Units) == 1 && len(r.Units[0].LastLines) > 0:
		short := r.Units[0]
		short.LastLines = nil
		r.Units = append(r.Units[:0:0], short)
		return split(r, limit)
	case r.Machine != nil && len(r.Machine.Mistakes) > 0:
		short := *r.Machine
		short.Mistakes = short.Mistakes[:len(short.Mistakes)/2]
		r.Machine = &short
		return split(r, limit)
	default:
		return nil, fmt.Errorf("%w: an answer of %d bytes", ErrFrame, len(frame)-4)
	}
	a, err := split(first, limit)
	if err != nil {
		return nil, err
	}
	b, err := split(second, limit)
	return append(a, b...), err
}
