// Package netcfg is the arm for links: it finds the interface that a [[link]]
// means, brings it up, gets an IPv4 address by DHCP and keeps it, with routes,
// MTU, resolv.conf and host name. IPv6 is the kernel's own (SLAAC).
//
// # How it works
//
// One loop (Arm.Run) owns all state. Three kinds of sources put values into
// its queue: Do, the watch for interfaces, and the readers of sockets. Each
// DHCP client is a value, and client.step is a function of it: RFC 2131 as a
// table, without clock and system calls. The loop carries out what step says.
//
// An interface belongs to one link. A link takes the first interface, in the
// order of the kernel's numbers, that matches and has a carrier; links that
// name one interface (MAC, or name without wildcard) choose before patterns,
// which leave such interfaces alone. So with "e*" on a box with two sockets
// the one with the cable is taken, whichever it is; and where both have one,
// but no DHCP server answers on the first, the other gets its turn after 4 s.
//
// # What was chosen
//
//   - The first DISCOVER goes out with the carrier, the next after ¼ s, ½ s,
//     1 s … 64 s, for ever. (RFC 2131 begins with up to 10 s of waiting and then
//     4 s: made for networks on which everybody powers up at once.)
//   - Renewing goes through an ordinary UDP socket, which ARP and routes
//     serve; rebinding and all before goes through a packet socket with a
//     filter. Both are open only while an answer is awaited.
//   - The offered address is not probed by ARP (RFC 2131 SHOULD, RFC 5227
//     takes 3 to 7 s): servers probe before they offer.
//   - The broadcast flag is not set: the packet socket hears unicast answers.
//   - The client identifier is the MAC, so that reservations made for another
//     system on this machine hold.
//   - A carrier that is away for less than 5 s changes nothing. After that the
//     address goes, the link is lost, and with the carrier it asks for the same
//     address again (INIT-REBOOT).
//   - Nothing is released at the end (no DHCPRELEASE): the server keeps the
//     address, and the end of the machine waits for no network.
//   - Routes have the protocol dhcp and metric 100, 110 … as links are
//     declared.
//
// # What it does not do
//
// DHCPv6, bridges, bonds, VLANs, wireless, static addresses. It does not touch
// addresses and routes that others put on an interface. NTP servers are only
// written to the lease file.
//
// # What is true afterwards
//
// IsReady: the address is on the interface, the routes are there, resolv.conf
// has the servers. The kernel itself removes the address when the lease ends,
// should this program hang. Lost or Empty: all of that is gone again.
package netcfg
