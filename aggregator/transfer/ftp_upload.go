package transfer

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
)

// ftpSecurity is how an FTP connection is protected.
type ftpSecurity uint8

const (
	ftpPlain ftpSecurity = iota
	ftpImplicit
	ftpExplicit
)

// sendFTP uploads by FTP. ftps:// means TLS from the first byte or by AUTH TLS, and a URL does not tell which: a server
// that speaks first, in plain text, wants AUTH TLS. No upload to ftps:// falls back to plain text.
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
	client, err := a.dialFTP(ctx, security)
	if err != nil {
		return err
	}
	defer client.quit()
	user, password := "anonymous", "anonymous@"
	if a.location.hasUser {
		user, password = a.location.user, a.location.password
	}
	if err := client.login(user, password); err != nil {
		return err
	}
	name, err := client.enterDirectory(a.location.path, source.name)
	if err != nil {
		return err
	}
	content, err := source.content()
	if err != nil {
		return err
	}
	defer content.Close()
	return client.store(ctx, name, content)
}

// drainedConn is a data connection under TLS. With TLS 1.3 the server sends session tickets. Closing a connection with
// unread bytes resets it, and the server loses what it has not read yet: Close reads them first.
type drainedConn struct {
	*tls.Conn
	raw net.Conn
}

// drainTimeout bounds the wait for the server's end of a data connection; the connection is closed then.
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

// enterDirectory enters the file's directory and returns the file's name there. A path without a slash at its end may
// be a directory (so in OCPP 1.6) or a file's name (so in curl): the server decides.
func (c *ftpClient) enterDirectory(location, name string) (string, error) {
	location = strings.TrimPrefix(location, "/")
	if location == "" {
		return name, nil
	}
	_, err := c.command("CWD " + location)
	if err == nil {
		return name, nil
	}
	var refused *textproto.Error
	if !errors.As(err, &refused) || strings.HasSuffix(location, "/") {
		return "", fmt.Errorf("cannot enter the directory: %w", err)
	}
	directory, file := path.Split(location)
	if directory != "" {
		if _, err := c.command("CWD " + directory); err != nil {
			return "", fmt.Errorf("cannot enter the directory: %w", err)
		}
	}
	return file, nil
}
