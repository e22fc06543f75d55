package install

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"

	"hoopy/build/apk"
)

// ahead is how many packages are held unpacked before their turn.
const ahead = 8

// fetchAll yields the packages in order while some more are fetched, verified
// and unpacked ahead of their turn. It ends after the first error; when it has
// ended, none of its goroutines is left.
func fetchAll(ctx context.Context, cache *apk.Cache, pkgs []*apk.Package) iter.Seq2[*apk.Archive, error] {
	type result struct {
		a   *apk.Archive
		err error
	}
	return func(yield func(*apk.Archive, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		results := make([]chan result, len(pkgs))
		for i := range results {
			results[i] = make(chan result, 1)
		}
		room := make(chan struct{}, ahead)
		for range ahead {
			room <- struct{}{}
		}
		fetch := func(p *apk.Package) (r result) {
			defer func() {
				if x := recover(); x != nil {
					r = result{err: fmt.Errorf("package %s: panic: %v", p.ID(), x)}
				}
			}()
			a, err := cache.Fetch(ctx, p)
			return result{a, err}
		}
		var next atomic.Int64
		for range min(max(2, runtime.GOMAXPROCS(0)), ahead, len(pkgs)) {
			wg.Go(func() {
				for {
					select {
					case <-room:
					case <-ctx.Done():
						return
					}
					i := int(next.Add(1)) - 1
					if i >= len(pkgs) {
						return
					}
					results[i] <- fetch(pkgs[i])
				}
			})
		}
		for _, c := range results {
			select {
			case r := <-c:
				if !yield(r.a, r.err) || r.err != nil {
					return
				}
			case <-ctx.Done():
				yield(nil, context.Cause(ctx))
				return
			}
			room <- struct{}{}
		}
	}
}
