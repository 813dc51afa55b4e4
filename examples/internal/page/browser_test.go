package page

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

//go:embed testdata/accessibility.js
var accessibility string

func refused(context.Context) (*control.Status, error) { return nil, syscall.ECONNREFUSED }

// smallStation returns a station with a module of each kind and each level.
func smallStation(began time.Time) *fakeStation {
	source := newFakeStation()
	for i := range 5 {
		source.set(fmt.Sprintf("/run/connector_%d.sock", i+1), lively(fmt.Sprintf("connector_%d", i+1), i, began))
	}
	source.answer("/run/aggregator.sock", aggregatorStatus("aggregator", began.Add(-30*time.Hour)))
	source.answer("/run/remote_controller.sock", agentStatus("remote_controller", began.Add(-30*time.Hour)))
	source.set("/run/connector_3.sock", func(ctx context.Context) (*control.Status, error) {
		if time.Since(began) > 5*time.Second {
			return nil, syscall.ECONNREFUSED
		}
		return lively("connector_3", 2, began)(ctx)
	})
	source.set("/run/connector_4.sock", func(ctx context.Context) (*control.Status, error) {
		status, err := lively("connector_4", 3, began)(ctx)
		standing := 2
		status.State, status.Health, status.Link.Connected = "Resuming", control.Degraded, false
		status.Problem = "The link to 10.0.0.13:4129 is lost; a new connection is being made. Check the satellite's power and cable."
		status.Link.Latency, status.Link.ActiveErrors = nil, &standing
		return status, err
	})
	source.set("/run/connector_5.sock", func(ctx context.Context) (*control.Status, error) {
		status, err := lively("connector_5", 4, began)(ctx)
		end := began.Add(16*24*time.Hour + time.Hour)
		status.Link.CertificateExpires = &end
		return status, err
	})
	return source
}

// noComplaints checks that the page has caused neither errors nor violations of its security policy.
func noComplaints(t *testing.T, page *tab) {
	t.Helper()
	for _, complaint := range page.complaints() {
		t.Errorf("error in the browser: %s", complaint)
	}
}

// TestPage tests the page in a browser, each test in a tab of its own.
func TestPage(t *testing.T) {
	t.Parallel()
	browser := startChromium(t)
	var running sync.WaitGroup
	for _, test := range []struct {
		name string
		run  func(t *testing.T, browser *chromium)
	}{
		{"ShowsChangesLive", pageShowsChangesLive},
		{"OverStatusSockets", pageOverStatusSockets},
		{"IsChosenFrom", pageIsChosenFrom},
		{"ByKeyboard", pageByKeyboard},
		{"KeepsTheFocusWhenCardsMove", pageKeepsTheFocusWhenCardsMove},
		{"IsAccessible", pageIsAccessible},
		{"WithoutMotion", pageWithoutMotion},
		{"ShowsTextAsText", pageShowsTextAsText},
		{"ThatLosesItsServer", pageThatLosesItsServer},
		{"OfManyModules", pageOfManyModules},
		{"ShowsOneEVSE", pageShowsOneEVSE},
		{"ShowsFourEVSEs", pageShowsFourEVSEs},
		{"Shows64EVSEs", pageShows64EVSEs},
		{"ThatTheServerHasNoRoomFor", pageThatTheServerHasNoRoomFor},
	} {
		// They wait more than they work, so they run at once, whatever -parallel says.
		running.Go(func() {
			t.Run(test.name, func(t *testing.T) { test.run(t, browser) })
		})
	}
	running.Wait()
}

func pageShowsChangesLive(t *testing.T, browser *chromium) {
	source := newFakeStation()
	for i := range 3 {
		id := fmt.Sprintf("connector_%d", i+1)
		source.set("/run/"+id+".sock", lively(id, i, time.Now()))
	}
	station, address := serve(t, source, ServerConfig{})
	awaitBoards(t, station, 3)
	page := browser.open(t, "http://"+address+"/", 1280, 900)
	page.await(`document.getElementById("verdict-text").textContent === "All 3 modules work"`)
	page.await(`document.title === "All 3 modules work · CS-041"`)

	// Changing numbers are not announced to a screen reader.
	page.evaluate(`window.told = [];
		new MutationObserver(() => told.push(document.getElementById("announcer").textContent)).observe(document.getElementById("announcer"), {childList: true, characterData: true, subtree: true});
		window.line = document.querySelector(".chart[data-series=variables_per_s] .line").getAttribute("d")`, nil)
	page.await(`document.querySelector(".chart[data-series=variables_per_s] .line").getAttribute("d") !== line`)
	if told := page.text(`told.join("|")`); told != "" {
		t.Errorf("told while only numbers changed: %s", told)
	}

	source.set("/run/connector_2.sock", refused)
	page.await(`document.getElementById("verdict-text").textContent === "1 down"`)
	page.await(`document.querySelector("#cards > li:first-child h3").textContent === "connector_2"`)
	page.await(`document.querySelector("#cards > li:first-child article").dataset.level === "down"`)
	page.await(`told.some((text) => text.startsWith("connector_2: Down. No process serves"))`)
	page.await(`document.querySelector("#log > li:first-child").textContent.includes("connector_2Down: No process serves its status socket")`)
	page.await(`document.getElementById("icon").getAttribute("href") === "icon-trouble.svg"`)

	source.set("/run/connector_4.sock", lively("connector_4", 3, time.Now()))
	page.await(`[...document.querySelectorAll("h3")].some((name) => name.textContent === "connector_4")`)
	source.set("/run/connector_2.sock", lively("connector_2", 1, time.Now()))
	page.await(`document.getElementById("verdict-text").textContent === "All 4 modules work"`)
	noComplaints(t, page)
}

// pageOverStatusSockets uses real status sockets.
func pageOverStatusSockets(t *testing.T, browser *chromium) {
	directory := t.TempDir()
	start := func(status control.Status) (stop func()) {
		server, err := control.Listen(control.Config{
			Path:   filepath.Join(directory, status.ModuleID+".sock"),
			Status: func(context.Context) (*control.Status, error) { return &status, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(ctx) }()
		return func() {
			cancel()
			<-ended
		}
	}
	stopController := start(controllerStatus("connector_2", time.Now()))
	stopAgent := start(agentStatus("remote_controller", time.Now()))
	defer stopAgent()
	_, address := serve(t, Sockets{Directories: []string{directory}}, ServerConfig{})
	page := browser.open(t, "http://"+address+"/", 1280, 900)
	page.await(`document.getElementById("verdict-text").textContent === "All 2 modules work"`)
	page.await(`document.querySelector("article .chart[data-series=latency_s] .figure").textContent === "2.1"`)
	stopController()
	page.await(`document.querySelector("article[data-level=down] .reasons").textContent.startsWith("Its status socket is gone")`)
	stopController = start(controllerStatus("connector_2", time.Now()))
	defer stopController()
	page.await(`document.getElementById("verdict-text").textContent === "All 2 modules work"`)
	noComplaints(t, page)
}

func pageIsChosenFrom(t *testing.T, browser *chromium) {
	station, address := serve(t, smallStation(time.Now().Add(-10*time.Second)), ServerConfig{})
	awaitBoards(t, station, 7)
	page := browser.open(t, "http://"+address+"/", 1440, 1000)
	names := `[...document.querySelectorAll("#cards h3")].map((name) => name.textContent).join()`
	page.await(names + ` === "connector_3,connector_4,connector_5,aggregator,connector_1,connector_2,remote_controller"`)
	page.click(`input[name=show][value=attention]`)
	page.await(names + ` === "connector_3,connector_4,connector_5"`)
	page.click(`input[name=find]`)
	page.typeText("CERTIFICATE")
	page.await(names + ` === "connector_5"`)
	page.typeText("x")
	page.await(names + ` === "" && document.getElementById("empty").textContent.startsWith("No module is like this")`)
	if search := page.text("location.search"); search != "?show=attention&find=CERTIFICATEx" {
		t.Errorf("the choice is not in the address: %s", search)
	}
	page.navigate("http://" + address + "/?sort=name&view=table")
	page.await(`document.querySelector("#rows > tr:first-child .id").textContent === "aggregator" && document.querySelectorAll("#rows > tr").length === 7`)
	page.shoot("table-light")

	background := `getComputedStyle(document.documentElement).backgroundColor`
	page.media("prefers-color-scheme", "dark")
	dark := page.text(background)
	page.media("prefers-color-scheme", "light")
	light := page.text(background)
	if dark == light {
		t.Errorf("the ground is %s in both of the system's colours", dark)
	}
	page.click(`input[name=theme][value=dark]`)
	page.await(background + ` === "` + dark + `"`)
	page.shoot("table-dark")
	page.navigate("http://" + address + "/")
	page.await(background + ` === "` + dark + `" && document.querySelector("input[name=theme][value=dark]").checked`)
	noComplaints(t, page)
}

func pageByKeyboard(t *testing.T, browser *chromium) {
	station, address := serve(t, smallStation(time.Now().Add(-10*time.Second)), ServerConfig{})
	awaitBoards(t, station, 7)
	page := browser.open(t, "http://"+address+"/", 1280, 900)
	page.await(`document.querySelectorAll("#cards h3").length === 7`)
	focus := `(() => { const at = document.activeElement; return at.name ? at.name + "=" + at.value : at.tagName + " " + at.textContent.trim(); })()`
	var order []string
	for range 10 {
		page.press("Tab")
		order = append(order, page.text(focus))
		if style := page.text(`(() => {
			const at = document.activeElement;
			const shown = at.type === "radio" ? at.nextElementSibling : at;
			return at.matches(":focus-visible") + " " + getComputedStyle(shown).outlineStyle;
		})()`); style != "true solid" {
			t.Errorf("the focus on %s cannot be seen: %s", order[len(order)-1], style)
		}
	}
	want := "A Skip to the modules, theme=system, SUMMARY Cause, for experts of connector_3, find=, show=all, sort=trouble, view=cards, SUMMARY Details and numbers of connector_3, SUMMARY Details and numbers of connector_4, SUMMARY Details and numbers of connector_5"
	if got := strings.Join(order, ", "); got != want {
		t.Errorf("Tab goes to\n%s, want\n%s", got, want)
	}
	page.press("Enter")
	page.await(`document.querySelectorAll("details[open]").length === 1`)
	page.press("Tab")
	if got := page.text(focus); !strings.Contains(got, "Highest value in each 30 seconds") {
		t.Errorf("after opening the details Tab goes to %s", got)
	}
	page.await(`document.querySelector("details[open] tbody").rows.length >= 1`)

	page.evaluate(`document.querySelector(".skip").focus()`, nil)
	page.press("Enter")
	page.await(`document.activeElement.id === "modules"`)
	page.evaluate(`document.querySelector("input[name=view]:checked").focus()`, nil)
	page.press("ArrowRight")
	page.await(`!document.getElementById("table-region").hidden && document.getElementById("cards").hidden`)
	noComplaints(t, page)
}

func pageKeepsTheFocusWhenCardsMove(t *testing.T, browser *chromium) {
	source := newFakeStation()
	for i := range 3 {
		id := fmt.Sprintf("connector_%d", i+1)
		source.set("/run/"+id+".sock", lively(id, i, time.Now()))
	}
	station, address := serve(t, source, ServerConfig{})
	awaitBoards(t, station, 3)
	page := browser.open(t, "http://"+address+"/", 1280, 900)
	page.await(`document.querySelectorAll("#cards h3").length === 3`)
	page.evaluate(`window.chosen = document.querySelector("#cards > li:last-child summary"); chosen.focus()`, nil)
	source.set("/run/connector_3.sock", refused)
	page.await(`document.querySelector("#cards > li:first-child h3").textContent === "connector_3"`)
	page.await(`document.activeElement === chosen`)
}

func pageIsAccessible(t *testing.T, browser *chromium) {
	station, address := serve(t, smallStation(time.Now().Add(-3*time.Second)), ServerConfig{})
	awaitBoards(t, station, 7)
	for _, look := range []struct {
		name          string
		scheme        string
		width, height int
		view          string
	}{
		{"wide-light", "light", 1440, 1000, "cards"},
		{"wide-dark", "dark", 1440, 1000, "cards"},
		{"phone-light", "light", 390, 844, "cards"},
		{"phone-dark", "dark", 320, 640, "cards"},
		{"phone-table", "light", 360, 740, "table"},
		{"tablet-table", "dark", 800, 1000, "table"},
	} {
		t.Run(look.name, func(t *testing.T) {
			page := browser.open(t, "about:blank", look.width, look.height)
			page.media("prefers-color-scheme", look.scheme)
			page.navigate("http://" + address + "/?view=" + look.view)
			page.await(`document.getElementById("verdict-text").textContent === "1 down, 1 in trouble, 1 to look at"`)
			page.shoot(look.name)
			page.evaluate(`document.querySelectorAll("details").forEach((details) => { details.open = true })`, nil)
			page.await(`document.querySelectorAll(".numbers tbody tr").length > 0 || "` + look.view + `" === "table"`)
			var faults []string
			page.evaluate(accessibility, &faults)
			for _, fault := range faults {
				t.Error(fault)
			}
			page.shoot(look.name + "-details")
			noComplaints(t, page)
		})
	}
}

func pageWithoutMotion(t *testing.T, browser *chromium) {
	station, address := serve(t, smallStation(time.Now()), ServerConfig{})
	awaitBoards(t, station, 7)
	page := browser.open(t, "http://"+address+"/", 1280, 900)
	page.await(`document.getAnimations().length > 0`)
	page.media("prefers-reduced-motion", "reduce")
	page.await(`document.getAnimations().length === 0`)
}

func pageShowsTextAsText(t *testing.T, browser *chromium) {
	const attack = `<img src=x onerror="window.attacked=1"><script>window.attacked=1</script>`
	source := newFakeStation()
	status := controllerStatus(attack, time.Now())
	status.Module, status.Version, status.State, status.Problem, status.Health = attack, attack, attack, attack, control.Degraded
	status.Link.PeerAddress, status.Link.Dialect, status.Link.PeerSerial = attack, attack, attack
	source.answer("/run/"+"a.sock", status)
	station := NewStation(Config{Source: source, Name: attack})
	server, err := NewServer(station, ServerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	address := serveOn(t, station, server, "127.0.0.1:0")
	awaitBoards(t, station, 1)
	for _, view := range []string{"cards", "table"} {
		page := browser.open(t, "http://"+address+"/?view="+view, 1280, 900)
		page.await(`document.getElementById("name").textContent.startsWith("<img")`)
		page.await(`[...document.querySelectorAll("h3, .id")].some((name) => name.textContent.startsWith("<img"))`)
		page.evaluate(`document.querySelectorAll("details").forEach((details) => { details.open = true })`, nil)
		if found := page.text(`document.querySelectorAll("img, body script").length + " " + window.attacked`); found != "0 undefined" {
			t.Errorf("%s: elements from a module's text, and whether they ran: %s", view, found)
		}
		noComplaints(t, page)
	}
}

func pageThatLosesItsServer(t *testing.T, browser *chromium) {
	source := smallStation(time.Now())
	start := func(listen string) (address string, stop func()) {
		station := NewStation(Config{Source: source, Name: "CS-041"})
		server, err := NewServer(station, ServerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 2)
		go func() { ended <- station.Run(ctx) }()
		go func() { ended <- server.Serve(ctx, listener) }()
		stop = func() {
			cancel()
			<-ended
			<-ended
		}
		awaitBoards(t, station, 7)
		return listener.Addr().String(), stop
	}
	address, stop := start("127.0.0.1:0")
	page := browser.open(t, "http://"+address+"/", 1280, 900)
	page.await(`document.getElementById("live").dataset.live === "live" && document.querySelectorAll("#cards h3").length === 7`)
	stop()
	page.await(`/lost its server\. What you see is from .*\d\d:\d\d:\d\d/.test(document.getElementById("lost").textContent)`)
	page.await(`document.title === "Not live · CS-041" && document.getElementById("live-text").textContent === "Not live"`)
	page.shoot("lost")
	var faults []string
	page.evaluate(accessibility, &faults)
	for _, fault := range faults {
		t.Error(fault)
	}
	_, stop = start(address)
	defer stop()
	page.await(`document.getElementById("live").dataset.live === "live" && document.getElementById("lost").textContent === ""`)
	page.await(`document.querySelectorAll("#cards h3").length === 7 && !document.title.startsWith("Not live")`)
}

func pageOfManyModules(t *testing.T, browser *chromium) {
	began := time.Now()
	source := newFakeStation()
	for i := range 64 {
		id := fmt.Sprintf("connector_%d", i+1)
		source.set("/run/"+id+".sock", lively(id, i, began))
	}
	source.set("/run/connector_37.sock", refused)
	station, address := serve(t, source, ServerConfig{})
	awaitBoards(t, station, 64)
	page := browser.open(t, "http://"+address+"/", 1440, 1000)
	page.await(`document.querySelectorAll("#rows > tr").length === 64 && document.querySelector("#rows .id").textContent === "connector_37"`)
	page.shoot("many-table")
	page.click(`input[name=view][value=cards]`)
	page.await(`document.querySelectorAll("#cards > li").length === 64`)
	page.shoot("many-cards")
	page.click(`input[name=find]`)
	page.typeText("connector_6")
	page.await(`[...document.querySelectorAll("#cards h3")].map((name) => name.textContent).join() === "connector_6,connector_60,connector_61,connector_62,connector_63,connector_64"`)
	noComplaints(t, page)
}

func pageThatTheServerHasNoRoomFor(t *testing.T, browser *chromium) {
	station, address := serve(t, newFakeStation(), ServerConfig{})
	awaitBoards(t, station, 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range maxStreams {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
	}
	page := browser.open(t, "about:blank", 1280, 900)
	page.hurry(4)
	page.navigate("http://" + address + "/")
	page.await(`document.getElementById("lost").textContent.includes("no room for another page")`)
	cancel()
	page.await(`document.getElementById("live").dataset.live === "live" && document.getElementById("lost").textContent === ""`)
}
