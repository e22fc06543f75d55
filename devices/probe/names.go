package probe

import "unicode/utf8"

// EncodeString writes a label or UUID as the name of a link below
// /dev/disk/by-*, and as ID_FS_LABEL_ENC: letters, digits, "#+-.:=@_" and valid
// UTF-8 stay, any other byte becomes \x20 and the like (udev, libblkid's
// blkid_encode_string).
func EncodeString(s string) string {
	out := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); {
		if n := wide(s[i:]); n > 0 {
			out = append(out, s[i:i+n]...)
			i += n
			continue
		}
		if c := s[i]; plain(c) {
			out = append(out, c)
		} else {
			out = append(out, '\\', 'x', hexLower[c>>4], hexLower[c&15])
		}
		i++
	}
	return string(out)
}

// SafeString writes a label as ID_FS_LABEL: without white space at its ends, a
// '_' for each run of it within and for what is not valid UTF-8 (libblkid's
// blkid_safe_string). Control characters but white space stay, as there: do not
// print it to a terminal as it is.
func SafeString(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		n := max(wide(s[i:]), 1)
		switch c := s[i]; {
		case isSpace(c):
			for i+n < len(s) && isSpace(s[i+n]) {
				n++
			}
			out = append(out, '_')
		case n > 1 || c < 0x80:
			out = append(out, s[i:i+n]...)
		default:
			out = append(out, '_')
		}
		i += n
	}
	return string(out)
}

func plain(c byte) bool {
	switch c {
	case '#', '+', '-', '.', ':', '=', '@', '_':
		return true
	}
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// wide is the length of the character that s begins with if it is UTF-8 of
// more than one byte that udev takes, else 0.
func wide(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	if n < 2 || r >= 0xfdd0 && r <= 0xfdef || r&0xffff == 0xffff {
		return 0
	}
	return n
}
