package msgpack

import "io"

// AppendMinimal appends the first value of b in its shortest form and answers what follows the value in b. It does not
// recurse, so it takes any depth. Nothing but the width of integers, lengths and counts changes.
func AppendMinimal(out, b []byte) (extended, rest []byte, err error) {
	start := len(out)
	for lacking := uint64(1); lacking > 0; lacking-- {
		head, err := ReadHead(b)
		if err != nil {
			return out[:start], b, err
		}
		out = AppendHead(out, head)
		b = b[head.Size:]
		switch head.Kind {
		case String, Binary, Extension:
			if uint64(len(b)) < head.Bits {
				return out[:start], b, io.ErrUnexpectedEOF
			}
			out = append(out, b[:head.Bits]...)
			b = b[head.Bits:]
		case Array:
			lacking += head.Bits
		case Map:
			lacking += 2 * head.Bits
		}
	}
	return out, b, nil
}
