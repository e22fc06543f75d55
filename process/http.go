package process

import (
	"bytes"
	"errors"
	"strings"
)

// The least of RFC 9112 by which a service can say that it is well: one GET of
// HTTP/1.0, and the status line of its answer.

// statusLineMax bounds a status line, in bytes.
const statusLineMax = 1024

// httpRequest makes the request for a URL, and says whom to ask.
func httpRequest(url string) (hostport string, request []byte, err error) {
	rest, ok := strings.CutPrefix(url, "http://")
	if !ok {
		if strings.HasPrefix(url, "https://") {
			return "", nil, errors.New("a probe speaks no TLS; ask by tcp or exec")
		}
		return "", nil, errors.New("no http:// URL")
	}
	for _, c := range []byte(rest) {
		if c <= ' ' || c >= 0x7f {
			return "", nil, errors.New("the URL has a character that does not belong there")
		}
	}
	rest, _, _ = strings.Cut(rest, "#")
	host, target := rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, target = rest[:i], rest[i:]
		if target[0] == '?' {
			target = "/" + target
		}
	}
	if strings.Contains(host, "@") {
		return "", nil, errors.New("a probe knows no passwords")
	}
	hostport = host
	if colon := strings.LastIndexByte(host, ':'); colon < 0 || strings.HasSuffix(host, "]") {
		hostport += ":80"
	}
	request = []byte("GET " + target + " HTTP/1.0\r\nHost: " + host + "\r\nUser-Agent: hoopy\r\nAccept: */*\r\nConnection: close\r\n\r\n")
	return hostport, request, nil
}

// httpStatus reads the status line, once it is there: 2xx and 3xx are good. eof
// says that no more will come.
func httpStatus(b []byte, eof bool) (fault string, done bool) {
	line, _, whole := bytes.Cut(b, []byte("\n"))
	switch {
	case whole:
	case len(b) >= statusLineMax || eof && len(b) > 0:
	case eof:
		return "it closed the connection without an answer", true
	default:
		return "", false
	}
	line = bytes.TrimRight(line, "\r")
	version, status, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(status, []byte(" "))
	if !whole || !bytes.HasPrefix(version, []byte("HTTP/")) || len(code) != 3 ||
		code[0] < '1' || code[0] > '5' || !digit(code[1]) || !digit(code[2]) {
		return "no answer of HTTP: \"" + clean(line[:min(len(line), 64)]) + "\"", true
	}
	if code[0] == '2' || code[0] == '3' {
		return "", true
	}
	return clean(status[:min(len(status), 64)]), true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
