package aggregator

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// UploaderConfig is how files get to a backend. The zero value of a field means its default.
type UploaderConfig struct {
	// ConnectTimeout bounds the making of a connection. Default 30 s.
	ConnectTimeout time.Duration
	// StallTimeout ends an attempt on whose connections nothing moves. Default 60 s.
	StallTimeout time.Duration
	// AttemptTimeout ends an attempt however much moves. Default 1 h.
	AttemptTimeout time.Duration
	// TrustBundle is a file of PEM certificates that are trusted beside the system's.
	TrustBundle string
	// SFTPKnownHosts is a file in the format of OpenSSH's known_hosts. Without it, or without the server in it, sftp is
	// refused.
	SFTPKnownHosts string
	// SFTPPrivateKey is a file with a private key, without passphrase, that sftp logs in with beside the location's
	// password.
	SFTPPrivateKey string
	// HTTPMethod is PUT or POST. Default PUT.
	HTTPMethod string
	// Logger is where the uploader reports; never a credential. nil: nowhere.
	Logger *zap.Logger
}

// Uploader brings files to where a backend wants them: ftp, ftps (implicit or explicit TLS, whichever the server speaks),
// sftp, http and https. It is safe for concurrent use.
type Uploader struct {
	config UploaderConfig
	logger *zap.Logger
}

// NewUploader makes an uploader.
func NewUploader(config UploaderConfig) *Uploader {
	if config.ConnectTimeout <= 0 {
		config.ConnectTimeout = 30 * time.Second
	}
	if config.StallTimeout <= 0 {
		config.StallTimeout = time.Minute
	}
	if config.AttemptTimeout <= 0 {
		config.AttemptTimeout = time.Hour
	}
	if config.HTTPMethod == "" {
		config.HTTPMethod = "PUT"
	}
	if config.Logger == nil {
		config.Logger = zap.NewNop()
	}
	return &Uploader{config: config, logger: config.Logger}
}

// UploadError is why an attempt failed, in OCPP's terms.
type UploadError struct {
	// Status is LogUploadFailure, LogBadMessage, LogPermissionDenied or LogNotSupportedOperation.
	Status LogStatus
	// Permanent: another attempt cannot end otherwise.
	Permanent bool
	Err       error
}

func (e *UploadError) Error() string { return "aggregator: upload: " + e.Err.Error() }

// Unwrap is the cause.
func (e *UploadError) Unwrap() error { return e.Err }

var (
	errStalled  = errors.New("the server stalled")
	errTooLong  = errors.New("the attempt took too long")
	errNoPinned = errors.New("no known host keys are configured: set sftp_known_hosts to a file that has the server's key")
)

// Upload makes one attempt to bring a file to a location, under a name where the location is a directory. progress, which
// may be nil, is told from the uploading goroutine how many bytes have left. An error is an *UploadError; when ctx ended
// the attempt it is ctx's cause.
func (u *Uploader) Upload(ctx context.Context, location Location, path, name string, progress func(sent, total int64)) error {
	info, err := os.Stat(path)
	if err != nil {
		return &UploadError{Status: LogUploadFailure, Permanent: true, Err: err}
	}
	err = u.send(ctx, location, uploadSource{name: name, size: info.Size(), progress: progress, open: func() (io.ReadCloser, error) {
		return os.Open(path)
	}})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// uploadSource is what is uploaded.
type uploadSource struct {
	name     string
	size     int64
	open     func() (io.ReadCloser, error)
	progress func(sent, total int64)
}

// content opens the source; every reading is progress.
func (s uploadSource) content() (io.ReadCloser, error) {
	file, err := s.open()
	if err != nil || s.progress == nil {
		return file, err
	}
	return &progressReader{ReadCloser: file, source: s}, nil
}

type progressReader struct {
	io.ReadCloser
	source uploadSource
	sent   int64
}

func (r *progressReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if n > 0 {
		r.sent += int64(n)
		r.source.progress(r.sent, r.source.size)
	}
	return n, err
}

func (u *Uploader) send(ctx context.Context, location Location, source uploadSource) error {
	ctx, cancel := context.WithTimeoutCause(ctx, u.config.AttemptTimeout, errTooLong)
	defer cancel()
	attempt, ctx, err := u.newAttempt(ctx, location)
	if err != nil {
		return err
	}
	defer attempt.end()
	switch location.scheme {
	case "ftp", "ftps":
		err = attempt.sendFTP(ctx, source)
	case "sftp":
		err = attempt.sendSFTP(ctx, source)
	default:
		err = attempt.sendHTTP(ctx, source)
	}
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause // what the protocols say of a connection that was cut is not why
	}
	return classify(err)
}

// attempt is one attempt: its connections, which end with it, and the watch over them.
type attempt struct {
	uploader *Uploader
	location Location
	tls      *tls.Config
	dialer   net.Dialer
	watch    *time.Timer
	cancel   context.CancelCauseFunc
	conns    sync.WaitGroup
}

func (u *Uploader) newAttempt(ctx context.Context, location Location) (*attempt, context.Context, error) {
	roots, err := u.roots()
	if err != nil {
		return nil, nil, &UploadError{Status: LogUploadFailure, Err: err}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	a := &attempt{
		uploader: u, location: location, cancel: cancel,
		dialer: net.Dialer{Timeout: u.config.ConnectTimeout},
		// FTP servers ask for a data connection that resumes the control connection's session.
		tls:   &tls.Config{RootCAs: roots, ServerName: location.host, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(8)},
		watch: time.AfterFunc(u.config.StallTimeout, func() { cancel(errStalled) }),
	}
	return a, ctx, nil
}

func (a *attempt) end() {
	a.watch.Stop()
	a.cancel(nil)
	a.conns.Wait()
}

// dial makes a connection that ends with the context and is watched for stalls.
func (a *attempt) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := a.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	a.conns.Add(1)
	watched := &watchedConn{Conn: conn, attempt: a}
	watched.stop = context.AfterFunc(ctx, func() { watched.Close() })
	return watched, nil
}

type watchedConn struct {
	net.Conn
	attempt *attempt
	stop    func() bool
	once    sync.Once
}

func (c *watchedConn) Read(p []byte) (int, error)  { return c.moved(c.Conn.Read(p)) }
func (c *watchedConn) Write(p []byte) (int, error) { return c.moved(c.Conn.Write(p)) }

func (c *watchedConn) moved(n int, err error) (int, error) {
	if n > 0 {
		c.attempt.watch.Reset(c.attempt.uploader.config.StallTimeout)
	}
	return n, err
}

// CloseWrite ends what is sent; what comes can still be read.
func (c *watchedConn) CloseWrite() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *watchedConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		c.attempt.conns.Done()
	})
	return err
}

// roots are the system's trusted certificates and the bundle's.
func (u *Uploader) roots() (*x509.CertPool, error) {
	if u.config.TrustBundle == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(u.config.TrustBundle)
	if err != nil {
		return nil, fmt.Errorf("cannot read the trust bundle: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the trust bundle %s has no PEM certificate", u.config.TrustBundle)
	}
	return roots, nil
}
