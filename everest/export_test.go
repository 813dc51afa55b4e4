package everest

import (
	"context"
	"net"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/internal/quickack"
)

// DialPrompt dials a broker with immediate acknowledgements and nothing else of ours, for a fair comparison.
func DialPrompt(ctx context.Context, broker Broker) (net.Conn, error) {
	network, address := broker.endpoint()
	return quickack.Dial(ctx, network, address)
}

// InstallLibrary puts a library like that of a family into an installation.
func InstallLibrary(t testing.TB, prefix, family string) {
	t.Helper()
	installLibrary(t, prefix, family)
}

// FamilyOf is the name of the family that a module speaks.
func FamilyOf(m *Module) string { return m.wire.Name() }

// OpenMQTT opens the default Transport.
var OpenMQTT = openMQTT
