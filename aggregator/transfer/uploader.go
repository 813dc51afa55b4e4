package transfer

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// UploaderConfig configures an [Uploader]. The zero value of a field means its default.
type UploaderConfig struct {
	// ConnectTimeout is how long one connection may take to be established. Default 30 s.
	ConnectTimeout time.Duration
	// StallTimeout is how long an attempt may neither send nor receive a byte before it fails. Default 60 s.
	StallTimeout time.Duration
	// AttemptTimeout is how long a whole attempt may take. Default 1 h.
	AttemptTimeout time.Duration
	// TrustBundle is a file of PEM certificates that are trusted in addition to the system's.
	TrustBundle string
	// SFTPKnownHosts is a file in the format of OpenSSH's known_hosts. An SFTP upload fails without this file, or if
	// the server's key is not in it.
	SFTPKnownHosts string
	// SFTPPrivateKey is a file with a private key without passphrase. An SFTP upload tries this key first and then the
	// location's password.
	SFTPPrivateKey string
	// HTTPMethod is PUT or POST. Default PUT.
	HTTPMethod string
}

// Uploader uploads files to a backend by FTP, FTPS, SFTP, HTTP and HTTPS. FTPS uses implicit or explicit TLS, whichever
// the server supports. An Uploader is safe for concurrent use.
type Uploader struct{ config UploaderConfig }

// NewUploader returns an uploader.
func NewUploader(config UploaderConfig) *Uploader {
	config.ConnectTimeout = orDefault(config.ConnectTimeout, 30*time.Second)
	config.StallTimeout = orDefault(config.StallTimeout, time.Minute)
	config.AttemptTimeout = orDefault(config.AttemptTimeout, time.Hour)
	config.HTTPMethod = cmp.Or(config.HTTPMethod, http.MethodPut)
	return &Uploader{config: config}
}

var (
	errStalled  = errors.New("the server stalled")
	errTooLong  = errors.New("the attempt took too long")
	errNoPinned = errors.New("no known host keys: set sftp_known_hosts to a file that has the server's key")
)

// Upload makes one attempt to upload the file at path to a location. name is the file's name at the server, unless the
// location itself names a file. If progress is not nil, it is called after each piece with the number of bytes sent so
// far and the size of the file. Upload returns an *Error, or the cause of ctx if ctx has ended.
func (u *Uploader) Upload(ctx context.Context, location Location, path, name string, progress func(sent, total int64)) error {
	info, err := os.Stat(path)
	if err != nil {
		return &Error{Status: UploadFailure, Permanent: true, Err: err}
	}
	source := uploadSource{name: name, size: info.Size(), open: func() (io.ReadCloser, error) { return os.Open(path) }}
	if progress != nil {
		source.progress = &uploadProgress{report: progress, total: info.Size()}
	}
	err = u.send(ctx, location, source)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// uploadSource is the content of an upload.
type uploadSource struct {
	name     string
	size     int64
	open     func() (io.ReadCloser, error)
	progress *uploadProgress // may be nil
}

// content opens the source, and reports each read as progress.
func (s uploadSource) content() (io.ReadCloser, error) {
	file, err := s.open()
	if err != nil || s.progress == nil {
		return file, err
	}
	return s.progress.begin(file), nil
}

// uploadProgress reports what was read of the content. Where the content is sent a second time, to another place or without
// Expect, the first reader may not have ended: it reports nothing more.
type uploadProgress struct {
	report func(sent, total int64)
	total  int64

	mu      sync.Mutex
	current *progressReader
}

func (p *uploadProgress) begin(file io.ReadCloser) io.ReadCloser {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = &progressReader{ReadCloser: file, progress: p}
	return p.current
}

type progressReader struct {
	io.ReadCloser
	progress *uploadProgress
	sent     int64
}

func (r *progressReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if n > 0 {
		r.sent += int64(n)
		r.progress.mu.Lock()
		defer r.progress.mu.Unlock()
		if r.progress.current == r {
			r.progress.report(r.sent, r.progress.total)
		}
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
		err = cause // the protocol's error is only that its connection was closed
	}
	return classify(err)
}

// roots returns the system's trusted certificates and the bundle's, nil for the system's alone.
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
