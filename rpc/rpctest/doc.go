// Package rpctest helps to test programs that use package rpc: a network in memory, with faults, and a set of functions
// to call.
//
//	listener := rpctest.Listen("server")
//	go server.Serve(ctx, listener)
//	conn, err := listener.Dial(ctx, rpctest.SplitEvery(1, 0), rpctest.CutAfter(100))
//	client := rpc.NewClient(conn, rpc.Config{})
//
// Everything in the network, time included, follows the test: under testing/synctest a delay of an hour takes no time,
// and the same source of randomness gives the same faults. The network is not as fast as a socket: do not measure with
// it.
//
// BindFunctions binds the functions that the exchanges with the real rpclib were recorded with.
package rpctest
