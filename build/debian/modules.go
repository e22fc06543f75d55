package debian

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// DefaultModules is the policy of a small NAS under qemu or on a common board:
// enough to find its disks, its network and its console, 1 in 20 of what Debian
// builds. An entry that ends in "/" is a folder below kernel/ with all that
// lies in it, every other one is a module's name or a shell pattern of names.
var DefaultModules = []string{
	// virtual machines
	"drivers/virtio/", "virtio_net", "virtio_blk", "virtio_scsi", "virtio_rng", "virtio_console",
	"virtio_balloon", "9p", "9pnet_virtio", "virtiofs", "vsock", "vmw_vsock_virtio_transport", "qemu_fw_cfg",
	// network cards and what a link may stand on
	"e1000", "e1000e", "igb", "igc", "ixgbe", "r8169", "r8152", "ax88179_178a", "asix", "cdc_ether", "cdc_ncm",
	"realtek", "atlantic", "bnx2", "tg3", "vmxnet3", "dummy", "veth", "bridge", "macvlan", "8021q", "bonding",
	"tun", "wireguard", "tcp_bbr", "sch_fq", "sch_fq_codel",
	// packet filter, as tailscale and containers ask for it
	"nf_tables", "nft_chain_nat", "nft_compat", "nft_ct", "nft_masq", "nft_nat", "nft_reject_inet", "nft_limit", "nft_log",
	"ip_tables", "ip6_tables", "iptable_filter", "iptable_nat", "ip6table_filter", "ip6table_nat", "xt_MASQUERADE",
	"xt_conntrack", "xt_mark", "xt_comment", "xt_multiport", "xt_addrtype", "xt_tcpudp", "br_netfilter",
	// disks
	"ahci", "ata_piix", "nvme", "sd_mod", "sr_mod", "sg", "mpt3sas", "megaraid_sas", "usb_storage", "uas",
	"mmc_block", "sdhci_pci", "loop", "dm_mod", "dm_crypt", "dm_mirror", "dm_snapshot", "raid1", "raid456", "md_mod",
	// file systems
	"ext4", "vfat", "exfat", "xfs", "btrfs", "ntfs3", "isofs", "udf", "squashfs", "erofs", "overlay", "fuse",
	"nfs", "nfsv4", "nfsd", "cifs", "ksmbd", "autofs4", "efivarfs", "nls_ascii", "nls_cp437", "nls_iso8859_1", "nls_utf8",
	// busses, input, sensors, watchdogs
	"xhci_pci", "ehci_pci", "uhci_hcd", "ohci_pci", "usbhid", "hid_generic", "evdev", "button", "psmouse", "atkbd",
	"i2c_i801", "i2c_piix4", "i2c_dev", "coretemp", "k10temp", "drivetemp", "nct6775", "it87", "ipmi_si", "ipmi_devintf",
	"softdog", "i6300esb", "iTCO_wdt", "sp5100_tco", "watchdog", "rtc_cmos", "thermal", "processor", "fan", "acpi_cpufreq", "intel_rapl_msr",
	"bochs", "simpledrm",
	// what others load by name
	"crc32c_generic", "crc32c_intel", "aesni_intel", "cryptd", "algif_hash", "algif_skcipher", "xts", "sha256_ssse3",
	"zram", "zstd", "configfs", "pstore", "ramoops", "msr", "cpuid", "kvm", "kvm_intel", "kvm_amd", "vhost_net", "macvtap",
	"inet_diag", "tcp_diag", "unix_diag", "nf_conntrack_netlink",
}

// module is what the choice needs of one: its name and the names of those it
// cannot or should not be loaded without.
type module struct {
	name, path string // path below kernel/
	needs      []string
}

// readModule reads a module's .modinfo.
func readModule(file string, content io.Reader) (module, error) {
	m := module{name: moduleName(file), path: file}
	b, err := io.ReadAll(content)
	if err != nil {
		return m, err
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return m, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return m, errors.New("no .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return m, err
	}
	m.needs = modinfoNeeds(string(info))
	return m, nil
}

func modinfoNeeds(info string) []string {
	var needs []string
	for field := range strings.SplitSeq(info, "\x00") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "depends":
			for name := range strings.SplitSeq(value, ",") {
				if name != "" {
					needs = append(needs, moduleName(name))
				}
			}
		case "softdep":
			for name := range strings.FieldsSeq(value) {
				if !strings.HasSuffix(name, ":") { // "pre:", "post:"
					needs = append(needs, moduleName(name))
				}
			}
		}
	}
	return needs
}

// closure returns the names of the modules that a policy takes. A name that no
// module has is passed over: what is a module here is built in there, and a
// policy outlives kernels. A folder without any module is a mistake.
func closure(all map[string]module, policy []string) (map[string]bool, error) {
	var todo []string
	for _, p := range policy {
		dir, isDir := strings.CutSuffix(p, "/")
		if !isDir {
			pattern := strings.ReplaceAll(p, "-", "_")
			for name := range all {
				ok, err := path.Match(pattern, name)
				if err != nil {
					return nil, fmt.Errorf("module policy %q: %w", p, err)
				}
				if ok {
					todo = append(todo, name)
				}
			}
			continue
		}
		n := len(todo)
		for name, m := range all {
			if dir == "" || strings.HasPrefix(m.path, dir+"/") {
				todo = append(todo, name)
			}
		}
		if len(todo) == n {
			return nil, fmt.Errorf("module policy %q: no module lies there", p)
		}
	}
	keep := map[string]bool{}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = slices.Delete(todo, len(todo)-1, len(todo))
		m, ok := all[name]
		if !ok || keep[name] {
			continue
		}
		keep[name] = true
		todo = append(todo, m.needs...)
	}
	return keep, nil
}
