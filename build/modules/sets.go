package modules

// Set is the doc line of a set in the reference.
type Set struct{ Name, Doc string }

// SetDocs lists the sets in the order of the reference.
var SetDocs = []Set{
	{"base", "What programs and other modules ask for by name: packet sockets, socket diagnosis, tun, fuse, loop, ciphers."},
	{"vm", "Virtual machines: virtio, 9p, virtiofs, simple screens."},
	{"ethernet", "Wired network cards, on PCI and USB, and virtual links: bridges, VLANs, bonds, WireGuard."},
	{"firewall", "Packet filters, as tailscale and containers ask for them: nftables and iptables."},
	{"disks", "SATA, NVMe, SAS, USB and SD storage; device mapper and RAID."},
	{"filesystems", "ext4, FAT, exFAT, XFS, btrfs, NTFS, ISO, UDF, squashfs, erofs, overlay; NFS and SMB, both ways."},
	{"pc", "Busses, keyboard, power button, sensors and watchdogs of PC hardware."},
}

// Sets are the modules that a policy may name together, as "@vm". No kernel has
// all of them, so a member that is missing is no mistake.
var Sets = map[string][]string{
	"base": {"af_packet", "ipv6", "unix_diag", "inet_diag", "tcp_diag", "fuse", "loop", "tun", "configfs", "zram",
		"crc32c*", "crc32_*", "aesni_intel", "cryptd", "xts", "sha256_*", "algif_*", "libcrc32c"},
	"vm": {"drivers/virtio/", "virtio_net", "virtio_blk", "virtio_scsi", "virtio_rng", "virtio_console", "virtio-rng",
		"9p", "9pnet_virtio", "virtiofs", "bochs", "simpledrm"},
	"ethernet": {"e1000", "e1000e", "igb", "igc", "ixgbe", "r8169", "r8152", "realtek", "tg3", "bnx2", "atlantic",
		"ax88179_178a", "asix", "cdc_ether", "cdc_ncm", "veth", "bridge", "8021q", "bonding", "dummy", "wireguard"},
	"firewall": {"nf_tables", "nft_*", "nf_conntrack_netlink", "ip_tables", "ip6_tables", "iptable_filter", "iptable_nat", "iptable_mangle",
		"ip6table_filter", "ip6table_nat", "ip6table_mangle", "xt_MASQUERADE", "xt_conntrack", "xt_mark", "xt_comment", "xt_multiport",
		"xt_addrtype", "xt_tcpudp", "br_netfilter"},
	"disks": {"ahci", "ata_piix", "nvme", "sd_mod", "sr_mod", "sg", "mpt3sas", "megaraid_sas", "usb-storage", "uas",
		"mmc_block", "sdhci_pci", "dm_mod", "dm_crypt", "md_mod", "raid1", "raid456"},
	"filesystems": {"ext4", "vfat", "exfat", "xfs", "btrfs", "ntfs3", "isofs", "udf", "squashfs", "erofs", "overlay", "efivarfs",
		"nfs", "nfsv4", "nfsd", "cifs", "ksmbd", "nls_*"},
	"pc": {"xhci_pci", "ehci_pci", "uhci_hcd", "ohci_pci", "usbhid", "hid_generic", "evdev", "button", "atkbd", "i8042",
		"i2c_i801", "i2c_piix4", "coretemp", "k10temp", "drivetemp", "nct6775", "it87",
		"i6300esb", "iTCO_wdt", "sp5100_tco", "softdog", "acpi_cpufreq", "thermal", "fan", "processor", "rtc_cmos"},
}
