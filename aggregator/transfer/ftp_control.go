package transfer

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"syscall"
)

// ftpControl is a control connection of the receiver. It sees when a client has heard that its file is stored: a command
// that arrives after the reply 226 shows that. The end of a data connection shows nothing, because that of a client that was
// killed ends as cleanly.
type ftpControl struct {
	net.Conn
	raw      syscall.RawConn
	listener *ftpListener

	mu      sync.Mutex
	session *ftpSession // nil before the login
	lines   ftpLines
	// waiting is what was read for the library and not yet returned to it.
	waiting []byte
	early   int // bytes that had arrived, and were not read, when the last 226 was sent
}

// Read reads commands.
func (c *ftpControl) Read(p []byte) (n int, err error) {
	for len(c.waiting) == 0 && err == nil {
		err = c.receive()
	}
	if len(c.waiting) == 0 {
		return 0, err
	}
	n = copy(p, c.waiting)
	c.waiting = c.waiting[n:]
	return n, nil
}

// receive reads what has arrived. The lock is held while it looks for bytes, but not while it waits for them: told knows
// then which were there before.
func (c *ftpControl) receive() (err error) {
	piece := make([]byte, 512)
	n := 0
	waited := c.raw.Read(func(fd uintptr) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for n, err = -1, syscall.EINTR; errors.Is(err, syscall.EINTR); {
			n, err = syscall.Read(int(fd), piece)
		}
		if errors.Is(err, syscall.EAGAIN) {
			return false
		}
		c.receivedLocked(piece[:max(n, 0)])
		return true
	})
	switch {
	case waited != nil:
		return waited
	case err != nil:
		return &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
	case n == 0:
		return io.EOF
	}
	return nil
}

func (c *ftpControl) receivedLocked(piece []byte) {
	early := min(c.early, len(piece))
	c.early -= early
	forLibrary, _ := c.lines.add(nil, piece[:early], true)
	forLibrary, commands := c.lines.add(forLibrary, piece[early:], false)
	c.waiting = forLibrary
	for _, command := range commands {
		if c.session != nil {
			c.session.heard(command)
		}
	}
}

// told notes that the client is sent a reply 226. What it has sent before is no confirmation.
func (c *ftpControl) told() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return
	}
	c.session.told()
	waiting := make([]byte, maxEarly)
	c.early = 0
	// An error of Control is one of a closed connection.
	_ = c.raw.Control(func(fd uintptr) {
		if n, _, err := syscall.Recvfrom(int(fd), waiting, syscall.MSG_PEEK|syscall.MSG_DONTWAIT); err == nil {
			c.early = n
		}
	})
	if c.early == maxEarly {
		c.early = math.MaxInt // there may be more
	}
	c.lines.early = c.lines.started
}

// maxEarly is how many bytes of commands are looked at that a client sends before it has the reply 226. With more, no file of
// the connection is confirmed.
const maxEarly = 4096

// notPermitted are the commands of the active mode, in which the server makes the data connection. RFC 959 section 5.4 and
// RFC 2428 section 2 have 500 for them; the library's reply would be 421, after which the connection is closed.
var notPermitted = [][2]string{
	{"421 PORT ", "500 PORT "},
	{"421 EPRT ", "500 EPRT "},
}

// Write writes replies, each line with one call.
func (c *ftpControl) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("226 ")) {
		c.told() // before the reply leaves: the client may be quick
	}
	for _, reply := range notPermitted {
		if rest, ok := strings.CutPrefix(string(p), reply[0]); ok {
			if _, err := c.Conn.Write([]byte(reply[1] + rest)); err != nil {
				return 0, err
			}
			return len(p), nil
		}
	}
	return c.Conn.Write(p)
}

// Close closes the connection.
func (c *ftpControl) Close() error {
	c.listener.forget(c)
	return c.Conn.Close()
}

func (c *ftpControl) begin(session *ftpSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = session
}

// ftpListener makes the control connections.
type ftpListener struct {
	*limitedListener

	mu   sync.Mutex
	open map[string]*ftpControl // by the peer's address and port
}

func newFTPListener(listener *limitedListener) *ftpListener {
	return &ftpListener{limitedListener: listener, open: map[string]*ftpControl{}}
}

func (l *ftpListener) Accept() (net.Conn, error) {
	conn, err := l.limitedListener.Accept()
	if err != nil {
		return nil, err
	}
	raw, err := rawConn(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	control := &ftpControl{Conn: conn, raw: raw, listener: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[conn.RemoteAddr().String()] = control
	return control, nil
}

func rawConn(conn net.Conn) (syscall.RawConn, error) {
	if counted, ok := conn.(*countedConn); ok {
		conn = counted.Conn
	}
	system, ok := conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return system.SyscallConn()
}

// control returns the connection of a client, nil where it is closed.
func (l *ftpListener) control(remote string) *ftpControl {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open[remote]
}

// forget forgets a connection. The system may have given its address and port to a new one already.
func (l *ftpListener) forget(control *ftpControl) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if remote := control.RemoteAddr().String(); l.open[remote] == control {
		delete(l.open, remote)
	}
}
