package zfs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What zpool 2.3 and its documentation show, by what it is.
var outputs = map[string]string{
	"degraded": `   pool: tank
     id: 3778921145927357706
  state: DEGRADED
status: One or more devices are missing from the system.
 action: The pool can be imported despite missing or damaged devices.  The
	fault tolerance of the pool may be compromised if imported.
   see: https://openzfs.github.io/openzfs-docs/msg/ZFS-8000-2Q
 config:

	tank                      DEGRADED
	  mirror-0                DEGRADED
	    ata-A_1               ONLINE
	    15373742397912348190  UNAVAIL  cannot open
	logs
	  ata-L_1                 ONLINE
	spares
	  ata-S_1

   pool: solo
     id: 7
  state: ONLINE
status: The pool was last accessed by another system.
 action: The pool can be imported using its name or numeric identifier and
	the '-f' flag.
   see: https://openzfs.github.io/openzfs-docs/msg/ZFS-8000-EY
 config:

	solo        ONLINE
	  sdb       ONLINE
`,
	"more": `   pool: test
     id: 13783646421373024673
  state: UNAVAIL
status: One or more devices are missing from the system.
 action: The pool cannot be imported.  Attach the missing devices and try again.
   see: https://openzfs.github.io/openzfs-docs/msg/ZFS-8000-6X
 config:

	test              UNAVAIL  missing device
	  c0t0d0          ONLINE

	Additional devices are known to be part of this pool, though their
	exact configuration cannot be determined.
`,
	"status": `  pool: tank
 state: DEGRADED
status: One or more devices has been removed by the administrator.
	Sufficient replicas exist for the pool to continue functioning in a
	degraded state.
action: Online the device using zpool online' or replace the device with
	'zpool replace'.
  scan: scrub in progress since Sun Jul 25 16:07:49 2021
	403M / 405M scanned at 100M/s, 68.4M / 405M issued at 10.0M/s
	0B repaired, 16.91% done, 00:00:04 to go
config:

	NAME                                 STATE     READ WRITE CKSUM
	tank                                 DEGRADED     0     0     0
	  raidz1-0                           DEGRADED     0     0     0
	    ata-A_1                          ONLINE       0     0     0
	    9876                             UNAVAIL      0     0     0  was /dev/disk/by-id/ata-B_2-part1
	    ata-C_3                          FAULTED     12   1.2K     0  too many errors
	    ata-D_4                          OFFLINE      0     0     0
	spares
	  ata-S_1                            AVAIL

errors: 3 data errors, use '-v' for a list
`,
	"replacing": `  pool: tank
 state: DEGRADED
status: One or more devices is currently being resilvered.  The pool will
	continue to function, possibly in a degraded state.
action: Wait for the resilver to complete.
  scan: resilver in progress since Sat Nov 21 06:43:26 2026
	1.20G / 16.4T scanned at 123M/s, 0B / 16.4T issued
	0B resilvered, 0.00% done, no estimated completion time
config:

	NAME                       STATE     READ WRITE CKSUM  SLOW
	tank                       DEGRADED     0     0     0     -
	  raidz2-0                 DEGRADED     0     0     0     -
	    ata-A_1-part1          ONLINE       0     0     0     0  (resilvering)
	    replacing-1            DEGRADED     0     0     0     -
	      old                  REMOVED      0     0     0     0
	      ata-N_9-part1        ONLINE       0     0     0     0  (awaiting resilver)
	    spare-2                DEGRADED     0     0     0     -
	      ata-C_3-part1        FAULTED      3     5     0     0  too many errors  (trimming)
	      ata-S_1-part1        ONLINE       0     0    2K     0
	  indirect-1               ONLINE       0     0     0     -
	special
	  mirror-2                 ONLINE       0     0     0     -
	    nvme-X_1-part3         ONLINE       0     0     0     0
	    nvme-X_2-part3         ONLINE       0     0     0     0
	cache
	  nvme-X_1-part4           ONLINE       0     0     0     0
	spares
	  ata-S_1-part1            INUSE     currently in use

errors: List of errors unavailable: permission denied
`,
	"none":    "no pools available to import\n",
	"garbage": "pool:\nconfig:\n\t\tONLINE ONLINE\n pool: x\nconfig:\n\tx\tONLINE\n\t\ty ONLINE 1\n",
}

func TestParse(t *testing.T) {
	a := New(Config{})
	a.names[15373742397912348190] = "ata-B_1"
	for _, c := range []struct{ of, name, state, missing, ailing string }{
		{"degraded", "tank", "DEGRADED", "1 of 3 disks: ata-B_1 is missing", "ata-B_1 is missing"},
		{"more", "test", "UNAVAIL", "more that are not known", ""},
		{"status", "tank", "DEGRADED", "1 of 4 disks: ata-B_2 is missing", "ata-B_2 is missing, ata-C_3 is faulted (too many errors), ata-D_4 is offline"},
		{"replacing", "tank", "DEGRADED", "1 of 8 disks: old is missing", "old is missing, ata-C_3 is faulted (too many errors (trimming))"},
		{"garbage", "x", "", "", ""},
	} {
		pools := parse(outputs[c.of])
		if len(pools) == 0 {
			t.Errorf("%s: no pool", c.of)
			continue
		}
		f := &pools[0]
		missing, _ := a.missing(f)
		if d := cmp.Diff([]string{c.name, c.state, c.missing, c.ailing}, []string{f.name, f.state, missing, a.ailing(f)}); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.of, d)
		}
	}
	if got := parse(outputs["none"]); got != nil {
		t.Errorf("none: %v", got)
	}
	two := parse(outputs["degraded"])
	if len(two) != 2 || two[0].id != 3778921145927357706 || two[1].id != 7 || two[1].status != "The pool was last accessed by another system." {
		t.Errorf("two pools: %+v", two)
	}
	if s := parse(outputs["status"])[0]; s.errors != "3 data errors, use '-v' for a list" {
		t.Errorf("errors: %q", s.errors)
	}
}

func TestProgress(t *testing.T) {
	for scan, want := range map[string]string{
		"": "", "none requested": "",
		"scrub repaired 0B in 01:23:45 with 0 errors on Sun Apr  6 02:00:01 2025":               "",
		parse(outputs["status"])[0].scan:                                                        "scrub 16%, 00:00:04 to go",
		"resilver in progress since Tue 4.1G scanned, 1.0G resilvered, 5.00% done":              "resilver 5%",
		"scrub in progress since Sun 1T scanned, 0B repaired, 1.5% done, 2 days 03:04:05 to go": "scrub 1%, 2 d 03:04:05 to go",
		"scrub paused since Tue scrub started on Mon 1T scanned, 0B repaired, 38.9% done":       "scrub paused at 38%",
	} {
		if got, under := progress(scan); got != want || under != (want != "") {
			t.Errorf("%q: %q, %v; want %q", scan, got, under, want)
		}
	}
}

func TestDatasets(t *testing.T) {
	got := datasets("tank\t/tank\ton\t-\tyes\t-\tnone\ntank/a b\t/tank/a b\ton\tunavailable\tno\ttank/a b\tprompt\ntank/x\tlegacy\tnoauto\tavailable\tno\ttank\tfile:///k\nno\n")
	want := []dataset{
		{name: "tank", where: "/tank", on: true, mounted: true, key: "none"},
		{name: "tank/a b", where: "/tank/a b", on: true, locked: true, root: "tank/a b", key: "prompt"},
		{name: "tank/x", where: "legacy", root: "tank", key: "file:///k"},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(dataset{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestSpace(t *testing.T) {
	for out, want := range map[string]string{
		"tank\tONLINE\t45\t15942918602752\n": "45% of 14.5T",
		"tank\tDEGRADED\t0%\t251658240\n":    "0% of 240M",
		"tank\tONLINE\t7\t1099511627776\n":   "7% of 1T",
		"cannot open 'tank': no such pool\n": "", "tank\tX\t1\t1": "", "": "", "a\tONLINE\t-\t-": "",
	} {
		s, ok := parseSpace(out)
		if ok != (want != "") || ok && s.String() != want {
			t.Errorf("%q: %v, %v; want %q", out, s, ok, want)
		}
	}
}

func TestSentence(t *testing.T) {
	for out, want := range map[string]string{
		"cannot import 'tank': pool was previously in use from another system.\nLast accessed by (none) (hostid=c0ffee) at Fri Nov 20 23:15:06 2026\nThe pool can be imported, use 'zpool import -f' to import the pool.\n": "pool was previously in use from another system. Last accessed by (none) (hostid=c0ffee) at Fri Nov 20 23:15:06 2026",
		"cannot import 'tank': unsupported version or feature\nThis pool uses the following feature(s) not supported by this system:\n\tcom.example:tomorrow (not yet)\n":                                                   "unsupported version or feature. This pool uses the following feature(s) not supported by this system: com.example:tomorrow (not yet)",
		"cannot import 'tank': a pool with that name already exists\nuse the form 'zpool import <pool | id> <newpool>'\n":                                                                                                   "a pool with that name already exists use the form 'zpool import <pool | id> <newpool>'",
		"Key load error: Incorrect key provided for 'tank'.\n": "Incorrect key provided for 'tank'",
		"":  "no reason given",
		" ": "no reason given",
	} {
		if got := sentence(out, "tank"); got != want {
			t.Errorf("%q: %q", out, got)
		}
	}
	if got := sentence(strings.Repeat("é", 999), ""); len(got) > most+3 {
		t.Errorf("%d bytes", len(got))
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range outputs {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, out string) {
		a := New(Config{})
		for _, p := range parse(out) {
			if p.name == "" {
				t.Error("a pool without a name")
			}
			for i := range p.vdevs {
				if i+1 < len(p.vdevs) && p.vdevs[i].leaf && p.vdevs[i+1].depth > p.vdevs[i].depth {
					t.Error("something is below a disk")
				}
			}
			_, _ = a.missing(&p)
			_ = a.ailing(&p)
			_, _ = progress(p.scan)
		}
		_ = datasets(out)
		_, _ = parseSpace(out)
		if s := sentence(out, "x"); s == "" || strings.Contains(s, "\n") {
			t.Errorf("sentence %q", s)
		}
	})
}
