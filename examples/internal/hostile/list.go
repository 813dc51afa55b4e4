package hostile

import (
	"bytes"
	"fmt"
	"strings"
)

// Lies returns every lie.
func Lies() []*Lie {
	answerOrPoll, commands := append(fetch, poll...), append(commandsOfV2, commandsOfLegacy...)
	tinyEvents := func(total int) []byte {
		tiny := []byte{0x95, 0x00, 0x00, 0xa0, 0xa0, 0xa0}
		return array(number(0), binary32(append(arrayHead(total/len(tiny)), bytes.Repeat(tiny, total/len(tiny))...)), number(1))
	}
	return []*Lie{
		// About the agreement.
		{Name: "hello: a long text", V2: true, atAgreement: true, methods: hello, reply: answers(longText)},
		{Name: "hello: a million numbers", V2: true, atAgreement: true, methods: hello, reply: answers(million)},
		{Name: "hello: a million texts as the error", V2: true, Legacy: true, atAgreement: true, methods: hello, reply: failures(millionTexts)},
		{Name: "hello: half a million keys as the error", V2: true, Legacy: true, atAgreement: true, methods: hello, reply: failures(millionKeys)},
		{Name: "hello: nested too deep", V2: true, atAgreement: true, methods: hello, reply: answers(tooDeep)},
		{Name: "hello: anything", V2: true, atAgreement: true, methods: hello, reply: func(_ *Satellite, id uint64) []byte { return response(id, nilValue, garbled()) }},
		{Name: "hello: another satellite each time", V2: true, atAgreement: true, methods: hello, reply: func(s *Satellite, id uint64) []byte {
			return response(id, nilValue, array(number(3), number(s.numbers.Add(1)), boolean(false)))
		}},
		{Name: "i_am_here: a million numbers", V2: true, Legacy: true, atAgreement: true, methods: here, reply: answers(million)},
		{Name: "offer: a long text", V2: true, atAgreement: true, methods: offer, reply: answers(longText)},
		{Name: "offer: a hundred thousand routes", V2: true, atAgreement: true, methods: offer, reply: answers(text(routes()))},
		{Name: "offer: nested too deep", V2: true, atAgreement: true, methods: offer, reply: answers(text(strings.Repeat(`{"a":`, whole/5)))},
		{Name: "every connection ends at once", V2: true, Legacy: true, atAgreement: true, hangsUp: true},
		{Name: "no answer at all", V2: true, Legacy: true, reply: func(*Satellite, uint64) []byte { return nil }},
		{Name: "anything as every answer", V2: true, Legacy: true, reply: func(_ *Satellite, id uint64) []byte { return response(id, nilValue, garbled()) }},
		{Name: "a million values as every error", V2: true, Legacy: true, reply: failures(append(arrayHead(2), append(bytes.Clone(millionTexts[:5+3*400_000]), nilValue...)...))},

		// Frames.
		{Name: "answers to nothing", V2: true, Legacy: true, stream: unasked, methods: answerOrPoll},
		{Name: "long answers to nothing", V2: true, Legacy: true, stream: longUnasked, methods: answerOrPoll},
		{Name: "calls of the controller", V2: true, Legacy: true, stream: calls, methods: answerOrPoll},
		{Name: "a list without end", V2: true, Legacy: true, stream: endlessList, methods: answerOrPoll},
		{Name: "a text without end", V2: true, Legacy: true, stream: endlessText, methods: answerOrPoll},
		{Name: "the same answer again and again", V2: true, stream: repeated, methods: fetch},

		// Events of link v2.
		{Name: "events: the head of a long list", V2: true, methods: fetch, reply: answers(array(number(0), binary32(padded(arrayHead(whole-5), whole)), number(1)))},
		{Name: "events: a million empty ones", V2: true, methods: fetch, reply: answers(tinyEvents(whole))},
		{Name: "events: as many empty ones as fit", V2: true, kept: true, methods: fetch, reply: tells(80_000, func(n uint64) []byte {
			return append(append([]byte{0x95}, number(n)...), 0, 0xa0, 0xa0, 0xa0)
		})},
		{Name: "events: one of 8 MB", V2: true, methods: fetch, reply: variables(1, func(uint64) (string, string) { return "evse_id", quoted(whole - 200) })},
		{Name: "events: one with a long member that nobody knows", V2: true, kept: true, methods: fetch, reply: tells(1, func(n uint64) []byte {
			return append(append([]byte{0x96}, event(n, variable, "evse_manager", "evse_id", `"x"`)[1:]...), longText[:len(longText)-200]...)
		})},
		{Name: "events: nested deep", V2: true, methods: fetch, reply: variables(1, func(uint64) (string, string) { return "session_event", deepJSON })},
		{Name: "events: long names", V2: true, methods: fetch, reply: tells(1, func(n uint64) []byte {
			return event(n, variable, strings.Repeat("i", 100_000), fmt.Sprint(n, strings.Repeat("n", 100_000)), `1`)
		})},
		{Name: "events: names that nobody knows", V2: true, methods: fetch, reply: variables(1000, func(n uint64) (string, string) { return fmt.Sprint("v", n), "1" })},
		{Name: "events: kinds that nobody knows", V2: true, kept: true, methods: fetch, reply: tells(1000, func(n uint64) []byte { return event(n, n, "", "", "") })},
		{Name: "events: numbers that jump", V2: true, methods: fetch, reply: jumping},
		{Name: "events: anything", V2: true, methods: fetch, reply: random},
		{Name: "events without end, short", V2: true, methods: fetch, reply: variables(2000, func(uint64) (string, string) { return "evse_id", `"x"` })},
		{Name: "events without end, long", V2: true, methods: fetch, reply: variables(1, func(uint64) (string, string) { return "evse_id", quoted(packet) })},
		{Name: "sessions without end", V2: true, methods: fetch, reply: variables(60, func(n uint64) (string, string) { return "session_event", session(n) })},
		{Name: "errors without end, short", V2: true, methods: fetch, reply: tells(300, func(n uint64) []byte { return event(n, raised, "", "", errorObject(n, 10)) })},
		{Name: "errors without end, long", V2: true, kept: true, methods: fetch, reply: tells(1, func(n uint64) []byte { return event(n, raised, "", "", errorObject(n, packet)) })},
		{Name: "errors: all active at once", V2: true, methods: fetch, reply: tells(1, func(n uint64) []byte {
			return event(n, active, "", "", objects(packet/400))
		})},
		{Name: "errors: 8 MB active at once", V2: true, methods: fetch, reply: tells(1, func(n uint64) []byte { return event(n, active, "", "", objects(whole/400)) })},

		// Polls of the legacy dialect.
		{Name: "poll: four million zeros", Legacy: true, methods: poll, reply: answers(text(zeros))},
		{Name: "poll: a long text", Legacy: true, methods: poll, reply: answers(longText)},
		{Name: "poll: nested too deep", Legacy: true, methods: poll, reply: answers(text(strings.Repeat("[", whole)))},
		{Name: "poll: as many values as fit", Legacy: true, methods: poll, reply: entries(many(whole/70, func(uint64) string { return entry("evse_id", `"x"`) }), nil)},
		{Name: "poll: one value of 8 MB", Legacy: true, methods: poll, reply: entries(many(1, func(uint64) string { return entry("evse_id", quoted(whole-300)) }), nil)},
		{Name: "poll: names that nobody knows", Legacy: true, methods: poll, reply: entries(many(1000, func(n uint64) string { return entry(fmt.Sprint("v", n), "1") }), nil)},
		{Name: "poll: errors without end", Legacy: true, methods: poll, reply: entries(nil, many(300, func(n uint64) string { return raise(errorObject(n, 10)) }))},
		{Name: "poll: long errors without end", Legacy: true, methods: poll, reply: entries(nil, many(8, func(n uint64) string { return raise(errorObject(n, packet)) }))},
		{Name: "poll: values without end", Legacy: true, kept: true, methods: poll, reply: entries(many(15, func(uint64) string { return entry("evse_id", quoted(packet)) }), nil)},

		// Results of commands.
		{Name: "results: 8 MB", V2: true, Legacy: true, methods: commands, reply: answers(text(quoted(whole - 100)))},
		{Name: "results: a million values", V2: true, Legacy: true, methods: commands, reply: answers(millionTexts)},
		{Name: "results: nested deep", V2: true, Legacy: true, methods: commands, reply: answers(text(deepJSON))},
		{Name: "results: never", V2: true, Legacy: true, methods: commands, reply: func(*Satellite, uint64) []byte { return nil }},
		{Name: "results: a million texts as the error", V2: true, Legacy: true, methods: commands, reply: failures(millionTexts)},
		{Name: "results: a long error", V2: true, Legacy: true, methods: commands, reply: failures(longText)},
	}
}

func raise(object string) string { return `{"action":"raise","error":` + object + `}` }

func objects(count int) string {
	var all []string
	for i := range count {
		all = append(all, errorObject(uint64(i), 10))
	}
	return "[" + strings.Join(all, ",") + "]"
}

// routes is an offer of as many routes as fit.
func routes() string {
	var offered strings.Builder
	offered.WriteString("{")
	for i := 0; offered.Len() < whole-200; i++ {
		fmt.Fprintf(&offered, `"r%06d":{"interface":"i","members":{"m":"d"},"module":"m%d","implementation":"i"},`, i, i)
	}
	return strings.TrimSuffix(offered.String(), ",") + "}"
}
