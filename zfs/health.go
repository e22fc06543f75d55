package zfs

import (
	"context"
	"errors"
	"strings"
	"time"
)

// watch looks after the imported pool until ctx ends or the pool is gone.
func (p *pool) watch(ctx context.Context) {
	p.run.mu.Lock()
	p.up, p.note, p.sick = true, "imported", ""
	p.run.mu.Unlock()
	p.mount(ctx)
	note := "imported"
	if t := p.troubles(); t != "" {
		note += "; " + t
	}
	p.set(true, true, note, "")
	m := p.members()
	disks, fresh := m.sign(), true // a disk may have come
	for {
		well, there := p.refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		if there && p.lacks && fresh && time.Since(p.onlined) >= onlineTime {
			fresh = false
			if p.online(ctx) {
				continue
			}
		}
		if !there {
			m := p.members()
			p.held = m.sign()
			p.a.log(p.run.name + ": " + p.name + " was exported by somebody")
			p.is(p.name, p.first)
			p.set(false, p.one, "exported by somebody; svc restart "+p.run.name+" imports it", "")
			p.run.lost(p.name + " was exported by somebody")
			return
		}
		every := healthTime
		if !well {
			every = unwellTime
		}
		for range p.lane.hung {
			every = min(2*every, hungTime)
		}
		t := time.NewTimer(every)
		select {
		case <-ctx.Done():
		case <-t.C:
		case q := <-p.asks:
			text, err := p.unlock(ctx, q)
			q.answer <- answer{text, err}
		case <-p.pokes:
			fresh = true
			if m := p.members(); m.sign() != disks {
				disks = m.sign()
				pause(ctx, settleTime, nil) // the kernel notices it too
			}
			if p.hasFiles() {
				p.mount(ctx)
			}
		}
		t.Stop()
	}
}

// online has the pool use the disks again that were missing and are there; some: it
// was tried. One that somebody took offline, or that ZFS has given up on, is left
// as it is: whoever did it knows more. zed does the same where it is built with
// libudev and runs; for a disk in use it changes nothing.
func (p *pool) online(ctx context.Context) (some bool) {
	out, ok, err := p.call(ctx, askLimit, nil, "zpool", "status", "-g", p.name)
	l := parse(out)
	if err != nil || !ok || len(l) == 0 {
		return false
	}
	for i := range l[0].vdevs {
		v := &l[0].vdevs[i]
		name := p.back(v)
		if name == "" || !v.missing() {
			continue
		}
		out, _, err := p.call(ctx, workLimit, nil, "zpool", "online", p.name, v.name)
		if err != nil {
			return some
		}
		line := p.run.name + ": " + name + " is back in " + p.name
		if out != "" {
			line += ": " + sentence(out, p.name)
		}
		p.a.log(line)
		some, p.onlined = true, time.Now()
	}
	return some
}

// refresh asks how the pool is and says so. well: nothing is to be watched; there:
// it is imported, as far as can be told.
func (p *pool) refresh(ctx context.Context) (well, there bool) {
	out, ok, err := p.call(ctx, askLimit, nil, "zpool", "list", "-Hp", "-o", "name,health,capacity,size", p.name)
	if err == nil && !ok {
		in, _, err := p.imported(ctx)
		if err == nil && !in {
			return false, false
		}
	}
	s, read := parseSpace(out)
	var status found
	if err == nil && ok && read {
		out, ok, err = p.call(ctx, askLimit, nil, "zpool", "status", p.name)
		if l := parse(out); ok && len(l) > 0 {
			status = l[0]
		}
		p.lacks = false
		for i := range status.vdevs {
			p.lacks = p.lacks || status.vdevs[i].missing()
		}
	}
	switch {
	case ctx.Err() != nil:
		return false, true
	case errors.Is(err, errHung):
		p.tell(err.Error(), "zpool "+errHung.Error(), "no answer", "")
		return false, true
	case err != nil || !ok || !read:
		text := "zpool: " + sentence(out, p.name)
		if err != nil {
			text = err.Error()
		}
		p.tell(text, text, text, "")
		return false, true
	}
	how, sick := s.health, ""
	if what := p.a.ailing(&status); what != "" {
		how += ": " + what
		sick = how // also while the pool's own word is still ONLINE
	}
	if e := status.errors; e != "" && e != "No known data errors" {
		e, _, _ = strings.Cut(e, ", use ")
		how += ", " + e
		sick = how
	}
	if s.health != "ONLINE" {
		sick = how
	}
	progress, under := progress(status.scan)
	note := how + ", " + s.String()
	if progress != "" {
		note += ", " + progress
	}
	p.tell(note, sick, how, status.scan)
	return sick == "" && !under, true
}

// tell notes how the pool is, and logs what has changed of it.
func (p *pool) tell(note, sick, how, scan string) {
	who := p.run.name + ": "
	if p.one {
		who += p.name + ": "
	}
	if how != p.health && p.health != "" {
		p.a.log(who + how + " (it was " + p.health + ")")
	}
	_, was := progress(p.scan)
	_, is := progress(scan)
	if p.health != "" && scan != "" && (is != was || !is && scan != p.scan) {
		line, _, _ := strings.Cut(scan, " since ")
		p.a.log(who + line)
	}
	p.health = how
	if scan != "" {
		p.scan = scan
	}
	if t := p.troubles(); t != "" {
		note += "; " + t
	}
	p.set(true, true, note, sick)
}

// progress is how far a scrub or resilver is, from its line in zpool status;
// under says whether one is under way.
func progress(scan string) (text string, under bool) {
	what, _, found := strings.Cut(scan, " in progress")
	if !found {
		what, _, found = strings.Cut(scan, " paused")
		if !found {
			return "", false
		}
		what += " paused at"
	}
	words := strings.Fields(scan)
	done, left := "", ""
	for i, w := range words {
		if i > 0 && strings.TrimSuffix(w, ",") == "done" {
			done = strings.TrimSuffix(words[i-1], "%")
			done, _, _ = strings.Cut(done, ".")
		}
		if i > 1 && w == "go" && words[i-1] == "to" {
			left = words[i-2]
			if i > 3 && strings.HasPrefix(words[i-3], "day") {
				left = words[i-4] + " d " + left
			}
		}
	}
	text = what
	if done != "" {
		text += " " + done + "%"
	}
	if left != "" {
		text += ", " + left + " to go"
	}
	return text, true
}

// ailing is a sentence on the disks that are not well.
func (a *Arm) ailing(f *found) string {
	var states []string
	by := map[string][]string{}
	for i := range f.vdevs {
		v := &f.vdevs[i]
		state := ""
		switch {
		case !v.leaf || v.state == "ONLINE" || v.spare():
			continue
		case v.missing():
			state = "missing"
		default:
			state = strings.ToLower(v.state)
			if v.text != "" && !strings.HasPrefix(v.text, "was ") {
				state += " (" + v.text + ")"
			}
		}
		if by[state] == nil {
			states = append(states, state)
		}
		by[state] = append(by[state], a.called(v))
	}
	text := ""
	for i, s := range states {
		if i > 0 {
			text += ", "
		}
		text += list(by[s]) + verb(len(by[s])) + s
	}
	return text
}
