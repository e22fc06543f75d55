//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// SSH returns a connection as root once the guest's sshd answers, or the last
// attempt's error when the context ends. A refused key ends the attempts.
func (v *VM) SSH(ctx context.Context) (*ssh.Client, error) {
	key := v.key
	if key == nil {
		key = Key(v.t)
	}
	config := &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // the other end is our child's loopback
	}
	select {
	case <-v.frames.first:
	case <-v.ended:
		return nil, errors.New("ssh: the machine has ended without a frame")
	case <-ctx.Done():
		return nil, fmt.Errorf("ssh: %w: the guest sent no frame", ctx.Err())
	}
	for {
		client, err := v.dial(config)
		if err == nil {
			return client, nil
		}
		if strings.Contains(err.Error(), "unable to authenticate") { // the library has no type for it
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("ssh: %w; last attempt: %w", ctx.Err(), err)
		case <-v.ended:
			return nil, fmt.Errorf("ssh: the machine has ended; last attempt: %w", err)
		default:
		}
	}
}

// dial connects and logs in. It takes at least a moment, also where it fails.
func (v *VM) dial(config *ssh.ClientConfig) (*ssh.Client, error) {
	conn, err := v.connect()
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(Patience))
	c, channels, requests, err := ssh.NewClientConn(conn, conn.RemoteAddr().String(), config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return ssh.NewClient(c, channels, requests), nil
}

// Client returns the connection that Run uses, made at the first call.
func (v *VM) Client() *ssh.Client {
	v.t.Helper()
	if v.client == nil {
		ctx, cancel := context.WithTimeout(v.t.Context(), 2*Patience)
		defer cancel()
		client, err := v.SSH(ctx)
		if err != nil {
			v.Fatalf("%v", err)
		}
		v.client = client
	}
	return v.client
}

// Run runs a command in the guest and returns what it wrote, both streams
// together, and its exit status: -1 if it was ended by a signal or the
// connection broke (then it has to be made anew: the next Run does). A command
// that takes longer than Patience ends the test.
func (v *VM) Run(command string) (out string, exit int) {
	v.t.Helper()
	session, err := v.Client().NewSession()
	if err != nil {
		v.client = nil
		return err.Error(), -1
	}
	defer session.Close()
	type result struct {
		out []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, err := session.CombinedOutput(command)
		done <- result{out, err}
	}()
	select {
	case r := <-done:
		var status *ssh.ExitError
		switch {
		case r.err == nil:
			return string(r.out), 0
		case errors.As(r.err, &status) && status.Signal() == "":
			return string(r.out), status.ExitStatus()
		case !errors.As(r.err, &status):
			v.client.Close()
			v.client = nil
		}
		return string(r.out), -1
	case <-time.After(Patience):
		v.Fatalf("%q runs for %v", command, Patience)
		return "", -1
	}
}

// Start begins a command and does not wait for it.
func (v *VM) Start(command string) {
	v.t.Helper()
	session, err := v.Client().NewSession()
	if err == nil {
		err = session.Start(command)
	}
	if err != nil {
		v.Fatalf("%q: %v", command, err)
	}
}

// Must is Run for commands that have to succeed; it returns the output without
// the space around it.
func (v *VM) Must(command string) string {
	v.t.Helper()
	out, exit := v.Run(command)
	if exit != 0 {
		v.Fatalf("%q: exit %d:\n%s", command, exit, out)
	}
	return strings.TrimSpace(out)
}
