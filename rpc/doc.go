// Package rpc is a MessagePack-RPC client and server in pure Go, byte-compatible with C++ rpclib.
//
//	client                                             server
//	Call("add", 2, 40)  -- [0, 1, "add", [2, 40]] -->  Bind("add", func(a, b int) int { ... })
//	reply 42            <-- [1, 1, nil, 42] ---------
//
// A client is one connection, for any number of goroutines. A server runs the calls of a connection in order, or as
// ServerConfig.Order has it. Package rpctest has a network in memory, with faults, for tests.
//
// # Promises
//
//   - The bytes on the wire, error texts included, are rpclib's: doc/wire-rpc.md describes them, and the tests replay
//     471 recorded exchanges with the real library.
//   - Every call ends: with a result, with the server's error, by its time-out, or at once when the connection is gone.
//     A connection that is gone is net.ErrClosed to errors.Is. The end of an idle connection is noticed, too.
//   - No peer can end the process, overflow a stack, or make the process hold more than Limits permit.
//   - TCP without TLS must be asked for by name. With TLS, which is TLS 1.3, no client reaches a handler before it has
//     proven its identity.
//   - When Client.Close and Server.Serve return, no goroutine of theirs runs any more.
//
// # Limits
//
// A client does not reconnect: when Client.Done is closed, dial again. A server cannot call its clients, because
// rpclib's clients do not survive that.
//
// # Values
//
// Integers, floats, bool, string, []byte, slices, arrays, maps, pointers and any are encoded as themselves. A struct is
// a map of its exported fields under the names of their codec tags, or an array when it has a field
//
//	_struct bool `codec:",toarray"`
//
// A Raw passes through as it is, an Extension is a MessagePack extension. What is received into an any becomes nil,
// bool, int64 (uint64 above its range), float32, float64, string, []byte, []any, map[string]any (map[any]any when a key
// is no text) or Extension.
//
// What is received must fit its variable. Text goes into bytes and binary into a string, and an integer into a float. A
// float does not go into an integer, nothing but a bool into a bool, and nil only into a pointer, an any or a Raw. What
// does not fit is ErrType. Where decoding costs too much, a Reader takes a value apart.
package rpc
