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

// Limits bound one value. All of them must be positive.
type Limits struct {
	// Size is the longest value in bytes, heads included.
	Size int
	// Depth is how many arrays and maps may stand inside one another; [] has depth 1.
	Depth int
	// Elements is how many values one value may consist of, itself, map keys and map values included.
	Elements int
}

// Scanner finds the end of the first value of a growing buffer. It needs no recursion: its memory is one number for each
// level of nesting, of which Limits.Depth allows so many. What it has seen it does not look at again, so a value that
// arrives in many pieces costs no more than one that arrives in one.
//
// A Scanner is not for concurrent use.
type Scanner struct {
	limits   Limits
	position int
	elements int
	// found says that the end of the value is known: position.
	found bool
	// lacking counts the values that are still to come, as far as is known.
	lacking uint64
	// open holds, for each array or map the scanner is inside of, how many values it still lacks.
	open   []uint64
	inline [8]uint64
}

// Init gives the scanner its limits and makes it ready for the first value.
func (s *Scanner) Init(limits Limits) {
	s.limits = limits
	s.Reset()
}

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
// size is the length of the value when it is complete, else 0; need is then how long b must at least be before another
// Scan can get further. The errors are final: ErrReserved, ErrTooLarge, ErrTooDeep, ErrTooMany.
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
			// Each element takes at least a byte, so a count beyond the limits is refused before it costs anything.
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

// Ends says whether the end of the value is known, though the value may not be complete: need of the last Scan was its
// length.
func (s *Scanner) Ends() bool { return s.found }

// Size answers the length of the first value of b. It is a Scanner's answer about a whole value, with io.ErrUnexpectedEOF
// for one that is not complete.
func Size(b []byte, limits Limits) (int, error) {
	if len(b) <= limits.Size && limits.Elements > 0 {
		// A value that is no array and no map needs no scanner.
		head, err := ReadHead(b)
		if err != nil {
			return 0, err
		}
		end := uint64(head.Size)
		switch head.Kind {
		case String, Binary, Extension:
			end += head.Bits
		}
		if head.Kind != Array && head.Kind != Map && end <= uint64(len(b)) {
			return int(end), nil
		}
	}
	var s Scanner
	s.Init(limits)
	size, _, err := s.Scan(b)
	if err == nil && size == 0 {
		err = io.ErrUnexpectedEOF
	}
	return size, err
}

// Skip returns the length of the first value of b. It has no limits, needs no memory and does not recurse. It fails with
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
