package page

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var screenshots = flag.String("page.screenshots", "", "write what Chromium shows into this directory")

// browserLimit ends a test that would hang. It is much longer than anything takes on a busy machine.
const browserLimit = 90 * time.Second

// chromium is a headless browser that is controlled through two pipes by the DevTools protocol: JSON messages, each
// followed by a NUL.
type chromium struct {
	command *exec.Cmd
	log     bytes.Buffer
	orders  *os.File
	ended   chan struct{} // closed when the browser has closed its pipe

	mu      sync.Mutex
	number  int
	waiting map[int]chan devtoolsMessage
	faults  map[string][]string // by session: exceptions and console errors
}

type devtoolsMessage struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// findChromium returns the path of a browser. Without one it skips the test, or fails it in CI.
func findChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("no chromium in PATH: install Debian's package chromium")
	}
	t.Skip("no chromium in PATH: what the page does in a browser is not tested")
	return ""
}

func startChromium(t *testing.T) *chromium {
	t.Helper()
	path := findChromium(t)
	// t.TempDir does not fit: processes of the browser may still write there for a moment after its end.
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeSoon(t, profile) })
	theirInput, orders, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, theirOutput, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b := &chromium{faults: map[string][]string{}, orders: orders, ended: make(chan struct{}), waiting: map[int]chan devtoolsMessage{}}
	b.command = exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
		"--hide-scrollbars", "--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")
	b.command.ExtraFiles = []*os.File{theirInput, theirOutput} // descriptors 3 and 4, which --remote-debugging-pipe uses
	b.command.Stderr = &b.log
	b.command.WaitDelay = 10 * time.Second
	if err := b.command.Start(); err != nil {
		t.Fatal(err)
	}
	theirInput.Close()
	theirOutput.Close()
	go b.receive(answers)
	t.Cleanup(func() {
		_ = b.send(devtoolsMessage{ID: -1, Method: "Browser.close"})
		select {
		case <-b.ended:
		case <-time.After(30 * time.Second):
			_ = b.command.Process.Kill()
			<-b.ended
		}
		orders.Close()
		_ = b.command.Wait()
		if t.Failed() {
			t.Logf("chromium's log:\n%s", b.log.String())
		}
	})
	return b
}

// removeSoon removes a directory as soon as no process writes there any longer.
func removeSoon(t *testing.T, directory string) {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		err := os.RemoveAll(directory)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Logf("chromium's profile is left behind: %v", err)
			return
		}
	}
}

func (b *chromium) receive(answers *os.File) {
	defer close(b.ended)
	defer answers.Close()
	reader := bufio.NewReaderSize(answers, 1<<20)
	for {
		line, err := reader.ReadBytes(0)
		if err != nil {
			return
		}
		var message devtoolsMessage
		if json.Unmarshal(bytes.TrimSuffix(line, []byte{0}), &message) != nil {
			continue
		}
		b.mu.Lock()
		switch message.Method {
		case "Runtime.exceptionThrown", "Log.entryAdded":
			b.faults[message.Session] = append(b.faults[message.Session], string(message.Params))
		case "":
			if answer := b.waiting[message.ID]; answer != nil {
				delete(b.waiting, message.ID)
				answer <- message
			}
		}
		b.mu.Unlock()
	}
}

func (b *chromium) send(message devtoolsMessage) error {
	line, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = b.orders.Write(append(line, 0))
	return err
}

// call sends a command of the protocol and waits for its result.
func (b *chromium) call(t *testing.T, session, method string, params, result any) {
	t.Helper()
	encoded, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan devtoolsMessage, 1)
	b.mu.Lock()
	b.number++
	number := b.number
	b.waiting[number] = answer
	b.mu.Unlock()
	if err := b.send(devtoolsMessage{ID: number, Session: session, Method: method, Params: encoded}); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	select {
	case message := <-answer:
		if message.Error != nil {
			t.Fatalf("%s: %s", method, message.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(message.Result, result); err != nil {
				t.Fatalf("%s: %v", method, err)
			}
		}
	case <-b.ended:
		t.Fatalf("%s: chromium has ended", method)
	case <-time.After(browserLimit):
		t.Fatalf("%s: no answer within %s", method, browserLimit)
	}
}

// tab is a page of the browser in one test.
type tab struct {
	*chromium
	t       *testing.T
	session string
}

type parameters map[string]any

// open loads an address in a new tab with a window of this size.
func (b *chromium) open(t *testing.T, address string, width, height int) *tab {
	t.Helper()
	var target struct {
		TargetID string `json:"targetId"`
	}
	b.call(t, "", "Target.createTarget", parameters{"url": "about:blank"}, &target)
	t.Cleanup(func() { b.call(t, "", "Target.closeTarget", parameters{"targetId": target.TargetID}, nil) })
	var attached struct {
		SessionID string `json:"sessionId"`
	}
	b.call(t, "", "Target.attachToTarget", parameters{"targetId": target.TargetID, "flatten": true}, &attached)
	page := &tab{b, t, attached.SessionID}
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		page.do(domain+".enable", parameters{}, nil)
	}
	page.size(width, height)
	page.do("Emulation.setFocusEmulationEnabled", parameters{"enabled": true}, nil)
	page.navigate(address)
	return page
}

// complaints returns the exceptions and console errors of the tab.
func (p *tab) complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults[p.session]
}

// navigate loads an address. Later evaluations are made in the new page.
func (p *tab) navigate(address string) {
	p.t.Helper()
	p.do("Page.navigate", parameters{"url": address}, nil)
}

func (p *tab) do(method string, params, result any) {
	p.t.Helper()
	p.call(p.t, p.session, method, params, result)
}

func (p *tab) size(width, height int) {
	p.t.Helper()
	p.do("Emulation.setDeviceMetricsOverride", parameters{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
}

// media sets a preference of the user.
func (p *tab) media(feature, value string) {
	p.t.Helper()
	p.do("Emulation.setEmulatedMedia", parameters{"features": []parameters{{"name": feature, "value": value}}}, nil)
}

// hurry makes timers and clock of the pages that the tab loads next run faster.
func (p *tab) hurry(factor int) {
	p.t.Helper()
	script := fmt.Sprintf(`for (const name of ["setTimeout", "setInterval"]) {
		const real = window[name];
		window[name] = (run, wait) => real(run, wait / %[1]d);
	}
	const now = performance.now.bind(performance);
	performance.now = () => %[1]d * now();`, factor)
	p.do("Page.addScriptToEvaluateOnNewDocument", parameters{"source": script}, nil)
}

// evaluate evaluates an expression in the page. It waits for the value of a promise.
func (p *tab) evaluate(expression string, result any) {
	p.t.Helper()
	var answer struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	p.do("Runtime.evaluate", parameters{"expression": expression, "awaitPromise": true, "returnByValue": true}, &answer)
	if answer.Exception != nil {
		p.t.Fatalf("%s: %s %s", expression, answer.Exception.Text, answer.Exception.Exception.Description)
	}
	if result != nil && len(answer.Result.Value) > 0 {
		if err := json.Unmarshal(answer.Result.Value, result); err != nil {
			p.t.Fatalf("%s: %v", expression, err)
		}
	}
}

// text returns the value of an expression as text.
func (p *tab) text(expression string) string {
	p.t.Helper()
	var text string
	p.evaluate("Promise.resolve("+expression+").then(String)", &text)
	return text
}

// await waits until an expression is true.
func (p *tab) await(expression string) {
	p.t.Helper()
	var became bool
	p.evaluate(fmt.Sprintf(`new Promise((done) => {
		const end = Date.now() + %d; // which hurry leaves alone
		const look = () => {
			let is = false;
			try { is = Boolean(%s) } catch {}
			if (is || Date.now() > end) done(is);
			else setTimeout(look, 50);
		};
		look();
	})`, (browserLimit/2).Milliseconds(), expression), &became)
	if !became {
		p.shoot("failed-" + strings.ReplaceAll(p.t.Name(), "/", "-"))
		p.t.Fatalf("not true within %s: %s\nthe page says: %s", browserLimit/2, expression, p.text("document.body.innerText"))
	}
}

// click presses the mouse in the middle of an element.
func (p *tab) click(selector string) {
	p.t.Helper()
	var at struct{ X, Y float64 }
	p.evaluate(fmt.Sprintf(`(() => {
		const found = document.querySelector(%q);
		found.scrollIntoView({block: "center"});
		const box = found.getBoundingClientRect();
		return {x: box.x + box.width / 2, y: box.y + box.height / 2};
	})()`, selector), &at)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		p.do("Input.dispatchMouseEvent", parameters{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
}

// keys are the codes of the keys that tests press.
var keys = map[string]int{"Tab": 9, "Enter": 13, "ArrowRight": 39, "ArrowLeft": 37}

func (p *tab) press(key string) {
	p.t.Helper()
	text := ""
	if key == "Enter" {
		text = "\r"
	}
	for _, kind := range []string{"keyDown", "keyUp"} {
		press := parameters{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": keys[key]}
		if kind == "keyDown" && text != "" {
			press["text"] = text
		}
		p.do("Input.dispatchKeyEvent", press, nil)
	}
}

func (p *tab) typeText(text string) {
	p.t.Helper()
	p.do("Input.insertText", parameters{"text": text}, nil)
}

// shoot writes a screenshot into the directory of -page.screenshots.
func (p *tab) shoot(name string) {
	p.t.Helper()
	if *screenshots == "" {
		return
	}
	var picture struct {
		Data string `json:"data"`
	}
	p.do("Page.captureScreenshot", parameters{"format": "png"}, &picture)
	data, err := base64.StdEncoding.DecodeString(picture.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), data, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
