package launch

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// privileges are the capabilities of a spec as sets of bits.
type privileges struct {
	bounded, set      bool // whether bounding is to be lowered; whether anything is to be done
	bounding, ambient uint64
}

// capabilities reads the names and asks the kernel whether it has them.
func capabilities(s *Spec) (p privileges, f *Failure) {
	p.bounded, p.set = s.Bounded, s.Bounded || len(s.Ambient) > 0
	if p.bounded {
		if p.bounding, f = capabilitySet(s.Bounding); f != nil {
			return p, f
		}
	}
	if p.ambient, f = capabilitySet(s.Ambient); f != nil {
		return p, f
	}
	for _, name := range s.Ambient {
		if n, _ := unit.CapabilityNumber(name); p.bounded && p.bounding>>n&1 == 0 {
			return p, fail("capability", name, errors.New("ambient, but not in the bounding set"))
		}
	}
	return p, nil
}

func capabilitySet(names []string) (set uint64, f *Failure) {
	for _, name := range names {
		n, ok := unit.CapabilityNumber(name)
		if !ok {
			return 0, fail("capability", name, errUnknown)
		}
		if _, err := bounding(n); err != nil {
			return 0, fail("capability", name, errors.New("this kernel has no such"))
		}
		set |= 1 << n
	}
	return set, nil
}

// bounding says whether the n-th capability is in the bounding set; EINVAL: the
// kernel has no such.
func bounding(n int) (bool, error) {
	in, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0)
	return in == 1, err
}

// lower takes from the bounding set what is not to be in it. What a container
// has taken away already is no mistake: the set is an upper bound.
func (p *privileges) lower() *Failure {
	for n := 0; p.bounded && n < 64; n++ {
		in, err := bounding(n)
		if err != nil {
			break
		}
		if !in || p.bounding>>n&1 != 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(n), 0, 0, 0); err != nil {
			return fail("capability", capabilityName(n), err)
		}
	}
	return nil
}

// raise makes the ambient set, after the change of user, which has emptied it.
// Another user than root then has that and nothing else; root keeps what the
// bounding set gives it at the execve.
func (p *privileges) raise(uid uint32) *Failure {
	if !p.set {
		return nil
	}
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		return fail("capability", "", err)
	}
	for i := range d {
		want := uint32(p.ambient >> (32 * i))
		if lacking := want &^ d[i].Permitted; lacking != 0 {
			return fail("capability", lowest(uint64(lacking)<<(32*i)), unix.EPERM)
		}
		d[i].Inheritable = want
		if uid != 0 {
			d[i].Permitted, d[i].Effective = want, want
		}
	}
	if err := unix.Capset(&h, &d[0]); err != nil {
		return fail("capability", lowest(p.ambient), err)
	}
	for n := range 64 {
		if p.ambient>>n&1 == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(n), 0, 0); err != nil {
			return fail("capability", capabilityName(n), err)
		}
	}
	return nil
}

func capabilityName(n int) string {
	if n < len(unit.Capabilities) {
		return "cap_" + unit.Capabilities[n]
	}
	return "of a later kernel"
}

func lowest(set uint64) string {
	for n := range 64 {
		if set>>n&1 != 0 {
			return capabilityName(n)
		}
	}
	return ""
}

// become changes to the account. Without ambient capabilities, afterwards none
// is left unless it is root's: that is the kernel's own doing. The raw calls
// change this thread, which is the one that execs.
func become(a *Account, keep bool) *Failure {
	groups := append([]uint32{a.GID}, a.Groups...)
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0); e != 0 {
		return fail("set groups of", a.Name, e)
	}
	g, u := uintptr(a.GID), uintptr(a.UID)
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, g, g, g); e != 0 {
		return fail("set group of", a.Name, e)
	}
	if keep {
		// The permitted set stays; execve(2) takes this flag back.
		if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
			return fail("keep capabilities of", a.Name, err)
		}
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, u, u, u); e != 0 {
		return fail("become user", a.Name, e)
	}
	return nil
}
