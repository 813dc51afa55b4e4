package everest_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/program"
)

func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func TestChecklist01_CommandLine(t *testing.T) {
	yes, no := true, false
	full := everest.Options{
		ModuleID: "gomod", InstallPrefix: "/opt/everest", EverestPrefix: "everest/", LogConfig: "/etc/log.cfg",
		Broker: everest.Broker{Host: "localhost", Port: 1883},
	}
	changed := func(change func(*everest.Options)) everest.Options {
		options := full
		change(&options)
		return options
	}
	arguments := func(more ...string) []string {
		return append([]string{
			"--prefix", "/opt/everest", "--module", "gomod", "--log_config", "/etc/log.cfg",
			"--mqtt_everest_prefix", "everest/", "--mqtt_external_prefix", "",
		}, more...)
	}
	tests := []struct {
		name        string
		arguments   []string
		environment map[string]string
		want        everest.Options
	}{
		{"as a manager passes it", arguments("--mqtt_broker_host", "localhost", "--mqtt_broker_port", "1883"), nil, full},
		{"broker left out", arguments(), nil, full},
		{"socket", arguments("--mqtt_broker_socket_path", "/run/mqtt.sock"), nil,
			changed(func(o *everest.Options) { o.Broker = everest.Broker{SocketPath: "/run/mqtt.sock"} })},
		{"unknown flags", arguments("--new", "value", "--newer", "--newest=x", "stray", "--dontvalidateschema", "--config", "-"), nil, full},
		{"the transport that is spoken", arguments("--framework_transport", "mqtt"), nil, full},
		{"short and joined", []string{"-m", "gomod", "--prefix=/opt/everest", "--log_config=/etc/log.cfg"}, nil, full},
		{"spawned", arguments("--spawned", "true"), nil, changed(func(o *everest.Options) { o.Spawned = &yes })},
		{"not spawned", arguments("--spawned=false"), nil, changed(func(o *everest.Options) { o.Spawned = &no })},
		{"environment", nil, map[string]string{
			"EV_MODULE": "gomod", "EV_PREFIX": "/opt/everest", "EV_LOG_CONF_FILE": "/etc/log.cfg",
			"EV_MQTT_BROKER_HOST": "localhost", "EV_MQTT_BROKER_PORT": "1883",
		}, full},
		{"environment behind the command line", arguments(), map[string]string{
			"EV_MODULE": "other", "EV_PREFIX": "/other", "EV_MQTT_EXTERNAL_PREFIX": "ext/", "EV_MQTT_EVEREST_PREFIX": "other/",
		}, full},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := program.ParseOptions(test.arguments, environment(test.environment))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for name, bad := range map[string][]string{
		"no module id":                    {"--prefix", "/opt"},
		"set framework_transport to mqtt": {"--module", "m", "--framework_transport", "shared_memory", "--shm_control_socket_path", "/run/x"},
		"--spawned \"yes!\"":              {"--module", "m", "--spawned", "yes!"},
		"port \"80x\"":                    {"--module", "m", "--mqtt_broker_port", "80x"},
		"port \"70000\"":                  {"--module", "m", "--mqtt_broker_port", "70000"},
	} {
		if _, err := program.ParseOptions(bad, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v, want an error with %s", bad, err, name)
		}
	}

	// And a module runs with what a manager passes.
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, bellConfig(t, broker))
		for _, id := range []string{"tower", "ringer"} {
			options, err := program.ParseOptions(manager.Arguments(id), nil)
			if err != nil {
				t.Fatal(err)
			}
			everesttest.RunModule(t, options, nil)
		}
		everesttest.WaitReady(t, manager)
	})
}

func TestChecklist02_BrokerAddresses(t *testing.T) {
	base := []string{"--module", "m", "--mqtt_broker_host", "box", "--mqtt_broker_port", "1884"}
	tests := []struct {
		name        string
		environment map[string]string
		want        everest.Broker
	}{
		{"command line", nil, everest.Broker{Host: "box", Port: 1884}},
		{"address", map[string]string{"MQTT_SERVER_ADDRESS": "10.0.0.1"}, everest.Broker{Host: "10.0.0.1", Port: 1884}},
		{"port", map[string]string{"MQTT_SERVER_PORT": "99"}, everest.Broker{Host: "box", Port: 99}},
		{"port that is none", map[string]string{"MQTT_SERVER_PORT": "many"}, everest.Broker{Host: "box", Port: 1884}},
	}
	for _, test := range tests {
		options, err := program.ParseOptions(base, environment(test.environment))
		if err != nil || options.Broker != test.want {
			t.Errorf("%s: %+v, %v", test.name, options.Broker, err)
		}
	}
	socket := []string{"--module", "m", "--mqtt_broker_socket_path", "/s"}
	if _, err := program.ParseOptions(socket, environment(map[string]string{"MQTT_SERVER_ADDRESS": "a"})); err == nil {
		t.Error("a socket and MQTT_SERVER_ADDRESS together were accepted")
	}
	urls := map[string]everest.Broker{
		"tcp://box:1884":    {Host: "box", Port: 1884},
		"mqtt://[::1]:1884": {Host: "::1", Port: 1884},
		"tcp://box":         {Host: "box"},
		"unix:///run/m":     {SocketPath: "/run/m"},
	}
	for text, want := range urls {
		got, err := everest.BrokerFromURL(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if again, err := everest.BrokerFromURL(got.String()); err != nil || again.String() != got.String() {
			t.Errorf("%s does not read back: %v", got, err)
		}
	}
	for _, text := range []string{"box:1883", "http://box", "tcp://box:0", "tcp://box:x", "unix://", "\x00"} {
		if broker, err := everest.BrokerFromURL(text); err == nil {
			t.Errorf("%q gave %+v", text, broker)
		}
	}

	runs := func(t *testing.T, broker everest.Broker) {
		b := newBelfry(t, bellConfig(t, broker), func(m *everest.Module) { m.Provides("main").Handle("ring", ring) }, nil)
		if err := b.bell().Call(patient(t), "ring", map[string]any{"text": "x", "times": 1}, nil); err != nil {
			t.Error(err)
		}
	}
	t.Run("host and port", func(t *testing.T) { everesttest.ForEachBroker(t, runs) })
	t.Run("embedded on a socket", func(t *testing.T) {
		broker, err := everesttest.StartBroker(everesttest.BrokerConfig{SocketPath: filepath.Join(t.TempDir(), "mqtt")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { broker.Close() })
		runs(t, broker.Address())
	})
	t.Run("mosquitto on a socket", func(t *testing.T) {
		runs(t, everesttest.NewMosquitto(t, everesttest.MosquittoConfig{SocketPath: filepath.Join(t.TempDir(), "mqtt")}))
	})
	t.Run("nobody there", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "missing")
		_, err := everest.Connect(patient(t), everest.Options{ModuleID: "m", Broker: everest.Broker{SocketPath: path}})
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("want a line that names %s: %v", path, err)
		}
	})
}

func TestChecklist03_Prefixes(t *testing.T) {
	for text, want := range map[string]string{"": "everest/", "everest": "everest/", "a/b": "a/b/", "a/b/": "a/b/"} {
		options, err := program.ParseOptions([]string{"--module", "m", "--mqtt_everest_prefix", text}, nil)
		if err != nil || options.EverestPrefix != want {
			t.Errorf("prefix %q became %q, %v", text, options.EverestPrefix, err)
		}
	}
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		config.EverestPrefix, config.ExternalPrefix = "some/where", "ext/"
		heard := make(chan string, 1)
		b := newBelfry(t, config, nil, func(m *everest.Module) {
			m.SubscribeExternal("in", func(_ context.Context, topic string, payload []byte) { heard <- topic + " " + string(payload) })
		})
		everything := everesttest.NewRecorder(t, broker, "#")
		if err := b.tower.Provides("main").Publish(patient(t), "rung", 1); err != nil {
			t.Fatal(err)
		}
		if _, err := everything.WaitTopic(patient(t), "some/where/modules/tower/impl/main/var/rung"); err != nil {
			t.Error(err)
		}
		newWireClient(t, broker).publish(t, "ext/in", "hello")
		if got := receive(t, heard); got != "in hello" {
			t.Errorf("external message %q", got)
		}
		if err := b.ringer.PublishExternal(patient(t), "out", []byte("bye")); err != nil {
			t.Fatal(err)
		}
		if _, err := everything.WaitTopic(patient(t), "ext/out"); err != nil {
			t.Error(err)
		}
	})
}
