package syslog

import (
	"bytes"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, in           string
		facility, severity int8
		want               string
	}{
		{"musl", "<38>Oct 11 22:14:15 sshd[42]: Accepted publickey\n", 4, 7, "sshd[42]: Accepted publickey"},
		{"musl, no ident", "<13>Oct  1 22:14:15 : hello", 1, 6, "hello"},
		{"glibc", "<34>Oct  1 22:14:15 su: 'su root' failed\x00", 4, 3, "su: 'su root' failed"},
		{"busybox logger", "<13>Jan  1 00:00:00 root: text", 1, 6, "root: text"},
		{"our host", "<13>Jan  1 00:00:00 frood nginx: text", 1, 6, "nginx: text"},
		{"our host in full", "<13>Jan  1 00:00:00 frood.lan nginx: text", 1, 6, "nginx: text"},
		{"another host", "<13>Jan  1 00:00:00 other nginx: text", 1, 6, "other nginx: text"},
		{"python", "<14>text alone\x00", 1, 7, "text alone"},
		{"tag, no time", "<14>foo[7]: text", 1, 7, "foo[7]: text"},
		{"no time, but like one", "<14>Oct 11 22:14:1x foo: text", 1, 7, "Oct 11 22:14:1x foo: text"},
		{"emergency", "<0>Jan 31 00:00:00 a: b", 0, 1, "a: b"},
		{"the highest", "<191>a: b", 23, 8, "a: b"},
		{"too high", "<192>a: b", 1, 6, "<192>a: b"},
		{"no number", "<>a", 1, 6, "<>a"},
		{"no end", "<13", 1, 6, "<13"},
		{"long number", "<0013>a", 1, 6, "<0013>a"},
		{"signed", "<+1>a", 1, 6, "<+1>a"},
		{"plain", "no priority", 1, 6, "no priority"},
		{"nothing", "", 1, 6, ""},
		{"zeros", "\x00\x00\x00", 1, 6, ""},
		{"priority alone", "<13>", 1, 6, ""},
		{"lines", "<13>a: b\nc\r\nd\n\n", 1, 6, "a: b c\r d"},
		{"zeros and rubbish inside", "<13>a\x00b\xff\xfe", 1, 6, "a\x00b\xff\xfe"},
		{"5424", "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed", 4, 3, "su: 'su root' failed"},
		{"5424, all there", `<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time`, 20, 6, "myproc[8710]: %% It's time"},
		{"5424, data", `<165>1 2003-10-11T22:14:15.003Z h evntslog - ID47 [ex@32473 iut="3" a="\"]\\"][b c="]"] An application`, 20, 6, "evntslog: An application"},
		{"5424, data alone", `<165>1 2003-10-11T22:14:15.003Z h evntslog - ID47 [ex@32473 iut="3"]`, 20, 6, `evntslog: [ex@32473 iut="3"]`},
		{"5424, nothing known", "<13>1 - - - - - -", 1, 6, ""},
		{"5424, no data", "<13>1 - - a 1 -", 1, 6, "a[1]: "},
		{"5424, text of a dash", "<13>1 - - a - - - -", 1, 6, "a: -"},
		{"5424, data without end", `<13>1 - - a - - [x y="]`, 1, 6, `1 - - a - - [x y="]`},
		{"5424, data torn", `<13>1 - - a - - [x]y`, 1, 6, `1 - - a - - [x]y`},
		{"not 5424", "<13>1 error in 3 of 5 files", 1, 6, "1 error in 3 of 5 files"},
		{"not 5424 either", "<13>1 2003-10-11T22:14:15.003Z", 1, 6, "1 2003-10-11T22:14:15.003Z"},
	} {
		m := Parse([]byte(c.in), "frood")
		if string(m.Text) != c.want || m.Severity != c.severity || m.Facility != c.facility {
			t.Errorf("%s: %d.%d %q, not %d.%d %q", c.name, m.Facility, m.Severity, m.Text, c.facility, c.severity, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "<13>", "<38>Oct 11 22:14:15 sshd[42]: Accepted\n", "<13>Oct  1 22:14:15 frood a: b\x00",
		"<34>1 2003-10-11T22:14:15.003Z h su - ID47 - \ufeff'su root' failed",
		`<165>1 - h evntslog - ID47 [ex@32473 iut="3" a="\"]\\"][b c="]"] An application`,
		`<165>1 - h e - - [`, "<1>1 - - - - - -", "<999>x\n\ny",
	} {
		f.Add([]byte(s), "frood")
	}
	f.Fuzz(func(t *testing.T, b []byte, host string) {
		was := bytes.Clone(b)
		m := Parse(b, host)
		if !bytes.Equal(b, was) {
			t.Error("the datagram was changed")
		}
		if m.Severity < 1 || m.Severity > 8 || m.Facility < 0 || m.Facility > 23 || bytes.ContainsRune(m.Text, '\n') || len(m.Text) > len(b)+4 {
			t.Errorf("%+v", m)
		}
		// Nothing that ends the datagram is lost.
		if end := strings.TrimRight(string(b), "\x00\r\n "); len(end) > 0 && len(m.Text) > 0 {
			if c := end[len(end)-1]; c > ' ' && m.Text[len(m.Text)-1] != c && !bytes.Contains(b, []byte("1 ")) {
				t.Errorf("%q ends with %q", b, m.Text)
			}
		}
	})
}
