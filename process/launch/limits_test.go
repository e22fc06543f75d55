package launch

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// TestNames: the names of unit files stand at the numbers of the system's
// headers.
func TestNames(t *testing.T) {
	for name, want := range map[string]int{
		"nofile": unix.RLIMIT_NOFILE, "core": unix.RLIMIT_CORE, "data": unix.RLIMIT_DATA, "fsize": unix.RLIMIT_FSIZE,
		"memlock": unix.RLIMIT_MEMLOCK, "nproc": unix.RLIMIT_NPROC, "stack": unix.RLIMIT_STACK, "as": unix.RLIMIT_AS,
		"cpu": unix.RLIMIT_CPU, "rss": unix.RLIMIT_RSS, "locks": unix.RLIMIT_LOCKS, "sigpending": unix.RLIMIT_SIGPENDING,
		"msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE, "rtprio": unix.RLIMIT_RTPRIO, "rttime": unix.RLIMIT_RTTIME,
	} {
		if got, ok := unit.LimitNumber(name); !ok || got != want {
			t.Errorf("limit %s: %d, %v, not %d", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "NOFILE", "files", "nofile "} {
		if n, ok := unit.LimitNumber(name); ok {
			t.Errorf("limit %q: %d", name, n)
		}
	}
	for name, want := range map[string]int{
		"CAP_CHOWN": unix.CAP_CHOWN, "cap_net_bind_service": unix.CAP_NET_BIND_SERVICE, "Net_Admin": unix.CAP_NET_ADMIN,
		"sys_admin": unix.CAP_SYS_ADMIN, "sys_resource": unix.CAP_SYS_RESOURCE, "setfcap": unix.CAP_SETFCAP,
		"audit_read": unix.CAP_AUDIT_READ, "CAP_BPF": unix.CAP_BPF, "checkpoint_restore": unix.CAP_LAST_CAP,
	} {
		if got, ok := unit.CapabilityNumber(name); !ok || got != want {
			t.Errorf("capability %s: %d, %v, not %d", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "cap_", "cap_cap_chown", "foo"} {
		if n, ok := unit.CapabilityNumber(name); ok {
			t.Errorf("capability %q: %d", name, n)
		}
	}
}

func TestClasses(t *testing.T) {
	for _, c := range []struct {
		name  string
		level int32
		want  string
	}{
		{"realtime", 0, "2000"}, {"best-effort", 7, "4007"}, {"idle", 4, "6000"},
		{"best-effort", 8, "level 8 is not within 0 to 7"}, {"realtime", -1, "level -1 is not within 0 to 7"},
		{"none", 0, "unknown"},
	} {
		n, err := ioClass(c.name, c.level)
		if got := result(n, err); got != c.want {
			t.Errorf("io %s %d: %s, not %s", c.name, c.level, got, c.want)
		}
	}
	for _, c := range []struct {
		name     string
		priority int32
		want     string
	}{
		{"other", 0, "0"}, {"fifo", 1, "1"}, {"rr", 99, "2"}, {"batch", 0, "3"}, {"idle", 0, "5"},
		{"fifo", 0, "priority 0 is not within 1 to 99"}, {"rr", 100, "priority 100 is not within 1 to 99"},
		{"batch", 1, "has no priority 1; fifo and rr have"}, {"deadline", 0, "unknown"},
	} {
		n, err := policy(c.name, c.priority)
		if got := result(n, err); got != c.want {
			t.Errorf("policy %s %d: %s, not %s", c.name, c.priority, got, c.want)
		}
	}
}

func result(n uintptr, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%x", n)
}

func TestCheckLimits(t *testing.T) {
	for _, c := range []struct {
		limits []Limit
		want   string
	}{
		{nil, ""},
		{[]Limit{{"core", 0, Unlimited}, {"nofile", 1, 1}}, ""},
		{[]Limit{{"core", 0, 0}, {"files", 1, 1}}, `limit "files": unknown`},
		{[]Limit{{"stack", 2, 1}}, `limit "stack": the soft limit is above the hard one`},
		{[]Limit{{"stack", Unlimited, 1}}, `limit "stack": the soft limit is above the hard one`},
	} {
		if got := said(checkLimits(c.limits)); got != c.want {
			t.Errorf("%v: %q, not %q", c.limits, got, c.want)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{}, "[]"},
		{Spec{NotifyFD: 3}, "[3]"},
		{Spec{Listen: []string{"a", "b"}}, "[3 4]"},
		{Spec{NotifyFD: 5, Listen: []string{"a", "b"}}, "[5 3 4]"},
		{Spec{NotifyFD: 4, Listen: []string{"a", "b"}}, `ready descriptor "4": taken by a socket of LISTEN_FDS`},
		{Spec{NotifyFD: 2}, `ready descriptor "2": below 3`},
		{Spec{NotifyFD: -1}, `ready descriptor "-1": below 3`},
		{Spec{Listen: []string{"a:b"}}, `listen "a:b": no colon, no line`},
	} {
		to, f := targets(&c.spec)
		got := fmt.Sprint(to)
		if f != nil {
			got = f.Text
		}
		if got != c.want {
			t.Errorf("%s, not %s", got, c.want)
		}
	}
}

func TestCapabilities(t *testing.T) {
	for _, c := range []struct {
		spec              Spec
		bounding, ambient uint64
		err               string
	}{
		{Spec{}, 0, 0, ""},
		{Spec{Bounding: []string{"foo"}}, 0, 0, ""}, // not Bounded: not used
		{Spec{Bounded: true}, 0, 0, ""},
		{Spec{Bounded: true, Bounding: []string{"CAP_CHOWN", "kill"}, Ambient: []string{"Kill"}}, 1 | 1<<5, 1 << 5, ""},
		{Spec{Ambient: []string{"bpf"}}, 0, 1 << 39, ""},
		{Spec{Ambient: []string{"cap_foo"}}, 0, 0, `capability "cap_foo": unknown`},
		{Spec{Bounded: true, Bounding: []string{"chown", "x"}}, 0, 0, `capability "x": unknown`},
		{Spec{Bounded: true, Bounding: []string{"chown"}, Ambient: []string{"cap_kill"}}, 0, 0, `capability "cap_kill": ambient, but not in the bounding set`},
	} {
		p, f := capabilities(&c.spec)
		if said(f) != c.err {
			t.Errorf("%q, not %q", said(f), c.err)
		}
		if f == nil && (p.bounding != c.bounding || p.ambient != c.ambient) {
			t.Errorf("%+v: %x %x", c.spec, p.bounding, p.ambient)
		}
	}
}
