package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strings"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
)

// sendSFTP uploads by SFTP, to a server whose key is pinned by configuration.
func (a *attempt) sendSFTP(ctx context.Context, source uploadSource) error {
	config, err := a.sshConfig()
	if err != nil {
		return err
	}
	conn, err := a.dial(ctx, "tcp", a.location.address())
	if err != nil {
		return err
	}
	defer conn.Close()
	session, channels, requests, err := ssh.NewClientConn(conn, a.location.address(), config)
	if err != nil {
		return sshError(err)
	}
	connection := ssh.NewClient(session, channels, requests)
	defer connection.Close()
	client, err := sftp.NewClient(connection, sftp.UseConcurrentWrites(true))
	if err != nil {
		return fmt.Errorf("the server offers no sftp: %w", err)
	}
	defer client.Close()
	return storeSFTP(client, a.location.path, source)
}

func storeSFTP(client *sftp.Client, location string, source uploadSource) error {
	content, err := source.content()
	if err != nil {
		return err
	}
	defer content.Close()
	file, err := client.Create(sftpPath(client, location, source.name))
	if err != nil {
		return fmt.Errorf("the server refuses the file: %w", err)
	}
	if _, err := file.ReadFrom(content); err != nil {
		file.Close()
		return fmt.Errorf("the server did not take the whole file: %w", err)
	}
	return file.Close()
}

// sftpPath returns the path of the file: below the user's home where the location has no path or begins with /~/, else
// from the root. The name is added to a path that the server knows as a directory.
func sftpPath(client *sftp.Client, location, name string) string {
	if location == "" || location == "/" {
		return name
	}
	file := location
	if below, ok := strings.CutPrefix(location, "/~/"); ok {
		file = "./" + below
	}
	if strings.HasSuffix(file, "/") {
		return path.Join(file, name)
	}
	if info, err := client.Stat(file); err == nil && info.IsDir() {
		return path.Join(file, name)
	}
	return file
}

func (a *attempt) sshConfig() (*ssh.ClientConfig, error) {
	if a.uploader.config.SFTPKnownHosts == "" {
		return nil, &Error{Status: PermissionDenied, Permanent: true, Err: errNoPinned}
	}
	check, err := knownhosts.New(a.uploader.config.SFTPKnownHosts)
	if err != nil {
		return nil, &Error{Status: PermissionDenied, Permanent: true, Err: fmt.Errorf("cannot read sftp_known_hosts: %w", err)}
	}
	methods, err := a.sshMethods()
	if err != nil {
		return nil, &Error{Status: PermissionDenied, Permanent: true, Err: fmt.Errorf("cannot read sftp_private_key: %w", err)}
	}
	return &ssh.ClientConfig{
		User: a.location.user, Auth: methods,
		HostKeyCallback:   check,
		HostKeyAlgorithms: pinnedAlgorithms(check, a.location.address()),
		Timeout:           a.uploader.config.ConnectTimeout,
	}, nil
}

// sshMethods returns the ways to log in: the configured key, and the location's password.
func (a *attempt) sshMethods() (methods []ssh.AuthMethod, err error) {
	if path := a.uploader.config.SFTPPrivateKey; path != "" {
		content, err := files.ReadKey(path)
		if err != nil {
			return nil, fmt.Errorf("cannot use sftp_private_key: %w", err)
		}
		key, err := ssh.ParsePrivateKey(content)
		if err != nil {
			return nil, err
		}
		methods = append(methods, ssh.PublicKeys(key))
	}
	password := a.location.password
	if password == "" {
		return methods, nil
	}
	return append(methods, ssh.Password(password),
		ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
			answers := make([]string, len(questions))
			for i := range answers {
				answers[i] = password
			}
			return answers, nil
		})), nil
}

// pinnedAlgorithms returns the algorithms of a server's pinned keys. Without them the server would show a key of its
// preferred algorithm, which may not be pinned.
func pinnedAlgorithms(check ssh.HostKeyCallback, address string) (algorithms []string) {
	var pinned *knownhosts.KeyError
	if err := check(address, &net.TCPAddr{IP: net.IPv4zero}, noKey{}); !errors.As(err, &pinned) {
		return nil
	}
	for _, known := range pinned.Want {
		switch known.Key.Type() {
		case ssh.KeyAlgoRSA:
			algorithms = append(algorithms, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			algorithms = append(algorithms, known.Key.Type())
		}
	}
	return algorithms
}

// noKey is a key that no server has.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

// sshError marks each error that is not the network's as a refusal, by the server or of its key.
func sshError(err error) error {
	var network net.Error
	if errors.As(err, &network) || isEnd(err) {
		return err
	}
	return fmt.Errorf("%w: %w", errRefused, err)
}

// isEnd reports whether the error is the end of the connection.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
