package keeper

// The protocol between keeper and supervisor, docs/keeper.md.
//
// One SOCK_SEQPACKET pair; every packet is a header of 32 bytes, little
// endian, then a payload of at most PayloadMax bytes, and up to FDMax
// descriptors by SCM_RIGHTS. The keeper reads no payload: labels and keys are
// opaque bytes that it keeps and gives back.

// Op says what a packet is.
type Op uint16

const (
	// From the supervisor.

	// OpHello opens an epoch. The keeper answers with OpRow for each run it
	// holds, OpStored for each descriptor it keeps, then OpTable; after that
	// with OpExit for each exit that was not acknowledged.
	OpHello Op = 1 + iota
	// OpSpawn starts the launcher for Token. Payload: the unit's name.
	// Descriptors: SpawnSpec, SpawnCgroup, SpawnErrRead, SpawnErrWrite,
	// SpawnStdin, SpawnStdout, SpawnStderr, then any that the service gets as
	// 5, 6, …: the launcher finds the spec as 3 and the error pipe as 4.
	// The keeper keeps SpawnErrRead with the row; answered by OpSpawned.
	OpSpawn
	// OpAck lets the keeper forget the ended run Token: a snapshot holds its
	// exit. Harmless when it is unknown.
	OpAck
	// OpStore keeps one descriptor under the key in the payload, replacing
	// what was there.
	OpStore
	// OpDrop closes what is kept under the key in the payload.
	OpDrop
	// OpPong answers OpPing; A is the ping's.
	OpPong
	// OpEnd announces (B = EndBegins) or orders (B = EndNow) the end A (HowPowerOff …).
	// Payload: who asked, for the console. From EndBegins on the keeper has an
	// absolute deadline, after which it ends the machine by itself.
	OpEnd
	// OpMain makes the process A, started at B, the one whose end is the end of
	// Token's run: its service has put itself into the background. The one
	// descriptor is its pidfd. What was known of an earlier process of the run,
	// its exit too, is forgotten. Answered by OpSpawned (ESRCH: no such run) and,
	// when it is over, by OpExit. Sent again for the same process, it asks
	// whether that has ended: nobody tells the keeper of one that is not its
	// child.
	OpMain

	// From the keeper.

	// OpRow is one run: A pid (0: the spawn is still under way), B start time (clock
	// ticks, /proc/PID/stat field 22). Payload: RowExited or RowAlive as one
	// byte, then the unit's name. Descriptors: pidfd (alive and spawned only), SpawnErrRead.
	OpRow
	// OpStored is one kept descriptor. Payload: its key.
	OpStored
	// OpTable closes the answer to OpHello. A: how the machine is ending (0: it
	// is not), B: 1 in safe mode.
	OpTable
	// OpSpawned answers OpSpawn and OpMain. A pid, B start time; or A 0 and B
	// errno when nothing was started (the row is gone then). Descriptor: pidfd.
	OpSpawned
	// OpExit is the end of Token's process: A the wait status or StatusUnknown,
	// B the moment on CLOCK_BOOTTIME in nanoseconds. Sent until acknowledged,
	// once per epoch. It belongs to the process that OpSpawned or OpRow named
	// last.
	OpExit
	// OpSignal says that PID 1 got signal A and that it means something.
	OpSignal
	// OpPing asks for an OpPong with the same A within PongTimeout.
	OpPing
)

// Version of the protocol, first in every header. Both sides are one binary;
// it is there so that a mixed pair says so instead of guessing.
const Version = 2

// Sizes in bytes, and the most descriptors in one packet.
const (
	HeaderSize = 32
	PayloadMax = 224
	PacketMax  = HeaderSize + PayloadMax
	FDMax      = 80 // a service may leave 64 for its next run
)

// Order of descriptors in OpSpawn.
const (
	SpawnSpec = iota
	SpawnCgroup
	SpawnErrRead
	SpawnErrWrite
	SpawnStdin
	SpawnStdout
	SpawnStderr
	SpawnExtra
)

// First byte of an OpRow payload.
const (
	RowAlive  = 0
	RowExited = 1
)

// StatusUnknown is the A of OpExit when nobody can say how the process ended:
// its parent, which is not PID 1, waited for it, on a kernel before 6.15. No wait
// status has that bit; without it, it reads as an exit with 0.
const StatusUnknown = 1 << 16

// B of OpEnd.
const (
	EndBegins = 0
	EndNow    = 1
)

// A of OpEnd and of OpTable; equal to unit.How, which the keeper must not
// import.
const (
	HowPowerOff = 1
	HowReboot   = 2
	HowHalt     = 3
)

// SupervisorFD is where the supervisor finds its end of the pair; its epoch is
// its second argument: /init supervise EPOCH.
const SupervisorFD = 3

// LauncherSpecFD and LauncherErrFD are where the launcher finds its spec and
// its error pipe: /init exec NAME.
const (
	LauncherSpecFD  = 3
	LauncherErrFD   = 4
	LauncherExtraFD = 5
)

// Packet is one message.
type Packet struct {
	Op      Op
	Epoch   uint32
	Token   uint64
	A, B    uint64
	Payload []byte
}

// Append encodes p after b. A payload over PayloadMax is cut: the sender checks
// first.
func (p *Packet) Append(b []byte) []byte {
	b = le(b, Version, 2)
	b = le(b, uint64(p.Op), 2)
	b = le(b, uint64(p.Epoch), 4)
	b = le(b, p.Token, 8)
	b = le(b, p.A, 8)
	b = le(b, p.B, 8)
	return append(b, p.Payload[:min(len(p.Payload), PayloadMax)]...)
}

// Decode reads one packet; Payload aliases b. False: too short, too long, of
// another version or of an unknown op.
func (p *Packet) Decode(b []byte) bool {
	if len(b) < HeaderSize || len(b) > PacketMax || get(b, 2) != Version {
		return false
	}
	p.Op = Op(get(b[2:], 2))
	p.Epoch = uint32(get(b[4:], 4))
	p.Token = get(b[8:], 8)
	p.A = get(b[16:], 8)
	p.B = get(b[24:], 8)
	p.Payload = b[HeaderSize:]
	return p.Op >= OpHello && p.Op <= OpPing
}

func le(b []byte, v uint64, n int) []byte {
	for range n {
		b = append(b, byte(v))
		v >>= 8
	}
	return b
}

func get(b []byte, n int) (v uint64) {
	for i := range n {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}
