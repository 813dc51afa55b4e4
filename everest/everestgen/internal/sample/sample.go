// Package sample has bindings that everestgen has written from the YAML files in its testdata. They have every kind of
// type that everestgen knows, and names that are awkward in Go.
package sample

//go:generate go run ../.. -interfaces ../../testdata/interfaces -types ../../testdata/types -errors ../../testdata/errors -out .
