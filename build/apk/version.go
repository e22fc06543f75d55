package apk

import (
	"cmp"
	"strings"
)

// A version is digits, more digits after dots, a letter, suffixes with or
// without a number, and a revision:
//
//	1.22.3b_rc1_git20240101-r4
//
// The order of the kinds matters: where one version goes on with an earlier
// kind of part than the other, it is the newer: 1.2.1 > 1.2b > 1.2_p1 > 1.2-r1 >
// 1.2. Only a suffix that means "before the release" makes it older: 1.2_rc1 <
// 1.2. All of this, the treatment of what is malformed included, was measured
// against "apk version -t" of apk 2.14.4.
type partKind int8

const (
	partInvalid  partKind = iota - 1
	partFraction          // digits after a dot
	partDigits            // those that a version begins with; behind zeros; behind a letter
	partLetter            // b
	partSuffix            // _rc
	partNumber            // 1 of _rc1
	partRevision          // -r4
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

// versionScanner walks a version part by part. kind is the kind of the part
// that rest begins with.
type versionScanner struct {
	rest string
	kind partKind
}

func scanVersion(v string) versionScanner { return versionScanner{v, partDigits} }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// value takes the part off and says what it counts.
func (s *versionScanner) value() int64 {
	if s.rest == "" {
		s.kind = partEnd
		return 0
	}
	var v int64
	switch s.kind {
	case partFraction:
		if zeros := len(s.rest) - len(strings.TrimLeft(s.rest, "0")); zeros > 0 {
			// Behind a dot, each zero but one makes the version older, and the
			// digits that follow are a part of their own: it is a decimal
			// fraction, as it were. 1.09 < 1.4, 0.008 < 0.03.
			s.rest, s.kind = s.rest[zeros:], partDigits
			return 1 - int64(zeros)
		}
		v = s.digits()
	case partDigits, partNumber, partRevision:
		v = s.digits()
	case partLetter:
		v, s.rest = int64(s.rest[0]), s.rest[1:]
	case partSuffix:
		if v = s.suffix(); s.kind == partInvalid {
			return -1
		}
	default:
		s.kind = partInvalid
		return -1
	}
	if s.rest == "" {
		s.kind = partEnd
	} else {
		s.next()
	}
	return v
}

// digits takes a number; none counts as 0, one beyond 63 bits as -1.
func (s *versionScanner) digits() int64 {
	n := uint64(0)
	for s.rest != "" && isDigit(s.rest[0]) {
		d := uint64(s.rest[0] - '0')
		if n > (1<<63-1-d)/10 {
			s.rest = strings.TrimLeft(s.rest, "0123456789")
			return -1
		}
		n, s.rest = n*10+d, s.rest[1:]
	}
	return int64(n)
}

func (s *versionScanner) suffix() int64 {
	for _, x := range suffixes {
		if rest, ok := strings.CutPrefix(s.rest, x.name); ok {
			s.rest = rest
			return x.rank
		}
	}
	s.kind = partInvalid
	return -1
}

// next finds out what kind of part follows the one just taken, and takes the
// mark that says so.
func (s *versionScanner) next() {
	was, c := s.kind, s.rest[0]
	is := partInvalid
	switch {
	case (was == partDigits || was == partFraction) && c >= 'a' && c <= 'z':
		is = partLetter
	case was == partLetter && isDigit(c):
		is = partDigits
	case was == partSuffix && isDigit(c):
		is = partNumber
	case c == '.':
		is, s.rest = partFraction, s.rest[1:]
	case c == '_':
		is, s.rest = partSuffix, s.rest[1:]
	case strings.HasPrefix(s.rest, "-r"):
		is, s.rest = partRevision, s.rest[2:]
	default:
		s.rest = s.rest[1:]
	}
	again := was == partDigits && is == partFraction ||
		was == partNumber && is == partSuffix ||
		was == partLetter && is == partDigits
	if is < was && !again {
		is = partInvalid
	}
	s.kind = is
}

// ValidVersion says whether every part of v is one that apk knows.
func ValidVersion(v string) bool {
	s := scanVersion(v)
	for s.kind != partEnd && s.kind != partInvalid {
		s.value()
	}
	return v != "" && s.kind == partEnd
}

// Compare orders two versions as apk 2.14 does: -1, 0 or 1. Versions that are
// not valid compare as far as they are.
func Compare(a, b string) int { return compare(a, b, false) }

// compare with prefix set holds versions equal that agree as far as the shorter
// one goes.
func compare(a, b string, prefix bool) int {
	x, y := scanVersion(a), scanVersion(b)
	for x.kind == y.kind && x.kind != partEnd && x.kind != partInvalid {
		if r := cmp.Compare(x.value(), y.value()); r != 0 {
			return r
		}
	}
	if x.kind == y.kind || prefix {
		return 0
	}
	xk, yk := x.kind, y.kind
	if xk == partSuffix && x.value() < 0 {
		return -1
	}
	if yk == partSuffix && y.value() < 0 {
		return 1
	}
	return cmp.Compare(yk, xk)
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

// MetBy says whether a package is what d asks for by its own name.
func (d *Dep) MetBy(name, version string, sum Checksum) bool {
	if d.Name != name {
		return d.Conflict
	}
	if d.Op == Same {
		return (d.Version == sum.String()) != d.Conflict
	}
	return d.satisfies(version) != d.Conflict
}
