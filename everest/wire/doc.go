// Package wire has what modules and manager of EVerest write on MQTT: topics and messages as pure values, without I/O.
//
// EVerest's releases fall into families that a module cannot mix on one prefix. Each family is one type whose methods make
// and read its topics and messages. FamilyC is the one of 2025.12 to 2026.02.1 and of main until August 2026:
//
//	topic := w.VariableTopic(w.Implementation("meter_1", "main"), "powermeter")
//	payload := w.Variable(json.RawMessage(`{"energy_Wh_import":{"total":12.50}}`))
//	value, err := w.ReadVariable(payload)
//
// Command and Result are the same values in every family. A further family is a type with the same methods; one that differs
// in a few messages embeds the type that it resembles.
//
// Payloads stay bytes. Readers return slices of the payload and check it in one scan, so that number forms, the order of
// keys and unknown keys survive. They accept unknown keys in any place, and reject a payload that is not JSON.
package wire
