// Package e2e holds the tests of the machine as a whole, under qemu, and the
// harness they stand on. All of it needs the build tag e2e.
//
// # The harness
//
// [Boot] starts a machine and returns at once; everything after that is waiting
// for events with a bound: [VM.Expect] for a line on the serial console,
// [VM.SSH] for sshd, [VM.Event] for an event of qemu's machine protocol,
// [VM.Ended] for the end of qemu and its reason. A wait that runs out ends the
// test and prints what the console said last; so does every other failure of
// the test. Bounds are generous, and none is under [Patience]: the host may be
// emulating, and busy. A test that wants to say that something is fast measures
// it.
//
// Images come from files ([Ext4], [VFAT], [Raw]); an initramfs is varied by an
// [Overlay], which the kernel unpacks over it. No test needs root. No process
// is left behind: qemu has a process group of its own that is killed when the
// test ends, and by the kernel should the test binary die.
//
// What is booted is what the checkout holds: [Image] builds it once for all
// tests, with a key to log in. HOOPY_KERNEL, HOOPY_INITRAMFS and HOOPY_KEY (a
// private key), set together, name another.
package e2e
