package everesttest

import (
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
)

// urlFlag is the flag that makes tests run on an existing broker.
const urlFlag = "url"

// AddURLFlag adds the flag -url to a set. Its value is the URL of a running broker, "tcp://host:port" or
// "unix:///path". Tests then use this broker and start none. Call AddURLFlag for flag.CommandLine before the flags are
// parsed:
//
//	func TestMain(m *testing.M) {
//		everesttest.AddURLFlag(flag.CommandLine)
//		os.Exit(m.Run())
//	}
//
// With -url, NewManager chooses a random EVerest prefix if its configuration has none. The test then does not disturb
// other users of the broker.
func AddURLFlag(set *flag.FlagSet) {
	set.String(urlFlag, "", "run the tests on this MQTT broker: tcp://host:port or unix:///path")
}

// givenBroker returns the broker of the flag -url, and false where the flag does not exist or is empty.
func givenBroker(t testing.TB) (everest.Broker, bool) {
	t.Helper()
	given := flag.Lookup(urlFlag)
	if given == nil || given.Value.String() == "" {
		return everest.Broker{}, false
	}
	broker, err := everest.BrokerFromURL(given.Value.String())
	if err != nil {
		t.Fatal(err)
	}
	return broker, true
}

// ForEachBroker runs test on an embedded broker and then on a mosquitto process with default settings, over TCP. If
// mosquitto is not installed, the second run is skipped, or fails if the environment variable CI is set. With -url,
// ForEachBroker runs test once, on that broker.
func ForEachBroker(t *testing.T, test func(t *testing.T, broker everest.Broker)) {
	t.Helper()
	if broker, given := givenBroker(t); given {
		t.Run("url", func(t *testing.T) { test(t, broker) })
		return
	}
	t.Run("embedded", func(t *testing.T) { test(t, NewBroker(t)) })
	t.Run("mosquitto", func(t *testing.T) { test(t, NewMosquitto(t, MosquittoConfig{})) })
}

// NewBroker starts an embedded broker that ends with the test, and returns its address. If the flag -url names a
// broker, NewBroker starts no broker and returns the address of the named one.
func NewBroker(t testing.TB) everest.Broker {
	t.Helper()
	if broker, given := givenBroker(t); given {
		return broker
	}
	broker, err := StartBroker(BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	return broker.Address()
}

// NewMosquitto starts a mosquitto process that ends with the test. If mosquitto is not installed, NewMosquitto skips
// the test, or fails it if the environment variable CI is set.
func NewMosquitto(t testing.TB, config MosquittoConfig) everest.Broker {
	t.Helper()
	broker, err := StartMosquitto(t.Context(), config)
	if errors.Is(err, ErrNoMosquitto) && os.Getenv("CI") == "" {
		t.Skip("needs mosquitto: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	return broker.Address()
}
