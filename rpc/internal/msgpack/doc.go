// Package msgpack reads and writes the bytes of MessagePack values (https://github.com/msgpack/msgpack/blob/master/spec.md)
// the way rpclib does: written in the shortest form there is, read in any form.
//
// Nothing in it recurses on what a peer sent, nothing allocates by a length that a peer only announced, and the functions
// Append and ReadHead and the type Scanner do not allocate at all beyond the caller's slice.
package msgpack
