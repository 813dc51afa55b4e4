// Package wire makes and reads the MQTT topics and messages of EVerest's modules and manager. It does no I/O.
//
// Releases of EVerest with the same messages form a family. All modules on one topic prefix must use the same family.
// The methods of each [Family] make and read its topics and messages. [Families] is the table of all.
// [FamilyC] is the family of the releases 2025.12 to 2026.02.1, and of EVerest's branch main until August 2026:
//
//	w := wire.FamilyC{Prefix: wire.DefaultPrefix}
//	topic := w.VariableTopic(w.Implementation("meter_1", "main"), "powermeter")
//	payload := w.Variable("powermeter", json.RawMessage(`{"energy_Wh_import":{"total":12.50}}`))
//	value, err := w.ReadVariable(payload)
//
// Its topics, below the prefix, and who writes them:
//
//	config/request                                       module   GetConfig, to the manager's config service
//	modules/meter_1/response                             manager  the config service's reply
//	modules/meter_1/metadata                             module   what it provides
//	modules/meter_1/ready                                module   it is ready
//	ready, shutdown                                      manager  all modules are ready, or have to end
//	settings, module_names, manifests/Meter              manager  retained
//	modules/meter_1/impl/main/cmd/reset                  caller   a Command
//	modules/meter_1/impl/main/cmd/reset/response/caller  module   its Result
//	modules/meter_1/impl/main/var/powermeter             module   a value
//	modules/meter_1/impl/main/error/generic/VendorError  module   an error that is raised or cleared
//
// A reply carries the id of the call that it belongs to:
//
//	call := w.Command(wire.Command{ID: id, Origin: "caller", Arguments: json.RawMessage(`{}`)})
//	result, err := w.ReadResult(payload)
//	if result.ID == id && result.Failure == nil { ... result.Value ... }
//
// [Command] and [Result] are the same values in every family. Readers return what all families have in common in the
// form of family C. What a family lacks, its method Has tells. Families without envelopes are one type and a table of
// what differs.
//
// What the package promises:
//   - Readers return JSON values as slices of the payload, so number formats, order of keys and unknown keys are kept.
//     The caller must not change the payload while it uses a value.
//   - Readers accept unknown keys in any place. They reject a payload that is not JSON, or is a message of another
//     kind.
//   - Writers do not check their arguments. The caller must pass valid JSON, and names that [ValidLevel] accepts.
//
// Package everest sends and receives these messages, and package everest/schema checks the values in them.
package wire
