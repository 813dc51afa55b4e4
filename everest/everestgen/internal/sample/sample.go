// Package sample has bindings that are generated from YAML files made for the generator's tests: every kind of type that it
// knows, and names that are awkward in Go.
package sample

//go:generate go run ../.. -interfaces ../../testdata/interfaces -types ../../testdata/types -errors ../../testdata/errors -out .
