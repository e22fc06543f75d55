package netcfg

import (
	"testing"
	"time"

	"hoopy/unit"
)

// DHCP waits for af_packet, but not for ever; links come up meanwhile.
func TestModules(t *testing.T) {
	for _, c := range []struct {
		name string
		took time.Duration
		wait time.Duration
	}{
		{"it loads", 2 * time.Second, 2 * time.Second},
		{"it hangs", time.Hour, loadTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, dir string) {
				k := newFake(eth(0, true))
				k.server = goodServer(100 * time.Hour)
				var names []string
				r := run(t, dir, k, func(cfg *Config) {
					cfg.Load = func(m string) error {
						names = append(names, m)
						time.Sleep(c.took)
						return nil
					}
				})
				defer r.stop()
				r.do(unit.Start, lan, 1)
				want(t, r.got(), "lan noted: waiting for module af_packet")
				if !k.first().up {
					t.Error("the interface is not up")
				}
				r.pass(c.wait - time.Millisecond)
				want(t, r.got())
				r.pass(time.Millisecond)
				want(t, r.got(), asking, "lan noted: 192.168.1.7/24, lease of 4 d", "lan ready")
				r.pass(2 * time.Hour)
				want(t, names, "af_packet", "ipv6")
			})
		})
	}
}

func TestHostNames(t *testing.T) {
	for _, c := range []struct{ have, config, want string }{
		{"(none)", "", "named"},
		{"(none)", "nas", "nas"},
		{"hoopy", "", "named"},
		{"byhand", "", "byhand"},
		{"byhand", "nas", "nas"},
	} {
		bubble(t, func(t *testing.T, dir string) {
			k := newFake(eth(0, true))
			k.server, k.name = goodServer(time.Hour), c.have
			r := run(t, dir, k, func(cfg *Config) { cfg.Hostname = c.config })
			defer r.stop()
			r.do(unit.Start, lan, 1)
			if k.hostname() != c.want {
				t.Errorf("%+v: %q", c, k.hostname())
			}
		})
	}
}
