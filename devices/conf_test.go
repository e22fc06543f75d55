package devices

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConf(t *testing.T) {
	c := &conf{options: map[string][]string{}, blacklist: map[string]bool{}, denied: map[string]bool{}, soft: map[string]softdep{}}
	c.parse("x.conf", "alias net-pf-10 ipv6\nalias\nblacklist a-b\nsoftdep cifs pre: x-y post: z\nsoftdep cifs pre: late\nsoftdep ksmbd gcm\nfrobnicate x y\nblacklist\n# alias x y\n")
	c.commandLine("snd-hda-intel.index=1 a.b module.flag root=UUID=a.b modprobe.blacklist=q,r-s, module_blacklist=t .x= y.= -- z.no=1\n")
	if d := cmp.Diff([]string{"ipv6"}, c.alias("net-pf-10")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string][]string{"snd_hda_intel": {"index=1"}, "a": {"b"}, "module": {"flag"}}, c.options); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]bool{"a_b": true, "q": true, "r_s": true, "t": true}, c.blacklist); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]bool{"t": true}, c.denied); d != "" {
		t.Error(d)
	}
	if got := c.soft["cifs"]; len(got.pre) != 1 || got.pre[0] != "x-y" || len(got.post) != 1 || got.post[0] != "z" {
		t.Errorf("softdep: %v", got)
	}
	if got := c.soft["ksmbd"]; got.pre != nil || got.post != nil {
		t.Errorf("softdep without a colon: %v", got)
	}
	want := []string{"x.conf: incomplete: alias", "x.conf: unknown word frobnicate", "x.conf: incomplete: blacklist"}
	if d := cmp.Diff(want, c.notes); d != "" {
		t.Error(d)
	}
}

func FuzzConf(f *testing.F) {
	f.Add("alias a* b\noptions x y=\"z\n", `a.b="c d" e`)
	f.Add("softdep x pre: a post:\\\n b", "modprobe.blacklist=,")
	f.Fuzz(func(t *testing.T, text, cmdline string) {
		c := &conf{options: map[string][]string{}, blacklist: map[string]bool{}, denied: map[string]bool{}, soft: map[string]softdep{}}
		c.parse("f", text)
		c.commandLine(cmdline)
		c.alias(cmdline)
	})
}
