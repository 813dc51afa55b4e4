package everesttest

import (
	"errors"
	"os"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
)

// ForEachBroker runs the test once on an embedded broker and once on a mosquitto process, untuned and over TCP. Where no
// mosquitto is installed that half is skipped; with CI in the environment that is a failure.
func ForEachBroker(t *testing.T, test func(t *testing.T, broker everest.Broker)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { test(t, NewBroker(t)) })
	t.Run("mosquitto", func(t *testing.T) { test(t, NewMosquitto(t, MosquittoConfig{})) })
}

// NewBroker starts an embedded broker that ends with the test.
func NewBroker(t testing.TB) everest.Broker {
	t.Helper()
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
