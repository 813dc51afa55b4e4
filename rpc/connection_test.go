package rpc_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
)

// identity is a key and a certificate for it.
type identity struct {
	certificate tls.Certificate
	// pin is the hash of the key.
	pin [sha256.Size]byte
}

var errUnknownKey = errors.New("unknown key")

// pinKeys returns a VerifyConnection that accepts peers with one of the keys.
func pinKeys(pins ...[sha256.Size]byte) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		pin := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
		if !slices.Contains(pins, pin) {
			return fmt.Errorf("%w: %x", errUnknownKey, pin)
		}
		return nil
	}
}

// newIdentity returns an identity with a certificate of signer. With nil it signs itself and may sign others.
func newIdentity(t *testing.T, name string, signer *identity) *identity {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA:         signer == nil, BasicConstraintsValid: true,
	}
	parent, key := template, private
	if signer != nil {
		parent, key = signer.certificate.Leaf, signer.certificate.PrivateKey.(ed25519.PrivateKey)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	return &identity{certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf}, pin: sha256.Sum256(leaf.RawSubjectPublicKeyInfo)}
}

func (i *identity) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(i.certificate.Leaf)
	return pool
}

func (i *identity) client(server [sha256.Size]byte) *tls.Config {
	return &tls.Config{
		Certificates:       []tls.Certificate{i.certificate},
		InsecureSkipVerify: true,
		VerifyConnection:   pinKeys(server),
	}
}

func (i *identity) server(clients ...[sha256.Size]byte) *tls.Config {
	return &tls.Config{
		Certificates:     []tls.Certificate{i.certificate},
		ClientAuth:       tls.RequireAnyClientCert,
		VerifyConnection: pinKeys(clients...),
	}
}

// secureServer serves "who", which returns the name in the client's certificate.
func secureServer(t *testing.T, config *tls.Config) (addr string, reached *atomic.Int32) {
	t.Helper()
	reached = new(atomic.Int32)
	verify := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if state.Version != tls.VersionTLS13 {
			t.Errorf("TLS version %x", state.Version)
		}
		if verify == nil {
			return nil
		}
		return verify(state)
	}
	server := rpc.NewServer(rpc.ServerConfig{
		TLS: config, HandshakeTimeout: 30 * time.Second,
		OnSession: func(*rpc.Session) { reached.Add(1) },
	})
	must(t, server.Bind("who", func(ctx context.Context) (string, error) {
		return rpc.SessionFrom(ctx).PeerCertificates()[0].Subject.CommonName, nil
	}))
	must(t, server.Bind("echo", func(text string) string { return text }))
	return serve(t, server), reached
}

// who dials and calls "who". A client that the server rejects learns that with the call at the latest.
func who(t *testing.T, addr string, config *tls.Config) (string, error) {
	t.Helper()
	client, err := rpc.Dial(t.Context(), addr, rpc.Config{TLS: config})
	if err != nil {
		return "", err
	}
	defer client.Close()
	var name string
	if err := client.Call(t.Context(), "who", &name); err != nil {
		return "", err
	}
	big := string(make([]byte, 1<<20))
	var back string
	if err := client.Call(t.Context(), "echo", &back, big); err != nil || back != big {
		t.Errorf("1 MiB over TLS: %d bytes, %v", len(back), err)
	}
	return name, nil
}

func TestPinnedKeys(t *testing.T) {
	agent, controller, stranger := newIdentity(t, "agent", nil), newIdentity(t, "controller", nil), newIdentity(t, "stranger", nil)
	addr, reached := secureServer(t, agent.server(controller.pin))
	if name, err := who(t, addr, controller.client(agent.pin)); err != nil || name != "controller" {
		t.Errorf("%q, %v", name, err)
	}
	if n := reached.Load(); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
	// The server does not know the stranger.
	if name, err := who(t, addr, stranger.client(agent.pin)); err == nil {
		t.Errorf("a stranger got in and was told %q", name)
	}
	// A client without a certificate.
	if name, err := who(t, addr, &tls.Config{InsecureSkipVerify: true, VerifyConnection: pinKeys(agent.pin)}); err == nil {
		t.Errorf("nobody got in and was told %q", name)
	}
	// The client does not know the server.
	if _, err := who(t, addr, controller.client(stranger.pin)); !errors.Is(err, errUnknownKey) {
		t.Errorf("a wrong server: %v, want errUnknownKey", err)
	}
	// TLS 1.2 is refused.
	old := controller.client(agent.pin)
	old.MaxVersion = tls.VersionTLS12
	if _, err := who(t, addr, old); err == nil {
		t.Error("TLS 1.2 got in")
	}
	if n := reached.Load(); n != 1 {
		t.Errorf("%d sessions, want 1: a peer that was refused reached the server", n)
	}
}

func TestCertificateAuthority(t *testing.T) {
	authority, other := newIdentity(t, "authority", nil), newIdentity(t, "other authority", nil)
	agent, controller := newIdentity(t, "agent", authority), newIdentity(t, "controller", authority)
	stranger := newIdentity(t, "stranger", other)
	addr, reached := secureServer(t, &tls.Config{
		Certificates: []tls.Certificate{agent.certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    authority.pool(),
	})
	as := func(client *identity) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{client.certificate}, RootCAs: authority.pool()}
	}
	if name, err := who(t, addr, as(controller)); err != nil || name != "controller" {
		t.Errorf("%q, %v", name, err)
	}
	if name, err := who(t, addr, as(stranger)); err == nil {
		t.Errorf("a stranger got in and was told %q", name)
	}
	wrong := as(controller)
	wrong.RootCAs = other.pool()
	if _, err := who(t, addr, wrong); err == nil {
		t.Error("a client trusted a server of another authority")
	}
	if n := reached.Load(); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
}

func TestConfigurationsThatProtectNothingAreRefused(t *testing.T) {
	agent := newIdentity(t, "agent", nil)
	certificates := []tls.Certificate{agent.certificate}
	verify := pinKeys(agent.pin)
	for _, test := range []struct {
		name   string
		config rpc.ServerConfig
		want   error
	}{
		{"plain TCP not asked for", rpc.ServerConfig{}, rpc.ErrPlaintext},
		{"no client authentication", rpc.ServerConfig{TLS: &tls.Config{Certificates: certificates}}, rpc.ErrPeerNotAuthenticated},
		{"any certificate unchecked", rpc.ServerConfig{TLS: &tls.Config{Certificates: certificates, ClientAuth: tls.RequireAnyClientCert}}, rpc.ErrPeerNotAuthenticated},
		{"certificate only if given", rpc.ServerConfig{TLS: &tls.Config{Certificates: certificates, ClientAuth: tls.VerifyClientCertIfGiven, VerifyConnection: verify}}, rpc.ErrPeerNotAuthenticated},
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		if err := rpc.NewServer(test.config).Serve(t.Context(), listener); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	if _, err := rpc.Dial(t.Context(), listener.Addr().String(), rpc.Config{TLS: &tls.Config{InsecureSkipVerify: true}}); !errors.Is(err, rpc.ErrPeerNotAuthenticated) {
		t.Errorf("a client that checks nothing: %v", err)
	}
}

// TestConfigurationChosenForAClientIsCheckedToo wants a configuration per client to authenticate clients, too.
func TestConfigurationChosenForAClientIsCheckedToo(t *testing.T) {
	agent, controller := newIdentity(t, "agent", nil), newIdentity(t, "controller", nil)
	config := agent.server(controller.pin)
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName == "open" {
			return &tls.Config{Certificates: []tls.Certificate{agent.certificate}}, nil
		}
		return nil, nil
	}
	addr, reached := secureServer(t, config)
	open := controller.client(agent.pin)
	open.ServerName = "open"
	if name, err := who(t, addr, open); err == nil {
		t.Errorf("%q got in", name)
	}
	if name, err := who(t, addr, controller.client(agent.pin)); err != nil || name != "controller" {
		t.Errorf("%q, %v", name, err)
	}
	if n := reached.Load(); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
}

// TestPlainMeetsSecure wants a plain client of a secure server, and a secure client of a plain server, to fail at once.
func TestPlainMeetsSecure(t *testing.T) {
	agent, controller := newIdentity(t, "agent", nil), newIdentity(t, "controller", nil)
	addr, reached := secureServer(t, agent.server(controller.pin))
	client, err := rpc.Dial(t.Context(), addr, rpc.Config{InsecurePlaintext: true})
	must(t, err)
	defer client.Close()
	if err := client.Call(t.Context(), "who", nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a plain client: %v", err)
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d sessions", n)
	}
	_, plain := startTestServer(t, rpc.ServerConfig{InsecurePlaintext: true})
	if _, err := rpc.Dial(t.Context(), plain, rpc.Config{TLS: controller.client(agent.pin), DialTimeout: time.Minute}); err == nil {
		t.Error("a secure client of a plain server")
	}
}

func TestSilentHandshakeEnds(t *testing.T) {
	agent, controller := newIdentity(t, "agent", nil), newIdentity(t, "controller", nil)
	server := rpc.NewServer(rpc.ServerConfig{TLS: agent.server(controller.pin), HandshakeTimeout: 50 * time.Millisecond})
	conn, err := net.Dial("tcp", serve(t, server))
	must(t, err)
	defer conn.Close()
	must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("read %d, %v", n, err)
	}
}

// TestRejectedConnectionsAreReported wants OnReject to be called once for each rejected client, with the reason, and
// never for a client that Admit turned away.
func TestRejectedConnectionsAreReported(t *testing.T) {
	agent, controller, stranger := newIdentity(t, "agent", nil), newIdentity(t, "controller", nil), newIdentity(t, "stranger", nil)
	rejected := make(chan error, 10)
	var closed atomic.Bool
	server := rpc.NewServer(rpc.ServerConfig{
		TLS: agent.server(controller.pin), HandshakeTimeout: 30 * time.Second,
		Admit: func(*rpc.Session) error {
			if closed.Load() {
				return errors.New("closed")
			}
			return nil
		},
		OnReject:  func(_ *rpc.Session, reason error) { rejected <- reason },
		OnSession: func(*rpc.Session) { rejected <- nil },
	})
	must(t, server.Bind("who", func() string { return "agent" }))
	addr := serve(t, server)
	told := func() error {
		t.Helper()
		select {
		case reason := <-rejected:
			return reason
		case <-time.After(time.Minute):
			t.Fatal("nobody was told")
			return nil
		}
	}
	// The client gets TLS's alert, although it has sent a call by then.
	var alert *net.OpError
	if _, err := who(t, addr, stranger.client(agent.pin)); !errors.As(err, &alert) || alert.Op != "remote error" {
		t.Errorf("a stranger: %v, want TLS's alert", err)
	}
	if reason := told(); !errors.Is(reason, rpc.ErrHandshake) || !errors.Is(reason, errUnknownKey) {
		t.Errorf("a stranger's reason: %v", reason)
	}
	if _, err := rpc.Dial(t.Context(), addr, rpc.Config{TLS: controller.client(stranger.pin)}); !errors.Is(err, rpc.ErrHandshake) {
		t.Errorf("a server that is not pinned: %v, want ErrHandshake", err)
	}
	if reason := told(); !errors.Is(reason, rpc.ErrHandshake) {
		t.Errorf("a client that leaves: %v", reason)
	}
	closed.Store(true)
	// The reset may come before Dial returns.
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		defer conn.Close()
		must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("turned away with %v, want a reset", err)
	}
	select {
	case reason := <-rejected:
		t.Errorf("told of who was turned away: %v", reason)
	default:
	}
}
