package page

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

var update = flag.Bool("page.update", false, "write the table of metrics into doc/status-page.md")

const documents = "../../../doc/"

var metricName = regexp.MustCompile(`remotechargeport_[a-z_]+`)

// labelsOf has the labels of every metric.
func labelsOf(t *testing.T) map[string][]string {
	t.Helper()
	labels := map[string][]string{}
	measured(t, everything(), func(registry *prometheus.Registry) {
		families, err := registry.Gather()
		if err != nil {
			t.Error(err)
			return
		}
		for _, family := range families {
			for _, pair := range family.GetMetric()[0].GetLabel() {
				labels[family.GetName()] = append(labels[family.GetName()], pair.GetName())
			}
			if labels[family.GetName()] == nil {
				labels[family.GetName()] = []string{}
			}
		}
	})
	return labels
}

// checkExpression checks that the metrics and labels of an expression exist.
func checkExpression(t *testing.T, where, expression string, known map[string][]string) {
	t.Helper()
	names := metricName.FindAllString(expression, -1)
	if len(names) == 0 && !strings.HasPrefix(expression, "up{") {
		t.Errorf("%s asks for none of the metrics: %s", where, expression)
	}
	for _, name := range names {
		if _, ok := known[name]; !ok {
			t.Errorf("%s asks for %s, which /metrics does not have", where, name)
		}
	}
	if open, closed := strings.Count(expression, "("), strings.Count(expression, ")"); open != closed {
		t.Errorf("%s: %d brackets are opened and %d closed: %s", where, open, closed, expression)
	}
}

func TestAlertRules(t *testing.T) {
	text, err := os.ReadFile(documents + "prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert       string
				Expr        string
				For         string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	known := labelsOf(t)
	alerts := map[string]string{}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if alerts[rule.Alert] != "" {
				t.Errorf("two alerts are named %s", rule.Alert)
			}
			alerts[rule.Alert] = rule.Expr
			checkExpression(t, rule.Alert, rule.Expr, known)
			if rule.For != "" {
				if _, err := time.ParseDuration(rule.For); err != nil {
					t.Errorf("%s: for: %v", rule.Alert, err)
				}
			}
			if severity := rule.Labels["severity"]; severity != "critical" && severity != "warning" {
				t.Errorf("%s has the severity %q", rule.Alert, severity)
			}
			if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
				t.Errorf("%s does not say what happened and what to do", rule.Alert)
			}
		}
	}
	// The page and the alerts have equal thresholds.
	for alert, number := range map[string]string{
		"LinkFlapping":            fmt.Sprintf("> %v", float64(flapping)-0.5), // what increase() adds at the edges
		"JournalFilling":          fmt.Sprintf("> %v", journalNotice),
		"LinkSlow":                fmt.Sprintf("> %v", slowLatency),
		"CertificateExpiring":     fmt.Sprintf("< %d * 86400", verdict.CertificateNotice/(24*time.Hour)),
		"CertificateExpiringSoon": fmt.Sprintf("< %d * 86400", verdict.CertificateTrouble/(24*time.Hour)),
		"ModuleNotInService":      fmt.Sprintf("> %d", verdict.StartLimit/time.Second),
		"EventsGivenUp":           fmt.Sprintf("[%dm]", memory/time.Minute),
		"PeersRejected":           fmt.Sprintf("[%dm]", memory/time.Minute),
	} {
		if !strings.Contains(alerts[alert], number) {
			t.Errorf("%s is not judged by %q as the page does: %s", alert, number, alerts[alert])
		}
	}
}

func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(documents + "grafana/station.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		UID    string
		Title  string
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct {
				Expr       string
				RefID      string `json:"refId"`
				Datasource struct{ UID string }
			}
		}
		Templating struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	known := labelsOf(t)
	ids := map[int]bool{}
	asked := map[string]bool{}
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] || panel.Title == "" || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("panel %d, %q: %+v", panel.ID, panel.Title, panel.GridPos)
		}
		ids[panel.ID] = true
		if len(panel.Targets) == 0 && panel.Type != "row" {
			t.Errorf("the panel %q asks for nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			checkExpression(t, panel.Title, target.Expr, known)
			if target.Datasource.UID != "${datasource}" {
				t.Errorf("the panel %q is bound to the data source %q", panel.Title, target.Datasource.UID)
			}
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				asked[name] = true
			}
		}
	}
	for _, variable := range dashboard.Templating.List {
		if variable.Type == "query" {
			checkExpression(t, "the variable "+variable.Name, variable.Definition, known)
		}
	}
	for name := range known {
		if !asked[name] && name != "remotechargeport_page_info" && name != "remotechargeport_module_healthy" {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// TestTableOfMetrics compares the table in doc/status-page.md with the code.
func TestTableOfMetrics(t *testing.T) {
	const begin, end = "<!-- metrics: written by go test ./examples/internal/page -run TestTableOfMetrics -page.update -->\n", "<!-- end of metrics -->"
	name := documents + "status-page.md"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	now, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", name)
	}
	labels := labelsOf(t)
	var table strings.Builder
	table.WriteString("\n| metric | kind | labels | meaning |\n|---|---|---|---|\n")
	row := func(name, help string, counter bool) {
		kind := "gauge"
		if counter {
			kind = "counter"
		}
		sorted := slices.Sorted(slices.Values(labels[name]))
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, kind, strings.Join(sorted, ", "), help)
	}
	for _, metric := range Metrics() {
		row(metric.Name, metric.Help, metric.Counter)
	}
	families := append(evseFamilies(), evseStateFamily, evseErrorsFamily, infoFamily, serverFamily, streamsFamily)
	for _, family := range families {
		found := regexp.MustCompile(`fqName: "([^"]*)", help: "([^"]*)"`).FindStringSubmatch(family.String())
		row(found[1], found[2], false)
	}
	table.WriteString("\n")
	if table.String() == now {
		return
	}
	if !*update {
		t.Fatalf("the table of metrics in %s is not that of the code: run this test with -page.update", name)
	}
	if err := os.WriteFile(name, []byte(before+begin+table.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
