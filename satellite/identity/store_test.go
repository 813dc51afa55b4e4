package identity

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// boards are two that trust each other.
type boards struct {
	satellite, controller string
}

func newBoards(t *testing.T) boards {
	home := t.TempDir()
	b := boards{filepath.Join(home, "satellite"), filepath.Join(home, "controller")}
	pin(t, b.controller, created(t, b.satellite, "SAT01"))
	pin(t, b.satellite, created(t, b.controller, "MAIN01"))
	return b
}

func pin(t *testing.T, directory string, peer Identity) {
	t.Helper()
	trust := must(LoadTrust(directory))(t)
	must(trust.Pin(Pin{Serial: peer.Serial, Fingerprint: peer.Fingerprint}))(t)
	if err := trust.Save(directory); err != nil {
		t.Fatal(err)
	}
}

func unpin(t *testing.T, directory, name string) {
	t.Helper()
	trust := must(LoadTrust(directory))(t)
	if trust.Remove(name) == 0 {
		t.Fatalf("%s is not trusted", name)
	}
	if err := trust.Save(directory); err != nil {
		t.Fatal(err)
	}
}

// meet makes a handshake, and returns how it ended at the server and the client.
func meet(t *testing.T, server, client *tls.Config) (atServer, atClient error) {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer listener.Close()
	conn := must(net.Dial("tcp", listener.Addr().String()))(t)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			atServer = err
			return
		}
		defer conn.Close()
		secure := tls.Server(conn, server)
		if atServer = secure.HandshakeContext(ctx); atServer == nil {
			_, atServer = secure.Write([]byte("come in"))
		}
	})
	secure := tls.Client(conn, client)
	if atClient = secure.HandshakeContext(ctx); atClient == nil {
		// In TLS 1.3 the client learns with the first record whether it is let in.
		_, atClient = secure.Read(make([]byte, 1))
	}
	running.Wait()
	return atServer, atClient
}

func TestHandshakes(t *testing.T) {
	b := newBoards(t)
	agent, controller := must(Open(b.satellite, Options{}))(t), must(Open(b.controller, Options{}))(t)
	home := t.TempDir()
	pin(t, home+"/stranger", created(t, home+"/stranger", "STR01"))
	pin(t, home+"/stranger", must(Load(b.satellite))(t))
	stranger := must(Open(home+"/stranger", Options{}))(t)
	var met Peer
	old := controller.ClientTLS("", nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	nobody := controller.ClientTLS("", nil)
	nobody.GetClientCertificate = nil
	for _, test := range []struct {
		name             string
		client           *tls.Config
		server, atClient Reason
	}{
		{"the controller", controller.ClientTLS("SAT01", func(peer Peer) { met = peer }), "", ""},
		{"a controller that expects another satellite", controller.ClientTLS("SAT02", nil), RefusedUs, WrongSerial},
		{"a stranger", stranger.ClientTLS("", nil), Untrusted, RefusedUs},
		{"a client without a certificate", nobody, NoCertificate, RefusedUs},
		{"a client of TLS 1.2", old, reasonOldTLS, RefusedUs},
	} {
		atServer, atClient := meet(t, agent.ServerTLS(), test.client)
		for end, got := range map[string][2]Reason{"server": {reason(atServer), test.server}, "client": {reason(atClient), test.atClient}} {
			if got[0] != got[1] {
				t.Errorf("%s: at the %s %q, want %q (%v, %v)", test.name, end, got[0], got[1], atServer, atClient)
			}
		}
	}
	if met.Serial != "SAT01" || met.Fingerprint != agent.Identity().Fingerprint {
		t.Errorf("the controller met %+v", met)
	}
}

func reason(err error) Reason {
	if err == nil {
		return ""
	}
	return ReasonOf(err)
}

// A rotation with an overlap never leaves the two apart, and needs no restart.
func TestRotationWithoutARestart(t *testing.T) {
	b := newBoards(t)
	agent, controller := must(Open(b.satellite, Options{}))(t), must(Open(b.controller, Options{}))(t)
	works := func(when string, want bool) {
		t.Helper()
		atServer, atClient := meet(t, agent.ServerTLS(), controller.ClientTLS("SAT01", nil))
		if got := atServer == nil && atClient == nil; got != want {
			t.Errorf("%s: %v, %v", when, atServer, atClient)
		}
	}
	works("at the beginning", true)
	old := must(Load(b.satellite))(t)
	next := must(Rotate(b.satellite, CreateOptions{}))(t)
	works("with a key prepared", true)
	pin(t, b.controller, next)
	works("with both keys trusted", true)
	must(Activate(b.satellite))(t)
	works("with the new key", true)
	if agent.Identity().Fingerprint != next.Fingerprint {
		t.Error("the new key is not in use")
	}
	unpin(t, b.controller, old.Fingerprint.String())
	works("without the old key", true)
	unpin(t, b.controller, "SAT01")
	works("without trust", false)
}

func TestABrokenFileChangesNothing(t *testing.T) {
	b := newBoards(t)
	core, lines := observer.New(zap.InfoLevel)
	agent := must(Open(b.satellite, Options{Logger: zap.New(core)}))(t)
	own := agent.Identity()
	for _, name := range []string{"identity.pem", "trusted.json"} {
		path := filepath.Join(b.satellite, name)
		if err := os.WriteFile(path, []byte("half a fi"), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if agent.Identity().Fingerprint != own.Fingerprint || len(agent.Trust().Peers) != 1 {
				t.Errorf("a broken %s changed something", name)
			}
		}
		failed := lines.FilterField(zap.String("event", eventReloadFailed)).FilterField(zap.String("file", path))
		if failed.Len() != 1 || failed.All()[0].Level != zap.ErrorLevel {
			t.Errorf("the broken %s was logged %d times, want once as an error", name, failed.Len())
		}
	}
	if err := os.Remove(filepath.Join(b.satellite, "identity.pem")); err != nil {
		t.Fatal(err)
	}
	if agent.Identity().Fingerprint != own.Fingerprint || len(agent.Trust().Peers) != 1 {
		t.Error("a key that is gone changed something")
	}
	replaced := created(t, b.satellite, "SAT02")
	if agent.Identity().Fingerprint != replaced.Fingerprint {
		t.Error("a good file after broken ones is not in use")
	}
	if lines.FilterField(zap.String("event", eventReloaded)).Len() != 1 {
		t.Errorf("logged: %v", lines.All())
	}
}

// Whoever removes the file withdraws all trust, and learns the same from a running module and from the file.
func TestARemovedTrustFileWithdrawsTrust(t *testing.T) {
	b := newBoards(t)
	path := filepath.Join(b.satellite, "trusted.json")
	core, lines := observer.New(zap.InfoLevel)
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	agent := must(Open(b.satellite, Options{Logger: zap.New(core), Interval: time.Millisecond, Now: func() time.Time {
		begin()
		return time.Now()
	}}))(t)
	controller := must(Open(b.controller, Options{}))(t)
	ctx, cancel := context.WithCancel(t.Context())
	changes := make(chan struct{}, 10)
	var running sync.WaitGroup
	running.Go(func() { agent.Run(ctx, func() { changes <- struct{}{} }) })
	defer running.Wait()
	defer cancel()
	<-begun
	content := must(os.ReadFile(path))(t)
	for _, before := range []string{"as it was", "broken"} {
		if before == "broken" {
			// The trust that was read before stays in force, until the file is removed.
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if peers := agent.Trust().Peers; len(peers) != 1 {
				t.Fatalf("%v is trusted", peers)
			}
			if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
			if peers := agent.Trust().Peers; len(peers) != 1 {
				t.Errorf("%v is trusted with a broken file", peers)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if peers := agent.Trust().Peers; len(peers) != 0 {
				t.Errorf("%v is trusted without a file that was %s", peers, before)
			}
		}
		if peers := must(LoadTrust(b.satellite))(t).Peers; len(peers) != 0 {
			t.Errorf("%v is trusted according to the file", peers)
		}
		if atServer, _ := meet(t, agent.ServerTLS(), controller.ClientTLS("SAT01", nil)); reason(atServer) != Untrusted {
			t.Errorf("the controller is refused for %v", atServer)
		}
	}
	select {
	case <-changes:
	case <-time.After(time.Minute):
		t.Error("Run does not tell of the removal")
	}
	if removed := lines.FilterField(zap.String("event", eventTrustRemoved)).FilterField(zap.String("file", path)); removed.Len() != 2 {
		t.Errorf("logged: %v", lines.All())
	}
}

// What keeps a file from being read may end without a change of the file: trust that
// was withdrawn must not live on then.
func TestAFileIsTriedAgain(t *testing.T) {
	b := newBoards(t)
	core, lines := observer.New(zap.InfoLevel)
	agent := must(Open(b.satellite, Options{Logger: zap.New(core)}))(t)
	unpin(t, b.satellite, "MAIN01")
	if err := os.Chmod(b.satellite, 0o755); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if len(agent.Trust().Peers) != 1 {
			t.Error("a file in an open directory changed something")
		}
	}
	if failed := lines.FilterField(zap.String("event", eventReloadFailed)); failed.Len() != 1 {
		t.Errorf("logged: %v", failed.All())
	}
	if err := os.Chmod(b.satellite, 0o700); err != nil {
		t.Fatal(err)
	}
	if peers := agent.Trust().Peers; len(peers) != 0 {
		t.Errorf("%v is still trusted", peers)
	}
}

// Expiry is warned about once a day, from 30 days before on.
func TestExpiryIsWarnedAbout(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		directory := filepath.Join(t.TempDir(), "board")
		must(Create(directory, CreateOptions{
			Serial: "SAT01", Lifetime: 40 * day, Now: func() time.Time { return clock() },
		}))(t)
		core, lines := observer.New(zap.InfoLevel)
		store := must(Open(directory, Options{Logger: zap.New(core), Now: clock, Interval: time.Hour}))(t)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { store.Run(ctx, nil) })
		count := func(event string) int { return lines.FilterField(zap.String("event", event)).Len() }
		time.Sleep(9 * day)
		if lines.Len() != 0 {
			t.Errorf("warned 31 days before: %v", lines.All())
		}
		time.Sleep(11 * day)
		if got := count(eventExpiring); got < 9 || got > 11 {
			t.Errorf("%d warnings in 10 days", got)
		}
		time.Sleep(25 * day)
		if got := count(eventExpired); got < 4 || got > 6 {
			t.Errorf("%d warnings in 5 days after the end", got)
		}
		cancel()
		running.Wait()
	})
}

// clock is synctest's, which begins in 2000, moved to when certificates begin.
func clock() time.Time { return time.Now().AddDate(30, 0, 0) }

func TestAClockThatIsBehindIsToldOnce(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "board")
	created(t, directory, "SAT01")
	core, lines := observer.New(zap.InfoLevel)
	var seconds atomic.Int64
	store := must(Open(directory, Options{
		Logger: zap.New(core), Interval: time.Millisecond,
		Now: func() time.Time { return time.Unix(seconds.Add(1), 0) },
	}))(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { store.Run(ctx, nil) })
	for seconds.Load() < 10 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	running.Wait()
	if lines.Len() != 1 || lines.FilterField(zap.String("event", eventClock)).Len() != 1 {
		t.Errorf("logged: %v", lines.All())
	}
}

// Run tells of each change, whoever has read it first.
func TestRunTellsOfChanges(t *testing.T) {
	b := newBoards(t)
	store := must(Open(b.satellite, Options{Interval: 5 * time.Millisecond}))(t)
	ctx, cancel := context.WithCancel(t.Context())
	changes := make(chan struct{}, 10)
	var running sync.WaitGroup
	running.Go(func() { store.Run(ctx, func() { changes <- struct{}{} }) })
	defer running.Wait()
	defer cancel()
	wait := func(what string) {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(time.Minute):
			t.Fatalf("not told of %s", what)
		}
	}
	unpin(t, b.satellite, "MAIN01")
	store.Trust()
	wait("the trust that was withdrawn")
	must(Create(b.satellite, CreateOptions{Serial: "SAT01", Replace: true}))(t)
	wait("the new key")
}
