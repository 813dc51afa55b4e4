// Package rpc is a MessagePack-RPC client and server in pure Go, byte-compatible with C++ rpclib.
//
//	client                                             server
//	Call("add", 2, 40)  -- [0, 1, "add", [2, 40]] -->  Bind("add", func(a, b int) int { ... })
//	reply 42            <-- [1, 1, nil, 42] ---------
//
// A client uses one connection, and any number of goroutines may use the client. A server runs the calls of a
// connection in order, unless ServerConfig.Order has another value. Package rpctest has a network in memory, with
// faults, for tests.
//
// # Promises
//
//   - The bytes on the wire, error texts included, are the same as rpclib's. doc/wire-rpc.md describes them, and the
//     tests replay 471 recorded exchanges with the real library.
//   - Every call ends: with a result, with the server's error, at its timeout, or at once when the connection is gone.
//     The error of a lost connection wraps net.ErrClosed. A client also notices the end of an idle connection.
//   - No peer can end the process, overflow a stack, or make the process hold more than Limits permit.
//   - TCP without TLS works only with InsecurePlaintext. With TLS, which is TLS 1.3, no client reaches a handler before
//     it has proven its identity, unless AnonymousClients is set.
//   - When Client.Close and Server.Serve return, no goroutine of theirs runs any more.
//
// # Limits
//
// A client does not reconnect: when Client.Done is closed, dial again. A server cannot call its clients, because
// rpclib's clients do not survive that.
//
// # Values
//
// Integers, floats, bool, string, []byte, slices, arrays, maps, pointers and any are encoded as themselves. Structs need
// the import of package rpc/codec, which links a codec for them. Without the import, a struct fails with ErrType and
// Bind rejects a function that has structs in its signature.
//
// A Raw is sent and received unchanged. An Extension becomes a MessagePack extension. A value received into an any
// becomes nil, bool, int64, float32, float64, string, []byte, []any, map[string]any or Extension. An integer above the
// range of int64 becomes uint64, and a map with a key that is not text becomes map[any]any.
//
// A received value must fit its variable; otherwise decoding fails with ErrType. A []byte accepts text, a string
// accepts binary, and a float accepts an integer. An integer does not accept a float, and a bool accepts only a bool.
// Only a pointer, an any or a Raw accepts nil. A Reader reads the parts of a value one by one, and costs less than
// decoding.
package rpc
