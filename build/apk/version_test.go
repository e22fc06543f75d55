package apk

import "testing"

// The rows were asked of apk 2.14.4.
func TestCompare(t *testing.T) {
	for _, tc := range []struct {
		a    string
		want string
		b    string
	}{
		{"1.0", "<", "1.1"},
		{"1.2", "<", "1.10"},
		{"1.2.1", ">", "1.2b"},
		{"1.2b", ">", "1.2_p1"},
		{"1.2_p1", ">", "1.2-r1"},
		{"1.2-r1", ">", "1.2"},
		{"1.2_rc1", "<", "1.2"},
		{"1.2_alpha", "<", "1.2_beta"},
		{"1.2_beta", "<", "1.2_pre"},
		{"1.2_pre", "<", "1.2_rc"},
		{"1.2_cvs", "<", "1.2_svn"},
		{"1.2_git20240101", "<", "1.2_hg1"},
		{"1.2_hg1", "<", "1.2_p1"},
		{"1.2_rc1_git5", ">", "1.2_rc1"},
		{"1.09", "<", "1.4"},
		{"0.008", "<", "0.03"},
		{"1.09", "<", "1.4.287"},
		{"1.0", ">", "1.00"},
		{"1.01", "<", "1.010"},
		{"1.001", "<", "1.01"},
		{"01", "=", "1"},
		{"001.1", "=", "1.1"},
		{"1.", "<", "1.0"},
		{"1.", ">", "1.00"},
		{"1-r", "=", "1-r0"},
		{"1_p", "<", "1_p0"},
		{"1.2147483648", ">", "1.1"},
		{"99999999999999999999", "<", "1"},
		{"9.6_p1-r0", "<", "9.6_p1-r1"},
		{"1.36.1-r15", "<", "1.36.1-r19"},
		{"6.4_p20231125-r0", "=", "6.4_p20231125-r0"},
	} {
		for _, dir := range []struct{ a, b, want string }{
			{tc.a, tc.b, tc.want},
			{tc.b, tc.a, map[string]string{"<": ">", ">": "<", "=": "="}[tc.want]},
		} {
			if have := map[int]string{-1: "<", 0: "=", 1: ">"}[Compare(dir.a, dir.b)]; have != dir.want {
				t.Errorf("%s %s %s, want %s", dir.a, have, dir.b, dir.want)
			}
		}
	}
}

func TestSatisfies(t *testing.T) {
	for _, tc := range []struct {
		dep, version string
		want         bool
	}{
		{"a", "1", true},
		{"a", "", true},
		{"a=1", "", false},
		{"a=1.0", "1.0", true},
		{"a=1.0", "1.0-r0", false},
		{"a>1.0", "1.0-r0", true},
		{"a>=1.0", "1.0", true},
		{"a<1.0", "1.0_rc1", true},
		{"a<=1.0", "1.1", false},
		{"a~1.2", "1.2.3-r4", true},
		{"a~1.2", "1.20", false},
		{"a=~1.2", "1.2", true},
		{"a>~1.2", "1.3", true},
		{"a<~1.2", "1.3", false},
	} {
		d, err := ParseDep(tc.dep)
		if err != nil {
			t.Fatal(err)
		}
		if have := d.satisfies(tc.version); have != tc.want {
			t.Errorf("%s by %q: %v, want %v", tc.dep, tc.version, have, tc.want)
		}
	}
}

func TestParseDep(t *testing.T) {
	for _, tc := range []struct {
		s    string
		want Dep
		bad  bool
	}{
		{s: "musl", want: Dep{Name: "musl"}},
		{s: "!uclibc", want: Dep{Name: "uclibc", Conflict: true}},
		{s: "so:libc.musl-x86_64.so.1", want: Dep{Name: "so:libc.musl-x86_64.so.1"}},
		{s: "openrc>=0.24.1-r6", want: Dep{Name: "openrc", Op: Greater | Equal, Version: "0.24.1-r6"}},
		{s: "py3~3.11", want: Dep{Name: "py3", Op: Fuzzy, Version: "3.11"}},
		{s: "a><Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo=", want: Dep{Name: "a", Op: Same, Version: "Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo="}},
		{s: "zfs@edge", want: Dep{Name: "zfs", Tag: "edge"}},
		{s: "zfs@edge>2", want: Dep{Name: "zfs", Op: Greater, Version: "2", Tag: "edge"}},
		{s: "", bad: true},
		{s: "!", bad: true},
		{s: ">1", bad: true},
		{s: "a>", bad: true},
		{s: "a<<1", bad: true},
		{s: "a@", bad: true},
		{s: "a b", bad: true},
		{s: "a>1@x", bad: true},
		{s: "a@>1", bad: true},
		{s: "a@x@y", bad: true},
		{s: "a>1@x>2", bad: true},
	} {
		have, err := ParseDep(tc.s)
		if (err != nil) != tc.bad {
			t.Errorf("%q: error %v, want one: %v", tc.s, err, tc.bad)
			continue
		}
		if err == nil && have != tc.want {
			t.Errorf("%q: %+v, want %+v", tc.s, have, tc.want)
		}
		if err == nil && have.String() != tc.s {
			t.Errorf("%q comes back as %q", tc.s, have)
		}
	}
}

func FuzzVersion(f *testing.F) {
	for _, s := range []string{"1.2.3-r4", "9.6_p1", "1.", "_", "1.0_rc1_git2", "0.008", "99999999999999999999", "1b", "-r1"} {
		f.Add(s, "1.2")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if x, y := Compare(a, b), Compare(b, a); x != -y {
			t.Errorf("%q %q: %d, the other way %d", a, b, x, y)
		}
		if Compare(a, a) != 0 {
			t.Errorf("%q is not equal to itself", a)
		}
		ValidVersion(a)
	})
}

func FuzzDep(f *testing.F) {
	for _, s := range []string{"musl", "!a", "a>=1", "a@edge~1", "so:x.so.1=1", "><", "a><Q1="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDep(s)
		if err != nil {
			return
		}
		back, err := ParseDep(d.String())
		if err != nil || back != d {
			t.Errorf("%q: %+v, back %+v, %v", s, d, back, err)
		}
	})
}
