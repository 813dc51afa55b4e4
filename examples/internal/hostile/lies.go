package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Lie is one thing that a satellite does instead of its work.
type Lie struct {
	Name string
	// Legacy and V2 are the dialects in which it can be told.
	Legacy, V2 bool
	// atAgreement lies are about the agreement: the connection is made anew for them.
	atAgreement bool
	// methods are the functions that are answered so; a name that ends in a colon or underscore is the beginning of names.
	// All functions where empty.
	methods []string
	// reply returns the bytes of an answer, nil for none.
	reply func(s *Satellite, id uint64) []byte
	// stream writes on its own, instead of an answer, until the connection ends.
	stream func(c *connection, id uint64)
	// kept lies are kept by a controller whose main board has not started.
	kept bool
	// hangsUp closes each connection at once.
	hangsUp bool
}

func (l *Lie) takes(method string) bool {
	if len(l.methods) == 0 {
		return true
	}
	for _, own := range l.methods {
		if method == own || (strings.HasSuffix(own, ":") || strings.HasSuffix(own, "_")) && strings.HasPrefix(method, own) {
			return true
		}
	}
	return false
}

const (
	// whole is about what one message may have.
	whole = 8_300_000
	// packet is about what one value may have.
	packet = 480_000
)

var (
	commandsOfV2     = []string{"link_command:"}
	commandsOfLegacy = []string{"evse_manager_", "energy_"}
	hello            = []string{"link_hello"}
	here             = []string{"i_am_here"}
	offer            = []string{"tunnel_offer"}
	fetch            = []string{"link_events"}
	poll             = []string{"retrieve_vars_and_errors"}
)

// Kinds of events.
const (
	variable = iota
	raised
	cleared
	active
)

func event(number64, kind uint64, implementation, name, value string) []byte {
	return append([]byte{0x95}, bytes.Join([][]byte{number(number64), number(kind), text(implementation), text(name), text(value)}, nil)...)
}

// events is an answer of link_events.
func events(list ...[]byte) []byte { return array(number(0), binary32(array(list...)), number(1)) }

// results of a function, each of which is bad for whoever decodes it without a bound.
var (
	longText = text(strings.Repeat("x", whole))
	// million is a list of so many small numbers, millionTexts one of texts, and deep a list in a list, and so on.
	million      = append(arrayHead(999_000), bytes.Repeat([]byte{0x01}, 999_000)...)
	millionTexts = append(arrayHead(999_000), bytes.Repeat([]byte{0xa2, 'x', 'y'}, 999_000)...)
	millionKeys  = keys(490_000)
	deep         = append(bytes.Repeat([]byte{0x91}, 30), 0xc0)
	tooDeep      = append(bytes.Repeat([]byte{0x91}, 1_000_000), 0xc0)
	deepJSON     = strings.Repeat("[", packet/2) + strings.Repeat("]", packet/2)
	zeros        = `{"errors":[],"vars":[` + strings.Repeat("0,", whole/2-20) + `0]}`
)

func keys(count int) []byte {
	encoded := mapHead(count)
	for i := range count {
		encoded = append(encoded, 0xa5)
		encoded = append(encoded, fmt.Sprintf("%05x", i)...)
		encoded = append(encoded, 0x01)
	}
	return encoded
}

func answers(result []byte) func(*Satellite, uint64) []byte {
	return func(_ *Satellite, id uint64) []byte { return response(id, nilValue, result) }
}

func failures(failure []byte) func(*Satellite, uint64) []byte {
	return func(_ *Satellite, id uint64) []byte { return response(id, failure, nilValue) }
}

// tells answers with count events that make returns, each for a number that no event had.
func tells(count int, tell func(n uint64) []byte) func(*Satellite, uint64) []byte {
	return func(s *Satellite, id uint64) []byte {
		var list [][]byte
		for range count {
			list = append(list, tell(s.numbers.Add(1)))
		}
		return response(id, nilValue, events(list...))
	}
}

// variables tells events that are variables.
func variables(count int, tell func(n uint64) (name, value string)) func(*Satellite, uint64) []byte {
	return tells(count, func(n uint64) []byte {
		name, value := tell(n)
		return event(n, variable, "evse_manager", name, value)
	})
}

// entries answers a poll.
func entries(vars, errors func(s *Satellite) []string) func(*Satellite, uint64) []byte {
	return func(s *Satellite, id uint64) []byte {
		list := func(of func(*Satellite) []string) string {
			if of == nil {
				return "[]"
			}
			return "[" + strings.Join(of(s), ",") + "]"
		}
		return response(id, nilValue, text(`{"errors":`+list(errors)+`,"vars":`+list(vars)+`}`))
	}
}

func many(count int, of func(n uint64) string) func(*Satellite) []string {
	return func(s *Satellite) (all []string) {
		for range count {
			all = append(all, of(s.numbers.Add(1)))
		}
		return all
	}
}

func entry(name, value string) string {
	return `{"interface":"evse_manager","value":` + value + `,"var":"` + name + `"}`
}

func quoted(length int) string { return `"` + strings.Repeat("x", length) + `"` }

func errorObject(n uint64, length int) string {
	return fmt.Sprintf(`{"description":"d","message":%s,"origin":{"implementation_id":"evse_manager","module_id":"station"},"severity":"High","state":"Active",`+
		`"sub_type":"s%d","timestamp":"2026-11-22T10:32:38.363Z","type":"evse_manager/Inoperative","uuid":"u%d","vendor_id":"v"}`, quoted(length), n, n)
}

// session returns a session event of a session that was never heard of.
func session(n uint64) string {
	return fmt.Sprintf(`{"event":"SessionStarted","session_started":{"reason":"EVConnected","id_tag":{"id_token":{"value":"%d","type":"ISO14443"},`+
		`"authorization_type":"RFID"}},"timestamp":"2026-11-22T10:32:38.363Z","uuid":"%d-%s","connector_id":1}`, n, n, strings.Repeat("u", 2000))
}

// garbled returns one of values that are not what was asked for.
func garbled() []byte {
	return [][]byte{
		nilValue, boolean(true), number(math.MaxUint64), {0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0}, {0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1}, text("\xff\xfe\x00"), text(""),
		array(), array(number(1)), append(mapHead(1), append(array(), nilValue...)...), deep, {0xc7, 3, 5, 1, 2, 3}, array(number(0), binary32(nil), text("x")),
	}[rand.IntN(13)]
}

// jumping returns events whose numbers, kinds and counters go anywhere.
func jumping(_ *Satellite, id uint64) []byte {
	any64 := func() uint64 { return rand.Uint64() >> rand.IntN(64) }
	var list [][]byte
	for range 20 {
		list = append(list, event(any64(), variable, "evse_manager", "evse_id", `"x"`))
	}
	return response(id, nilValue, array(number(any64()), binary32(array(list...)), number(any64())))
}

func random(_ *Satellite, id uint64) []byte {
	noise := make([]byte, rand.IntN(1000))
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	return response(id, nilValue, array(number(0), binary32(noise), number(1)))
}

// unasked writes answers to calls that nobody made, notifications and calls.
func unasked(c *connection, _ uint64) {
	var burst []byte
	for i := range 2000 {
		switch i % 3 {
		case 0:
			burst = append(burst, response(1<<40+uint64(i), nilValue, text(strings.Repeat("y", 100)))...)
		case 1:
			burst = append(burst, response(math.MaxUint64-uint64(i), text("no"), nilValue)...)
		default:
			burst = append(burst, response(uint64(i%5), nilValue, nilValue)...)
		}
	}
	for c.send(burst) {
	}
}

// longUnasked writes answers to calls that nobody made, each as long as a message may be.
func longUnasked(c *connection, _ uint64) {
	for i := uint64(1 << 40); c.send(response(i, nilValue, longText)); i++ {
	}
}

// calls writes what only a controller may.
func calls(c *connection, _ uint64) {
	call := append([]byte{0x94, 0, 1}, append(text("exit"), array()...)...)
	for c.send(call) {
		c.pause(time.Millisecond)
	}
}

// endlessList begins a list of four billion, and never ends it.
func endlessList(c *connection, id uint64) {
	if !c.send(append(response(id, nilValue, nil), arrayHead(int64(math.MaxUint32))...)) {
		return
	}
	for zero := make([]byte, 64<<10); c.send(zero); {
	}
}

// endlessText announces a text as long as may be, sends most of it at once, and the rest a byte at a time.
func endlessText(c *connection, id uint64) {
	announced := binary.BigEndian.AppendUint32([]byte{0xdb}, whole)
	if !c.send(append(response(id, nilValue, announced), make([]byte, whole-100_000)...)) {
		return
	}
	for c.send([]byte{'x'}) {
		c.pause(time.Millisecond)
	}
}

// repeated sends each answer again and again.
func repeated(c *connection, id uint64) {
	again := response(id, nilValue, events(event(c.satellite.numbers.Add(1), variable, "evse_manager", "evse_id", `"x"`)))
	for c.send(again) {
	}
}

func padded(value []byte, length int) []byte {
	return append(value, bytes.Repeat([]byte{0}, max(0, length-len(value)))...)
}
