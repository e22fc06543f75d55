// Package zfs is the arm of pools: it imports them, gives their datasets keys and
// places, says how they are, and exports them.
//
// # Import
//
// The device source says which disks there are and which pool each is a member
// of. Each time that a member has come, and nothing more has for settleTime,
// `zpool import -d MEMBER…` is asked what the pool lacks; it is imported as soon
// as that is nothing. After the wait of its configuration it is imported without
// what is missing, if that is allowed and enough is there. Only members are given
// with -d, by their names in the folders of `search`: a dead disk that is not of
// the pool costs it nothing. A pool is always imported by its number, with -N
// and without a cache file, and with -f only if the configuration says so.
//
// What zpool says against an import ends the start: the supervisor's back-off
// tries again. Then the question is cheap, and the import itself is tried again
// only when a disk has come or gone, or after refusedTime.
//
// # Datasets
//
// Then the keys that lie in files are loaded and what may be mounted is, one by
// one, in the order of the paths; a dataset that fails is named in the unit's
// note and keeps nobody waiting, except those below one that is locked: it would
// cover them when it is unlocked. The unit is ready when each has been tried. A
// key that comes later (Changed, Unlock) is taken then.
//
// # Health
//
// The pool is asked how it is every healthTime, more often while it is not well
// or being mended, and when one of its disks comes or goes. What is not ONLINE
// makes the unit sick: it goes on, and svc status counts it as not well. A disk that
// was missing and is there again is brought online by its number, once for each time
// that a disk comes; one that is OFFLINE or FAULTED is left to who made it so.
//
// # The end
//
// A pool is exported when nobody needs it any more. While it is busy, who holds
// it is named, and it is tried again until Kill; then what was written is forced
// out and the pool is left. When the supervisor ends, pools stay as they are: the
// next one finds them by zpool list. That no pool is imported at all the kernel says
// itself, in /proc/spl/kstat/zfs: zpool is not asked then, and may hang.
//
// # What hangs
//
// A disk that does not answer hangs zpool for ever, in the kernel, where no signal
// reaches. Every call is bounded. One that outlives its end is left behind, and no
// more is asked of this pool until it is gone; other pools have calls of their own.
package zfs
