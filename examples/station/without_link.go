package main

import (
	"encoding/json"
	"slices"
	"sync"

	"github.com/remotechargeport/remotechargeport/satellite"
)

// digestNull is that of the answer of a command without a result.
var digestNull = Digest(json.RawMessage("null"))

// repeatedCommands are those that a controller answers at once while its link is
// away, by name: their callers repeat them before long.
var repeatedCommands = sync.OnceValue(func() map[string]bool {
	repeated := map[string]bool{}
	for _, route := range satellite.Routes() {
		for _, command := range route.Commands {
			if command.Repeated {
				repeated[command.Name] = true
			}
		}
	}
	return repeated
})

// repeated reports whether the stream is that of a repeated command, or of its
// answers.
func (k streamKey) repeated() bool {
	return (k.Flow == flowCommands || k.Flow == flowAnswers) && repeatedCommands()[k.Name]
}

// mayBeWithoutLink reports whether some of a stream's calls may never come to the
// satellite although nothing is lost.
func (l *Ledger) mayBeWithoutLink(key streamKey) bool {
	return l.away[key.Satellite] && key.repeated()
}

// answersOf is the stream of the answers to a stream of calls.
func (l *Ledger) answersOf(commands streamKey) *Stream {
	commands.Flow = flowAnswers
	if stream := l.streams[commands]; stream != nil {
		return stream
	}
	return new(Stream)
}

// balancedBy says whether as many calls did not arrive as were answered null by
// somebody else.
func (s *Stream) balancedBy(answers *Stream) bool {
	other := func(item Item) bool { return item.Digest != digestNull }
	return len(s.early) == 0 && len(answers.Missing()) == 0 &&
		len(answers.early) == len(s.Missing()) && !slices.ContainsFunc(answers.early, other)
}

// withoutLink takes out of a settled ledger the calls that were answered while
// their link was away: each is one that is missing on the satellite and has an
// answer null that the satellite did not give.
func (l *Ledger) withoutLink() {
	for key, stream := range l.streams {
		if key.Flow != flowCommands || !l.mayBeWithoutLink(key) {
			continue
		}
		answered := l.answersOf(key).Excuse(digestNull, len(stream.Missing()))
		stream.Forgive(answered)
		l.Totals(key.Satellite).WithoutLink += answered
	}
}
