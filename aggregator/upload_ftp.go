package aggregator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"path"
	"strings"
	"time"

	"github.com/jlaffaye/ftp"
)

// ftpSecurity is how an FTP connection is protected.
type ftpSecurity uint8

const (
	ftpPlain ftpSecurity = iota
	ftpImplicit
	ftpExplicit
)

// sendFTP uploads by FTP. ftps:// means TLS from the first byte or by AUTH TLS, and URLs do not say which: a server that
// speaks first, in plain text, wants AUTH TLS. There is no way from ftps to a connection in plain text.
func (a *attempt) sendFTP(ctx context.Context, source uploadSource) error {
	if a.location.scheme == "ftp" {
		return a.storeFTP(ctx, ftpPlain, source)
	}
	err := a.storeFTP(ctx, ftpImplicit, source)
	var notTLS tls.RecordHeaderError
	if errors.As(err, &notTLS) {
		return a.storeFTP(ctx, ftpExplicit, source)
	}
	return err
}

func (a *attempt) storeFTP(ctx context.Context, security ftpSecurity, source uploadSource) error {
	client, err := a.connectFTP(ctx, security)
	if err != nil {
		return err
	}
	defer client.Quit()
	user, password := "anonymous", "anonymous@"
	if a.location.hasUser {
		user, password = a.location.user, a.location.password
	}
	if err := client.Login(user, password); err != nil {
		return loginError(err)
	}
	name, err := enterDirectory(client, a.location.path, source.name)
	if err != nil {
		return err
	}
	content, err := source.content()
	if err != nil {
		return err
	}
	defer content.Close()
	if err := client.Stor(name, content); err != nil {
		return fmt.Errorf("the server did not take the file: %w", err)
	}
	return nil
}

func (a *attempt) connectFTP(ctx context.Context, security ftpSecurity) (*ftp.ServerConn, error) {
	control := true
	dial := func(network, address string) (net.Conn, error) {
		conn, err := a.dial(ctx, network, address)
		first := control
		control = false
		if err != nil || security == ftpPlain || (security == ftpExplicit && first) {
			return conn, err
		}
		secured := tls.Client(conn, a.tls)
		if first {
			if err := secured.HandshakeContext(ctx); err != nil {
				conn.Close()
				return nil, err
			}
		}
		if first {
			return secured, nil
		}
		// A server may wait for the command before it takes the data connection's handshake: the first write makes it.
		return &drainedConn{Conn: secured, raw: conn}, nil
	}
	options := []ftp.DialOption{ftp.DialWithDialFunc(dial), ftp.DialWithDisabledMLSD(true)}
	switch security {
	case ftpImplicit:
		options = append(options, ftp.DialWithTLS(a.tls))
	case ftpExplicit:
		options = append(options, ftp.DialWithExplicitTLS(a.tls))
	}
	return ftp.Dial(a.location.address(), options...)
}

// drainedConn is a data connection under TLS. With TLS 1.3 the server has sent session tickets that nobody reads; closing
// a connection with something unread resets it, and the server loses what it has not read itself.
type drainedConn struct {
	*tls.Conn
	raw net.Conn
}

// drainTimeout bounds the wait for the server's end of a data connection.
const drainTimeout = 10 * time.Second

func (c *drainedConn) Close() error {
	err := c.Conn.CloseWrite()
	if half, ok := c.raw.(interface{ CloseWrite() error }); ok && err == nil {
		err = half.CloseWrite()
	}
	if err == nil && c.raw.SetReadDeadline(time.Now().Add(drainTimeout)) == nil {
		io.Copy(io.Discard, c.raw)
	}
	return errors.Join(err, c.raw.Close())
}

// loginError: a server that answers USER itself with a refusal leaves only its text.
func loginError(err error) error {
	var (
		reply   *textproto.Error
		network net.Error
	)
	if errors.As(err, &reply) || errors.As(err, &network) || failureStatus(err) != LogUploadFailure || isEnd(err) {
		return fmt.Errorf("cannot log in: %w", err)
	}
	return fmt.Errorf("cannot log in: %w: %w", errRefused, err)
}

// enterDirectory goes to where the file belongs and says under which name. A path without a slash at its end may be a
// directory (OCPP 1.6 says it is) or a file's name (what curl takes it for): the server knows.
func enterDirectory(client *ftp.ServerConn, location, name string) (string, error) {
	location = strings.TrimPrefix(location, "/")
	if location == "" {
		return name, nil
	}
	err := client.ChangeDir(location)
	if err == nil {
		return name, nil
	}
	var refused *textproto.Error
	if !errors.As(err, &refused) || strings.HasSuffix(location, "/") {
		return "", fmt.Errorf("cannot enter the directory: %w", err)
	}
	directory, file := path.Split(location)
	if directory != "" {
		if err := client.ChangeDir(directory); err != nil {
			return "", fmt.Errorf("cannot enter the directory: %w", err)
		}
	}
	return file, nil
}
