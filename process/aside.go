package process

// aside runs look, which may hang (a path on a disk that died), in a goroutine
// of its own, and then done with what it said, on the arm's. False: what was
// last asked under key has no answer yet, and nothing was begun, so that a disk
// costs one thread and not one for each question. The goroutine ends with look;
// nobody waits for it.
func (a *Arm) aside(key string, look func() string, done func(said string)) bool {
	if a.hanging[key] {
		return false
	}
	a.hanging[key] = true
	go func() {
		said := "panic"
		defer func() {
			if v := recover(); v != nil {
				a.panicked(v)
			}
			a.post(func() {
				delete(a.hanging, key)
				done(said)
			})
		}()
		said = look()
	}()
	return true
}
