//go:build priv && linux

package image

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hoopy/build/apk/oracle"
)

// BenchmarkBesideFrood makes the same 75 packages into an initramfs as frood
// does, with the real apk in a chroot and "find | cpio | gzip" (without what
// alpine-make-rootfs does besides), and as we do, in turn, and tells how many
// times faster we are: cold with the packages at hand only, root after a change
// in root/.
func BenchmarkBesideFrood(b *testing.B) {
	o := realImage(b)
	root := oracle.New(b)
	root.Share(filepath.Join(oracle.Data(b), "v3.19/main"), "main")
	frood := func() {
		if out, err := root.Run("", "/bin/rm", "-rf", "/target"); err != nil {
			b.Fatal(err, out)
		}
		if out, err := root.Add("/target", []string{"/main"}, strings.Fields(bootList)); err != nil {
			b.Fatal(err, out)
		}
		if out, err := root.Run("", "/bin/sh", "-c", "cd /target && find . | cpio -o -H newc 2>/dev/null | gzip >/initramfs.gz"); err != nil {
			b.Fatal(err, out)
		}
	}
	took := func(f func()) time.Duration {
		at := time.Now()
		f()
		return time.Since(at)
	}
	var peer, cold, change []time.Duration
	for i := 0; b.Loop(); i++ {
		peer = append(peer, took(frood))
		cold = append(cold, took(func() { coldly(b, o) }))
		change = append(change, took(func() { touched(b, o, i) }))
	}
	median := func(d []time.Duration) float64 {
		slices.Sort(d)
		return d[len(d)/2].Seconds()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(peer), "frood-s")
	b.ReportMetric(median(cold), "cold-s")
	b.ReportMetric(median(change), "root-s")
	b.ReportMetric(median(peer)/median(cold), "cold-times-faster")
	b.ReportMetric(median(peer)/median(change), "root-times-faster")
}
