//go:build e2e

package e2e

import (
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
)

// consoleKept is how much of the console is remembered.
const consoleKept = 1 << 20

// console collects what the guest writes to its serial line.
type console struct {
	mu      sync.Mutex
	text    []byte
	read    int           // up to where Expect has looked
	changed chan struct{} // closed at the next write
	over    bool
}

func newConsole() *console { return &console{changed: make(chan struct{})} }

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p...)
	if drop := len(c.text) - consoleKept; drop > consoleKept/2 {
		c.text = append([]byte(nil), c.text[drop:]...)
		c.read = max(0, c.read-drop)
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return len(p), nil
}

func (c *console) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	close(c.changed)
	c.changed = make(chan struct{})
}

// take looks for re in what was not taken yet, and takes what lies up to the
// end of the match.
func (c *console) take(re *regexp.Regexp) (match []string, changed <-chan struct{}, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := c.text[c.read:]
	loc := re.FindSubmatchIndex(rest)
	if loc == nil {
		return nil, c.changed, c.over
	}
	for i := 0; i < len(loc); i += 2 {
		sub := ""
		if loc[i] >= 0 {
			sub = string(rest[loc[i]:loc[i+1]])
		}
		match = append(match, sub)
	}
	c.read += loc[1]
	return match, nil, false
}

// all returns what is remembered, without carriage returns and escapes.
func (c *console) all() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return printable.ReplaceAllString(string(c.text), "")
}

var printable = regexp.MustCompile("\x1b\\[[0-9;?=]*[A-Za-z]|\x1bc|[^\\n\\t\\x20-\\x{10ffff}]")

// tail returns the last 60 lines.
func (c *console) tail() string {
	lines := strings.Split(strings.TrimRight(c.all(), "\n"), "\n")
	return "    | " + strings.Join(lines[max(0, len(lines)-60):], "\n    | ")
}

// Expect waits until the console matches a regular expression, and returns the
// match and its groups. What lies before the end of the match is taken: the
// next Expect looks behind it. It ends the test after the bound, or when the
// machine ends first.
func (v *VM) Expect(pattern string, bound time.Duration) []string {
	v.t.Helper()
	match, ok := v.await(pattern, bound)
	if !ok {
		v.Fatalf("the console did not show %q", pattern)
	}
	return match
}

func (v *VM) await(pattern string, bound time.Duration) ([]string, bool) {
	v.t.Helper()
	re, err := regexp.Compile(pattern)
	if err != nil {
		v.Fatalf("%v", err)
	}
	late := time.NewTimer(max(bound, Patience))
	defer late.Stop()
	for {
		match, changed, over := v.console.take(re)
		if match != nil {
			return match, true
		}
		if over {
			return nil, false
		}
		select {
		case <-changed:
		case <-late.C:
			return nil, false
		}
	}
}

// Console returns what the guest wrote so far, without escape sequences.
func (v *VM) Console() string { return v.console.all() }

// Send types on the serial console.
func (v *VM) Send(text string) error {
	_, err := io.WriteString(v.input, text)
	return err
}
