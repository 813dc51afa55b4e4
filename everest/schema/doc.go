// Package schema reads the interface definitions of EVerest, and checks arguments, results and variables against them.
//
//	definitions, err := schema.BuiltIn()                          // EVerest 2026.02.0, 19 interfaces
//	definitions, err := schema.LoadInterfaces(dir, "auth", "...") // an installation's share/everest
//	definitions, err = definitions.WithInterface("own", yaml)     // and one more
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
// [Merge] joins sets whose definitions must agree. [Definitions.Over] prefers those of one set: an installation's
// before the built-in ones.
//
// What is checked:
//
//	CheckArguments          a command that this module sends: exactly the declared arguments
//	CheckReceivedArguments  a command that it receives: further arguments pass, as in EVerest's providers
//	CheckResult             the result of a command, null where there is none
//	CheckVariable           the value of a variable
//	CheckType               a value of a type, by its reference
//
// What the package promises:
//   - Definitions are a value: each of these functions makes a new set, and a set does not change. It may be used from
//     any goroutine. A nil set is empty, and its checks pass.
//   - A set compiles a schema when it is first needed, so a program keeps the set that it has. [Definitions.Compile]
//     compiles all of them, to find a mistake beforehand.
//   - An interface that a set does not have is not checked. A failed check is an [*Error] that names the value.
//   - The checks follow EVerest's C++ side where that differs from draft-07: an integer has neither fraction nor
//     exponent, the format "uri" is a text with "://", and keywords beside a $ref do not count.
//   - [Definitions.Digest] reduces an interface to what a validator looks at, so that two boards can find out where
//     their releases differ.
//
// The package knows nothing of modules and their runtime. It reads files only through the fs.FS that it is given.
package schema
