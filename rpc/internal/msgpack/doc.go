// Package msgpack reads and writes the bytes of MessagePack values
// (https://github.com/msgpack/msgpack/blob/master/spec.md) as rpclib does: it writes the shortest form there is and
// reads any form.
//
//	94 00 01 a3 61 64 64 92 02 28      [0, 1, "add", [2, 40]]
//	│  │  │  │           └ ReadHead: Array of 2, one byte long; the values 2 and 40 follow
//	│  │  │  └ String of 3 bytes, which follow
//	└ Array of 4
//
// ReadHead and AppendHead are about one head. Scanner finds the end of a value that arrives in pieces, within Limits;
// Size does so for bytes that are there, and Skip for bytes that need no limits. AppendMinimal writes the shortest form
// of a value.
//
// Nothing recurses, so no nesting overflows the stack. Nothing allocates by a length that a peer only announced. Only
// AppendMinimal and the Append functions allocate, for their result, and a Scanner one number for each level of nesting
// above eight.
package msgpack
