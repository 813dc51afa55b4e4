package link

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
	"github.com/remotechargeport/remotechargeport/satellite/internal/admission"
)

// protections are the ways to protect a link.
var protections = []struct {
	name    string
	prepare func(testing.TB) func(*bareLink)
}{
	{admission.Plain, func(testing.TB) func(*bareLink) { return func(*bareLink) {} }},
	{admission.MutualTLS, func(t testing.TB) func(*bareLink) {
		sat, main := pairedDirectories(t)
		return func(l *bareLink) {
			configured(t, l.agent, sat)
			configured(t, l.controller, main)
		}
	}},
}

func configured(t testing.TB, p *admission.Protection, directory string) {
	t.Helper()
	if err := p.Configure(admission.MutualTLS, directory); err != nil {
		t.Fatal(err)
	}
}

// pairedDirectories makes the identities of two boards that trust each other.
func pairedDirectories(t testing.TB) (sat, main string) {
	t.Helper()
	home := t.TempDir()
	sat, main = filepath.Join(home, "sat"), filepath.Join(home, "main")
	for own, peer := range map[string]string{sat: main, main: sat} {
		made, err := identity.Create(own, identity.CreateOptions{Serial: strings.ToUpper(filepath.Base(own))})
		if err != nil {
			t.Fatal(err)
		}
		trust := identity.Trust{Peers: []identity.Pin{{Serial: made.Serial, Fingerprint: made.Fingerprint}}}
		if err := trust.Save(peer); err != nil {
			t.Fatal(err)
		}
	}
	return sat, main
}

// BenchmarkProtectedThroughput is BenchmarkLinkThroughput on plain TCP and over TLS.
func BenchmarkProtectedThroughput(b *testing.B) {
	for _, protection := range protections {
		b.Run(protection.name, func(b *testing.B) { benchmarkThroughput(b, protection.prepare(b)) })
	}
}

// BenchmarkProtectedLatency is BenchmarkLinkLatency on plain TCP and over TLS.
func BenchmarkProtectedLatency(b *testing.B) {
	for _, protection := range protections {
		b.Run(protection.name, func(b *testing.B) { benchmarkLatency(b, protection.prepare(b)) })
	}
}

// BenchmarkProtectedConnect is a connection to the agent's port, with its
// handshake on both sides, until a function of the link is answered.
func BenchmarkProtectedConnect(b *testing.B) {
	for _, protection := range protections {
		b.Run(protection.name, func(b *testing.B) {
			link := startBareLinkWith(b, protection.prepare(b), func(json.RawMessage) {})
			address := link.server.Stats().ListenAddress
			b.ResetTimer()
			for range b.N {
				client, err := link.dialer.Dial(b.Context(), address)
				if err != nil {
					b.Fatal(err)
				}
				// The link stands elsewhere, so this is answered with an error.
				if err := client.Call(b.Context(), FunctionEvents, nil, 0, 0, 0, 0, 0); err == nil {
					b.Fatal("two links")
				}
				client.Close()
			}
		})
	}
}
