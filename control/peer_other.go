//go:build !linux

package control

import (
	"errors"
	"os"
)

// The server is for Linux; elsewhere there is the client alone, so that svc
// check runs wherever images are built.

// Listener is a listening socket.
type Listener struct{}

// Listen makes none.
func Listen(string) (*Listener, error) { return nil, errors.ErrUnsupported }

// Accept has none to take from.
func (*Listener) Accept() (*os.File, error) { return nil, errors.ErrUnsupported }

// Close has none to close.
func (*Listener) Close() error { return errors.ErrUnsupported }

func peerOf(*os.File) (Peer, error) { return Peer{}, errors.ErrUnsupported }
