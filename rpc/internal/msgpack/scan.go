package msgpack

import (
	"errors"
	"io"
)

// Errors of a Scanner, beside ErrReserved.
var (
	// ErrTooLarge is a value longer than Limits.Size.
	ErrTooLarge = errors.New("msgpack: value above the size limit")
	// ErrTooDeep is a value nested deeper than Limits.Depth.
	ErrTooDeep = errors.New("msgpack: value nested too deep")
	// ErrTooMany is a value of more than Limits.Elements parts.
	ErrTooMany = errors.New("msgpack: value has too many elements")
)

// Limits bound one value. All must be positive.
type Limits struct {
	// Size is the longest value in bytes, heads included.
	Size int
	// Depth is how deep arrays and maps may be nested; [] has depth 1.
	Depth int
	// Elements is how many values one value may consist of: itself, elements, map keys and map values.
	Elements int
}

// Scanner finds the end of the first value of a growing buffer. Its memory is one number for each level of nesting, at
// most Limits.Depth of them. It reads each byte once: a value that arrives in many pieces costs as much as one that
// arrives whole.
//
// A Scanner is not for concurrent use.
type Scanner struct {
	limits   Limits
	position int
	elements int
	// found means that position is the end of the value.
	found bool
	// lacking counts the values that the heads read so far announce and that are still to come.
	lacking uint64
	// open holds, for each array or map around position, how many values are still to come.
	open   []uint64
	inline [8]uint64
}

// Init sets the limits and makes the scanner ready for the first value.
func (s *Scanner) Init(limits Limits) {
	s.limits = limits
	s.Reset()
}

// SetLimits sets the limits, also in the middle of a value.
func (s *Scanner) SetLimits(limits Limits) { s.limits = limits }

// Reset makes the scanner ready for the next value, which then begins at the start of the buffer.
func (s *Scanner) Reset() {
	s.position = 0
	s.elements = 0
	s.found = false
	s.lacking = 1
	s.open = s.inline[:0]
}

// Scan looks for the end of the value that begins at b[0]. b must begin with the bytes of the calls since Reset.
//
// size is the length of a complete value. Otherwise size is 0, and need is the length that b must have at least before
// the next Scan. The errors are final: ErrReserved, ErrTooLarge, ErrTooDeep, ErrTooMany.
func (s *Scanner) Scan(b []byte) (size, need int, err error) {
	for !s.found {
		head, err := ReadHead(b[min(s.position, len(b)):])
		if err == io.ErrUnexpectedEOF {
			// Each value takes at least a byte.
			need := uint64(max(s.position, len(b))) + s.lacking
			if need > uint64(s.limits.Size) {
				return 0, 0, ErrTooLarge
			}
			return 0, int(need), nil
		}
		if err != nil {
			return 0, 0, err
		}
		s.elements++
		s.lacking--
		if s.elements > s.limits.Elements {
			return 0, 0, ErrTooMany
		}
		end := uint64(s.position) + uint64(head.Size)
		switch head.Kind {
		case String, Binary, Extension:
			end += head.Bits
		case Array, Map:
			count := head.Bits
			if head.Kind == Map {
				count *= 2
			}
			if len(s.open) >= s.limits.Depth {
				return 0, 0, ErrTooDeep
			}
			// Each element takes at least a byte: a count beyond the limits is rejected before it costs anything.
			s.lacking += count
			if end+s.lacking > uint64(s.limits.Size) {
				return 0, 0, ErrTooLarge
			}
			if uint64(s.elements)+s.lacking > uint64(s.limits.Elements) {
				return 0, 0, ErrTooMany
			}
			s.position = int(end)
			if count > 0 {
				s.open = append(s.open, count)
				continue
			}
		}
		if end > uint64(s.limits.Size) {
			return 0, 0, ErrTooLarge
		}
		s.position = int(end)
		for len(s.open) > 0 {
			last := len(s.open) - 1
			s.open[last]--
			if s.open[last] > 0 {
				break
			}
			s.open = s.open[:last]
		}
		s.found = len(s.open) == 0
	}
	if s.position > len(b) {
		return 0, s.position, nil
	}
	return s.position, 0, nil
}

// Ends reports whether the length of the value is known, which the value may not have yet: the last Scan returned the
// length as need.
func (s *Scanner) Ends() bool { return s.found }

// Size returns the length of the first value of b, as a Scanner does, with io.ErrUnexpectedEOF for a value that is not
// complete.
func Size(b []byte, limits Limits) (int, error) {
	var s Scanner
	s.Init(limits)
	size, _, err := s.Scan(b)
	if err == nil && size == 0 {
		err = io.ErrUnexpectedEOF
	}
	return size, err
}

// Skip returns the length of the first value of b, without limits and without memory for them. It fails with
// io.ErrUnexpectedEOF when b ends inside the value, and with ErrReserved.
func Skip(b []byte) (int, error) {
	position := 0
	for lacking := uint64(1); lacking > 0; lacking-- {
		head, err := ReadHead(b[position:])
		if err != nil {
			return 0, err
		}
		position += head.Size
		left := uint64(len(b) - position)
		switch head.Kind {
		case String, Binary, Extension:
			if head.Bits > left {
				return 0, io.ErrUnexpectedEOF
			}
			position += int(head.Bits)
		case Array:
			lacking += head.Bits
		case Map:
			lacking += 2 * head.Bits
		}
		// Each value takes at least a byte, so a count that cannot be true ends the loop here.
		if lacking-1 > left {
			return 0, io.ErrUnexpectedEOF
		}
	}
	return position, nil
}
