package probe

import "strconv"

// ZFS is what the label of a pool's device says (OpenZFS
// module/zfs/vdev_label.c, and "ZFS On-Disk Specification", 2006).
type ZFS struct {
	Pool     string // empty on spares and cache devices
	PoolGUID uint64 // 0 on those
	VdevGUID uint64 // of this device
	TopGUID  uint64 // of the top-level vdev that it is part of
	HostID   uint64 // of the machine that used it last; 0 if the label has none
	Hostname string
	State    PoolState
	Txg      uint64 // of the label; 0: device is not, or no more, part of the pool

	Tops   int      // top-level vdevs of the pool
	Leaves []uint64 // devices of this top-level vdev, this one included
}

// PoolState is the state that a label was written in.
type PoolState uint64

const (
	Active PoolState = iota // in use, or not exported when its machine ended
	Exported
	Destroyed
	Spare
	Cache
)

const (
	labelSize  = 256 << 10 // two at the front, two at the end
	labelPairs = 16 << 10  // where in a label the name-value pairs begin
	pairsSize  = 112 << 10
)

// lastLabel is where the fourth label begins.
func (d *device) lastLabel() int64 { return d.size&^(labelSize-1) - labelSize }

// zfsMember takes the first label or, if that was overwritten, the last.
func zfsMember(d *device, info *Info) bool {
	for _, label := range [...]int64{0, d.lastLabel()} {
		z, version, ok := d.zfsLabel(label + labelPairs)
		if !ok {
			continue
		}
		info.ZFS, info.Label = z, text([]byte(z.Pool))
		info.UUIDSub, info.Version = strconv.FormatUint(z.VdevGUID, 10), strconv.FormatUint(version, 10)
		if z.PoolGUID != 0 {
			info.UUID = strconv.FormatUint(z.PoolGUID, 10)
		}
		return true
	}
	return false
}

func (d *device) zfsLabel(off int64) (z *ZFS, version uint64, ok bool) {
	// Encoding XDR; pairs of version 0.
	if b := d.at(off, 12); b == nil || b[0] != 1 || b[1] > 1 || !zero(b[4:8]) {
		return nil, 0, false
	}
	b := d.at(off, pageSize) // most labels; wide vdevs need more
	z = new(ZFS)
	if b == nil || !z.read(b[4:], &version) {
		z, version = new(ZFS), 0
		if b = d.at(off, pairsSize); b == nil || !z.read(b[4:], &version) {
			return nil, 0, false
		}
	}
	pooled := z.PoolGUID != 0 && z.Pool != ""
	return z, version, z.VdevGUID != 0 && (pooled || z.State == Spare || z.State == Cache)
}

// read takes the pairs of a label. False means that b ends before they do.
func (z *ZFS) read(b []byte, version *uint64) bool {
	pairs := pairs{b: b}
	for pairs.next() {
		switch v := pairs.number(); pairs.name {
		case "version":
			*version = v
		case "name":
			z.Pool = pairs.text()
		case "state":
			z.State = PoolState(v)
		case "txg":
			z.Txg = v
		case "pool_guid":
			z.PoolGUID = v
		case "guid":
			z.VdevGUID = v
		case "top_guid":
			z.TopGUID = v
		case "hostid":
			z.HostID = v
		case "hostname":
			z.Hostname = pairs.text()
		case "vdev_children":
			z.Tops = int(min(v, 1<<16))
		case "vdev_tree":
			if pairs.kind == pairList {
				z.leaves(pairs.value, 0)
			}
		}
	}
	return pairs.ended
}

// leaves collects the GUIDs of a vdev's devices and says where its pairs end.
func (z *ZFS) leaves(b []byte, depth int) (rest []byte) {
	var self uint64
	pairs, leaf := pairs{b: b}, true
	for pairs.next() {
		switch pairs.name {
		case "guid":
			self = pairs.number()
		case "children":
			if pairs.kind != pairLists {
				break
			}
			leaf = false
			children := pairs.value
			for range min(pairs.count, 1<<12) {
				if depth >= 8 || len(children) == 0 {
					break
				}
				children = z.leaves(children, depth+1)
			}
		}
	}
	if leaf && self != 0 && pairs.ended && len(z.Leaves) < 1<<12 {
		z.Leaves = append(z.Leaves, self)
	}
	return pairs.b
}

// Types of values (OpenZFS include/sys/nvpair.h, data_type_t).
const (
	pairNumber = 8
	pairString = 9
	pairList   = 19
	pairLists  = 20
)

// pairs walks a list in XDR: version, flags, then of each pair its length, the
// length decoded, name, type, count and value; two zero words end it.
type pairs struct {
	b     []byte
	begun bool
	ended bool

	name  string
	kind  uint32
	count uint32
	value []byte
}

func (p *pairs) next() bool {
	if !p.begun {
		if len(p.b) < 8 {
			return false
		}
		p.b, p.begun = p.b[8:], true
	}
	if p.ended || len(p.b) < 8 {
		return false
	}
	size := be.Uint32(p.b)
	if size == 0 {
		p.b, p.ended = p.b[8:], true
		return false
	}
	if size < 20 || uint64(size) > uint64(len(p.b)) {
		return false
	}
	pair := p.b[:size]
	length := be.Uint32(pair[8:])
	if length > size-20 {
		return false
	}
	after := 12 + (length+3)&^3
	if after > size-8 {
		return false
	}
	p.name = string(pair[12 : 12+length])
	p.kind, p.count, p.value = be.Uint32(pair[after:]), be.Uint32(pair[after+4:]), pair[after+8:]
	p.b = p.b[size:]
	return true
}

func (p *pairs) number() uint64 {
	if p.kind != pairNumber || len(p.value) < 8 {
		return 0
	}
	return be.Uint64(p.value)
}

func (p *pairs) text() string {
	if p.kind != pairString || len(p.value) < 4 {
		return ""
	}
	n := be.Uint32(p.value)
	if uint64(n) > uint64(len(p.value)-4) {
		return ""
	}
	return string(p.value[4 : 4+n])
}
