package unit

import "hoopy/unit/schema"

// MachineKeys are the keys of etc/init.toml.
var MachineKeys = []schema.Key{
	{Name: "hostname", Type: schema.String, Default: "`\"hoopy\"`, or what DHCP says", Check: checkHost,
		Doc: "The name of the machine."},
	{Name: "modules", Type: schema.List, Check: checkModule, Example: `["tun"]`,
		Doc: "Kernel modules to load at boot that no device asks for."},
	{Name: "instances", Type: schema.List, Check: checkInstance, Example: `["getty@ttyS0"]`,
		Doc: "Instances of templates that are started at boot: `getty@ttyS0` is made of `svc/getty@.toml`."},
	{Name: "link", Type: schema.Tables,
		Doc: "A network interface. Its unit is `link:NAME`.",
		Keys: []schema.Key{
			{Name: "name", Type: schema.String, Required: true, Example: `"lan"`, Check: checkName,
				Doc: "What the unit is called; the kernel's name of the interface stays."},
			{Name: "match", Type: schema.Table, Required: true, Example: `{ name = "eth0" }`,
				Doc: "Which interface it is: every key given must match, and there must be one.",
				Keys: []schema.Key{
					{Name: "name", Type: schema.String, Check: checkPattern, Example: `"eth*"`,
						Doc: "The kernel's name of the interface, as a shell pattern."},
					{Name: "mac", Type: schema.String, Example: `"d0:50:99:c0:ff:ee"`,
						Doc: "Its hardware address."},
					{Name: "driver", Type: schema.String, Check: checkModule, Example: `"virtio_net"`,
						Doc: "The kernel's driver of it."},
				}},
			{Name: "dhcp4", Type: schema.Bool, Default: "`true`",
				Doc: "Ask for an IPv4 address with DHCP."},
			{Name: "essential", Type: schema.Bool, Default: "`true`",
				Doc: "The milestone `network` is reached when an essential link has an address; in safe mode only essential links are used."},
		}},
}
