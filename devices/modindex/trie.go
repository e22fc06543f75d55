package modindex

import (
	"encoding/binary"
	"sort"
)

// trie is an index being written, as depmod's index_node.
type trie struct {
	prefix   string
	children map[byte]*trie
	values   []Value
}

// insert stores text under key. Among equal priorities the later one stands
// first, as depmod does it.
func (t *trie) insert(key, text string, priority uint32) {
	for {
		i := 0
		for i < len(t.prefix) && i < len(key) && t.prefix[i] == key[i] {
			i++
		}
		if i < len(t.prefix) {
			below := &trie{prefix: t.prefix[i+1:], children: t.children, values: t.values}
			*t = trie{prefix: t.prefix[:i], children: map[byte]*trie{t.prefix[i]: below}}
		}
		key = key[i:]
		if key == "" {
			at := sort.Search(len(t.values), func(i int) bool { return t.values[i].Priority >= priority })
			t.values = append(t.values, Value{})
			copy(t.values[at+1:], t.values[at:])
			t.values[at] = Value{priority, text}
			return
		}
		child := t.children[key[0]]
		if child == nil {
			if t.children == nil {
				t.children = map[byte]*trie{}
			}
			t.children[key[0]] = &trie{prefix: key[1:], values: []Value{{priority, text}}}
			return
		}
		t, key = child, key[1:]
	}
}

// bytes is the file.
func (t *trie) bytes() []byte {
	out := make([]byte, headerSize, 1<<16)
	binary.BigEndian.PutUint32(out, magic)
	binary.BigEndian.PutUint32(out[4:], version)
	root := t.append(&out)
	binary.BigEndian.PutUint32(out[8:], root)
	return out
}

// append writes t, children first, and returns the reference to it.
func (t *trie) append(out *[]byte) uint32 {
	var first, last byte
	refs := map[byte]uint32{}
	if len(t.children) > 0 {
		first = 255
		for c := range t.children {
			first, last = min(first, c), max(last, c)
		}
		for c := int(first); c <= int(last); c++ {
			if child := t.children[byte(c)]; child != nil {
				refs[byte(c)] = child.append(out)
			}
		}
	}
	b := *out
	ref := uint32(len(b))
	if t.prefix != "" {
		ref |= flagPrefix
		b = append(append(b, t.prefix...), 0)
	}
	if len(refs) > 0 {
		ref |= flagChilds
		b = append(b, first, last)
		for c := int(first); c <= int(last); c++ {
			b = binary.BigEndian.AppendUint32(b, refs[byte(c)])
		}
	}
	if len(t.values) > 0 {
		ref |= flagValues
		b = binary.BigEndian.AppendUint32(b, uint32(len(t.values)))
		for _, v := range t.values {
			b = binary.BigEndian.AppendUint32(b, v.Priority)
			b = append(append(b, v.Text...), 0)
		}
	}
	*out = b
	return ref
}
