package process

import (
	"strings"
	"testing"
)

func TestHTTPRequest(t *testing.T) {
	for url, want := range map[string][2]string{ // whom to ask, first two lines
		"http://localhost":               {"localhost:80", "GET / HTTP/1.0\r\nHost: localhost\r\n"},
		"http://127.0.0.1:8080/health":   {"127.0.0.1:8080", "GET /health HTTP/1.0\r\nHost: 127.0.0.1:8080\r\n"},
		"http://[::1]/a/b?c=d#e":         {"[::1]:80", "GET /a/b?c=d HTTP/1.0\r\nHost: [::1]\r\n"},
		"http://[::1]:81?x":              {"[::1]:81", "GET /?x HTTP/1.0\r\nHost: [::1]:81\r\n"},
		"http://localhost/with/a:colon/": {"localhost:80", "GET /with/a:colon/ HTTP/1.0\r\nHost: localhost\r\n"},
	} {
		host, request, err := httpRequest(url)
		if err != nil || host != want[0] || !strings.HasPrefix(string(request), want[1]) || !strings.HasSuffix(string(request), "\r\n\r\n") {
			t.Errorf("%q: %q, %q, %v", url, host, request, err)
		}
	}
	for url, want := range map[string]string{
		"https://localhost":                 "a probe speaks no TLS; ask by tcp or exec",
		"localhost:80":                      "no http:// URL",
		"http://a/b c":                      "the URL has a character that does not belong there",
		"http://a/\r\nHost: b":              "the URL has a character that does not belong there",
		"http://me:secret@localhost/health": "a probe knows no passwords",
	} {
		if _, _, err := httpRequest(url); err == nil || err.Error() != want {
			t.Errorf("%q: %v, not %q", url, err, want)
		}
	}
}

func TestHTTPStatus(t *testing.T) {
	for _, c := range []struct {
		text  string
		eof   bool
		fault string
		done  bool
	}{
		{"", false, "", false},
		{"HTTP/1.1 200 O", false, "", false},
		{"HTTP/1.1 200 OK\r\n", false, "", true},
		{"HTTP/1.0 200\n", false, "", true},
		{"HTTP/1.1 301 Moved Permanently\r\nLocation: x\r\n", false, "", true},
		{"HTTP/2 200 \r\n", false, "", true},
		{"HTTP/1.1 404 Not Found\r\n", false, "404 Not Found", true},
		{"HTTP/1.1 500 \x1b[31mred\r\n", false, "500 [31mred", true},
		{"HTTP/1.1 100 Continue\r\n", false, "100 Continue", true},
		{"HTTP/1.1 2000 Odd\r\n", false, `no answer of HTTP: "HTTP/1.1 2000 Odd"`, true},
		{"HTTP/1.1 2x0 Odd\r\n", false, `no answer of HTTP: "HTTP/1.1 2x0 Odd"`, true},
		{"HTTP/1.1 900 Odd\r\n", false, `no answer of HTTP: "HTTP/1.1 900 Odd"`, true},
		{"SSH-2.0-OpenSSH_9.9\r\n", false, `no answer of HTTP: "SSH-2.0-OpenSSH_9.9"`, true},
		{"\r\n", false, `no answer of HTTP: ""`, true},
		{"", true, "it closed the connection without an answer", true},
		{"HTTP/1.1 200 OK", true, `no answer of HTTP: "HTTP/1.1 200 OK"`, true},
		{strings.Repeat("x", statusLineMax), false, `no answer of HTTP: "` + strings.Repeat("x", 64) + `"`, true},
	} {
		if fault, done := httpStatus([]byte(c.text), c.eof); fault != c.fault || done != c.done {
			t.Errorf("%q, end %v: %q, %v", c.text, c.eof, fault, done)
		}
	}
}

func FuzzHTTP(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\n"), true)
	f.Add([]byte("HTTP/1.1 503 Service \xff\xfe Unavailable"), false)
	f.Add([]byte("\n"), true)
	f.Fuzz(func(t *testing.T, b []byte, eof bool) {
		fault, done := httpStatus(b, eof)
		if len(fault) > 100 || strings.ContainsAny(fault, "\n\r\x00\x1b") {
			t.Errorf("%q", fault)
		}
		if !done && (eof || len(b) >= statusLineMax) {
			t.Error("it waits for ever")
		}
		if host, request, err := httpRequest(string(b)); err == nil && (strings.ContainsAny(host, " \r\n") || strings.Count(string(request), "\n") != 6) {
			t.Errorf("%q", request)
		}
	})
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:80":   "127.0.0.1:80",
		"localhost:22":   "127.0.0.1:22 [::1]:22",
		":22":            "127.0.0.1:22 [::1]:22",
		"[::1]:53":       "[::1]:53",
		"nas:80":         `"nas" is no address; a probe asks no name server`,
		"127.0.0.1":      `"127.0.0.1" is no host:port`,
		"127.0.0.1:http": `"127.0.0.1:http" is no host:port`,
		"127.0.0.1:0":    `"127.0.0.1:0" is no host:port`,
		"::1":            `"" is no address`,
		"[fe80::1%lo]:1": `"fe80::1%lo" is no address; a probe asks no name server`,
	} {
		addrs, err := addresses(text)
		var got []string
		for _, a := range addrs {
			got = append(got, a.String())
		}
		if err != nil {
			got = []string{err.Error()}
		}
		if g := strings.Join(got, " "); g != want && !(text == "::1" && err != nil) {
			t.Errorf("%q: %q, not %q", text, g, want)
		}
	}
}
