package satellite

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/remotechargeport/remotechargeport/everest"
)

// FunctionTunnel tells each side what the other one tunnels: doc/tunnel.md.
const FunctionTunnel = "tunnel_offer"

// offer is what one side tunnels, by route.
type offer map[string]offered

type offered struct {
	Interface string `json:"interface"`
	// Members are the digests of what the interface defines on this board.
	Members map[string]string `json:"members,omitempty"`
	// Extra says that the configuration key tunnel asks for it.
	Extra bool `json:"extra,omitempty"`
	// Module and Implementation are what the agent's requirement of an extra is
	// connected to: the origin of the errors that belong to the interface.
	Module         string `json:"module,omitempty"`
	Implementation string `json:"implementation,omitempty"`
}

// offerOf describes what a board tunnels.
func offerOf(routes []Route, has map[string]string, definitions *everest.Definitions) offer {
	described := make(offer, len(routes))
	for _, route := range routes {
		if _, here := has[route.ID]; here {
			described[route.ID] = offered{Interface: route.Interface, Members: definitions.Digest(route.Interface), Extra: route.extra}
		}
	}
	return described
}

func readOffer(text string) (offer, error) {
	var described offer
	if err := json.Unmarshal([]byte(text), &described); err != nil {
		return nil, fmt.Errorf("%s of %s is not the expected JSON: %w", clip([]byte(text)), FunctionTunnel, err)
	}
	return described, nil
}

// mostDifferences bounds what one report lists.
const mostDifferences = 40

// differences lists in words where two boards do not tunnel the same. A board whose
// definition of an interface is not known is taken at its word.
func differences(ours, theirs offer, other string) []string {
	var found []string
	more := 0
	say := func(format string, arguments ...any) {
		if len(found) == mostDifferences {
			more++ // a peer may offer anything
			return
		}
		found = append(found, fmt.Sprintf(format, arguments...))
	}
	for _, id := range keysOfBoth(ours, theirs) {
		our, here := ours[id]
		their, there := theirs[id]
		switch {
		case !there:
			say("%s: %s does not have it", id, other)
		case !here:
			say("%s: only %s has it", id, other)
		case our.Interface != their.Interface:
			say("%s: interface %s here, %s on %s", id, our.Interface, their.Interface, other)
		case our.Members != nil && their.Members != nil:
			for _, member := range keysOfBoth(our.Members, their.Members) {
				ourDigest, here := our.Members[member]
				theirDigest, there := their.Members[member]
				switch {
				case !there:
					say("%s: %s is unknown to %s", id, member, other)
				case !here:
					say("%s: %s is only known to %s", id, member, other)
				case ourDigest != theirDigest:
					say("%s: %s is defined differently on %s", id, member, other)
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
	both := maps.Clone(one)
	if both == nil {
		both = make(map[string]V, len(two))
	}
	maps.Copy(both, two)
	return slices.Sorted(maps.Keys(both))
}

// extras lists the ids of an offer's extras.
func (o offer) extras() []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(o)) {
		if o[id].Extra {
			ids = append(ids, id)
		}
	}
	return ids
}
