package page

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/remotechargeport/remotechargeport/everest"
)

// TestFaults makes each fault of a station for real, with the programs that boards run, and finds it by satctl, the page
// and the alerts alone: an exit status, words with a remedy, a colour, an alert.
func TestFaults(t *testing.T) {
	t.Parallel()
	if !inNamespace(t) {
		return
	}
	programs, browser := buildPrograms(t), startChromium(t)
	for _, test := range []struct {
		name string
		// config prepares the station, and fault makes the fault at one that works.
		config func(t *testing.T) plantConfig
		fault  func(p *plant)
		level  string
		words  []string // in satctl's output and in the alarm
		alerts []string
	}{
		{name: "welded contactor", fault: func(p *plant) {
			failure := everest.Error{Type: "evse_board_support/MREC17EVSEContactorFault", Severity: everest.SeverityHigh, Message: "mirror contact is closed"}
			if err := p.port.Module.Provides("board_support").Raise(p.t.Context(), failure); err != nil {
				p.t.Fatal(err)
			}
		}, level: "down", words: []string{"it may be welded: mirror contact is closed", "Switch the EVSE off"}, alerts: []string{"EVSEFault", "EVSEOutOfService"}},

		{name: "dead board", config: func(t *testing.T) plantConfig {
			board, router, address := network(t, 1)
			return plantConfig{board: board, router: router, address: address}
		}, fault: func(p *plant) {
			p.config.board.run("ip link set plant down")
		}, level: "down", words: []string{"The satellite is lost. Its EVSE is out of service until it is back.", "check the satellite's power, network cable and network switch"},
			alerts: []string{"EVSEOutOfService", "SatelliteDown"}},

		{name: "EVSE out of service", fault: func(p *plant) {
			arguments := map[string]any{"connector_id": 0, "cmd_source": map[string]any{"enable_source": "CSMS", "enable_state": "Disable", "enable_priority": 100}}
			if err := p.backend.Module.Requires("evse")[0].Call(p.t.Context(), "enable_disable", arguments, nil); err != nil {
				p.t.Fatal(err)
			}
		}, level: "down", words: []string{"Out of service for", "the backend (CSMS) has made it inoperative. Make it operative there."}, alerts: []string{"EVSEDisabled"}},

		{name: "MTU hole", config: func(t *testing.T) plantConfig {
			board, router, address := network(t, 2)
			return plantConfig{board: board, router: router, address: address, keys: map[string]any{"link_timeout_ms": 600, "resume_window_s": 60}}
		}, fault: func(p *plant) {
			p.config.digHole()
			// The charge port says something long again and again, as a real one does with its state.
			long := strings.Repeat("DE*TST*E", 500)
			for begin := time.Now(); !strings.Contains(p.alarms(), "swallows"); time.Sleep(100 * time.Millisecond) {
				p.publish("evse_id", long)
				if time.Since(begin) > browserLimit {
					p.t.Fatal("nothing is suspected")
				}
			}
		}, level: "trouble", words: []string{"the network between the boards swallows long packets (MTU)", "Set one MTU on both boards"}, alerts: []string{"LongPacketsSwallowed"}},

		{name: "wrong trust", config: func(t *testing.T) plantConfig {
			satellite, main := swapped(t)
			return plantConfig{satellite: satellite, main: main, unhealthy: true}
		}, level: "down", words: []string{"The satellite does not trust this board's key. Run there: satkeys trust", "--serial MAIN01"}, alerts: []string{"EVSEOutOfService", "SatelliteDown"}},

		{name: "mixed versions", config: func(*testing.T) plantConfig { return plantConfig{agentVersion: "v1.3.0"} },
			level: "trouble", words: []string{"Mixed versions: the other board runs v1.3.0, this board v1.4.0.", "Install one release on both boards."}, alerts: []string{"VersionsMixed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := plantConfig{}
			if test.config != nil {
				config = test.config(t)
			}
			p := startPlant(t, programs, browser, config)
			began := time.Now()
			if test.fault != nil {
				test.fault(p)
			}
			p.find(test.level, test.words)
			t.Logf("found after %v", time.Since(began).Round(100*time.Millisecond))
			for begin := time.Now(); ; time.Sleep(100 * time.Millisecond) {
				firing := firingAlerts(t, p.metrics)
				if !slices.ContainsFunc(test.alerts, func(alert string) bool { return !slices.Contains(firing, alert) }) {
					break
				}
				if time.Since(begin) > browserLimit {
					t.Fatalf("alerts %v, want %v", firing, test.alerts)
				}
			}
			noComplaints(t, p.page)
		})
	}
}

// colours are those of the levels on the page.
var colours = map[string]string{"trouble": "--trouble", "down": "--down"}

// find finds a fault on the page and with satctl.
func (p *plant) find(level string, words []string) {
	p.t.Helper()
	for _, text := range words {
		p.page.await(fmt.Sprintf(`document.querySelector("#alarms li").dataset.level === %q && document.getElementById("alarms").textContent.includes(%q)`, level, text))
	}
	p.page.shoot("fault-" + strings.ReplaceAll(p.t.Name()[strings.IndexByte(p.t.Name(), '/')+1:], " ", "-"))
	// The headline, the alarm and the row of the EVSE have the colour.
	for _, selector := range []string{"#verdict-text", "#alarms li b", ".evse-table tbody .state"} {
		found := p.page.text(fmt.Sprintf(`getComputedStyle(document.querySelector(%q)).color`, selector))
		want := p.page.text(fmt.Sprintf(`(() => { const probe = document.body.appendChild(document.createElement("i")); probe.style.color = "var(%s)"; const colour = getComputedStyle(probe).color; probe.remove(); return colour; })()`, colours[level]))
		if found != want {
			p.t.Errorf("%s has the colour %s, want %s", selector, found, want)
		}
	}
	if text := p.page.text(`document.getElementById("verdict-text").textContent`); !strings.HasPrefix(text, "1 ") {
		p.t.Errorf("the headline is %q", text)
	}
	status, out := p.satctl()
	if status != 1 {
		p.t.Errorf("satctl's exit status is %d", status)
	}
	for _, text := range words {
		if !regexp.MustCompile(`(?m)^` + level + ` .*` + regexp.QuoteMeta(text)).MatchString(out) {
			p.t.Errorf("satctl does not say %q:\n%s", text, out)
		}
	}
}

// alarms returns what the page says above all.
func (p *plant) alarms() string {
	p.t.Helper()
	return p.page.text(`document.getElementById("alarms").textContent`)
}

// digHole lets the router swallow packets above 1300 bytes, without telling anybody.
func (c *plantConfig) digHole() {
	c.board.run("sysctl -qw net.ipv4.tcp_mtu_probing=0")
	c.router.run("nft add table inet hole", "nft add chain inet hole through { type filter hook forward priority 0 ; }",
		"nft add rule inet hole through meta length > 1300 drop")
}

// alertRule is an alert whose expression compares one metric with a number, with or without an exception.
var alertRule = regexp.MustCompile(`^(\w+)(?:\{(\w+)="(\w+)"\})? (==|>) ([\d.]+)(?: unless on\(instance, module_id, evse\) (\w+)\{(\w+)="(\w+)"\})?$`)

// firingAlerts returns the alerts of doc/prometheus/alerts.yaml that the metrics would fire once their time is over.
// Rules about the past, and those that compare metrics, are left out.
func firingAlerts(t *testing.T, address string) []string {
	t.Helper()
	text, err := os.ReadFile(documents + "prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	metrics := get1(t, address)
	series := func(metric, label, value string) (values []float64) {
		for _, found := range regexp.MustCompile(`(?m)^`+metric+`\{(.*)\} (\S+)$`).FindAllStringSubmatch(metrics, -1) {
			if label == "" || strings.Contains(found[1], label+`="`+value+`"`) {
				number, err := strconv.ParseFloat(found[2], 64)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, number)
			}
		}
		return values
	}
	var firing []string
	judged := 0
	for _, rule := range file.Groups[0].Rules {
		parts := alertRule.FindStringSubmatch(strings.TrimSpace(rule.Expr))
		if parts == nil {
			continue
		}
		judged++
		bound, err := strconv.ParseFloat(parts[5], 64)
		if err != nil {
			t.Fatal(err)
		}
		fires := slices.ContainsFunc(series(parts[1], parts[2], parts[3]), func(value float64) bool {
			return parts[4] == "==" && value == bound || parts[4] == ">" && value > bound
		})
		if fires && (parts[6] == "" || len(series(parts[6], parts[7], parts[8])) == 0) {
			firing = append(firing, rule.Alert)
		}
	}
	if judged < 8 {
		t.Fatalf("only %d alerts were judged", judged)
	}
	return firing
}
