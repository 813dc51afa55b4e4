package discovery

import (
	"encoding/binary"
	"errors"
	"strings"
)

var (
	errShort = errors.New("discovery: the packet ends too early")
	errMany  = errors.New("discovery: the packet has too many questions")
	errName  = errors.New("discovery: the packet has a name that is none")
)

// The limits of a name (RFC 1035 section 2.3.4), and how often one may point
// elsewhere for its rest.
const (
	mostName     = 255
	mostPointers = 16
)

// reader reads the parts of a packet one after the other (RFC 1035 section 4.1).
// Unlike x/net's parser it takes names whose labels have dots, which names of
// instances may have (RFC 6763 section 4.3), also those of other services.
type reader struct {
	packet []byte
	at     int
}

func (r *reader) bytes(count int) ([]byte, error) {
	if count > len(r.packet)-r.at {
		return nil, errShort
	}
	r.at += count
	return r.packet[r.at-count : r.at], nil
}

func (r *reader) uint16() (uint16, error) {
	b, err := r.bytes(2)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint16(b), nil
}

// name reads a name, lower case, with a backslash before each dot or backslash
// within a label.
func (r *reader) name() (string, error) {
	var text strings.Builder
	at, size, pointers := r.at, 1, 0
	for {
		if at >= len(r.packet) {
			return "", errShort
		}
		length := int(r.packet[at])
		at++
		switch {
		case length == 0:
			if pointers == 0 {
				r.at = at
			}
			if text.Len() == 0 {
				return ".", nil
			}
			return text.String(), nil
		case length >= 0xc0:
			if at >= len(r.packet) {
				return "", errShort
			}
			if pointers == 0 {
				r.at = at + 1
			}
			if pointers++; pointers > mostPointers {
				return "", errName
			}
			at = (length&0x3f)<<8 | int(r.packet[at])
		case length > 63:
			return "", errName
		default:
			if size += length + 1; size > mostName {
				return "", errName
			}
			if at+length > len(r.packet) {
				return "", errShort
			}
			for _, char := range r.packet[at : at+length] {
				switch {
				case char == '.' || char == '\\':
					text.WriteByte('\\')
				case char >= 'A' && char <= 'Z':
					char += 'a' - 'A'
				}
				text.WriteByte(char)
			}
			text.WriteByte('.')
			at += length
		}
	}
}
