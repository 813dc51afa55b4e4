// Package schema reads the interface definitions of EVerest, and checks arguments, results and variables against them.
//
//	definitions, err := schema.BuiltIn()                          // EVerest 2026.02.0, 19 interfaces
//	definitions, err := schema.LoadInterfaces(dir, "auth", "...") // an installation's share/everest
//	definitions, err = definitions.WithInterface("own", yaml)     // and one more
//	err = definitions.CheckArguments("auth", "set_connection_timeout", arguments)
//
// Definitions are a value: each of these functions makes a new set, and a set does not change. A set compiles a schema when
// it is first needed, so a program keeps the set that it has. A nil set is empty, and its checks pass.
//
// The checks follow EVerest's C++ side where that differs from draft-07: an integer has neither fraction nor exponent,
// the format "uri" is a text with "://", and keywords beside a $ref do not count. Digest reduces an interface to what a
// validator looks at, so that two boards can find out where their releases differ.
//
// The package knows nothing of modules and their runtime. It reads files only through the fs.FS that it is given.
package schema
