package modindex

import (
	"encoding/binary"
	"errors"
	"slices"
	"sort"
	"strings"
)

// The on-disk format, from kmod's libkmod/libkmod-index.h. All numbers are big
// endian. A node is
//
//	[prefix NUL] [first last child*(last-first+1)] [count (priority value NUL)*count]
//
// and the reference to it says in its top bits which of the three are there.
const (
	magic      = 0xB007F457
	version    = 0x00020001
	headerSize = 12

	flagPrefix = 0x80000000
	flagValues = 0x40000000
	flagChilds = 0x20000000
	maskOffset = 0x0FFFFFFF
)

// ErrFormat is returned by Parse for bytes that are no module index of version
// 2.1.
var ErrFormat = errors.New("not a module index of version 2.1")

// Index is one modules.*.bin file. A nil *Index is empty. It may be used by
// several goroutines at once.
type Index struct {
	data []byte
	root uint32
}

// Parse checks the header of data, which must stay unchanged (and mapped) as
// long as the Index is used. Results are copies.
func Parse(data []byte) (*Index, error) {
	if len(data) < headerSize || binary.BigEndian.Uint32(data) != magic ||
		binary.BigEndian.Uint32(data[4:])>>16 != version>>16 {
		return nil, ErrFormat
	}
	return &Index{data: data, root: binary.BigEndian.Uint32(data[8:])}, nil
}

// Value is one result of a lookup.
type Value struct {
	// Priority is the module's place in modules.order, smaller first.
	Priority uint32
	// Text is the stored string: a module name, or a line of modules.dep.
	Text string
}

// Get returns the first value stored under key, which is taken as it is, and
// whether there is one.
func (x *Index) Get(key string) (string, bool) {
	if x == nil {
		return "", false
	}
	n, ok := x.node(x.root)
	for ok {
		rest, has := strings.CutPrefix(key, string(n.prefix))
		if !has {
			return "", false
		}
		if rest == "" {
			values := x.values(nil, n)
			if len(values) == 0 {
				return "", false
			}
			return values[0].Text, true
		}
		key = rest[1:]
		n, ok = x.child(n, rest[0])
	}
	return "", false
}

// Search returns the values of every stored pattern that key matches, in order
// of priority. The key is normalised first; equal values are given once.
func (x *Index) Search(key string) []Value {
	if x == nil {
		return nil
	}
	s := search{x: x, budget: len(x.data)}
	s.walk(Normalize(key))
	sort.SliceStable(s.out, func(i, j int) bool { return s.out[i].Priority < s.out[j].Priority })
	kept := s.out[:0]
	for _, v := range s.out {
		if !slices.ContainsFunc(kept, func(k Value) bool { return k.Text == v.Text }) {
			kept = append(kept, v)
		}
	}
	return kept
}

// All calls yield with every key and value, in the order of the trie, until it
// returns false.
func (x *Index) All(yield func(key string, v Value) bool) {
	if x == nil {
		return
	}
	budget := len(x.data)
	var visit func(ref uint32, key []byte) bool
	visit = func(ref uint32, key []byte) bool {
		n, ok := x.node(ref)
		if budget--; !ok || budget < 0 || len(key) > maxPattern {
			return true
		}
		key = append(key, n.prefix...)
		for _, v := range x.values(nil, n) {
			if !yield(string(key), v) {
				return false
			}
		}
		for i := range n.children() {
			if ref := n.ref(i); ref != 0 && !visit(ref, append(key, n.first+byte(i))) {
				return false
			}
		}
		return true
	}
	visit(x.root, nil)
}

// maxPattern bounds the length of a stored pattern; the longest of Debian's 6.1
// has 290 bytes. It keeps a file whose nodes form a cycle from growing one.
const maxPattern = 4096

// node is a decoded node; its slices lie in the file.
type node struct {
	prefix []byte
	first  byte
	refs   []byte // 4 bytes each
	values []byte // from the count on; nil if none
}

func (n *node) children() int { return len(n.refs) / 4 }

func (n *node) ref(i int) uint32 { return binary.BigEndian.Uint32(n.refs[4*i:]) }

// node decodes what ref points to; false if it points nowhere.
func (x *Index) node(ref uint32) (n node, ok bool) {
	off := int(ref & maskOffset)
	if off < headerSize || off >= len(x.data) {
		return n, false
	}
	d := x.data[off:]
	if ref&flagPrefix != 0 {
		end := indexNUL(d)
		if end < 0 {
			return n, false
		}
		n.prefix, d = d[:end], d[end+1:]
	}
	if ref&flagChilds != 0 {
		if len(d) < 2 || d[0] > d[1] {
			return n, false
		}
		size := 4 * (int(d[1]) - int(d[0]) + 1)
		if len(d) < 2+size {
			return n, false
		}
		n.first, n.refs, d = d[0], d[2:2+size], d[2+size:]
	}
	if ref&flagValues != 0 {
		n.values = d
	}
	return n, true
}

// child is the node below n for the byte c.
func (x *Index) child(n node, c byte) (node, bool) {
	i := int(c) - int(n.first)
	if i < 0 || i >= n.children() || n.ref(i) == 0 {
		return node{}, false
	}
	return x.node(n.ref(i))
}

// values appends the values of n to out.
func (x *Index) values(out []Value, n node) []Value {
	if len(n.values) < 4 {
		return out
	}
	count, d := binary.BigEndian.Uint32(n.values), n.values[4:]
	for ; count > 0 && len(d) >= 5; count-- {
		end := indexNUL(d[4:])
		if end < 0 {
			break
		}
		out = append(out, Value{binary.BigEndian.Uint32(d), string(d[4 : 4+end])})
		d = d[4+end+1:]
	}
	return out
}

func indexNUL(b []byte) int {
	for i, c := range b {
		if c == 0 {
			return i
		}
	}
	return -1
}

// search is one lookup with wildcards.
type search struct {
	x       *Index
	budget  int    // nodes that may still be visited
	pattern []byte // the pattern collected below the first wildcard
	out     []Value
}

func isWild(c byte) bool { return c == '*' || c == '?' || c == '[' }

// walk follows key byte by byte; wherever the stored patterns go on with a
// wildcard, all patterns below are tried against the rest of the key.
func (s *search) walk(key string) {
	n, ok := s.x.node(s.x.root)
	for ; ok && s.budget > 0; s.budget-- {
		for i, c := range n.prefix {
			if isWild(c) {
				s.below(n, i, key[i:])
				return
			}
			if i >= len(key) || c != key[i] {
				return
			}
		}
		key = key[len(n.prefix):]
		for _, c := range [...]byte{'*', '?', '['} {
			if w, ok := s.x.child(n, c); ok {
				s.pattern = append(s.pattern[:0], c)
				s.below(w, 0, key)
				s.pattern = s.pattern[:0]
			}
		}
		if key == "" {
			s.out = s.x.values(s.out, n)
			return
		}
		n, ok = s.x.child(n, key[0])
		key = key[1:]
	}
}

// below collects the patterns of the sub-trie at n, from byte i of its prefix
// on, and keeps the values of those that match key.
func (s *search) below(n node, i int, key string) {
	s.budget--
	if s.budget < 0 || len(s.pattern) > maxPattern {
		return
	}
	length := len(s.pattern)
	s.pattern = append(s.pattern, n.prefix[i:]...)
	for i := range n.children() {
		if n.ref(i) == 0 {
			continue
		}
		if child, ok := s.x.node(n.ref(i)); ok {
			s.pattern = append(s.pattern, n.first+byte(i))
			s.below(child, 0, key)
			s.pattern = s.pattern[:len(s.pattern)-1]
		}
	}
	if n.values != nil && Match(string(s.pattern), key) {
		s.out = s.x.values(s.out, n)
	}
	s.pattern = s.pattern[:length]
}
