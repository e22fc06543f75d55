package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"hoopy/unit"
)

// Client is a connection that carries one request.
type Client struct{ conn net.Conn }

// ErrGone is the error for a connection that ended before the answer did: the
// supervisor died, or made room for others. Another one answers soon; whether
// the wish was taken is not known.
var ErrGone = errors.New("init closed the connection")

// Dial connects to the socket at path, before ctx is done.
func Dial(ctx context.Context, path string) (*Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return &Client{conn}, nil
}

// Close ends the connection, and with it a request that is under way.
func (c *Client) Close() error { return c.conn.Close() }

// Do sends r and calls each with every response, until the last one, an error
// of each, or ctx is done, whose error is returned then. A response with an
// Error is given to each, and its Error returned. The connection is used up.
func (c *Client) Do(ctx context.Context, r Request, each func(*Response) error) (err error) {
	defer c.conn.Close()
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	defer func() {
		var known *Error
		if ctx.Err() != nil && err != nil && !errors.As(err, &known) {
			err = ctx.Err()
		}
	}()
	r.Version = Version
	frame, err := appendFrame(nil, &r)
	if err != nil {
		return err
	}
	if len(frame)-4 > RequestMax {
		return fmt.Errorf("%w: a request of %d bytes, the limit is %d", ErrFrame, len(frame)-4, RequestMax)
	}
	_, writeErr := c.conn.Write(frame) // a server that is full answers without reading
	for {
		var out Response
		if err := readFrame(c.conn, FrameMax, &out); err != nil {
			err = cmp.Or(writeErr, err)
			for _, gone := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.EPIPE, syscall.ECONNRESET} {
				if errors.Is(err, gone) {
					return ErrGone
				}
			}
			return err
		}
		if err := each(&out); err != nil {
			return err
		}
		if out.Error != nil {
			return out.Error
		}
		if out.Version != Version {
			return fmt.Errorf("%w: init speaks version %d, not %d", ErrFrame, out.Version, Version)
		}
		if !out.More {
			return nil
		}
	}
}

// Ask is Do with all responses put together.
func (c *Client) Ask(ctx context.Context, r Request) (Response, error) {
	all := Response{Version: Version, Units: []unit.Report{}}
	err := c.Do(ctx, r, func(one *Response) error {
		all.add(one)
		return nil
	})
	return all, err
}

// add puts the next part of an answer to what came before.
func (r *Response) add(one *Response) {
	if one.Machine != nil {
		r.Machine = one.Machine
	}
	r.Units = append(r.Units, one.Units...)
	r.Lines = append(r.Lines, one.Lines...)
	r.Changes = append(r.Changes, one.Changes...)
	r.Nodes = append(r.Nodes, one.Nodes...)
	r.Spans = append(r.Spans, one.Spans...)
	r.Reasons = append(r.Reasons, one.Reasons...)
	if one.Text != "" {
		r.Text = one.Text
	}
	if one.Exec != nil {
		r.Exec = one.Exec
	}
	r.Error, r.More = one.Error, one.More
}
