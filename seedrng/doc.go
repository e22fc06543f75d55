// Package seedrng is the arm of the seed: it carries entropy from one boot to the
// next, so that the kernel's random numbers are good before the first key is made.
//
// # Files
//
// It is SeedRNG (https://git.zx2c4.com/seedrng/about/), and takes the files of
// OpenRC's and busybox's seedrng as they take ours: in one folder, mode 0700, of
// the persistence device, seed.credit and seed.no-credit, mode 0400. They are raw
// bytes without a header: as many as the kernel's pool has, 32 to 512. A seed is
// creditable if the kernel's pool was ready when it was made.
//
// # A seed is used once
//
// A seed that is used in two boots may give both the same keys; one that is lost
// only costs time. So both files are removed, and the removal is on the disk
// (fsync of the folder), before a byte of them is used; if that does not succeed,
// neither is. A crash may leave one seed under both names (a rename on vfat is two
// writes), which is why none is used before both are gone; then it counts once.
//
// A new seed is written at once: random bytes of the kernel, whose last 32 are the
// hash of the old seeds and of the new one, so that it is never worse than they
// were. It is seed.no-credit until its bytes are on the disk. Another one replaces
// it each day and before the disk is unmounted, by a rename: at no moment of these
// is there none.
//
// # Credit
//
// What is not a regular file, is longer than 512 bytes, or could have been written
// by others than us, is removed and not used. Less than 32 bytes, or nothing but
// zeros, are used without credit; all are with Config.SkipCredit, which is for
// images and disks that are copied: see Skip.
//
// # What it does not do
//
// It trusts a disk that says that something is written. It does not wait for the
// pool to be ready, and it makes the folder, but not what that lies in.
package seedrng
