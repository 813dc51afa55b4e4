// Package rpctest helps to test programs that use package rpc: a network in memory, with faults, and a set of functions
// to call. A test has no port, no socket and no sleep.
//
//	client                             server
//	Write   -- Faults toServer ------> Read
//	Read    <------ Faults toClient -- Write
//
// A test listens, serves and dials as it would on a socket:
//
//	listener := rpctest.Listen("server")
//	go server.Serve(ctx, listener)
//	conn, err := listener.Dial(ctx, rpctest.SplitEvery(1, 0), rpctest.CutAfter(100))
//	client := rpc.NewClient(conn, rpc.Config{})
//
// Here every byte of a call arrives alone, and the connection breaks in the middle of a reply. Pipe makes such a
// connection without a listener.
//
// # Faults
//
// Each direction has Faults of its own; nil is a network without faults:
//
//	SplitEvery(n, apart)   delivers n bytes at a time, each portion later than the one before
//	CutAfter(n)            breaks the connection after n bytes
//	Random(source, odds)   splits, delays, stalls, repeats, changes and cuts by chance
//
// A test can also write a function of type Faults. For each Write, this function returns which bytes arrive, when they
// arrive, and whether the connection breaks.
//
// # Promises
//
//   - Under testing/synctest, delays and deadlines use the fake clock: a delay of an hour takes no real time.
//   - The same source of randomness and the same writes give the same faults.
//   - A connection behaves like a TCP connection. Each direction holds 64 KiB, Write waits when its direction is full,
//     and each direction can be closed alone. A deadline ends a Read with os.ErrDeadlineExceeded and a cut ends it with
//     ECONNRESET.
//
// # Limits
//
// The network is slower than a socket: do not measure with it. It has no TLS of its own, and no keep-alive.
//
// # Functions to call
//
// BindFunctions binds a set of test functions. A server of the real rpclib had the same functions when the exchanges in
// the testdata of package rpc were recorded. Any other MessagePack-RPC client can be tried on them.
package rpctest
