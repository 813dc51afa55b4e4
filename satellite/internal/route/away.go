package route

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// Away is what becomes of a command while the link to the satellite is away.
type Away uint8

const (
	// ByResult is the default: Waits for a command with a result, Once for one without.
	ByResult Away = iota
	// Waits lets the caller wait a bounded time for the link. Then the caller gets the negative result.
	Waits
	// Once answers the caller null at once. The command is delivered once when the link is there.
	Once
	// Newest is Once for a command of which only the newest call matters. An older one that was not sent is dropped.
	Newest
	// Never refuses the command at once, because it must not be delivered later.
	Never
)

// Rule returns what becomes of the command while the link is away. It is never ByResult.
func (c Command) Rule() Away {
	switch {
	case c.Away != ByResult:
		return c.Away
	case c.Result == Null:
		return Once
	}
	return Waits
}

// Members of an EnforcedLimits.
const (
	memberUUID     = "uuid"
	memberValidFor = "valid_for"
)

// maxValidity bounds a valid_for, so that its arithmetic cannot overflow.
const maxValidity = 365 * 24 * time.Hour

// Validity returns for how long after its call a command may still be delivered, 0 for ever. subject tells apart the
// calls of a Newest command that do not replace each other: limits for two nodes of a tunnelled EnergyNode.
func (c Command) Validity(arguments everest.Args) (subject string, lifetime time.Duration) {
	if c.Limits == "" {
		return "", c.ValidFor
	}
	lifetime = c.ValidFor
	r := rawjson.NewReader(arguments[c.Limits])
	for r.Object(); ; {
		name, ok := r.Next()
		if !ok {
			break
		}
		switch value := r.Value(); string(name) {
		case memberUUID:
			subject = rawjson.String(value)
		case memberValidFor:
			if seconds, err := strconv.ParseFloat(string(value), 64); err == nil {
				// The receiver counts whole seconds, so at least one must be left.
				lifetime = time.Duration(min(max(seconds-1, 0), maxValidity.Seconds())*float64(time.Second)) + 1
			}
		}
	}
	return subject, lifetime
}

// Aged returns the arguments of a call that was held back for age. The receiver counts valid_for from the arrival:
// without the change limits would hold longer than their sender meant. All other bytes stay.
func (c Command) Aged(arguments everest.Args, age time.Duration) (everest.Args, error) {
	if c.Limits == "" {
		return arguments, nil
	}
	value, err := rawjson.Complete(arguments[c.Limits], nil, func(member rawjson.Member) json.RawMessage {
		if member.Name != memberValidFor {
			return nil
		}
		seconds, err := strconv.ParseFloat(string(member.Value), 64)
		if err != nil {
			return nil
		}
		left := math.Floor(min(seconds, maxValidity.Seconds()) - age.Seconds())
		return strconv.AppendInt(nil, int64(max(left, 0)), 10)
	})
	if err != nil {
		return nil, err
	}
	aged := make(everest.Args, len(arguments))
	for name, argument := range arguments {
		aged[name] = argument
	}
	aged[c.Limits] = value
	return aged, nil
}
