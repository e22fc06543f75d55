package main

import (
	"fmt"
	"strings"
	"time"

	"hoopy/unit"
)

// Measures of the picture, in pixels.
const (
	svgRow   = 20
	svgLabel = 200
	svgWidth = 800 // of the time itself
	svgHead  = 44
)

// svg is the time line as a picture that needs nothing else.
func (l *timeline) svg() string {
	var b strings.Builder
	height := svgHead + svgRow*len(l.bars) + svgRow
	whole := max(1, l.to-l.from)
	x := func(t unit.Time) float64 { return svgLabel + float64(t-l.from)*svgWidth/float64(whole) }
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d">
<style>text{font:12px sans-serif;fill:#222}.time{fill:#777}.wait{fill:#ddd}.took{fill:#7aa6c2}.critical{fill:#d9822b}.failed{fill:#c0392b}.open{fill:#bbb}path{stroke:#eee}</style>
<rect width="100%%" height="100%%" fill="#fff"/>
<text x="8" y="18" font-weight="bold">%s</text>
`, svgLabel+svgWidth+80, height, xmlText(l.head()))
	step := tick(time.Duration(whole))
	base := unit.Time(0)
	if l.end {
		base = l.from
	}
	for t := l.from + (unit.Time(step)-(l.from-base)%unit.Time(step))%unit.Time(step); t <= l.to; t = t.Add(step) {
		fmt.Fprintf(&b, `<path d="M%.1f %dV%d"/><text class="time" x="%.1f" y="%d" text-anchor="middle">%g s</text>`+"\n",
			x(t), svgHead-8, height-svgRow, x(t), svgHead-12, t.Sub(base).Seconds())
	}
	for i, r := range l.bars {
		y := svgHead + i*svgRow
		class := "took"
		switch {
		case r.failed:
			class = "failed"
		case r.open:
			class = "open"
		case r.critical:
			class = "critical"
		}
		fmt.Fprintf(&b, `<g><title>%s: %s</title><text x="%d" y="%d" text-anchor="end">%s</text>`,
			xmlText(r.name), exact(r.over.Sub(r.began)), svgLabel-8, y+14, xmlText(cut(r.name, 28)))
		if r.began > r.asked {
			fmt.Fprintf(&b, `<rect class="wait" x="%.1f" y="%d" width="%.1f" height="6"/>`, x(r.asked), y+7, x(r.began)-x(r.asked))
		}
		fmt.Fprintf(&b, `<rect class="%s" x="%.1f" y="%d" width="%.1f" height="14"/>`, class, x(r.began), y+3, max(1, x(r.over)-x(r.began)))
		fmt.Fprintf(&b, `<text class="time" x="%.1f" y="%d">%s</text></g>`+"\n", x(max(r.over, r.began))+6, y+14, exact(r.over.Sub(r.began)))
	}
	if len(l.critical) > 1 {
		fmt.Fprintf(&b, `<text x="8" y="%d">%s</text>`+"\n", height-6, xmlText("critical: "+l.path()))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// tick is how far the lines of a scale stand apart: 1, 2 or 5 of something,
// about ten in whole.
func tick(whole time.Duration) time.Duration {
	for step := time.Millisecond; ; step *= 10 {
		for _, n := range []time.Duration{1, 2, 5} {
			if whole/(step*n) <= 10 {
				return step * n
			}
		}
	}
}

var xmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func xmlText(s string) string { return xmlEscapes.Replace(escape(s)) }
