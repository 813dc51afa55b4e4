package occupancy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// realEvents returns the values that a real EvseManager published, by name.
var realEvents = sync.OnceValue(func() map[string]string {
	content, err := os.ReadFile("testdata/real-events.jsonl")
	if err != nil {
		panic(err)
	}
	events := map[string]string{}
	for line := range bytes.Lines(content) {
		var event struct {
			Name  string
			Value json.RawMessage
		}
		if err := json.Unmarshal(line, &event); err != nil {
			panic(err)
		}
		events[event.Name] = string(event.Value)
	}
	return events
})

var builtIn = sync.OnceValues(schema.BuiltIn)

var (
	uuidValue  = regexp.MustCompile(`"uuid":"[^"]*"`)
	eventType  = regexp.MustCompile(`"event":"[^"]*"`)
	timestamps = regexp.MustCompile(`"timestamp":"[^"]*"`)
	register   = regexp.MustCompile(`("energy_Wh_import":\{.*?"total":)[-0-9.]+`)
	tokenValue = regexp.MustCompile(`"value":"PERSIST1"`)
)

// world is one EVSE of a satellite, the machine, and the modules of the main board. Times are on the main board.
type world struct {
	*station
	definitions *schema.Definitions
	machine     *Machine // nil publishes everything as it is
	config      Config
	kept        Kept
	now         time.Time
	deadline    time.Time
	// clock is how far the satellite's clock is ahead.
	clock time.Duration
	// meter is the satellite's register, running its session, and charging reports whether that has a transaction.
	meter    float64
	running  string
	charging bool
	linked   bool
	calls    []Call
	drops    []Drop
	// estimates counts the estimated ends.
	estimates int
	speaking  string
	// onCall and onFree follow the calls to the satellite and a share that is freed.
	onCall func(Call)
	onFree func()
}

func newWorld(t testing.TB, log func(string, ...any)) *world {
	t.Helper()
	definitions, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		definitions: definitions, now: time.Date(2026, 11, 26, 18, 40, 0, 0, time.UTC),
		config: Config{Deadline: 5 * time.Minute, Delivery: 1500 * time.Millisecond, EVSE: 2},
	}
	w.station = &station{resuming: map[string]bool{}, started: map[string]int{}, ended: map[string]int{}, finished: map[string]bool{}}
	w.log = func(format string, args ...any) {
		log("%s  %s", w.now.Format("15:04:05.000"), fmt.Sprintf(format, args...))
	}
	w.machine = New(w.config)
	return w
}

// step passes an event to the machine and carries out what it asks for.
func (w *world) step(event Event) {
	if w.machine == nil {
		if e, ok := event.(Published); ok {
			w.publish(e.Variable, e.Value, w.speaking)
		}
		return
	}
	for _, action := range w.machine.Step(event) {
		w.carryOut(event, action)
	}
}

func (w *world) carryOut(event Event, action Action) {
	switch action := action.(type) {
	case Publish:
		source, _ := event.(Published)
		meant := w.speaking
		if action.Variable == FlowRequest && source.Variable != FlowRequest && w.onFree != nil {
			w.onFree()
		}
		if !bytes.Equal(action.Value, source.Value) || action.Variable != source.Variable {
			w.log("publishes %s", summary(action))
			w.valid(action)
			if found := uuidValue.Find(action.Value); found != nil {
				meant = strings.Trim(strings.TrimPrefix(string(found), `"uuid":`), `"`)
			}
		}
		w.publish(action.Variable, action.Value, meant)
	case Drop:
		w.drops = append(w.drops, action)
		meter := ""
		if reading, ok := readMeter(action.Meter); ok {
			meter = fmt.Sprintf(", %v Wh", reading.imported)
		}
		w.log("drops %s of %q%s: %v", action.Kind, action.Session, meter, action.Reason)
	case Estimated:
		w.estimates++
		w.log("estimated the end of %s", action.Session)
	case Raise:
		w.faulted = true
		w.log("raises Inoperative: %s", action.Message)
	case Clear:
		w.faulted = false
		w.log("clears Inoperative")
	case Call:
		w.calls = append(w.calls, action)
		w.log("%s", strings.TrimSpace("calls "+action.Command+" "+arguments(action.Arguments)))
		if w.onCall != nil {
			w.onCall(action)
		}
	case SetDeadline:
		w.deadline = action.At
	case Keep:
		w.kept = action.Kept
	}
}

// valid holds a value that the machine made to EVerest's definitions.
func (w *world) valid(made Publish) {
	name := "evse_manager"
	if made.Variable == FlowRequest {
		name = "energy"
	}
	if err := w.definitions.CheckVariable(name, made.Variable, made.Value); err != nil {
		w.fail("%s: %v", made.Value, err)
	}
}

// summary returns a value that the machine made, without what is long.
func summary(p Publish) string {
	if p.Variable != sessionEventVariable {
		if p.Variable == FlowRequest {
			return p.Variable
		}
		return p.Variable + " " + string(p.Value)
	}
	var event eventText
	if err := json.Unmarshal(p.Value, &event); err != nil {
		return err.Error()
	}
	text := event.Event
	if event.UUID != "" {
		text += " " + event.UUID
	}
	return text + " @" + strings.TrimSuffix(event.Timestamp, "Z")
}

func arguments(of map[string]json.RawMessage) string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		texts = append(texts, name+"="+string(of[name]))
	}
	return strings.Join(texts, " ")
}

// wait lets time pass, with the deadlines in it.
func (w *world) wait(d time.Duration) {
	end := w.now.Add(d)
	for !w.deadline.IsZero() && !w.deadline.After(end) {
		if w.deadline.After(w.now) {
			w.now = w.deadline
		}
		w.deadline = time.Time{}
		w.step(Tick{w.now})
	}
	w.now = end
}

// value returns a recorded value for the satellite's session, register and clock.
func (w *world) value(name, session string) json.RawMessage {
	text, known := realEvents()[name]
	if !known {
		text = eventType.ReplaceAllString(realEvents()["AuthRequired"], `"event":"`+name+`"`)
	}
	if name != "energy_flow_request" && name != "enforce_limits" && name != "enforced_limits" {
		text = uuidValue.ReplaceAllString(text, `"uuid":"`+session+`"`)
	}
	text = timestamps.ReplaceAllString(text, `"timestamp":"`+format(w.now.Add(w.clock))+`"`)
	text = register.ReplaceAllString(text, fmt.Sprintf(`${1}%v`, w.meter))
	text = tokenValue.ReplaceAllString(text, `"value":"CARD-`+session+`"`)
	return json.RawMessage(text)
}

// says publishes a session event of the satellite.
func (w *world) says(name, session string) {
	w.speaking = session
	if name == "TransactionFinished at boot" {
		session = ""
	}
	w.step(Published{sessionEventVariable, w.value(name, session), w.now})
	w.speaking = ""
}

func (w *world) variable(name string, value json.RawMessage) { w.step(Published{name, value, w.now}) }

// boot is what EvseManager publishes at its boot, with the session of its store, if any.
func (w *world) boot(stored string) {
	w.running, w.charging = "", false
	if stored != "" {
		w.says("SessionResumed", stored)
		w.says("TransactionFinished at boot", stored)
	}
	w.variable(waitingVariable, json.RawMessage("false"))
	w.says("Enabled", "")
	w.variable(readyVariable, json.RawMessage("true"))
}

// check holds the promises at the end of a story.
func (w *world) check() {
	open := ""
	if w.open != nil {
		open = w.open.id
	}
	switch {
	case open != "" && !(w.linked && w.charging && w.running == open):
		w.fail("the transaction of %s never ends", open)
	case w.occupied && !(w.linked && w.running == w.session):
		w.fail("Auth keeps the EVSE occupied by %s", w.session)
	case !w.linked && w.connected && !w.faulted:
		w.fail("nobody sees that the EVSE is out of service")
	case w.linked && w.charging && w.finished[w.running]:
		w.fail("the transaction of %s runs on after its end", w.running)
	case w.linked && w.faulted && w.machine != nil && w.machine.state == serving:
		w.fail("the EVSE stays out of service")
	case !w.connected:
		w.fail("OCPP does not connect")
	}
}
