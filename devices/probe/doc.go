// Package probe tells what a block device holds, by its superblocks: type,
// label, UUID, whether it wants a check, which pool it belongs to; and which
// partitions its table names.
//
// # Reads
//
// A Probe costs one read of the first 68 KiB and one or two near the end, where
// md and ZFS keep their labels; three small ones more for vfat, exfat and ntfs,
// whose labels lie in a directory. There is a budget of reads and of bytes
// for one device, whatever it claims of itself. Nothing is ever written.
//
// # Answers
//
// Types, usages, labels, UUIDs and versions are those of util-linux's
// libblkid, so that UUID= and /dev/disk/by-* mean here what they mean elsewhere.
// Its order of precedence too: a raid or crypto member hides what else may be
// seen in it, since the data of a mirror look like the file system that is on
// it; two file systems at once are Ambivalent, and then nothing is claimed.
// Checksums are verified wherever a superblock has a CRC: what libblkid takes
// and this package refuses is damaged.
//
// # What it does not do
//
// No UDF, HFS, reiserfs, JFS, minix and other file systems that a NAS does not
// meet, no fake-raid of mainboards, no DRBD; LUKS2's and ZFS's SHA-256 and
// btrfs's sums other than crc32c are not verified. It opens nothing: the caller
// gives a reader and the device's size.
package probe
