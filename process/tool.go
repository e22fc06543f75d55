package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"hoopy/process/launch"
	"hoopy/unit"
)

// tool is a program that another arm wants to have run to its end.
type tool struct {
	in, out int // its stdin, its stdout and stderr
	ended   chan<- toolEnd
}

// toolEnd is how it ended; failure: it did not come to life.
type toolEnd struct {
	status  unit.Status
	failure *launch.Failure
}

const (
	toolInput  = 32 << 10        // bytes; a pipe takes that without a reader
	toolOutput = 64 << 10        // bytes; what comes after them is dropped
	toolGrace  = 2 * time.Second // from SIGKILL to giving up on it, and for the rest of its output
)

// Tool is a unit.Tool. It may be called from any goroutine but the arm's. A
// program that survives SIGKILL is left behind, with an error; it holds a row of
// the keeper, and nothing else.
func (a *Arm) Tool(ctx context.Context, name string, argv []string, input []byte) ([]byte, unit.Status, error) {
	if len(input) > toolInput {
		return nil, 0, fmt.Errorf("%s: %d bytes of input, more than %d", argv[0], len(input), toolInput)
	}
	in, err := pipeWith(input)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", argv[0], err)
	}
	defer in.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", argv[0], err)
	}
	defer r.Close()
	defer w.Close()
	ended := make(chan toolEnd, 1)
	p := newRun(a.ownRun(), name, unit.Parts)
	p.unit, p.argv = &unit.Unit{Name: name, Process: unit.Process{Umask: 0o022}}, argv
	p.tool = &tool{in: int(in.Fd()), out: int(w.Fd()), ended: ended}
	begun := make(chan struct{})
	a.post(func() {
		defer close(begun)
		a.runs[p.id] = p
		if err := a.spawn(p); err != nil {
			p.row, p.exited = false, true
			p.failure = &launch.Failure{Step: "spawn", Text: err.Error()}
			a.settleProbe(p)
		}
	})
	select {
	case <-begun:
		in.Close()
		w.Close()
	case <-a.done:
		return nil, 0, fmt.Errorf("%s: the supervisor ends", argv[0])
	}
	read := make(chan []byte, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				a.panicked(v)
				read <- nil
			}
		}()
		read <- readAll(r)
	}()
	var end toolEnd
	select {
	case end = <-ended:
	case <-a.done:
		err = errors.New("the supervisor ends")
	case <-ctx.Done():
		a.post(func() { p.killWanted = true; a.killNow(p) })
		select {
		case <-ended:
			err = context.Cause(ctx)
		case <-time.After(toolGrace):
			err = errors.Join(context.Cause(ctx), errors.New("it survives SIGKILL: it waits for a disk or the kernel"))
		}
	}
	_ = r.SetReadDeadline(time.Now().Add(toolGrace)) // a pipe has deadlines
	output := <-read
	switch {
	case err != nil:
		return output, 0, fmt.Errorf("%s: %w", argv[0], err)
	case end.failure != nil:
		return output, 0, errors.New(end.failure.Text)
	}
	return output, end.status, nil
}

// pipeWith is the read end of a pipe that holds b: memory of the kernel that is
// never swapped, as befits a passphrase.
func pipeWith(b []byte) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if _, err := w.Write(b); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil // Fd has made it a blocking one, as programs expect
}

// readAll reads to the end, and keeps the first toolOutput bytes.
func readAll(r *os.File) (b []byte) {
	var part [4096]byte
	for {
		n, err := r.Read(part[:])
		b = append(b, part[:min(n, toolOutput-len(b))]...)
		if err != nil {
			return b
		}
	}
}
