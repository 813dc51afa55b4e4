package transfer

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
)

// ftpReceiver is the FTP side of a Receiver on one address. It offers no TLS: a board's curl --ssl would end at a
// certificate that it cannot verify, and without the offer it continues in plain text.
type ftpReceiver struct {
	receiver *Receiver
	listener *ftpListener
	ftp      *ftpserver.FtpServer

	mu       sync.Mutex
	stopping bool
	clients  map[ftpserver.ClientContext]bool
	data     map[*dataListener]bool
	running  sync.WaitGroup
}

// dataConnectionTimeout is how long a client may take to make the data connection that it asked for. The transfer fails
// then.
const dataConnectionTimeout = 10 * time.Second

func newFTPReceiver(receiver *Receiver, listener *limitedListener) (*ftpReceiver, error) {
	s := &ftpReceiver{receiver: receiver, listener: newFTPListener(listener), clients: map[ftpserver.ClientContext]bool{}, data: map[*dataListener]bool{}}
	s.ftp = ftpserver.NewFtpServer(s)
	if err := s.ftp.Listen(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *ftpReceiver) address() net.Addr { return s.listener.Addr() }

func (s *ftpReceiver) serve() {
	// Serve ends when the listener is closed, and its error only reports that.
	_ = s.ftp.Serve()
	s.running.Wait()
}

func (s *ftpReceiver) stop() {
	clients, listeners := s.shut()
	s.listener.Close()
	// A client that waits for its data connection holds the library's lock until the connection comes. A client that
	// has one may send nothing more.
	for _, data := range listeners {
		data.Close()
	}
	for _, client := range clients {
		s.client(client).Close()
	}
}

// shut lets nothing new begin, and returns what there is.
func (s *ftpReceiver) shut() ([]ftpserver.ClientContext, []*dataListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	return slices.Collect(maps.Keys(s.clients)), slices.Collect(maps.Keys(s.data))
}

// ftpPeer closes a client's connection. The library's own Close is not safe in another goroutine.
type ftpPeer struct {
	listener *ftpListener
	remote   string
}

func (c ftpPeer) Close() error { return c.listener.closeConn(c.remote) }

func (s *ftpReceiver) client(client ftpserver.ClientContext) ftpPeer {
	return ftpPeer{listener: s.listener, remote: client.RemoteAddr().String()}
}

// GetSettings is part of ftpserver.MainDriver.
func (s *ftpReceiver) GetSettings() (*ftpserver.Settings, error) {
	return &ftpserver.Settings{
		Listener: s.listener, Banner: "remotechargeport", IdleTimeout: int(s.receiver.config.StallTimeout / time.Second),
		ConnectionTimeout: int(dataConnectionTimeout / time.Second), DisableActiveMode: true, DisableMLSD: true, DisableMLST: true, DisableMFMT: true,
		DisableSite: true, DisableSTAT: true, DisableSYST: true, DisableASCIIConversion: true,
		DefaultTransferType: ftpserver.TransferTypeBinary,
	}, nil
}

// ClientConnected is part of ftpserver.MainDriver.
func (s *ftpReceiver) ClientConnected(client ftpserver.ClientContext) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return "closing", errClosed
	}
	s.clients[client] = true
	s.running.Add(1)
	return "log files of charging stations", nil
}

// ClientDisconnected is part of ftpserver.MainDriver.
func (s *ftpReceiver) ClientDisconnected(client ftpserver.ClientContext) {
	if session, ok := client.Extra().(*ftpSession); ok {
		session.slot.leave(s.client(client))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[client] {
		delete(s.clients, client)
		s.running.Done()
	}
}

// AuthUser is part of ftpserver.MainDriver.
func (s *ftpReceiver) AuthUser(client ftpserver.ClientContext, user, password string) (ftpserver.ClientDriver, error) {
	slot, err := s.receiver.login(user, password, client.RemoteAddr())
	if err != nil {
		return nil, err
	}
	if err := slot.join(s.client(client)); err != nil {
		return nil, err
	}
	remote := client.RemoteAddr().String()
	control := s.listener.control(remote)
	if control == nil {
		return nil, net.ErrClosed
	}
	s.listener.loggedIn(remote)
	session := &ftpSession{slot: slot, client: client, from: s.client(client)}
	control.begin(session)
	client.SetExtra(session)
	return session, nil
}

// GetTLSConfig is part of ftpserver.MainDriver.
func (s *ftpReceiver) GetTLSConfig() (*tls.Config, error) {
	return nil, errors.New("TLS is not offered")
}

// WrapPassiveListener returns a listener for data connections on the address of the control connection: the library's
// own one listens on every interface.
func (s *ftpReceiver) WrapPassiveListener(everywhere net.Listener) (net.Listener, error) {
	tcp, ok := everywhere.(*net.TCPListener)
	host, _, err := net.SplitHostPort(s.listener.Addr().String())
	if !ok || err != nil {
		return everywhere, err
	}
	if err := files.StopListening(tcp); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	bound, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	listener := &dataListener{TCPListener: bound.(*net.TCPListener), server: s, library: tcp}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data[listener] = true
	return listener, nil
}

func (s *ftpReceiver) forget(listener *dataListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.data, listener)
}

// dataListener accepts one data connection. The library sets its deadline on the listener that it made itself.
type dataListener struct {
	*net.TCPListener
	server  *ftpReceiver
	library *net.TCPListener

	mu       sync.Mutex
	closed   bool
	accepted net.Conn
}

func (l *dataListener) Accept() (net.Conn, error) {
	if err := l.SetDeadline(time.Now().Add(l.server.receiver.dataTimeout)); err != nil {
		return nil, err
	}
	conn, err := l.TCPListener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	l.accepted = conn
	return stallConn{Conn: conn, timeout: l.server.receiver.config.StallTimeout}, nil
}

// Close closes the data connection too: the library does not while a command waits for the end of the transfer.
func (l *dataListener) Close() error {
	l.server.forget(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.accepted != nil {
		l.accepted.Close()
	}
	l.library.Close()
	return l.TCPListener.Close()
}
