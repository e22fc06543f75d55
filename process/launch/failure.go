package launch

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Failure is a start that did not come to an execve: which step, the errno if
// there was one, and the whole error as a person reads it.
type Failure struct {
	Step  string
	Errno unix.Errno
	Text  string
}

// FailureMax bounds an encoded Failure: one write, one read, one page.
const FailureMax = 4096

func (f *Failure) Error() string { return f.Text }

func (f *Failure) append(b []byte) []byte {
	step := f.Step[:min(len(f.Step), 255)]
	b = append(binary.LittleEndian.AppendUint32(b, uint32(f.Errno)), byte(len(step)))
	b = append(b, step...)
	return append(b, f.Text[:min(len(f.Text), FailureMax-len(b))]...)
}

// ParseFailure reads what the launcher wrote on its error pipe; false: it is
// not that.
func ParseFailure(b []byte) (*Failure, bool) {
	if len(b) < 5 || len(b) > FailureMax || len(b) < 5+int(b[4]) {
		return nil, false
	}
	n := 5 + int(b[4])
	return &Failure{string(b[5:n]), unix.Errno(binary.LittleEndian.Uint32(b)), string(b[n:])}, true
}

// fail names the step and what it was about.
func fail(step, about string, err error) *Failure {
	f := &Failure{Step: step}
	errors.As(err, &f.Errno)
	if about != "" {
		f.Text = fmt.Sprintf("%s %q: %v", step, about, err)
	} else {
		f.Text = fmt.Sprintf("%s: %v", step, err)
	}
	return f
}
