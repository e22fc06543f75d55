// Package devices loads the modules that devices ask for, and tells what comes
// and goes.
//
// # Modules
//
// A Loader resolves names and modaliases in the kernel's own index (package
// modindex, mapped, about 12 µs a lookup) and gives files to finit_module(2).
// It follows modprobe.d(5), modules.softdep and the kernel's command line, and
// runs no commands. Refusals are verdicts, not failures: on a healthy machine
// one module in ten answers ENODEV. Modprobe is the face that the kernel and
// scripts call as /sbin/modprobe; it stands on its own.
//
// # Events
//
// A Source listens to the kernel's uevents, then looks what was there before.
// Its subscriber gets every uevent, and a synthetic "add" for each net, block,
// input, misc and tty device that existed already (their uevent files are read,
// which costs less than making the kernel send them again). Where events were
// lost, it looks again when the kernel has room for events, and sends what is
// missing, "remove" included, and all disks. So the subscriber must take the same
// news twice, and can rely on nothing else.
//
// Network drivers come first and run in a lane of their own; the rest is loaded
// at nice 10 until Booted; with one or two
// processors it does not even begin before WayIn. Readers never work: the socket's reader hands
// messages to a queue, the modules are loaded by others.
//
// # The catalog
//
// A Catalog reads what block devices hold, each in a goroutine of its own and 16
// at a time: a dead disk costs nobody else anything, and after 10 s it is told of
// without its contents. From that come unit.Disk for the arms, the links that
// udev would make (60-persistent-storage.rules), the database below /run/udev
// that libudev reads, and the units of kind device. It runs the rules of
// init.toml, and passes events on to those who listen with libudev. Links are made
// by rename and taken away with their device; of several devices that claim one,
// the same has it at each boot.
//
// There is no /run/udev/control: by that libdevmapper knows that nobody will
// answer its cookies, and waits for none. dmsetup leaves the names below
// /dev/mapper to us, and mdadm those below /dev/md; they are there a moment after
// the program has ended.
//
// # What it does not do
//
// No renaming of network cards, no rules language, no hardware database, no tags
// below /run/udev/tags; devtmpfs makes the nodes, and only a table of their groups
// is ours. FibreChannel and iSCSI have no links by path.
package devices
