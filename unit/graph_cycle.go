package unit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hoopy/unit/schema"
)

// cut reports every cycle and takes edges out until there is none: first the
// orders inside a cycle, then the wants, then the needs.
func (b *builder) cut() {
	for weakest := int(After); ; weakest-- {
		cycles := b.components()
		if len(cycles) == 0 {
			return
		}
		for _, c := range cycles {
			if weakest == int(After) {
				b.report(c)
			}
			b.weaken(c, EdgeKind(weakest))
		}
	}
}

// weaken takes the edges of a kind between the units of c out.
func (b *builder) weaken(c []int, kind EdgeKind) {
	inside := make(map[int]bool, len(c))
	for _, i := range c {
		inside[i] = true
	}
	reason := ""
	if kind == Needs {
		reason = "needs itself: " + strings.Join(b.nameList(b.circle(c, inside)), " -> ")
	}
	for _, i := range c {
		had := len(b.out[i])
		b.out[i] = slices.DeleteFunc(b.out[i], func(e Edge) bool { return e.Kind == kind && inside[e.To] })
		if kind == Needs && len(b.out[i]) < had && !b.units[i].Essential && b.broken[i] == "" {
			b.broken[i] = reason
		}
	}
}

// report says one cycle through c, with where each of its edges stands.
func (b *builder) report(c []int) {
	inside := make(map[int]bool, len(c))
	for _, i := range c {
		inside[i] = true
	}
	circle := b.circle(c, inside)
	var text strings.Builder
	text.WriteString("cycle: " + strings.Join(b.nameList(circle), " -> "))
	at := schema.Mistake{}
	for k := range len(circle) - 1 {
		from, to := b.units[circle[k]], b.units[circle[k+1]]
		owner, key, line := b.edge(from, to)
		fmt.Fprintf(&text, "; %s %s %s (%s)", from.Name, key, to.Name, where(owner, line))
		if at.Line == 0 && (line > 0 || at.File == "") { // the first that an editor can jump to
			at = schema.Mistake{File: cmp.Or(owner.File, "built-in "+owner.Name), Line: line, Key: key}
		}
	}
	at.Text = text.String()
	b.mistakes = append(b.mistakes, &at)
}

// edge finds who declared the edge and under which key; a before of the other
// unit is told as an after.
func (b *builder) edge(from, to *Unit) (owner *Unit, key string, line int) {
	for _, k := range []struct {
		key   string
		names []string
	}{{"needs", from.Needs}, {"wants", from.Wants}, {"after", from.After}} {
		if slices.Contains(k.names, to.Name) {
			return from, k.key, b.at.edge(from.Name, k.key, to.Name)
		}
	}
	return to, "after", b.at.edge(to.Name, "before", from.Name)
}

// circle is the shortest way from the first unit of c, by name, back to it,
// inside c; the unit stands at both ends.
func (b *builder) circle(c []int, inside map[int]bool) []int {
	first := slices.MinFunc(c, func(x, y int) int { return strings.Compare(b.units[x].Name, b.units[y].Name) })
	from := map[int]int{}
	for queue := []int{first}; len(queue) > 0; queue = queue[1:] {
		i := queue[0]
		for _, e := range b.out[i] {
			if e.To == first {
				way := []int{first}
				for ; i != first; i = from[i] {
					way = append(way, i)
				}
				way = append(way, first)
				slices.Reverse(way)
				return way
			}
			if _, seen := from[e.To]; !seen && inside[e.To] {
				from[e.To] = i
				queue = append(queue, e.To)
			}
		}
	}
	return []int{first, first}
}

func (b *builder) nameList(is []int) []string {
	names := make([]string, len(is))
	for k, i := range is {
		names[k] = b.units[i].Name
	}
	return names
}

// components are the sets of two and more units that reach each other (Tarjan,
// SIAM J. Comput. 1, 1972), without recursion: a chain of units may be long.
func (b *builder) components() [][]int {
	n := len(b.units)
	order := make([]int, n) // 0: not seen
	low := make([]int, n)
	next := make([]int, n) // the edge to look at next
	onStack := make([]bool, n)
	var stack, path []int
	var found [][]int
	seen := 0
	visit := func(i int) {
		seen++
		order[i], low[i] = seen, seen
		stack, path = append(stack, i), append(path, i)
		onStack[i] = true
	}
	for root := range n {
		if order[root] != 0 {
			continue
		}
		for visit(root); len(path) > 0; {
			i := path[len(path)-1]
			if next[i] < len(b.out[i]) {
				to := b.out[i][next[i]].To
				next[i]++
				if order[to] == 0 {
					visit(to)
				} else if onStack[to] {
					low[i] = min(low[i], order[to])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				up := path[len(path)-1]
				low[up] = min(low[up], low[i])
			}
			if low[i] == order[i] {
				at := len(stack) - 1
				for stack[at] != i {
					at--
				}
				if c := stack[at:]; len(c) > 1 {
					found = append(found, slices.Clone(c))
				}
				for _, j := range stack[at:] {
					onStack[j] = false
				}
				stack = stack[:at]
			}
		}
	}
	return found
}
