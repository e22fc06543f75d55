//go:build priv

package process

import (
	"os/exec"
	"testing"

	"hoopy/unit"
)

// BenchmarkStart is one service from Start to Empty through the launcher, beside
// the fork, exec and wait of the same program alone.
func BenchmarkStart(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("/bin/true").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("arm", func(b *testing.B) {
		k := newBench(b)
		u := &unit.Unit{Name: "b", Command: []string{"/bin/true"}}
		for b.Loop() {
			id := k.start(u)
			for k.next().Op != unit.Empty {
			}
			k.do(unit.Release, u, id)
		}
	})
}
