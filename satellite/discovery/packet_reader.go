package discovery

import (
	"encoding/binary"
	"errors"
)

var (
	errShort = errors.New("discovery: the packet ends too early")
	errMany  = errors.New("discovery: the packet has too many questions")
	errName  = errors.New("discovery: the packet has a malformed name")
)

const (
	// maxName is the length of a name in bytes (RFC 1035 section 2.3.4).
	maxName = 255
	// maxPointers is how many compression pointers a name may follow (RFC 1035 section 4.1.4).
	maxPointers = 16
)

// packetReader reads the parts of a packet in order (RFC 1035 section 4.1). Unlike x/net's parser it accepts labels
// with dots, which names of instances may have (RFC 6763 section 4.3).
type packetReader struct {
	packet []byte
	at     int
}

func (r *packetReader) bytes(count int) ([]byte, error) {
	if count > len(r.packet)-r.at {
		return nil, errShort
	}
	r.at += count
	return r.packet[r.at-count : r.at], nil
}

func (r *packetReader) uint16() (uint16, error) {
	b, err := r.bytes(2)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint16(b), nil
}

// name reads a name in lower case. It writes a backslash before each dot or backslash within a label.
func (r *packetReader) name() (string, error) {
	var buffer [2 * maxName]byte // on the stack: a packet may have hundreds of long names
	text := buffer[:0]
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
			if len(text) == 0 {
				return ".", nil
			}
			return string(text), nil
		case length >= 0xc0:
			if at >= len(r.packet) {
				return "", errShort
			}
			if pointers == 0 {
				r.at = at + 1
			}
			if pointers++; pointers > maxPointers {
				return "", errName
			}
			at = (length&0x3f)<<8 | int(r.packet[at])
		case length > 63:
			return "", errName
		default:
			if size += length + 1; size > maxName {
				return "", errName
			}
			if at+length > len(r.packet) {
				return "", errShort
			}
			for _, char := range r.packet[at : at+length] {
				switch {
				case char == '.' || char == '\\':
					text = append(text, '\\')
				case char >= 'A' && char <= 'Z':
					char += 'a' - 'A'
				}
				text = append(text, char)
			}
			text = append(text, '.')
			at += length
		}
	}
}
