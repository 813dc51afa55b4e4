package transfer

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"
	"github.com/spf13/afero"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
)

// ftpReceiver is the FTP side of a Receiver on one address. It offers no TLS: a board's curl --ssl would end at a
// certificate that it cannot verify, and without the offer it continues in plain text.
type ftpReceiver struct {
	receiver *Receiver
	listener *limitedListener
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
	s := &ftpReceiver{receiver: receiver, listener: listener, clients: map[ftpserver.ClientContext]bool{}, data: map[*dataListener]bool{}}
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

// ftpClient closes a client's connection. The library's own Close is not safe in another goroutine.
type ftpClient struct {
	listener *limitedListener
	remote   string
}

func (c ftpClient) Close() error { return c.listener.closeConn(c.remote) }

func (s *ftpReceiver) client(client ftpserver.ClientContext) ftpClient {
	return ftpClient{listener: s.listener, remote: client.RemoteAddr().String()}
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
		// The data connection of a client that was killed ends as cleanly, but no command follows.
		if client.GetLastCommand() != "STOR" {
			session.confirmStored()
		}
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
	session := &ftpSession{slot: slot}
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
	if err := l.SetDeadline(time.Now().Add(dataConnectionTimeout)); err != nil {
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

// ftpSession is the file system of a client that has logged in: the client can store new files and nothing else.
type ftpSession struct {
	refusingFS
	slot *Slot

	mu     sync.Mutex
	stored []*ftpUpload
}

// GetHandle is part of ftpserver.ClientDriverExtentionFileTransfer.
func (s *ftpSession) GetHandle(name string, flags int, offset int64) (ftpserver.FileTransfer, error) {
	if flags&os.O_WRONLY == 0 || flags&os.O_APPEND != 0 || offset != 0 {
		return nil, fs.ErrPermission
	}
	// A client that sends another command has seen the confirmation of the transfer before.
	s.confirmStored()
	writer, err := s.slot.create(name)
	if err != nil {
		return nil, ftpError(err)
	}
	upload := &ftpUpload{slotWriter: writer}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = append(s.stored, upload)
	return upload, nil
}

func (s *ftpSession) confirmStored() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, upload := range s.stored {
		s.slot.confirmed(upload.file)
	}
}

// Stat reports the directories on the way to the slot's: clients enter each of them.
func (s *ftpSession) Stat(name string) (os.FileInfo, error) {
	if s.slot.leadsHere(name) {
		return directoryInfo(path.Base(name)), nil
	}
	return nil, fs.ErrNotExist
}

// ReadDir is part of ftpserver.ClientDriverExtensionFileList.
func (s *ftpSession) ReadDir(string) ([]os.FileInfo, error) { return nil, fs.ErrPermission }

// AllocateSpace is part of ftpserver.ClientDriverExtensionAllocate.
func (s *ftpSession) AllocateSpace(size int) error {
	if int64(size) > s.slot.receiver.config.MaxFile {
		return ftpserver.ErrStorageExceeded
	}
	return nil
}

// ftpUpload is a file that is arriving.
type ftpUpload struct{ *slotWriter }

func (u *ftpUpload) Write(p []byte) (int, error) {
	n, err := u.slotWriter.Write(p)
	return n, ftpError(err)
}

// ReadFrom copies from the data connection; the library calls it.
func (u *ftpUpload) ReadFrom(from io.Reader) (int64, error) {
	if data, ok := from.(stallConn); ok {
		if err := u.slot.join(data); err != nil {
			return 0, err
		}
		defer u.slot.leave(data)
	}
	n, err := u.slotWriter.ReadFrom(from)
	return n, ftpError(err)
}

// Close is called at the end of the data connection, after TransferError where there was one.
func (u *ftpUpload) Close() error { return ftpError(u.slotWriter.Close()) }

// TransferError is part of ftpserver.FileTransferError.
func (u *ftpUpload) TransferError(err error) { u.fail(err) }

func (u *ftpUpload) Read([]byte) (int, error)       { return 0, fs.ErrPermission }
func (u *ftpUpload) Seek(int64, int) (int64, error) { return 0, fs.ErrPermission }

// ftpError gives an error its FTP reply code.
func ftpError(err error) error {
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, files.ErrDiskFull):
		return errors.Join(ftpserver.ErrStorageExceeded, err)
	case errors.Is(err, errExists), errors.Is(err, errTooMany), errors.Is(err, files.ErrName), errors.Is(err, fs.ErrPermission):
		return errors.Join(ftpserver.ErrFileNameNotAllowed, err)
	}
	return err
}

// refusingFS is a file system that refuses every operation.
type refusingFS struct{}

func (refusingFS) Create(string) (afero.File, error)  { return nil, fs.ErrPermission }
func (refusingFS) Mkdir(string, os.FileMode) error    { return fs.ErrPermission }
func (refusingFS) MkdirAll(string, os.FileMode) error { return fs.ErrPermission }
func (refusingFS) Open(string) (afero.File, error)    { return nil, fs.ErrPermission }
func (refusingFS) OpenFile(string, int, os.FileMode) (afero.File, error) {
	return nil, fs.ErrPermission
}
func (refusingFS) Remove(string) error                        { return fs.ErrPermission }
func (refusingFS) RemoveAll(string) error                     { return fs.ErrPermission }
func (refusingFS) Rename(string, string) error                { return fs.ErrPermission }
func (refusingFS) Stat(string) (os.FileInfo, error)           { return nil, fs.ErrPermission }
func (refusingFS) Name() string                               { return "upload only" }
func (refusingFS) Chmod(string, os.FileMode) error            { return fs.ErrPermission }
func (refusingFS) Chown(string, int, int) error               { return fs.ErrPermission }
func (refusingFS) Chtimes(string, time.Time, time.Time) error { return fs.ErrPermission }

// directoryInfo describes a directory that exists for the client alone.
type directoryInfo string

func (d directoryInfo) Name() string     { return string(d) }
func (directoryInfo) Size() int64        { return 0 }
func (directoryInfo) Mode() os.FileMode  { return os.ModeDir | 0o300 }
func (directoryInfo) ModTime() time.Time { return time.Time{} }
func (directoryInfo) IsDir() bool        { return true }
func (directoryInfo) Sys() any           { return nil }
