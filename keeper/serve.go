package keeper

import (
	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// packetsMost are taken in one turn, so that a flood leaves the loop its rounds.
const packetsMost = 256

// receive takes what the supervisor sent. True: there may be more.
func (k *keeper) receive() bool {
	for range packetsMost {
		sock := k.sup.sock
		if sock < 0 {
			return false
		}
		n, oobn, flags, _, err := unix.Recvmsg(sock, k.in[:], k.oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return false
		case err != nil || n == 0:
			k.hungUp()
			return false
		}
		fds := rights(k.oob[:oobn])
		var p Packet
		switch {
		case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || len(fds) > FDMax || !p.Decode(k.in[:n]):
			k.log.Say(kmsg.Warning, "a packet from the supervisor cannot be read")
		case p.Epoch != k.sup.epoch:
			k.log.Say(kmsg.Warning, "a packet of epoch ", kmsg.Num(int64(p.Epoch)), " is refused")
		default:
			fds = k.serve(&p, fds)
		}
		closeAll(fds)
	}
	return true
}

// rights are the descriptors in control messages.
func rights(oob []byte) (fds []int) {
	if len(oob) == 0 {
		return nil
	}
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range msgs {
		if got, err := unix.ParseUnixRights(&msgs[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}

// serve does what p asks and returns the descriptors that it did not keep.
func (k *keeper) serve(p *Packet, fds []int) []int {
	s := &k.sup
	switch p.Op {
	case OpHello:
		s.helloed, s.silent, s.pingAt = true, 0, mono()+k.cfg.PingEvery
		s.rowAt, s.storeAt, s.tabled = 0, 0, false
		if k.wished != wishNothing && k.how == 0 {
			k.oweSignal(k.wishedBy)
		}
	case OpSpawn:
		k.spawn(p, fds)
		return nil
	case OpAck:
		if r := k.rows.byToken(p.Token); r != nil && r.phase == exited {
			k.rows.drop(r)
		}
	case OpStore:
		if len(fds) == 1 && k.store.put(p.Payload, fds[0]) {
			return nil
		}
		k.log.Say(kmsg.Warning, "store of ", string(p.Payload), " refused: ", kmsg.Num(int64(len(fds))), " descriptors, or ",
			kmsg.Num(storeMost), " kept already")
	case OpDrop:
		k.store.drop(p.Payload)
	case OpPong:
		s.silent = 0
	case OpEnd:
		k.end(p.A, p.B, string(p.Payload))
	case OpMain:
		return k.main(p, fds)
	}
	return fds
}

// tell sends what the supervisor is owed, until its socket is full. The order
// matters: pings first, so that a long replay never looks like silence; then
// the answer to OpHello; then news.
func (k *keeper) tell() {
	s := &k.sup
	if s.sock < 0 || s.blocked || !s.helloed || k.final {
		return
	}
	if s.pingOwed {
		if !k.send(&Packet{Op: OpPing, A: s.pings}) {
			return
		}
		s.pingOwed = false
	}
	if !s.tabled {
		if !k.tellRows() || !k.tellStored() {
			return
		}
		p := Packet{Op: OpTable, A: k.how}
		if k.deaths.mode != normal {
			p.B = 1
		}
		if !k.mounted || !k.send(&p) {
			return
		}
		s.tabled = true
	}
	k.tellNews()
}

// tellRows sends the runs of earlier epochs.
func (k *keeper) tellRows() bool {
	for s := &k.sup; s.rowAt < k.rows.high; s.rowAt++ {
		r := &k.rows.slot[s.rowAt]
		if r.phase == free || r.born == s.epoch {
			continue
		}
		p := Packet{Op: OpRow, Token: r.token, Payload: r.name[:1+r.nname]}
		r.name[0] = RowAlive
		var fds []int
		switch r.phase {
		case alive:
			p.A, p.B = uint64(r.pid), r.start
			fds = []int{r.pidfd, r.errRead}
		case exited:
			r.name[0] = RowExited
			p.A, p.B = uint64(r.pid), r.start
			fds = []int{r.errRead}
		default:
			fds = []int{r.errRead}
		}
		if !k.send(&p, fds...) {
			return false
		}
	}
	return true
}

func (k *keeper) tellStored() bool {
	for s := &k.sup; s.storeAt < k.store.high; s.storeAt++ {
		d := &k.store.slot[s.storeAt]
		if d.used && !k.send(&Packet{Op: OpStored, Payload: d.key[:d.nkey]}, d.fd) {
			return false
		}
	}
	return true
}

// tellNews sends signals, answers to spawns, and exits.
func (k *keeper) tellNews() {
	s := &k.sup
	for k.nowed > 0 {
		if !k.send(&Packet{Op: OpSignal, A: uint64(k.owedSig[0])}) {
			return
		}
		k.nowed--
		copy(k.owedSig[:], k.owedSig[1:1+k.nowed])
	}
	for s.nrefused > 0 {
		x := s.refused[s.nrefused-1]
		if !k.send(&Packet{Op: OpSpawned, Token: x.token, B: uint64(x.errno)}) {
			return
		}
		s.nrefused--
	}
	for i := range k.rows.used() {
		if r := &k.rows.slot[i]; !k.tellRow(r) {
			return
		}
	}
}

func (k *keeper) tellRow(r *row) bool {
	if r.owed {
		p := Packet{Op: OpSpawned, Token: r.token}
		var fds []int
		switch r.phase {
		case failed:
			p.B = r.errno
		case alive:
			p.A, p.B, fds = uint64(r.pid), r.start, []int{r.pidfd}
		default:
			p.A, p.B = uint64(r.pid), r.start // it has exited: no pidfd
		}
		if !k.send(&p, fds...) {
			return false
		}
		r.owed = false
		if r.phase == failed {
			k.rows.drop(r)
		}
	}
	if r.phase == exited && r.told != k.sup.epoch {
		if !k.send(&Packet{Op: OpExit, Token: r.token, A: uint64(r.status), B: uint64(r.ended)}) {
			return false
		}
		r.told = k.sup.epoch
	}
	return true
}

// refuse answers a spawn that has no row.
func (k *keeper) refuse(token uint64, errno unix.Errno) {
	s := &k.sup
	if s.nrefused < len(s.refused) {
		s.refused[s.nrefused] = refusal{token, errno}
		s.nrefused++
	}
}

// oweSignal tells the supervisor of a signal; one that is owed already is not
// owed twice.
func (k *keeper) oweSignal(n uint8) {
	for _, have := range k.owedSig[:k.nowed] {
		if have == n {
			return
		}
	}
	if k.nowed < len(k.owedSig) {
		k.owedSig[k.nowed] = n
		k.nowed++
	}
}

// send makes one sendmsg(2). False: not sent, and tell goes on when there is
// room, or not at all when the peer has gone.
func (k *keeper) send(p *Packet, fds ...int) bool {
	s := &k.sup
	p.Epoch = s.epoch
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for {
		_, err := unix.SendmsgN(s.sock, p.Append(k.out[:0]), oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			s.blocked = true // EPIPE too: poll(2) then tells of the hang-up
		}
		return err == nil
	}
}
