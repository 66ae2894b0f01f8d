package httpapi

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// lingerListener hands out connections that can be closed without cutting off
// the last reply.
type lingerListener struct{ net.Listener }

func (l lingerListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lingerConn{Conn: c}, nil
}

// lingerConn is a connection that, when linger is set, goes on reading for a
// moment when it is closed. Closing a socket with unread bytes resets it, and a
// client in the middle of sending a large body would never see why it was
// refused.
type lingerConn struct {
	net.Conn
	linger atomic.Bool
}

// lingerTime bounds how long a closed connection is still read from, and
// lingerLimit how much.
const (
	lingerTime  = 3 * time.Second
	lingerLimit = 64 << 20
)

// Close closes the connection.
func (c *lingerConn) Close() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger.Load() {
		if half.CloseWrite() == nil && c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			_, _ = io.CopyN(io.Discard, c.Conn, lingerLimit)
		}
	}
	return c.Conn.Close()
}
