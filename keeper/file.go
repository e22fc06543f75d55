package keeper

import "golang.org/x/sys/unix"

// readFile reads a small file of the kernel into b. Empty when it cannot be
// read; for the keeper those are all the same.
func readFile(path string, b []byte) []byte {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	n := 0
	for n < len(b) {
		got, err := unix.Read(fd, b[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || got <= 0 {
			break
		}
		n += got
	}
	return b[:n]
}

// writeFile makes one write(2) into a file of the kernel.
func writeFile(path, text string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(text))
	return err
}

// words calls yield with each word of b, which white space separates, until it
// returns false.
func words(b []byte, yield func(string) bool) {
	for i := 0; i < len(b); {
		for i < len(b) && b[i] <= ' ' {
			i++
		}
		start := i
		for i < len(b) && b[i] > ' ' {
			i++
		}
		if i > start && !yield(string(b[start:i])) {
			return
		}
	}
}

// startTime is field 22 of /proc/PID/stat, in clock ticks since the machine
// booted; the command's name before it may hold spaces and parentheses. 0 when
// the text is no such line.
func startTime(stat []byte) (ticks uint64) {
	end := len(stat) - 1
	for end >= 0 && stat[end] != ')' {
		end--
	}
	field := 2
	words(stat[end+1:], func(w string) bool {
		field++
		if field < 22 {
			return true
		}
		for _, c := range w {
			if c < '0' || c > '9' {
				ticks = 0
				return false
			}
			ticks = ticks*10 + uint64(c-'0')
		}
		return false
	})
	return ticks
}
