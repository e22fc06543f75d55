package supervisor

import (
	"container/heap"

	"hoopy/unit"
)

// timers is a heap of the timers that were asked for. Cancelling is not needed:
// the State knows a stale timer by its generation.
type timers struct{ heap timerHeap }

func (t *timers) add(a unit.Action) { heap.Push(&t.heap, a) }

// next is when the first timer fires.
func (t *timers) next() (unit.Time, bool) {
	if len(t.heap) == 0 {
		return 0, false
	}
	return t.heap[0].At, true
}

// fired takes the timers that are due and makes events of them.
func (t *timers) fired(now unit.Time) (events []unit.Event) {
	for len(t.heap) > 0 && t.heap[0].At <= now {
		a := heap.Pop(&t.heap).(unit.Action)
		ev := unit.Event{Op: unit.TimerFired, Timer: a.Timer, Gen: a.Gen}
		if a.Unit != nil {
			ev.Unit = a.Unit.Name
		}
		events = append(events, ev)
	}
	return events
}

type timerHeap []unit.Action

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].At < h[j].At }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(unit.Action)) }
func (h *timerHeap) Pop() any {
	old := *h
	a := old[len(old)-1]
	*h = old[:len(old)-1]
	return a
}
