package zfs

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strings"
)

// lock is a key that is not loaded.
type lock struct {
	dataset string // that has the key, and lends it to those below
	file    string // where it is looked for; empty: somebody is asked
}

// troubles are the datasets that are not in their places.
func (p *pool) troubles() string { return strings.Join(p.faults, "; ") }

// hasFiles says whether a key that waits lies in a file.
func (p *pool) hasFiles() bool {
	return slices.ContainsFunc(p.locked, func(l lock) bool { return l.file != "" })
}

// list asks for the file systems of the pool.
func (p *pool) list(ctx context.Context) ([]dataset, error) {
	out, ok, err := p.call(ctx, mountLimit, nil, "zfs", "list", "-H", "-p", "-t", "filesystem", "-o", datasetColumns, "-r", p.name)
	if err == nil && !ok {
		err = errors.New(sentence(out, p.name))
	}
	if err != nil {
		return nil, err
	}
	return datasets(out), nil
}

// mount loads the keys that lie in files and mounts what may be mounted. After it
// p.faults names what is not in its place, and p.locked why.
func (p *pool) mount(ctx context.Context) {
	all, err := p.list(ctx)
	if err != nil {
		p.faults = []string{"no datasets: " + err.Error()}
		return
	}
	p.faults, p.locked = nil, nil
	if p.loadKeys(ctx, all) {
		if all, err = p.list(ctx); err != nil {
			p.faults = []string{"no datasets: " + err.Error()}
			return
		}
	}
	var cover []string // where something locked will be
	for i := range all {
		d := &all[i]
		if d.locked && d.on && strings.HasPrefix(d.where, "/") {
			cover = append(cover, d.where)
		}
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i].where, all[j].where
		if m, n := strings.Count(a, "/"), strings.Count(b, "/"); m != n {
			return m < n
		}
		return a < b || a == b && all[i].name < all[j].name
	})
	for i := range all {
		d := &all[i]
		if !d.on || d.mounted || d.locked || !strings.HasPrefix(d.where, "/") {
			continue
		}
		if d.where == "/" {
			p.fault(d.name + " wants to be /: left out")
			continue
		}
		if c := slices.IndexFunc(cover, func(c string) bool { return c == d.where || strings.HasPrefix(d.where, c+"/") }); c >= 0 {
			p.fault(d.name + " waits for what is locked on " + cover[c])
			continue
		}
		out, ok, err := p.call(ctx, mountLimit, nil, "zfs", "mount", d.name)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			p.fault(d.name + ": " + err.Error())
		case !ok:
			p.fault(d.name + ": " + sentence(out, d.name))
		}
	}
}

func (p *pool) fault(text string) { p.faults = append(p.faults, text) }

// loadKeys loads the keys that lie in files, each once, and says whether one was.
func (p *pool) loadKeys(ctx context.Context, all []dataset) (some bool) {
	roots := map[string]bool{}
	for i := range all {
		d := &all[i]
		if !d.locked || d.root == "" || roots[d.root] {
			continue
		}
		roots[d.root] = true
		l := lock{dataset: d.root}
		for _, k := range p.cfg.Keys {
			if k.Dataset == d.root || k.Dataset == d.name {
				l.file = "file://" + k.File
			}
		}
		if l.file == "" && strings.HasPrefix(d.key, "file://") {
			l.file = d.key
		}
		why := d.root + " is locked"
		if l.file != "" {
			out, ok, err := p.call(ctx, keyLimit, nil, "zfs", "load-key", "-L", l.file, d.root)
			switch {
			case err == nil && ok:
				some = true
				continue
			case err != nil:
				why += " (" + err.Error() + ")"
			default:
				why += " (" + sentence(out, d.root) + ")"
			}
		}
		p.locked = append(p.locked, l)
		p.fault(why + ": svc unlock " + d.root)
	}
	return some
}

// ask is a passphrase for a dataset.
type ask struct {
	dataset string
	secret  []byte
	answer  chan answer
}

type answer struct {
	text string
	err  error
}

// Unlock gives a dataset its key, which secret is as zfs load-key reads it from
// its input, and mounts what waited for it. Of a pool whose root has no key of
// its own, secret is tried on all that is locked in it. The text says what is
// unlocked; an error is in zfs's own words. secret is overwritten with zeros.
func (a *Arm) Unlock(ctx context.Context, dataset string, secret []byte) (text string, err error) {
	q := ask{dataset, slices.Clone(secret), make(chan answer, 1)}
	clear(secret)
	name, _, _ := strings.Cut(dataset, "/")
	p := a.find(name)
	if p == nil {
		clear(q.secret)
		return "", errors.New("pool " + name + " is not imported")
	}
	select {
	case p.asks <- q:
	case <-ctx.Done():
		clear(q.secret)
		return "", errors.New("pool " + name + " is busy: " + ctx.Err().Error())
	case <-p.run.ctx.Done():
		clear(q.secret)
		return "", errors.New("pool " + name + " is being exported")
	}
	select {
	case v := <-q.answer:
		return v.text, v.err
	case <-ctx.Done():
		return "", ctx.Err()
	case <-p.run.done:
		return "", errors.New("pool " + name + " was exported")
	}
}

// find is the imported pool of a name.
func (a *Arm) find(name string) *pool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.runs {
		r.mu.Lock()
		i := slices.IndexFunc(r.pools, func(p *pool) bool { return p.up && p.name == name })
		var p *pool
		if i >= 0 {
			p = r.pools[i]
		}
		r.mu.Unlock()
		if p != nil {
			return p
		}
	}
	return nil
}

// unlock takes what Unlock asks.
func (p *pool) unlock(ctx context.Context, q ask) (text string, err error) {
	defer clear(q.secret)
	all, err := p.list(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(d dataset) bool { return d.name == q.dataset })
	if i < 0 {
		return "", errors.New("no dataset " + q.dataset)
	}
	var roots []string
	for _, d := range all {
		of := d.name == q.dataset || all[i].root == "" && strings.HasPrefix(d.name, q.dataset+"/")
		if of && d.locked && d.root != "" && !slices.Contains(roots, d.root) {
			roots = append(roots, d.root)
		}
	}
	if len(roots) == 0 {
		return q.dataset + " is not locked", nil
	}
	var done []string
	var errs []error
	for _, root := range roots {
		out, ok, err := p.call(ctx, keyLimit, slices.Clone(q.secret), "zfs", "load-key", "-L", "prompt", root)
		switch {
		case err != nil:
			errs = append(errs, errors.New(root+": "+err.Error()))
		case !ok:
			errs = append(errs, errors.New(root+": "+sentence(out, root)))
		default:
			done = append(done, root)
		}
	}
	if len(done) == 0 {
		return "", errors.Join(errs...)
	}
	p.mount(ctx)
	text = list(done) + verb(len(done)) + "unlocked"
	p.a.log(p.run.name + ": " + text)
	if t := p.troubles(); t != "" {
		text += "; " + t
	}
	return text, errors.Join(errs...)
}
