package transfer

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/testenv"
)

// anotherServer returns the path of a server that Debian does not install beside vsftpd, and skips the test where nobody
// has unpacked it.
func anotherServer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not in PATH; .ci/run shows how Debian's package is unpacked", name)
	}
	return path
}

// uploadOwner returns a directory for a server's files, and the user and group that own it. A server that root starts
// stores them as another user.
func uploadOwner(t *testing.T) (home string, uid, gid int) {
	t.Helper()
	home, uid, gid = t.TempDir(), os.Geteuid(), os.Getegid()
	if uid == 0 {
		uid, gid = 65534, 65534
	}
	for _, directory := range []string{filepath.Dir(home), home} {
		if err := os.Chmod(directory, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, directory := range []string{home, filepath.Join(home, "in")} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(directory, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return home, uid, gid
}

// uploadToServer uploads what a backend's server takes and what it refuses.
func uploadToServer(t *testing.T, uploader *Uploader, location, home string) {
	t.Helper()
	content := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	for path, stored := range map[string]string{"/in/": "in/logs.tar.gz", "/in": "in/logs.tar.gz", "/in/named.gz": "in/named.gz", "": "logs.tar.gz"} {
		if err := uploadFile(t, t.Context(), uploader, location+path, content); err != nil {
			t.Errorf("%q: %v", path, err)
			continue
		}
		if !bytes.Equal(storedIn(t, home, stored), content) {
			t.Errorf("%q: the stored file is another one", path)
		}
		os.Remove(filepath.Join(home, stored))
	}
	if err := uploadFile(t, t.Context(), uploader, location+"/in/", nil); err != nil || len(storedIn(t, home, "in/logs.tar.gz")) != 0 {
		t.Errorf("an empty file: %v", err)
	}
	wantFailure(t, uploadFile(t, t.Context(), uploader, location+"/nowhere/", content), PermissionDenied)
	wantFailure(t, uploadFile(t, t.Context(), uploader, strings.Replace(location, ":secret@", ":wrong-secret@", 1)+"/in/", content), PermissionDenied)
}

// secretHash is "secret" as MD5 crypt.
const secretHash = "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1"

func TestUploadToProFTPD(t *testing.T) {
	proftpd := anotherServer(t, "proftpd")
	modules := filepath.Join(filepath.Dir(filepath.Dir(proftpd)), "lib", "proftpd")
	authority := newAuthority(t)
	certificate := authority.pemFile(t, "127.0.0.1")
	for name, test := range map[string]struct {
		scheme  string
		options []string
	}{
		"plain":        {"ftp", nil},
		"without EPSV": {"ftp", []string{"<Limit EPSV>", "DenyAll", "</Limit>"}},
		"explicit":     {"ftps", nil},
		"implicit":     {"ftps", []string{"TLSOptions UseImplicitSSL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // a refused login takes seconds
			home, uid, gid := uploadOwner(t)
			port, private := testenv.FreePort(t), t.TempDir()
			users := filepath.Join(private, "users")
			if err := os.WriteFile(users, fmt.Appendf(nil, "user:%s:%d:%d::%s:/bin/false\n", secretHash, uid, gid, home), 0o600); err != nil {
				t.Fatal(err)
			}
			lines := []string{
				"ServerType standalone", "DefaultAddress 127.0.0.1", fmt.Sprintf("Port %d", port), "UseReverseDNS off", "UseIPv6 off", "SocketBindTight on",
				"RequireValidShell off", "AuthUserFile " + users, "AuthOrder mod_auth_file.c", "ScoreboardFile none", "WtmpLog off",
				"TransferLog none", "SystemLog none", "PidFile " + filepath.Join(private, "pid"), "DefaultRoot ~", "AllowOverwrite on",
			}
			if os.Geteuid() == 0 {
				lines = append(lines, "User nobody", "Group nogroup")
			}
			if test.scheme == "ftps" {
				if _, err := os.Stat(filepath.Join(modules, "mod_tls.so")); err != nil {
					t.Skip(err)
				}
				lines = append(lines, "ModulePath "+modules, "LoadModule mod_tls.c", "TLSEngine on", "TLSRequired on", "TLSLog none",
					"TLSECCertificateFile "+certificate, "TLSECCertificateKeyFile "+certificate)
			}
			config := filepath.Join(private, "proftpd.conf")
			if err := os.WriteFile(config, []byte(strings.Join(append(lines, test.options...), "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			startServer(t, port, proftpd, "--nodaemon", "--config", config)
			uploader := NewUploader(UploaderConfig{TrustBundle: authority.bundle})
			uploadToServer(t, uploader, fmt.Sprintf("%s://user:secret@127.0.0.1:%d", test.scheme, port), home)
		})
	}
}

func TestUploadToPureFTPd(t *testing.T) {
	server, passwords := anotherServer(t, "pure-ftpd"), anotherServer(t, "pure-pw")
	if os.Geteuid() != 0 {
		t.Skip("pure-ftpd starts as root only")
	}
	authority := newAuthority(t)
	certificate := authority.pemFile(t, "127.0.0.1")
	for name, test := range map[string]struct {
		scheme  string
		options []string
	}{
		"plain":                 {"ftp", nil},
		"for broken clients":    {"ftp", []string{"--brokenclientscompatibility"}},
		"another address in it": {"ftp", []string{"--forcepassiveip", "192.0.2.1"}},
		"explicit":              {"ftps", []string{"--tls=3", "--certfile=" + certificate}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // a refused login takes seconds
			home, uid, gid := uploadOwner(t)
			port, private := testenv.FreePort(t), t.TempDir()
			users, database := filepath.Join(private, "users"), filepath.Join(private, "users.pdb")
			if err := os.WriteFile(users, fmt.Appendf(nil, "user:%s:%d:%d::%s::::::::::::\n", secretHash, uid, gid, home), 0o600); err != nil {
				t.Fatal(err)
			}
			if output, err := exec.CommandContext(t.Context(), passwords, "mkdb", database, "-f", users).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			arguments := append([]string{"--bind", fmt.Sprintf("127.0.0.1,%d", port), "--login", "puredb:" + database, "--noanonymous",
				"--dontresolve", "--chrooteveryone", "--pidfile", filepath.Join(private, "pid")}, test.options...)
			startServer(t, port, server, arguments...)
			uploader := NewUploader(UploaderConfig{TrustBundle: authority.bundle})
			uploadToServer(t, uploader, fmt.Sprintf("%s://user:secret@127.0.0.1:%d", test.scheme, port), home)
		})
	}
}
