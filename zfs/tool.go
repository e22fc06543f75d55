package zfs

import (
	"context"
	"errors"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"hoopy/unit"
)

// lane is on what the calls for one pool go: one at a time, and none while one
// that hangs is still there. It outlives the runs of the unit; only one of those
// uses it at a time.
type lane struct {
	left  chan struct{} // closed when the call that was left behind is over; nil: none was
	what  string        // it is
	since time.Time
	hung  int // calls in a row that did not end by themselves

	// What zpool had against the import, when, and of which disks.
	refused, refusedOf string
	refusedAt          time.Time
}

func (a *Arm) lane(pool string) *lane {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.lanes[pool]
	if l == nil {
		l = &lane{}
		a.lanes[pool] = l
	}
	return l
}

// errHung is of a call that did not end by itself, or was not begun because
// another has not.
var errHung = errors.New("does not answer")

// call runs a tool: argv[0] is its name. ok says whether it ended with 0. There is
// an error if it did not come to its end by itself: that of ctx, errHung, or what
// kept it from starting. input is overwritten.
func (p *pool) call(ctx context.Context, limit time.Duration, input []byte, argv ...string) (output string, ok bool, err error) {
	l, what := p.lane, argv[0]+" "+argv[1]
	if l.left != nil {
		select {
		case <-l.left:
			l.left = nil
		default:
			clear(input)
			return "", false, &hungError{l.what, l.since}
		}
	}
	if argv[0] = p.a.tool(argv[0]); argv[0] == "" {
		clear(input)
		return "", false, errors.New(noTools)
	}
	type answer struct {
		output []byte
		status unit.Status
		err    error
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	came, over := make(chan answer, 1), make(chan struct{})
	began := time.Now()
	go p.a.guard(what, func() {
		defer close(over)
		defer clear(input)
		out, status, err := p.a.cfg.Tool(limited, p.run.name, argv, input)
		came <- answer{out, status, err}
	})
	slow := time.NewTimer(slowTime)
	defer slow.Stop()
	ended := limited.Done()
	var grace <-chan time.Time
	for {
		select {
		case v := <-came:
			switch {
			case v.err == nil:
				l.hung = 0
				return string(v.output), v.status == 0, nil
			case ctx.Err() != nil:
				return "", false, ctx.Err()
			case limited.Err() != nil:
				l.hung++
				return "", false, &hungError{what, began}
			}
			return "", false, v.err
		case <-slow.C:
			p.say((&hungError{what, began}).Error())
		case <-ended:
			ended = nil
			timer := time.NewTimer(graceTime)
			defer timer.Stop()
			grace = timer.C
		case <-over: // it panicked
			select {
			case v := <-came:
				came <- v
				over = nil
			default:
				return "", false, errors.New(what + ": panic")
			}
		case <-grace:
			l.left, l.what, l.since = over, what, began
			l.hung++
			p.a.log(p.run.name + ": " + what + " cannot be ended; nothing more is asked of this pool until it is gone")
			return "", false, &hungError{what, began}
		}
	}
}

// hungError says what does not answer. It is errHung.
type hungError struct {
	what  string
	since time.Time
}

func (e *hungError) Error() string {
	return e.what + " does not answer since " + seconds(time.Since(e.since))
}
func (e *hungError) Is(target error) bool { return target == errHung }

// seconds is a duration as it is shown: "32 s", "5 min".
func seconds(d time.Duration) string {
	if d < 2*time.Minute {
		return strconv.Itoa(int(d.Round(time.Second)/time.Second)) + " s"
	}
	return strconv.Itoa(int(d/time.Minute)) + " min"
}

const noTools = "no zpool in this image; add the package zfs"

// tool is the path of a program; empty: the image lacks it.
func (a *Arm) tool(name string) string {
	for _, dir := range [...]string{"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"} {
		if st, err := os.Stat(a.cfg.Root + dir + name); err == nil && !st.IsDir() {
			return dir + name
		}
	}
	return ""
}

// prepare has the module loaded and tells it whose machine this is. What is
// missing is returned.
func (a *Arm) prepare(ctx context.Context) (missing string) {
	if a.tool("zpool") == "" || a.tool("zfs") == "" {
		return noTools
	}
	a.loading.Lock()
	defer a.loading.Unlock()
	if ctx.Err() != nil {
		return ""
	}
	if !a.loaded() {
		switch err := a.load(ctx); {
		case errors.Is(err, os.ErrNotExist):
			return err.Error() + "; the package zfs-lts has it"
		case errors.Is(err, context.DeadlineExceeded):
			return "module zfs is still loading"
		case err != nil:
			return err.Error()
		}
	}
	if !a.appears(ctx) {
		return "no /dev/zfs, although the module is loaded"
	}
	if a.cfg.HostID == 0 {
		return ""
	}
	file, want := a.cfg.Root+"/sys/module/spl/parameters/spl_hostid", strconv.FormatUint(uint64(a.cfg.HostID), 10)
	have, err := os.ReadFile(file)
	if err == nil && strings.TrimSpace(string(have)) != want {
		err = os.WriteFile(file, []byte(want+"\n"), 0)
	}
	if err != nil {
		return "hostid: " + err.Error()
	}
	return ""
}

// load loads the module, and does not wait for ever.
func (a *Arm) load(ctx context.Context) error {
	if a.cfg.Load == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, loadLimit)
	defer cancel()
	came := make(chan error, 1)
	go a.guard("module zfs", func() { came <- a.cfg.Load("zfs") })
	select {
	case err := <-came:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// loaded says whether the module is there and its start is over. A node /dev/zfs
// says nothing: it may be one that is to have the module loaded.
func (a *Arm) loaded() bool {
	dir := a.cfg.Root + "/sys/module/zfs"
	state, err := os.ReadFile(dir + "/initstate")
	if err == nil {
		return strings.TrimSpace(string(state)) == "live"
	}
	_, err = os.Stat(dir)
	return err == nil // it is part of the kernel
}

// appears waits for the module and its device; at most deviceTime.
func (a *Arm) appears(ctx context.Context) bool {
	for end := time.Now().Add(deviceTime); ; {
		if _, err := os.Stat(a.cfg.Root + "/dev/zfs"); err == nil && a.loaded() {
			return true
		}
		if time.Now().After(end) || !pause(ctx, pollTime, nil) {
			return false
		}
	}
}

// pause waits for d, or until poked; it is false if ctx ended.
func pause(ctx context.Context, d time.Duration, pokes <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-pokes:
	case <-t.C:
	}
	return true
}

// sentence makes one line of what a tool said: without the name of what it was
// about, which stands before it already, and cut.
func sentence(out, about string) string {
	s := ""
	for _, line := range strings.Split(out, "\n") {
		line = strings.Join(strings.Fields(line), " ")
		if s != "" && line != "" {
			if c := line[0]; c >= 'A' && c <= 'Z' && strings.IndexByte(".:;,", s[len(s)-1]) < 0 {
				s += "."
			}
			s += " "
		}
		s += line
	}
	for _, before := range [...]string{"cannot import '" + about + "': ", "Cannot import '" + about + "': ", "cannot mount '" + about + "': ", "Key load error: "} {
		s = strings.TrimPrefix(s, before)
	}
	for _, hint := range [...]string{" The pool can be imported, use 'zpool import -f'"} {
		s, _, _ = strings.Cut(s, hint)
	}
	s = strings.TrimSuffix(strings.TrimSpace(s), ".")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	if s == "" {
		s = "no reason given"
	}
	return s
}

const most = 240 // bytes of a sentence

// short is a disk's name without its folder and the number of the partition that
// ZFS makes itself.
func short(name string) string {
	name = path.Base(name)
	if i := strings.LastIndex(name, "-part"); i > 0 {
		if _, err := strconv.ParseUint(name[i+5:], 10, 16); err == nil {
			return name[:i]
		}
	}
	return name
}
