package netcfg

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"hoopy/json"
	"hoopy/unit"
)

// record is the file of a link's lease, LeaseDir/NAME.json: with it the next
// supervisor takes the link over, and the next start asks for the same address.
type record struct {
	Version int       `json:"version"`
	Boot    string    `json:"boot"` // boot_id: Asked counts only within it
	Iface   string    `json:"iface"`
	Index   int       `json:"index"`
	MAC     string    `json:"mac"`
	Asked   unit.Time `json:"asked"` // CLOCK_BOOTTIME, ns: the lease's beginning
	Terms   terms     `json:"terms"`
	On      applied   `json:"on"`
}

const recordVersion = 1

// applied is what was put on an interface, to be taken away as exactly.
type applied struct {
	Addr   netip.Prefix `json:"addr"`
	Routes []installed  `json:"routes,omitempty"`
	MTU    int          `json:"mtu,omitempty"` // the one before ours; 0: not changed
}

// online says whether a default route is among it.
func (a applied) online() bool {
	for _, r := range a.Routes {
		if r.isDefault() {
			return true
		}
	}
	return false
}

func recordPath(dir, name string) string {
	return filepath.Join(dir, strings.ReplaceAll(name, "/", "_")+".json")
}

// save writes the record; a reader sees the old one or the new one.
func (r record) save(path string) error {
	r.Version = recordVersion
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("lease file: %w", err)
	}
	if err := replace(path, string(b)+"\n"); err != nil {
		return fmt.Errorf("lease file: %w", err)
	}
	return nil
}

// loadRecord reads a record. A missing one is no error: ok is false.
func loadRecord(path string) (r record, ok bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return record{}, false, nil
	}
	if err != nil {
		return record{}, false, fmt.Errorf("lease file: %w", err)
	}
	if r, err = parseRecord(b); err != nil {
		return record{}, false, fmt.Errorf("lease file %s: %w", path, err)
	}
	return r, true, nil
}

func parseRecord(b []byte) (record, error) {
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return record{}, err
	}
	if r.Version != recordVersion {
		return record{}, fmt.Errorf("version %d, not %d", r.Version, recordVersion)
	}
	t := r.Terms
	if !host(t.Addr.Addr()) || t.Addr.Bits() < 1 || !host(t.Server) || t.Lease <= 0 || t.Lease > forever || r.Asked < 0 {
		return record{}, fmt.Errorf("no sound lease in it")
	}
	for _, a := range t.DNS {
		if !host(a) {
			return record{}, fmt.Errorf("no sound name server in it")
		}
	}
	for _, in := range r.On.Routes {
		if !in.To.Addr().Is4() || in.To.Bits() < 0 || !in.Via.Is4() || !in.Source.Is4() {
			return record{}, fmt.Errorf("no sound route in it")
		}
	}
	if a := r.On.Addr; a.IsValid() && !a.Addr().Is4() {
		return record{}, fmt.Errorf("no sound address in it")
	}
	return r, nil
}
