// Package rpc is MessagePack-RPC between boards: a client and a server that speak to C++ rpclib byte for byte, in pure Go.
//
// What it promises:
//
//   - The bytes on the wire, the error texts included, are rpclib's. doc/wire-rpc.md describes them; the package's tests
//     replay 471 recorded exchanges of the real library.
//   - A client is one connection that any number of goroutines call through; replies may come in any order. A server
//     handles the calls of a connection in order, or as ServerConfig.Order says.
//   - Every call ends: with a result, with the server's error, in time, or at once when the connection is gone. A dead link
//     is net.ErrClosed to errors.Is, and it is noticed while nothing is called.
//   - Nothing that a peer sends can end the process, overflow a stack, or make it hold more than the Limits.
//   - TCP without TLS is asked for by name. With TLS, which is TLS 1.3, nobody reaches a handler who has not proven who he
//     is, to an authority or by a key that was pinned.
//   - Whoever starts waits: Close and Serve return when nothing of theirs runs any more.
//
// # Values
//
// Integers, floats, bool, string, []byte, slices, arrays, maps, pointers, structs and any travel as what they are. A struct
// is a map of its exported fields under the names of their codec tags, or an array when it has a field
//
//	_struct bool `codec:",toarray"`
//
// A Raw passes through as it is, an Extension is a MessagePack extension, and what is received into an any becomes nil, bool,
// int64 (uint64 above its range), float32, float64, string, []byte, []any, map[string]any (map[any]any when a key is no
// text) or Extension.
//
// What is received must fit: text and bytes stand for each other and an integer goes into a float, but a float does not go
// into an integer, nothing but a bool into a bool, and nil only into a pointer, an any or a Raw. What does not fit is
// ErrType; a server answers it as rpclib answers std::bad_cast.
package rpc
