// Package wire has what modules and manager of EVerest write on MQTT: topics and messages as pure values, without I/O.
//
// EVerest's releases fall into families that a module cannot mix on one prefix. Each family is one type whose methods
// make and read its topics and messages. [FamilyC] is the one of 2025.12 to 2026.02.1 and of main until August 2026:
//
//	w := wire.FamilyC{Prefix: wire.DefaultPrefix}
//	topic := w.VariableTopic(w.Implementation("meter_1", "main"), "powermeter")
//	payload := w.Variable(json.RawMessage(`{"energy_Wh_import":{"total":12.50}}`))
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
// A call and its reply belong together by their id:
//
//	call := w.Command(wire.Command{ID: id, Origin: "caller", Arguments: json.RawMessage(`{}`)})
//	result, err := w.ReadResult(payload)
//	if result.ID == id && result.Failure == nil { ... result.Value ... }
//
// [Command] and [Result] are the same values in every family. A further family is a type with the same methods. One
// that differs in a few messages embeds the type that it resembles.
//
// What the package promises:
//   - Payloads stay bytes. Readers return slices of the payload and check it in one scan, so that number forms, the
//     order of keys and unknown keys survive. The caller must not change the payload while it uses a value.
//   - Readers accept unknown keys in any place. They reject a payload that is not JSON, or is a message of another
//     kind.
//   - Writers do not check what they are given: arguments, results and values must be JSON, and names must pass
//     [ValidLevel].
//
// The package knows neither a broker nor the meaning of a value: see packages everest and everest/schema.
package wire
