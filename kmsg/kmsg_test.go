package kmsg

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// open makes a Log over two files and returns how to read them.
func open(t *testing.T, opt Options, printk string) (l *Log, kmsg, console func() string) {
	t.Helper()
	dir := t.TempDir()
	opt.Kmsg, opt.Console, opt.Printk = filepath.Join(dir, "kmsg"), filepath.Join(dir, "console"), filepath.Join(dir, "printk")
	for path, text := range map[string]string{opt.Kmsg: "", opt.Console: "", opt.Printk: printk} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l = Open(opt)
	t.Cleanup(l.Close)
	read := func(path string) func() string {
		return func() string {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
	}
	return l, read(opt.Kmsg), read(opt.Console)
}

func TestSay(t *testing.T) {
	for _, c := range []struct {
		name    string
		opt     Options
		printk  string
		say     func(*Log)
		kmsg    string
		console string // without the stamp; empty: nothing
	}{
		{"info", Options{}, "", func(l *Log) { l.Say(Info, "a ", "b") }, "<30>hoopy: a b\n", "a b\r\n"},
		{"error", Options{}, "", func(l *Log) { l.Say(Error, "x") }, "<27>hoopy: x\n", "x\r\n"},
		{"the kernel prints warnings", Options{}, "7\t4\t1\t7\n", func(l *Log) { l.Say(Warning, "x") }, "<31>hoopy: x\n", "x\r\n"},
		{"the kernel is quiet", Options{}, "4 4 1 7", func(l *Log) { l.Say(Info, "x") }, "<30>hoopy: x\n", "x\r\n"},
		{"no debug", Options{}, "", func(l *Log) { l.Say(Debug, "x") }, "", ""},
		{"debug", Options{Debug: true}, "", func(l *Log) { l.Say(Debug, "x") }, "<31>hoopy: x\n", "x\r\n"},
		{"quiet info", Options{Quiet: true}, "", func(l *Log) { l.Say(Info, "x") }, "<30>hoopy: x\n", ""},
		{"quiet warning", Options{Quiet: true}, "", func(l *Log) { l.Say(Warning, "x") }, "<28>hoopy: x\n", "x\r\n"},
		{"quiet final", Options{Quiet: true}, "", func(l *Log) { l.Final("x") }, "<30>hoopy: x\n", "x\r\n"},
		{"control characters", Options{}, "", func(l *Log) { l.Say(Info, "a\nb\x1b[2J\tü") }, "<30>hoopy: a?b?[2J\tü\n", "a?b?[2J\tü\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, kmsg, console := open(t, c.opt, c.printk)
			c.say(l)
			if got := kmsg(); got != c.kmsg {
				t.Errorf("kmsg %q, want %q", got, c.kmsg)
			}
			got := console()
			if c.console == "" && got != "" {
				t.Errorf("console %q", got)
			}
			if want := regexp.MustCompile(`^\[ *\d+\.\d{3}\] ` + regexp.QuoteMeta(c.console) + `$`); c.console != "" && !want.MatchString(got) {
				t.Errorf("console %q, want %q", got, c.console)
			}
		})
	}
}

func TestRecordLimit(t *testing.T) {
	l, kmsg, console := open(t, Options{}, "")
	l.Say(Info, strings.Repeat("x", 5000))
	for name, got := range map[string]string{"kmsg": kmsg(), "console": console()} {
		if len(got) > RecordMax || len(got) < RecordMax-2 || !strings.HasSuffix(got, "\n") {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
}

// TestNeverBlocks: nobody reads the console, then somebody does.
func TestNeverBlocks(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "console")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := unix.Open(fifo, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(r)
	l := Open(Options{Kmsg: filepath.Join(dir, "none"), Console: fifo})
	defer l.Close()
	line := strings.Repeat("x", 800)
	for range 200 { // 160 kB into a pipe of 64 kB
		l.Say(Info, line)
	}
	drain := func() (text string) {
		b := make([]byte, 1<<20)
		for {
			n, err := unix.Read(r, b)
			if n <= 0 || err != nil {
				return text
			}
			text += string(b[:n])
		}
	}
	if n := strings.Count(drain(), "] xxx"); n < 50 || n >= 200 {
		t.Errorf("%d lines passed", n)
	}
	l.Say(Info, "again")
	if got := drain(); !regexp.MustCompile(`^1\d\d lines were dropped here\r\n\[.*\] again\r\n$`).MatchString(got) {
		t.Errorf("after the dam: %q", got)
	}
}

func TestNilAndClosed(t *testing.T) {
	var none *Log
	none.Say(Error, "x")
	none.Final("x")
	none.Drain(1)
	none.Reopen()
	none.Close()
	l, kmsg, _ := open(t, Options{}, "")
	l.Close()
	l.Say(Error, "x")
	if kmsg() != "" {
		t.Error("a closed log speaks")
	}
	l.Reopen()
	l.Say(Error, "y")
	if !strings.Contains(kmsg(), "y") {
		t.Error("a reopened log does not")
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 7: "7", -12: "-12", 1<<63 - 1: "9223372036854775807", -1 << 63: "-9223372036854775808"} {
		if got := Num(n); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for ns, want := range map[int64]string{0: "0.0 s", 49e6: "0.0 s", 50e6: "0.1 s", 3_940e6: "3.9 s", 61e9: "61.0 s"} {
		if got := Seconds(ns); got != want {
			t.Errorf("%d: %s, want %s", ns, got, want)
		}
	}
}
