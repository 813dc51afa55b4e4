package transfer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/testenv"
)

// findTool returns the path of a program. Without the program the test is skipped; in CI it fails.
func findTool(t testing.TB, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// startServer runs a server process until the test ends, and waits until it listens.
func startServer(t *testing.T, port int, program string, arguments ...string) {
	t.Helper()
	var output bytes.Buffer
	command := exec.Command(program, arguments...)
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		command.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", program, output.String())
		}
	})
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", program, err, output.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen", program)
		}
	}
}

// TestUploadToVsftpd uploads to the FTP server that Debian ships, in plain text and with both ways of TLS. It asks data
// connections to resume the control connection's session, as vsftpd does by default.
func TestUploadToVsftpd(t *testing.T) {
	vsftpd := findTool(t, "vsftpd")
	account, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	authority := newAuthority(t)
	certificate := authority.pemFile(t, "127.0.0.1")
	for name, test := range map[string]struct {
		scheme  string
		options []string
	}{
		"plain":    {"ftp", nil},
		"explicit": {"ftps", []string{"ssl_enable=YES", "allow_anon_ssl=YES", "force_anon_logins_ssl=YES", "force_anon_data_ssl=YES"}},
		"implicit": {"ftps", []string{"ssl_enable=YES", "allow_anon_ssl=YES", "implicit_ssl=YES", "force_anon_data_ssl=YES"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			incoming := filepath.Join(root, "in")
			if err := os.Mkdir(incoming, 0o777); err != nil {
				t.Fatal(err)
			}
			// vsftpd refuses a root that its user may write to.
			for path, mode := range map[string]os.FileMode{filepath.Dir(root): 0o755, root: 0o555, incoming: 0o777} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			t.Cleanup(func() { os.Chmod(root, 0o755) })
			owner := account.Username
			if account.Uid == "0" {
				owner = "ftp" // the account of Debian's package; its home exists
			}
			port := testenv.FreePort(t)
			config := filepath.Join(t.TempDir(), "vsftpd.conf")
			lines := append([]string{
				"listen=YES", "listen_address=127.0.0.1", fmt.Sprintf("listen_port=%d", port), "background=NO",
				"anonymous_enable=YES", "local_enable=NO", "no_anon_password=YES", "write_enable=YES", "anon_upload_enable=YES",
				"anon_umask=022", "anon_root=" + root, "ftp_username=" + owner, "seccomp_sandbox=NO", "isolate=NO", "isolate_network=NO",
				"secure_chroot_dir=" + t.TempDir(), "rsa_cert_file=" + certificate, "rsa_private_key_file=" + certificate,
				"ssl_tlsv1=YES", "ssl_ciphers=HIGH", "require_ssl_reuse=YES", "xferlog_enable=NO",
			}, test.options...)
			if account.Uid != "0" {
				lines = append(lines, "run_as_launching_user=YES")
			}
			if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			startServer(t, port, vsftpd, config)
			uploader := NewUploader(UploaderConfig{TrustBundle: authority.bundle})
			content := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
			location := fmt.Sprintf("%s://127.0.0.1:%d", test.scheme, port)
			if err := uploadFile(t, t.Context(), uploader, location+"/in/", content); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(storedIn(t, incoming, "logs.tar.gz"), content) {
				t.Error("the stored file is another one")
			}
			wantFailure(t, uploadFile(t, t.Context(), uploader, location+"/nowhere/", content), PermissionDenied)
			wantFailure(t, uploadFile(t, t.Context(), uploader, location+"/", content), PermissionDenied)
			if test.scheme == "ftps" {
				wantFailure(t, uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), location+"/in/", content), PermissionDenied)
			}
		})
	}
}

// sshKey is a key pair: the private key's file and the public key.
func sshKey(t *testing.T) (path string, signer ssh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err = ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return path, signer
}

// knownHosts pins a key for an address.
func knownHosts(t *testing.T, address string, key ssh.PublicKey) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte(knownhosts.Line([]string{knownhosts.Normalize(address)}, key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestUploadToSSHD uploads to OpenSSH's server.
func TestUploadToSSHD(t *testing.T) {
	sshd := findTool(t, "sshd")
	account, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if account.Uid == "0" {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	hostKeyPath, hostKey := sshKey(t)
	userKeyPath, userKey := sshKey(t)
	_, otherKey := sshKey(t)
	directory, port := t.TempDir(), testenv.FreePort(t)
	authorized := filepath.Join(directory, "authorized_keys")
	if err := os.WriteFile(authorized, ssh.MarshalAuthorizedKey(userKey.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(directory, "sshd_config")
	lines := []string{
		fmt.Sprintf("Port %d", port), "ListenAddress 127.0.0.1", "HostKey " + hostKeyPath, "AuthorizedKeysFile " + authorized,
		"PasswordAuthentication no", "KbdInteractiveAuthentication no", "StrictModes no", "PermitRootLogin prohibit-password",
		"UsePAM no", "PidFile none", "Subsystem sftp internal-sftp",
	}
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	startServer(t, port, sshd, "-D", "-e", "-f", config)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	incoming := t.TempDir()
	location := fmt.Sprintf("sftp://%s:secret@%s", account.Username, address)
	content := bytes.Repeat([]byte("0123456789abcdef"), 200_000)

	pinned := NewUploader(UploaderConfig{SFTPKnownHosts: knownHosts(t, address, hostKey.PublicKey()), SFTPPrivateKey: userKeyPath})
	for path, stored := range map[string]string{"/": "logs.tar.gz", "": "logs.tar.gz", "/named.gz": "named.gz"} {
		if err := uploadFile(t, t.Context(), pinned, location+incoming+path, content); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(storedIn(t, incoming, stored), content) {
			t.Errorf("%q: the stored file is another one", path)
		}
		os.Remove(filepath.Join(incoming, stored))
	}
	wantFailure(t, uploadFile(t, t.Context(), pinned, location+incoming+"/none/logs/", content), UploadFailure)
	for name, config := range map[string]UploaderConfig{
		"another key":  {SFTPKnownHosts: knownHosts(t, address, otherKey.PublicKey()), SFTPPrivateKey: userKeyPath},
		"another host": {SFTPKnownHosts: knownHosts(t, "192.0.2.1:22", hostKey.PublicKey()), SFTPPrivateKey: userKeyPath},
		"no key":       {SFTPPrivateKey: userKeyPath},
		"no file":      {SFTPKnownHosts: "/nonexistent/known_hosts", SFTPPrivateKey: userKeyPath},
		"no login":     {SFTPKnownHosts: knownHosts(t, address, hostKey.PublicKey())},
	} {
		t.Run(name, func(t *testing.T) {
			wantFailure(t, uploadFile(t, t.Context(), NewUploader(config), location+incoming+"/", content), PermissionDenied)
		})
	}
}

// TestUploadSFTPWithPassword: passwords with special characters, to a server in the process.
func TestUploadSFTPWithPassword(t *testing.T) {
	_, hostKey := sshKey(t)
	config := &ssh.ServerConfig{PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if c.User() == "us er" && string(password) == "p@ss:/wörd" {
			return nil, nil
		}
		return nil, errors.New("no")
	}}
	config.AddHostKey(hostKey)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serveSFTP(conn, config)
		}
	}()
	t.Cleanup(func() { listener.Close(); <-served })
	address := listener.Addr().String()
	uploader := NewUploader(UploaderConfig{SFTPKnownHosts: knownHosts(t, address, hostKey.PublicKey())})
	incoming := t.TempDir()
	if err := uploadFile(t, t.Context(), uploader, "sftp://us%20er:p%40ss%3A%2Fw%C3%B6rd@"+address+incoming+"/", []byte("content")); err != nil {
		t.Fatal(err)
	}
	if got := storedIn(t, incoming, "logs.tar.gz"); string(got) != "content" {
		t.Errorf("%q was stored", got)
	}
	wantFailure(t, uploadFile(t, t.Context(), uploader, "sftp://us%20er:secret@"+address+"/", []byte("x")), PermissionDenied)
}

// serveSFTP serves one connection.
func serveSFTP(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	session, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	defer session.Close()
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, asked, err := offered.Accept()
		if err != nil {
			return
		}
		go func() {
			for request := range asked {
				request.Reply(request.Type == "subsystem", nil)
			}
		}()
		server, err := sftp.NewServer(channel)
		if err != nil {
			return
		}
		if err := server.Serve(); err != nil && !errors.Is(err, io.EOF) {
			return
		}
		server.Close()
	}
}

// TestCurlFailsAsItShould: curl, the boards' client, reports a file that the receiver did not take.
func TestCurlFailsAsItShould(t *testing.T) {
	curl := findTool(t, "curl")
	receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{MaxFile: 1000})
	slot, location := receiver.open(t, "127.0.0.1", loopback)
	file := filepath.Join(t.TempDir(), "large.txt")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := exec.CommandContext(ctx, curl, "--silent", "--ssl", "-T", file, location).Run(); err == nil {
		t.Error("curl believes that a file beyond the limit was taken")
	}
	if complete, incomplete := names(slot); len(complete)+len(incomplete) != 0 {
		t.Errorf("complete %v, incomplete %v", complete, incomplete)
	}
}

// storedIn reads a file that a test server has stored.
func storedIn(t testing.TB, directory, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(directory, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestCurlIsKilled: the file of a curl that was killed is not complete, and the next curl replaces it.
func TestCurlIsKilled(t *testing.T) {
	curl := findTool(t, "curl")
	file := filepath.Join(t.TempDir(), "logs.txt")
	content := bytes.Repeat([]byte("a line of a log\n"), 100_000)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{"ftp", "http"} {
		t.Run(protocol, func(t *testing.T) {
			receiver := newTestReceiver(t, protocol, "127.0.0.1", ReceiverConfig{})
			slot, location := receiver.open(t, "127.0.0.1", loopback)
			first := exec.CommandContext(t.Context(), curl, "--silent", "--ssl", "--limit-rate", "100", "-T", file, location)
			if err := first.Start(); err != nil {
				t.Fatal(err)
			}
			<-receiver.arrived
			if err := first.Process.Kill(); err != nil {
				t.Error(err)
			}
			first.Wait() // its error is that it was killed
			slot.Settle(t.Context())
			if complete, _ := names(slot); len(complete) != 0 {
				t.Errorf("%v is complete", complete)
			}
			if output, err := exec.CommandContext(t.Context(), curl, "--silent", "--show-error", "--fail", "--ssl", "-T", file, location).CombinedOutput(); err != nil {
				t.Fatalf("curl: %v\n%s", err, output)
			}
			slot.Settle(t.Context())
			files, incomplete := slot.Files()
			if len(files) != 1 || len(incomplete) != 0 || files[0].Size != int64(len(content)) {
				t.Errorf("complete %v, incomplete %v", files, incomplete)
			}
		})
	}
}

// TestCurlRenames: a client that uploads under a temporary name.
func TestCurlRenames(t *testing.T) {
	curl := findTool(t, "curl")
	receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{})
	slot, location := receiver.open(t, "127.0.0.1", loopback)
	command := exec.CommandContext(t.Context(), curl, "--silent", "--show-error", "--ssl", "-T", "-", location+"logs.part",
		"-Q", "-RNFR logs.part", "-Q", "-RNTO logs.txt")
	command.Stdin = strings.NewReader("content")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("curl: %v\n%s", err, output)
	}
	slot.Settle(t.Context())
	if complete, incomplete := names(slot); len(complete) != 1 || complete[0] != "logs.txt" || len(incomplete) != 0 {
		t.Errorf("complete %v, incomplete %v", complete, incomplete)
	}
}
