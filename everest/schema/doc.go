// Package schema reads the interface definitions of EVerest, and checks arguments, results and variables against them.
//
//	definitions, err := schema.BuiltIn()                          // EVerest 2026.02.0, 19 interfaces
//	definitions, err := schema.LoadInterfaces(dir, "auth", "...") // an installation's share/everest
//	definitions, err = definitions.WithInterface("own", yaml)     // and one more
//	definitions, err = definitions.WithErrors("own", yaml)        // and a list of errors
//	err = definitions.CheckArguments("auth", "set_connection_timeout", arguments)
//
// A definition refers to types and errors in other files:
//
//	interfaces/auth.yaml             commands, variables  -->  types/authorization.yaml     "/authorization#/IdToken"
//	                                 errors               -->  errors/generic.yaml          "/errors/generic"
//
//	definition, known := definitions.Interface("auth")
//	definition.Commands["set_connection_timeout"].Arguments   // in declared order, each with its schema
//	definition.HasErrorType("generic/VendorError")
//
// [Merge] joins sets whose definitions must agree. [Definitions.Over] joins sets that may differ: a definition of the
// first set replaces one of the same name in the second.
//
// What is checked:
//
//	CheckArguments          a command that this module sends: exactly the declared arguments
//	CheckReceivedArguments  a command that it receives: further arguments pass, as in EVerest's providers
//	CheckResult             the result of a command, null where there is none
//	CheckVariable           the value of a variable
//	CheckType               a value of a type, by its reference
//
// A [Shape] is the fast check of a relay. It reads a value once and looks only for what a C++ module dies of:
//
//	VariableShape           what C++ needs of a variable
//	ResultShape             what C++ needs of a command's result
//	ErrorShape              what C++ needs of an error object
//
// [Definitions.ReadableArguments] checks the arguments of a command that is forwarded in the same way.
//
// What the package promises:
//   - A set of definitions never changes: each of these functions returns a new set. A set may be used from any
//     goroutine. A nil set is empty: it checks no interface.
//   - A set compiles each schema at its first use and keeps the result. So a program should load a set once and reuse
//     it. [Definitions.Compile] compiles all of them, to find a mistake beforehand.
//   - An interface that a set does not have is not checked. A failed check is an [*Error] that names the value.
//   - The checks follow JSON Schema draft-07 except in three points, in which they follow EVerest's C++ validator. An
//     integer has neither fraction nor exponent. A text with "://" has the format "uri". Keywords beside a $ref are
//     ignored.
//   - In a fourth point they follow EVerest's C++ modules, which write the elements of a list inside an object as
//     indices where these are enumerations. There an index is accepted beside the text.
//   - [Definitions.Digest] returns a digest for each command, variable and error of an interface. Two boards compare
//     these digests to find where their releases of EVerest differ.
//
// The package depends on neither package everest nor MQTT. It reads files only through the fs.FS that it is given.
package schema
