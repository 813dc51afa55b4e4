// Package rpc is MessagePack-RPC between boards: a client and a server that speak to C++ rpclib byte for byte.
package rpc
