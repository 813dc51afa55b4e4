package everesttest

import (
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
)

// urlFlag is the flag by which a test runs against a broker that is there already.
const urlFlag = "url"

// AddURLFlag adds the flag -url to a set, for a test package that wants it: its tests then run on the broker given there
// ("tcp://host:port", "unix:///path") instead of one of their own. Call it for flag.CommandLine before the flags are parsed:
//
//	func TestMain(m *testing.M) {
//		everesttest.AddURLFlag(flag.CommandLine)
//		os.Exit(m.Run())
//	}
//
// Managers that are started without an EVerest prefix take one of their own then, so what else runs on the broker is not
// disturbed.
func AddURLFlag(set *flag.FlagSet) {
	set.String(urlFlag, "", "run the tests on this MQTT broker: tcp://host:port or unix:///path")
}

// givenBroker returns the broker of -url; false where the flag does not exist or is empty.
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

// ForEachBroker runs the test once on an embedded broker and once on a mosquitto process, untuned and over TCP. Where no
// mosquitto is installed that half is skipped; with CI in the environment that is a failure. With -url it runs once, there.
func ForEachBroker(t *testing.T, test func(t *testing.T, broker everest.Broker)) {
	t.Helper()
	if broker, given := givenBroker(t); given {
		t.Run("url", func(t *testing.T) { test(t, broker) })
		return
	}
	t.Run("embedded", func(t *testing.T) { test(t, NewBroker(t)) })
	t.Run("mosquitto", func(t *testing.T) { test(t, NewMosquitto(t, MosquittoConfig{})) })
}

// NewBroker starts an embedded broker that ends with the test; with -url it returns the one given there.
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

// NewMosquitto starts a mosquitto process that ends with the test. It skips the test where no mosquitto is installed, and
// fails it with CI in the environment.
func NewMosquitto(t testing.TB, config MosquittoConfig) everest.Broker {
	t.Helper()
	broker, err := StartMosquitto(t.Context(), config)
	if errors.Is(err, ErrNoMosquitto) && os.Getenv("CI") == "" {
		t.Skip("this half needs mosquitto: ", err)
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
