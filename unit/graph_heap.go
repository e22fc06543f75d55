package unit

// heap holds units that could come next, the first by name on top.
type heap []heapItem

type heapItem struct {
	name string
	i    int
}

func (h *heap) push(name string, i int) {
	*h = append(*h, heapItem{name, i})
	s := *h
	for at := len(s) - 1; at > 0 && s[at].name < s[(at-1)/2].name; at = (at - 1) / 2 {
		s[at], s[(at-1)/2] = s[(at-1)/2], s[at]
	}
}

func (h *heap) pop() int {
	s := *h
	top, last := s[0].i, len(s)-1
	s[0] = s[last]
	s = s[:last]
	*h = s
	for at := 0; ; {
		least := at
		for _, child := range [...]int{2*at + 1, 2*at + 2} {
			if child < last && s[child].name < s[least].name {
				least = child
			}
		}
		if least == at {
			return top
		}
		s[at], s[least] = s[least], s[at]
		at = least
	}
}
