package timers

import (
	"testing"
	"time"
)

// TestKernelClock arms the kernel's own timer. That the wall clock is set cannot
// be tried here: it is the machine's.
func TestKernelClock(t *testing.T) {
	c, err := openClock(func(err error) { t.Errorf("lost: %v", err) }, func(what any, _ []byte) { t.Errorf("panic: %v", what) })
	if err != nil {
		t.Fatal(err)
	}
	token := func() bool {
		select {
		case <-c.woken():
			return true
		case <-time.After(time.Minute):
			return false
		}
	}
	began := c.now()
	if apart := time.Since(time.Unix(0, int64(began.Wall))); apart < 0 || apart > time.Hour || began.Boot <= 0 {
		t.Errorf("%+v, %v ago", began, apart)
	}
	const in = 20 * time.Millisecond
	c.arm(began.Boot + time.Hour)
	c.arm(began.Boot + in)
	if !token() {
		t.Fatal("not woken")
	}
	if late := c.now().Boot - began.Boot; late < in {
		t.Errorf("woken after %v", late)
	}
	c.arm(began.Boot) // that has been
	if !token() {
		t.Fatal("not woken by the past")
	}
	c.arm(c.now().Boot + time.Hour)
	c.arm(0)
	c.close()
	select {
	case <-c.woken():
		t.Error("woken by nothing")
	default:
	}
}
