package mqtt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	// MaxPacket is how many bytes a message of the broker may have. Of a longer one only the topic is kept. EVerest's modules
	// take 512 000 bytes where nothing else is configured.
	MaxPacket = 16 << 20
	// firstPart is how much memory is made for a packet before its bytes are there, in bytes.
	firstPart = 64 << 10
	// maxCodes is how many filters a SUBACK may answer.
	maxCodes = 1024
)

var errMalformed = errors.New("it sends a malformed packet")

// packet is one packet of the broker.
type packet struct {
	kind byte // as in the codec
	// id is 0 in a packet that has none.
	id uint16
	// codes are the two bytes of a CONNACK, or what a SUBACK grants.
	codes []byte

	// The others are those of a PUBLISH. size is its length, payload is nil where that exceeds MaxPacket.
	qos              byte
	repeats, retains bool
	topic            string
	payload          []byte
	size             int
}

// lengths are the packets that a broker sends, and the lengths that are possible.
var lengths = map[byte]struct{ least, most int }{
	packets.Connack:  {2, 2},
	packets.Publish:  {2, 1<<28 - 1},
	packets.Puback:   {2, 2},
	packets.Pubrec:   {2, 2},
	packets.Pubrel:   {2, 2},
	packets.Pubcomp:  {2, 2},
	packets.Suback:   {2, 2 + maxCodes},
	packets.Unsuback: {2, 2},
	packets.Pingresp: {0, 0},
}

// readPacket reads one packet. It makes memory for what has arrived, not for what the packet says of its length.
func readPacket(from io.Reader) (packet, error) {
	var head [1]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return packet{}, err
	}
	p := packet{kind: head[0] >> 4, repeats: head[0]&duplicate != 0, qos: head[0] >> 1 & 3, retains: head[0]&1 != 0}
	possible, known := lengths[p.kind]
	length, err := readLength(from)
	switch {
	case err != nil:
		return packet{}, err
	case !known || length < possible.least || length > possible.most:
		return packet{}, fmt.Errorf("%w: type %d with %d bytes", errMalformed, p.kind, length)
	case p.kind == packets.Publish:
		err := p.readMessage(from, length)
		return p, err
	}
	body, err := readBytes(from, length)
	switch {
	case err != nil:
		return packet{}, err
	case p.kind == packets.Connack:
		p.codes = body
	case length > 0:
		p.id, p.codes = binary.BigEndian.Uint16(body), body[2:]
	}
	return p, nil
}

// readMessage reads the rest of a PUBLISH.
func (p *packet) readMessage(from io.Reader, length int) error {
	p.size = length
	topic, err := readBytes(from, 2)
	if err != nil {
		return err
	}
	before := 2 + int(binary.BigEndian.Uint16(topic))
	if p.qos > 0 {
		before += 2
	}
	if p.qos > 2 || before > length {
		return fmt.Errorf("%w: PUBLISH of QoS %d with %d bytes", errMalformed, p.qos, length)
	}
	names, err := readBytes(from, before-2)
	if err != nil {
		return err
	}
	if p.qos > 0 {
		end := len(names) - 2
		p.id, names = binary.BigEndian.Uint16(names[end:]), names[:end]
	}
	p.topic = string(names)
	if length > MaxPacket {
		_, err = io.CopyN(io.Discard, from, int64(length-before))
		return err
	}
	p.payload, err = readBytes(from, length-before)
	return err
}

// readLength reads the length of the rest of a packet.
func readLength(from io.Reader) (length int, err error) {
	var digit [1]byte
	for shift := 0; shift < 28; shift += 7 {
		if _, err := io.ReadFull(from, digit[:]); err != nil {
			return 0, err
		}
		length |= int(digit[0]&0x7f) << shift
		if digit[0]&0x80 == 0 {
			return length, nil
		}
	}
	return 0, fmt.Errorf("%w: a length of more than four bytes", errMalformed)
}

// readBytes reads count bytes.
func readBytes(from io.Reader, count int) ([]byte, error) {
	data := make([]byte, 0, min(count, firstPart))
	for len(data) < count {
		if len(data) == cap(data) {
			data = append(make([]byte, 0, min(count, 2*len(data))), data...)
		}
		next := data[len(data):min(cap(data), count)]
		if _, err := io.ReadFull(from, next); err != nil {
			return nil, err
		}
		data = data[:len(data)+len(next)]
	}
	return data, nil
}
