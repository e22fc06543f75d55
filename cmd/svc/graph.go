package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hoopy/control"
	"hoopy/unit"
)

// graph prints who needs whom.
func (a *app) graph(o options) error {
	got, err := a.ask(control.Request{Op: control.Graph}, control.StatusTimeout+slack)
	if err != nil {
		return err
	}
	f := forest{look: a.look, nodes: map[string]*unit.Node{}, drawn: map[string]bool{}}
	for i := range got.Nodes {
		f.nodes[got.Nodes[i].Name] = &got.Nodes[i]
		f.order = append(f.order, got.Nodes[i].Name)
	}
	name := ""
	if len(o.names) == 1 {
		name = o.names[0]
		if f.nodes[name] == nil { // for its words, and its guesses
			st, err := a.ask(control.Request{Op: control.Status, Names: o.names}, control.StatusTimeout+slack)
			if err != nil {
				return err
			}
			if len(st.Units) != 1 || f.nodes[st.Units[0].Name] == nil {
				return misuse("%s is not in the graph", name)
			}
			name = st.Units[0].Name
		}
	}
	switch {
	case o.has("json"):
		return a.json(got.Nodes)
	case o.has("dot"):
		fmt.Fprint(a.out, f.dot(name))
	default:
		fmt.Fprint(a.out, f.tree(name))
	}
	return nil
}

// forest is the graph as trees: what a unit stands on grows below it.
type forest struct {
	look  look
	nodes map[string]*unit.Node
	order []string
	drawn map[string]bool
	text  strings.Builder
}

type branch struct{ name, edge string }

// branches are the edges of a unit that start something; order alone is a leaf.
func (f *forest) branches(n *unit.Node) (all []branch) {
	for _, name := range n.Needs {
		all = append(all, branch{name, ""})
	}
	for _, name := range n.Wants {
		all = append(all, branch{name, "wants "})
	}
	for _, name := range n.After {
		if !slices.Contains(n.Needs, name) && !slices.Contains(n.Wants, name) {
			all = append(all, branch{name, "after "})
		}
	}
	return all
}

// tree draws name and what is below it; without a name, every unit that nobody
// needs or wants.
func (f *forest) tree(name string) string {
	if name != "" {
		f.draw(branch{name, ""}, "", "")
		if by := f.needing(name); len(by) > 0 {
			f.text.WriteString("\n" + wrap("needed by "+escape(strings.Join(by, ", ")), "", f.look.width))
		}
		return f.text.String()
	}
	below := map[string]bool{}
	for _, n := range f.nodes {
		for _, other := range slices.Concat(n.Needs, n.Wants) {
			below[other] = true
		}
	}
	for _, n := range f.order {
		if !below[n] {
			f.draw(branch{n, ""}, "", "")
		}
	}
	return f.text.String()
}

func (f *forest) needing(name string) (by []string) {
	for _, n := range f.order {
		if slices.Contains(f.nodes[n].Needs, name) || slices.Contains(f.nodes[n].Wants, name) {
			by = append(by, n)
		}
	}
	return by
}

// draw writes one unit and, the first time, what is below it. lead stands
// before its line, indent before the lines below.
func (f *forest) draw(b branch, lead, indent string) {
	n := f.nodes[b.name]
	if n == nil {
		f.text.WriteString(lead + f.look.paint(dim, b.edge) + escape(b.name) + gap + f.look.paint(red, "does not exist") + "\n")
		return
	}
	state := f.look.paint(stateColour(&unit.Report{Kind: n.Kind, State: n.State}), n.State.String())
	more := f.branches(n)
	line := lead + f.look.paint(dim, b.edge) + escape(n.Name) + gap + state
	again := f.drawn[n.Name] && len(more) > 0
	if again || strings.HasPrefix(b.edge, "after") {
		if again {
			line += gap + f.look.paint(dim, "(above)")
		}
		f.text.WriteString(line + "\n")
		return
	}
	f.drawn[n.Name] = true
	f.text.WriteString(line + "\n")
	for i, next := range more {
		if i == len(more)-1 {
			f.draw(next, indent+"└─ ", indent+"   ")
		} else {
			f.draw(next, indent+"├─ ", indent+"│  ")
		}
	}
}

var dotColours = map[colour]string{red: "#d9534f", green: "#5cb85c", yellow: "#f0ad4e", dim: "#bbbbbb"}

// dot writes the graph for graphviz: needs full, wants dashed, after dotted.
// With a name: what can be reached from it.
func (f *forest) dot(name string) string {
	within := map[string]bool{}
	var reach func(string)
	reach = func(n string) {
		if within[n] || f.nodes[n] == nil {
			return
		}
		within[n] = true
		for _, b := range f.branches(f.nodes[n]) {
			reach(b.name)
		}
	}
	for _, n := range f.order {
		if name == "" || n == name {
			reach(n)
		}
	}
	var b strings.Builder
	b.WriteString("digraph units {\n  rankdir=LR;\n  node [shape=box, style=filled, fontname=\"sans-serif\"];\n")
	for _, n := range f.order {
		if !within[n] {
			continue
		}
		node := f.nodes[n]
		c := dotColours[stateColour(&unit.Report{Kind: node.Kind, State: node.State})]
		fmt.Fprintf(&b, "  %s [fillcolor=%q, tooltip=%q];\n", dotName(n), c, node.Kind.String()+", "+node.State.String())
		for _, e := range f.branches(node) {
			style := map[string]string{"": "solid", "wants ": "dashed", "after ": "dotted"}[e.edge]
			fmt.Fprintf(&b, "  %s -> %s [style=%s];\n", dotName(n), dotName(e.name), style)
		}
	}
	b.WriteString("}\n")
	return b.String()
}

// dotName is a quoted id, https://graphviz.org/doc/info/lang.html.
func dotName(s string) string { return strconv.Quote(escape(s)) }
