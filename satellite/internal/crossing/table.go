package crossing

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// kind is where a value crosses.
type kind uint8

const (
	variable kind = iota // from the satellite
	result               // of a command, from the satellite
	argument             // of a command, to the satellite
)

// row is one identifier that crosses: where it is, and the rule that translates it.
type row struct {
	kind kind
	// id is the route's, name the variable's or command's. argument is empty except for an argument.
	id, name, argument string
	path               string // see parsePath
	rule               rule
}

// rule returns the identifier of the other board for an identifier, nil where it stays as it is. It is called with the
// Translator locked.
type rule func(t *Translator, identifier json.RawMessage) json.RawMessage

// table lists every identifier that is translated, except for those of errors: these are in errors.go.
var table = []row{
	{variable, "energy", "energy_flow_request", "", "uuid", (*Translator).rootNode},
	{variable, "energy", "energy_flow_request", "", "children[]../uuid", (*Translator).childNode},
	{argument, "energy", "enforce_limits", "value", "uuid", (*Translator).nodeOfSatellite},
	{variable, "evse_manager", "limits", "", "uuid", (*Translator).anyNode},
	{variable, "evse_manager", "enforced_limits", "", "uuid", (*Translator).anyNode},
	{result, "evse_manager", "get_evse", "", "id", (*Translator).ownEVSE},
	{variable, "auth_token_provider", "provided_token", "", "connectors[]", (*Translator).anyEVSE},
	{variable, "rfid_token_provider", "provided_token", "", "connectors[]", (*Translator).anyEVSE},
}

// rootNode translates the uuid of the satellite's energy node, and remembers it.
func (t *Translator) rootNode(uuid json.RawMessage) json.RawMessage {
	root := rawjson.Text(uuid)
	if root == nil {
		return nil
	}
	if string(root) != t.root || !t.rootKnown {
		t.root, t.rootKnown = string(root), true
	}
	return t.quotedModule
}

// childNode translates the uuid of a node below the satellite's energy node.
func (t *Translator) childNode(uuid json.RawMessage) json.RawMessage {
	child := rawjson.Text(uuid)
	if child == nil {
		return nil
	}
	return rawjson.AppendString(nil, t.place.Module+"/"+string(child))
}

// anyNode translates the uuid of the satellite's energy node or of a node below it.
func (t *Translator) anyNode(uuid json.RawMessage) json.RawMessage {
	switch {
	case !t.rootKnown:
		return nil
	case string(rawjson.Text(uuid)) == t.root:
		return t.quotedModule
	}
	return t.childNode(uuid)
}

// nodeOfSatellite translates the uuid of an energy node on the main board back. The command is not for this satellite
// where the uuid is of another node, and where the satellite's own is not known yet.
func (t *Translator) nodeOfSatellite(uuid json.RawMessage) json.RawMessage {
	name := rawjson.String(uuid)
	if t.rootKnown {
		if name == t.place.Module {
			return rawjson.AppendString(nil, t.root)
		}
		if child, below := strings.CutPrefix(name, t.place.Module+"/"); below {
			return rawjson.AppendString(nil, child)
		}
	}
	t.elsewhere = true
	return nil
}

// ownEVSE translates the number of the satellite's EVSE, and remembers it.
func (t *Translator) ownEVSE(number json.RawMessage) json.RawMessage {
	if n, err := strconv.Atoi(string(number)); err == nil {
		t.evse = n
	}
	if t.place.EVSE == 0 {
		return nil
	}
	return strconv.AppendInt(nil, int64(t.place.EVSE), 10)
}

// anyEVSE translates the number of an EVSE in a token. Before the satellite's own number is known, every number counts
// as that: a satellite has one EVSE.
func (t *Translator) anyEVSE(number json.RawMessage) json.RawMessage {
	if t.place.EVSE == 0 {
		return nil
	}
	if n, err := strconv.Atoi(string(number)); t.evse != 0 && (err != nil || n != t.evse) {
		t.report("a token of the satellite names EVSE " + clip(number) + ", but the satellite's EVSE has number " + strconv.Itoa(t.evse) +
			" there: it is left as it is. Name the number of the satellite's EvseManager in the configuration of its token provider")
		return nil
	}
	return strconv.AppendInt(nil, int64(t.place.EVSE), 10)
}

// clip shortens a text from the satellite for a report.
func clip(text []byte) string {
	const longest = 32
	if len(text) > longest {
		return string(text[:longest]) + "..."
	}
	return string(text)
}
