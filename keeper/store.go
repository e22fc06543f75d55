package keeper

// storeMost is how many descriptors are kept for the supervisor: a unit has
// three for its log, up to four for its run, and up to 64 of its own.
const storeMost = 16384

// kept is one descriptor under its key.
type kept struct {
	key  [PayloadMax]byte
	nkey int
	fd   int
	used bool
}

// store keeps what must outlive the supervisor: log pipes, rings, sockets, the
// snapshot. Keys are opaque.
type store struct {
	slot []kept
	high int
}

func (s *store) find(key []byte) *kept {
	for i := range s.slot[:s.high] {
		if k := &s.slot[i]; k.used && string(k.key[:k.nkey]) == string(key) {
			return k
		}
	}
	return nil
}

// put keeps fd under key and closes what was there. False: the table is full,
// and fd is still the caller's.
func (s *store) put(key []byte, fd int) bool {
	if k := s.find(key); k != nil {
		closeFD(k.fd)
		k.fd = fd
		return true
	}
	k := s.free()
	if k == nil {
		return false
	}
	k.nkey = copy(k.key[:], key)
	k.fd, k.used = fd, true
	return true
}

func (s *store) free() *kept {
	for i := range s.slot[:s.high] {
		if !s.slot[i].used {
			return &s.slot[i]
		}
	}
	if s.high == len(s.slot) {
		return nil
	}
	s.high++
	return &s.slot[s.high-1]
}

// drop closes what is kept under key, if anything is.
func (s *store) drop(key []byte) {
	if k := s.find(key); k != nil {
		closeFD(k.fd)
		*k = kept{}
	}
}
