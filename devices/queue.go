package devices

import "sync"

// queueLimit bounds the events that wait for the subscriber; more than that
// are answered as if the kernel had lost them.
const queueLimit = 1 << 14

// queue hands events from the reader to the loop without ever blocking the
// reader.
type queue struct {
	mu    sync.Mutex
	items []Uevent
	wake  chan struct{} // holds one token while items is not empty
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// put reports false if the queue is full.
func (q *queue) put(u Uevent) bool {
	q.mu.Lock()
	ok := len(q.items) < queueLimit
	if ok {
		q.items = append(q.items, u)
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return ok
}

// take empties the queue.
func (q *queue) take() []Uevent {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items = nil
	return items
}
