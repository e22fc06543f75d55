// Package schedule says when timer units are due. It is pure: it reads no clock
// and no file, and asks nothing of the machine but the rules of its time zone,
// which package time keeps.
//
// Cron is a cron expression, Timer a whole timer (cron, every, on_boot, jitter,
// catch_up), Past what is known of its runs, Now one look at both clocks. From
// these Timer.Next says the next moment; the same question has the same answer
// however often it is asked, so whoever asks may forget the answer.
//
// # Clocks
//
// Everything that happened in this boot is kept on CLOCK_BOOTTIME, which only
// moves on, and is turned into wall time with the distance that the two clocks
// have at the moment of asking. So a run of ten minutes ago stays a run of ten
// minutes ago when the first answer of a time server moves the wall clock by 50
// years. The rules that follow from a moved clock are with Past.
//
// # Why the parser is ours
//
// /init has little room. Linked into it, github.com/adhocore/gronx takes
// 290,000 bytes, hashicorp/cronexpr as much (both bring regexp),
// github.com/netresearch/go-cron 102,000. robfig/cron takes 37,000, but it skips
// the runs that fall into the hour that summer time takes away, panics on a
// field such as "TZ=0", and has had no release since 2020. This one takes a few
// thousand; the tests hold it against go-cron.
package schedule
