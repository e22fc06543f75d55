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
// lost, it looks again and sends what is missing, "remove" included. So the
// subscriber must take the same news twice, and can rely on nothing else.
//
// Network drivers come first and run in a lane of their own; the rest is loaded
// at nice 10 until Booted; with one or two
// processors it does not even begin before WayIn. Readers never work: the socket's reader hands
// messages to a queue, the modules are loaded by others.
//
// # What it does not do
//
// No /dev/disk links, no probing, no renaming of links, no rules language;
// devtmpfs makes the nodes, and only a small table of their groups is ours.
package devices
