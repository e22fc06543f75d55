package apk

import "strings"

// Parts of a version in the order in which they may follow each other: 1.2b_rc3-r4
// is digits, digits, letter, suffix, suffix number, revision. The order matters:
// when all else is equal, the version whose next part ranks lower is newer, so
// 1.2.1 > 1.2b > 1.2_p1 > 1.2-r1 > 1.2.
type part int8

const (
	partInvalid  part = iota - 1
	partFraction      // digits after a dot, where a leading zero counts
	partDigits
	partLetter
	partSuffix
	partSuffixNo
	partRevision
	partEnd
)

// suffixes with their ranks: below zero means before the release.
var suffixes = []struct {
	name string
	rank int64
}{
	{"alpha", -4}, {"beta", -3}, {"pre", -2}, {"rc", -1},
	{"cvs", 0}, {"svn", 1}, {"git", 2}, {"hg", 3}, {"p", 4},
}

// versionScanner walks a version part by part. kind is the kind of what comes
// next in rest.
type versionScanner struct {
	rest string
	kind part
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// value takes the next part off and says what it counts.
func (s *versionScanner) value() int64 {
	if s.rest == "" {
		s.kind = partEnd
		return 0
	}
	n := 0
	v := int64(0)
	switch s.kind {
	case partFraction, partDigits, partSuffixNo, partRevision:
		if s.kind == partFraction && s.rest[0] == '0' {
			// Zeros that open a fraction make it smaller, each of them; the
			// digits behind are a part of their own. 1.09 < 1.4, 0.008 < 0.03.
			for n < len(s.rest) && s.rest[n] == '0' {
				n++
			}
			if s.rest = s.rest[n:]; s.rest == "" {
				s.kind = partEnd
			} else {
				s.kind = partDigits
			}
			return -int64(n)
		}
		for n < len(s.rest) && isDigit(s.rest[n]) {
			// apk counts in 32 bits and lets them wrap
			v = int64(int32(v*10 + int64(s.rest[n]-'0')))
			n++
		}
	case partLetter:
		v, n = int64(s.rest[0]), 1
	case partSuffix:
		found := false
		for _, x := range suffixes {
			if strings.HasPrefix(s.rest, x.name) {
				v, n, found = x.rank, len(x.name), true
				break
			}
		}
		if !found {
			s.kind = partInvalid
			return -1
		}
	default:
		s.kind = partInvalid
		return -1
	}
	if s.rest = s.rest[n:]; s.rest == "" {
		s.kind = partEnd
	} else {
		s.next()
	}
	return v
}

// next finds out what kind of part follows one of kind s.kind.
func (s *versionScanner) next() {
	was, c := s.kind, s.rest[0]
	is := partInvalid
	switch {
	case (was == partDigits || was == partFraction) && c >= 'a' && c <= 'z':
		is = partLetter
	case was == partLetter && isDigit(c):
		is = partDigits
	case was == partSuffix && isDigit(c):
		is = partSuffixNo
	case c == '.':
		is, s.rest = partFraction, s.rest[1:]
	case c == '_':
		is, s.rest = partSuffix, s.rest[1:]
	case strings.HasPrefix(s.rest, "-r"):
		is, s.rest = partRevision, s.rest[2:]
	default:
		s.rest = s.rest[1:]
	}
	back := is < was
	mayGoBack := was == partDigits && is == partFraction ||
		was == partSuffixNo && is == partSuffix ||
		was == partLetter && is == partDigits
	if back && !mayGoBack {
		is = partInvalid
	}
	s.kind = is
}

// ValidVersion says whether every part of v is one that apk knows.
func ValidVersion(v string) bool {
	s := versionScanner{v, partDigits}
	for s.kind != partEnd && s.kind != partInvalid {
		s.value()
	}
	return s.kind == partEnd
}

// Compare orders two versions as apk 2.14 does: -1, 0 or 1. Versions that are
// not valid compare as far as they are.
func Compare(a, b string) int { return compare(a, b, false) }

// compare with prefix set holds versions equal that agree as far as the shorter
// one goes.
func compare(a, b string, prefix bool) int {
	x, y := versionScanner{a, partDigits}, versionScanner{b, partDigits}
	var xv, yv int64
	for x.kind == y.kind && x.kind != partEnd && x.kind != partInvalid && xv == yv {
		xv, yv = x.value(), y.value()
	}
	switch {
	case xv < yv:
		return -1
	case xv > yv:
		return 1
	case x.kind == y.kind || prefix:
		return 0
	}
	xk, yk := x.kind, y.kind
	// one goes on: newer, unless what follows marks a pre-release
	if xk == partSuffix && x.value() < 0 {
		return -1
	}
	if yk == partSuffix && y.value() < 0 {
		return 1
	}
	if xk > yk {
		return -1
	}
	return 1
}

// satisfies says whether a version that is offered is one that d asks for.
// An empty version is virtual: it meets only what asks for no version.
func (d *Dep) satisfies(version string) bool {
	if d.Op == Any {
		return true
	}
	if version == "" {
		return false
	}
	var r Op
	switch compare(version, d.Version, d.Op&Fuzzy != 0) {
	case -1:
		r = Less
	case 0:
		r = Equal | Fuzzy
	case 1:
		r = Greater
	}
	return d.Op&r != 0
}
