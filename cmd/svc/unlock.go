package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"

	"hoopy/control"
)

// passphraseMax is the longest passphrase that ZFS takes, in bytes.
const passphraseMax = 512

// unlock opens an encrypted dataset.
func (a *app) unlock(o options) error {
	wait, err := o.duration("timeout", control.WaitDefault)
	if err != nil {
		return err
	}
	secret, err := a.passphrase("Passphrase of " + o.names[0] + ": ")
	if err != nil {
		return err
	}
	defer clear(secret)
	got, err := a.ask(control.Request{Op: control.Unlock, Names: o.names[:1], Secret: secret, Wait: wait}, wait+slack)
	if got.Text != "" {
		fmt.Fprintln(a.out, escape(got.Text))
	}
	return err
}

// passphrase asks on the terminal, or reads the first line of stdin if that is
// none.
func (a *app) passphrase(prompt string) ([]byte, error) {
	in := a.in
	if f, ok := in.(*os.File); ok {
		loud, err := silence(f)
		if err == nil {
			defer loud()
			fmt.Fprint(a.err, prompt)
			defer fmt.Fprintln(a.err)
		}
	}
	line, err := bufio.NewReader(io.LimitReader(in, passphraseMax+2)).ReadBytes('\n')
	line = bytes.TrimRight(line, "\r\n")
	switch {
	case err != nil && err != io.EOF:
		return nil, fmt.Errorf("passphrase: %w", err)
	case len(line) == 0:
		return nil, misuse("no passphrase was given")
	case len(line) > passphraseMax:
		clear(line)
		return nil, fmt.Errorf("a passphrase has at most %d bytes", passphraseMax)
	}
	return line, nil
}
