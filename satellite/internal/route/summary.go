package route

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// FunctionSummary exchanges the summaries of both boards. Both dialects have it: doc/tunnel.md.
const FunctionSummary = "tunnel_offer"

// Summary is what one board tunnels, by the id of the route.
type Summary map[string]Entry

// Entry summarises one route.
type Entry struct {
	Interface string `json:"interface"`
	// Members are the digests of the interface's members as the board's EVerest defines them.
	Members map[string]string `json:"members,omitempty"`
	Extra   bool              `json:"extra,omitempty"`
	// MaxValue is the longest value in bytes that modules of the board take, 0 where the board does not say.
	MaxValue int `json:"max_value,omitempty"`
	// Module and Implementation are what the agent's requirement of an extra is connected to. Errors of that origin
	// belong to the extra.
	Module         string `json:"module,omitempty"`
	Implementation string `json:"implementation,omitempty"`
}

func summarise(routes []Route, interfaces map[string]string, definitions *schema.Definitions) Summary {
	summary := make(Summary, len(routes))
	for _, route := range routes {
		if _, here := interfaces[route.ID]; here {
			summary[route.ID] = Entry{Interface: route.Interface, Members: definitions.Digest(route.Interface), Extra: route.Extra}
		}
	}
	return summary
}

// maxSummary is how many bytes a peer's summary may have. That of every interface of EVerest has a fraction.
const maxSummary = 1 << 20

// ParseSummary reads the peer's summary.
func ParseSummary(text string) (Summary, error) {
	if len(text) > maxSummary {
		return nil, fmt.Errorf("%s has %d bytes, and %d at most are read", FunctionSummary, len(text), maxSummary)
	}
	var summary Summary
	if err := json.Unmarshal([]byte(text), &summary); err != nil {
		return nil, fmt.Errorf("%s of %s is not the expected JSON: %w", Clip(text), FunctionSummary, err)
	}
	if summary == nil {
		summary = Summary{} // known, and empty
	}
	return summary, nil
}

// maxDifferences is how many differences one report lists. The number of further ones is its last line.
const maxDifferences = 40

// maxDifference is how many bytes one difference has: its names are the peer's.
const maxDifference = 300

// differences lists in words what two boards tunnel differently. Members are compared where both boards know the
// interface's definition. name is the peer's name in the texts.
func differences(own, peer Summary, name string) []string {
	var found []string
	more := 0
	add := func(format string, arguments ...any) {
		if len(found) == maxDifferences {
			more++ // a peer may send any number of them
			return
		}
		if text := fmt.Sprintf(format, arguments...); len(text) > maxDifference {
			found = append(found, strings.ToValidUTF8(text[:maxDifference], "")+"...")
		} else {
			found = append(found, text)
		}
	}
	for _, id := range keysOfBoth(own, peer) {
		here, isHere := own[id]
		there, isThere := peer[id]
		switch {
		case !isThere:
			add("%s: %s does not have it", id, name)
		case !isHere:
			add("%s: only %s has it", id, name)
		case here.Interface != there.Interface:
			add("%s: interface %s here, %s on %s", id, here.Interface, there.Interface, name)
		case here.Members != nil && there.Members != nil:
			for _, member := range keysOfBoth(here.Members, there.Members) {
				ownDigest, isHere := here.Members[member]
				peerDigest, isThere := there.Members[member]
				switch {
				case !isThere:
					add("%s: %s is unknown to %s", id, member, name)
				case !isHere:
					add("%s: %s is only known to %s", id, member, name)
				case ownDigest != peerDigest:
					add("%s: %s is defined differently on %s", id, member, name)
				}
			}
		}
	}
	if more > 0 {
		found = append(found, fmt.Sprintf("and %d more", more))
	}
	return found
}

func keysOfBoth[V any](one, two map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(one)), maps.Keys(two))
	slices.Sort(keys)
	return slices.Compact(keys)
}
