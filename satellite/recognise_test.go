package satellite

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
	"github.com/remotechargeport/remotechargeport/satellite/internal/admission"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
)

// board is a satellite's port with an identity of its own.
func board(t *testing.T, controller, home string) (own identity.Identity, address string) {
	t.Helper()
	own, err := identity.Create(home, identity.CreateOptions{Serial: "SAT01"})
	if err != nil {
		t.Fatal(err)
	}
	main, err := identity.Load(controller)
	if err != nil {
		t.Fatal(err)
	}
	trusted(t, home, main)
	store, err := identity.Open(home, identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(rpc.ServerConfig{TLS: store.ServerTLS()})
	// No reply: the connection stays as it is.
	if err := server.Handle(link.FunctionIAmHere, func(ctx context.Context, _ *rpc.Request) (any, error) {
		<-ctx.Done()
		return nil, rpc.NoReply
	}); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(context.Background(), listener); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { server.Close(); serving.Wait() })
	return own, listener.Addr().String()
}

// trusted makes a directory trust these boards and nobody else.
func trusted(t *testing.T, directory string, boards ...identity.Identity) {
	t.Helper()
	var trust identity.Trust
	for _, one := range boards {
		if _, err := trust.Pin(identity.Pin{Serial: one.Serial, Fingerprint: one.Fingerprint}); err != nil {
			t.Fatal(err)
		}
	}
	if err := trust.Save(directory); err != nil {
		t.Fatal(err)
	}
}

// connect has a controller's link take a connection.
func connect(t *testing.T, c *Controller, conn *rpc.Client) {
	t.Helper()
	connected := make(chan struct{})
	client := link.NewClient(link.ClientConfig{Logger: zap.NewNop(), MainBoard: link.MainBoard{
		Dial:      func(context.Context) (*rpc.Client, error) { return conn, nil },
		Connected: func(*rpc.Client) { close(connected) },
		// The handshake does not come to an end in this test.
		NotConnected: func(error) {}, Disconnected: func(error) {}, Changed: func(link.ClientState) {},
	}})
	c.link.Store(client)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { client.Run(ctx) })
	running.Go(func() { client.Start(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	<-connected
}

// A board that is tried at several addresses may answer at more than one, and another
// board of its serial number at one of them: what counts is who is behind the
// connection that was taken.
func TestTrustCountsForTheConnectionThatStands(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	own := filepath.Join(home, "controller")
	if _, err := identity.Create(own, identity.CreateOptions{Serial: "MAIN01"}); err != nil {
		t.Fatal(err)
	}
	taken, takenAddress := board(t, own, filepath.Join(home, "taken"))
	late, lateAddress := board(t, own, filepath.Join(home, "late"))
	trusted(t, own, taken, late)

	c := NewController(ControllerConfig{Everest: everest.Options{ModuleID: "controller"}})
	if err := c.dialer.Configure("127.0.0.1", "SAT01", admission.MutualTLS); err != nil {
		t.Fatal(err)
	}
	if err := c.protection.Configure(admission.MutualTLS, own); err != nil {
		t.Fatal(err)
	}
	dial := func(address string) *rpc.Client {
		client, err := c.dialer.Dial(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return client
	}
	standing := dial(takenAddress)
	connect(t, c, standing)
	dial(lateAddress).Close()

	trusted(t, own, taken)
	c.trustChanged()
	if standing.Err() != nil {
		t.Error("the link ended with the trust in a board that is not at its other end")
	}
	trusted(t, own, late)
	c.trustChanged()
	if standing.Err() == nil {
		t.Error("the link outlives the trust in the board at its other end")
	}
}
