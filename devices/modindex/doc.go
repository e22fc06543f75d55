// Package modindex reads and writes the module index of a Linux kernel: the
// files modules.{dep,alias,builtin,builtin.alias}.bin and their text forms
// under /lib/modules/RELEASE, as depmod(8) of kmod writes them.
//
// It is pure: it works on bytes, opens nothing, keeps no state, and builds on
// any system. Package devices maps the files into memory and loads what is
// found; package build writes the index of the image's final tree.
//
// # Reading
//
// Parse takes one .bin file. Get looks a name up exactly (modules.dep.bin,
// modules.builtin.bin), Search matches a modalias against the patterns stored
// in the file with the semantics of fnmatch(3), flags 0: '*' crosses '/', which
// every DMI alias depends on. A corrupt file gives fewer results, never a
// panic: all reads are checked and a lookup visits a bounded number of nodes.
//
// # Writing
//
// Info reads what a module says of itself (its ELF section .modinfo and its
// symbols); Build turns a set of modules into all index files. The result is
// compared with `depmod -b` over a Debian kernel byte for byte in a test.
//
// # What it does not do
//
// It writes no modules.symbols (nothing in an appliance asks for it) and no
// modules.weakdep, and decompresses nothing: the caller does.
package modindex
