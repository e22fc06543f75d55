package unit

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"hoopy/unit/schema"
)

// readyPeriod is how often a unit is asked whether it is ready.
const readyPeriod = time.Second

// ready reads what makes the unit ready.
func (u *Unit) ready(doc *schema.Doc) (mistakes []*schema.Mistake) {
	switch ready := doc.Value("ready").(type) {
	case string:
		if ready == "notify" {
			u.ReadyBy = ByNotify
		}
	case *schema.Doc:
		if m := only(ready, "ready", "tcp", "unix", "fd", "pid_file", "http", "exec"); m != nil {
			return append(mistakes, m)
		}
		switch {
		case ready.Has("tcp"):
			u.ReadyBy, u.ReadyPort = ByTCP, uint16(ready.Int("tcp"))
		case ready.Has("unix"):
			u.ReadyBy, u.ReadyPath = ByUnix, ready.String("unix")
		case ready.Has("fd"):
			u.ReadyBy, u.ReadyFD = ByFD, int(ready.Int("fd"))
		case ready.Has("pid_file"):
			u.ReadyBy, u.ReadyPath = ByPidFile, ready.String("pid_file")
		default:
			var m *schema.Mistake
			u.ReadyBy = ByProbe
			if u.ReadyProbe, m = probe(ready); m != nil {
				mistakes = append(mistakes, m)
			} else {
				u.ReadyProbe.Period = orDefault(ready.Duration("period"), readyPeriod)
			}
		}
		if u.ReadyBy == ByFD && u.ReadyFD < 3+u.FDStore {
			mistakes = append(mistakes, ready.Mistake("fd", fmt.Sprintf("ready.fd = %d is taken by what fd_store keeps; write %d or more", u.ReadyFD, 3+u.FDStore)))
		}
		if ready.Has("period") && u.ReadyBy != ByProbe {
			mistakes = append(mistakes, ready.Mistake("period", "ready.period is for http and exec; take it out"))
		}
	}
	return mistakes
}

// health reads how the unit is watched.
func (u *Unit) health(doc *schema.Doc) (mistakes []*schema.Mistake) {
	if !doc.Has("health") {
		return nil
	}
	h := doc.Table("health")
	if m := only(h, "health", "tcp", "unix", "http", "exec"); m != nil {
		return append(mistakes, m)
	}
	p, m := probe(h)
	if m != nil {
		return append(mistakes, m)
	}
	p.Period = orDefault(h.Duration("period"), HealthPeriod)
	p.Timeout = orDefault(h.Duration("timeout"), HealthTimeout)
	u.Health = &Health{Probe: *p, Threshold: orDefault(int(h.Int("threshold")), HealthThreshold), Note: h.String("action") == "note"}
	return nil
}

// only says whether not exactly one of the keys is there.
func only(doc *schema.Doc, name string, keys ...string) *schema.Mistake {
	found := 0
	for _, key := range keys {
		if doc.Has(key) {
			found++
		}
	}
	if found == 1 || doc.Bad() {
		return nil
	}
	return doc.Mistake("", fmt.Sprintf("%s has %d of %s; write one", name, found, schema.Or(keys)))
}

func probe(doc *schema.Doc) (*Probe, *schema.Mistake) {
	p := &Probe{TCP: doc.String("tcp"), Unix: doc.String("unix"), HTTP: doc.String("http"), Timeout: HealthTimeout}
	var m *schema.Mistake
	if doc.Has("exec") {
		p.Exec, m = argv(doc, "exec")
	}
	return p, m
}

func checkHostPort(v any) string {
	s := v.(string)
	if rest, ok := strings.CutPrefix(s, "localhost:"); ok {
		s = "127.0.0.1:" + rest
	}
	if a, err := netip.ParseAddrPort(s); err != nil || a.Port() == 0 {
		return `is no address and port; write "127.0.0.1:80" or "[::1]:80"`
	}
	return ""
}

// checkURL takes http://ADDRESS[:PORT]/… alone: a probe asks no name server.
func checkURL(v any) string {
	s := v.(string)
	if strings.HasPrefix(s, "https://") {
		return `asks for TLS, which a probe does not speak; write an "http://" address, or exec`
	}
	host, ok := strings.CutPrefix(s, "http://")
	host, _, _ = strings.Cut(host, "/")
	host, _, _ = strings.Cut(host, "?")
	if !ok || strings.ContainsAny(s, " \t\r\n") {
		return `is no address of a page; write "http://127.0.0.1:8080/"`
	}
	if !strings.Contains(host[strings.LastIndexByte(host, ']')+1:], ":") {
		host += ":80"
	}
	if checkHostPort(host) != "" {
		return `has no address as its host; write "http://127.0.0.1:8080/" or "http://localhost:8080/"`
	}
	return ""
}
