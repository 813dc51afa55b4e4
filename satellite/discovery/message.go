package discovery

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// serviceType is the DNS-SD service type under which satellites are announced.
const serviceType = "_evsatellite._tcp"

// Names of DNS-SD. All names in this package are lower case.
const (
	serviceName = serviceType + ".local."
	metaName    = "_services._dns-sd._udp.local."
)

// topBit is the cache-flush bit of a record's class (RFC 6762 section 10.2), and the unicast-response bit of a
// question's (section 5.4).
const topBit = 1 << 15

// record is a resource record of one of the kinds that the package uses.
type record struct {
	name string // lower case
	kind dnsmessage.Type
	ttl  time.Duration
	// flush means that other records of this name and kind are out of date.
	flush bool

	target  string     // of PTR and SRV, lower case
	port    int        // of SRV
	text    []string   // of TXT
	address netip.Addr // of A and AAAA
}

// question is one question of a query.
type question struct {
	name string // lower case
	kind dnsmessage.Type
}

// message is a packet, reduced to the kinds of records that the package uses.
type message struct {
	id        uint16
	response  bool
	questions []question
	// records are those of a response, or the known answers of a query.
	records []record
}

// maxRecords is how many records of one packet are read. The others are ignored.
const maxRecords = 256

// parse reads a packet. With an error it returns what was read before.
func parse(packet []byte) (message, error) {
	const headerSize = 12
	if len(packet) < headerSize {
		return message{}, errShort
	}
	field := func(i int) int { return int(binary.BigEndian.Uint16(packet[2*i:])) }
	flags := field(1)
	m := message{id: uint16(field(0)), response: flags&(1<<15) != 0}
	// RFC 6762 sections 18.3 and 18.11: other packets are ignored.
	if opcode, code := flags>>11&15, flags&15; opcode != 0 || code != 0 {
		return message{}, fmt.Errorf("discovery: opcode %d and response code %d, want 0 and 0", opcode, code)
	}
	questions, answers, authorities, additional := field(2), field(3), field(4), field(5)
	r := packetReader{packet, headerSize}
	for i := range questions {
		if i == maxRecords {
			return m, errMany
		}
		name, err := r.name()
		if err != nil {
			return m, err
		}
		kind, err := r.uint16()
		if err != nil {
			return m, err
		}
		if _, err := r.uint16(); err != nil {
			return m, err
		}
		m.questions = append(m.questions, question{name, dnsmessage.Type(kind)})
	}
	for i := range min(answers+authorities+additional, maxRecords) {
		read, known, err := r.record()
		if err != nil {
			return m, err
		}
		if known && (i < answers || i >= answers+authorities && m.response) {
			m.records = append(m.records, read)
		}
	}
	return m, nil
}

// record reads a resource record, and reports whether it is of a kind that the package uses.
func (r *packetReader) record() (read record, known bool, err error) {
	if read.name, err = r.name(); err != nil {
		return read, false, err
	}
	head, err := r.bytes(10)
	if err != nil {
		return read, false, err
	}
	class := binary.BigEndian.Uint16(head[2:])
	read.kind = dnsmessage.Type(binary.BigEndian.Uint16(head))
	read.ttl, read.flush = time.Duration(binary.BigEndian.Uint32(head[4:]))*time.Second, class&topBit != 0
	size := int(binary.BigEndian.Uint16(head[8:]))
	if size > len(r.packet)-r.at {
		return read, false, errShort
	}
	end := r.at + size
	known, err = read.readBody(packetReader{r.packet[:end], r.at})
	r.at = end
	return read, known && class&^topBit == uint16(dnsmessage.ClassINET), err
}

// readBody reads what follows a record's head, and reports whether the package uses the kind.
func (r *record) readBody(from packetReader) (known bool, err error) {
	switch r.kind {
	case dnsmessage.TypePTR:
		r.target, err = from.name()
	case dnsmessage.TypeSRV:
		head, short := from.bytes(6)
		if short != nil {
			return false, short
		}
		r.port = int(binary.BigEndian.Uint16(head[4:]))
		r.target, err = from.name()
	case dnsmessage.TypeTXT:
		for from.at < len(from.packet) {
			size, _ := from.bytes(1)
			text, short := from.bytes(int(size[0]))
			if short != nil {
				return false, short
			}
			r.text = append(r.text, string(text))
		}
	case dnsmessage.TypeA:
		var address []byte
		if address, err = from.bytes(4); err == nil {
			r.address = netip.AddrFrom4([4]byte(address))
		}
	case dnsmessage.TypeAAAA:
		var address []byte
		if address, err = from.bytes(16); err == nil {
			r.address = netip.AddrFrom16([16]byte(address))
		}
	default:
		return false, nil
	}
	return err == nil, err
}

// packQuery writes the query for instances of the service.
func packQuery() ([]byte, error) {
	name, err := dnsmessage.NewName(serviceName)
	if err != nil {
		return nil, err
	}
	builder := dnsmessage.NewBuilder(nil, dnsmessage.Header{})
	if err := builder.StartQuestions(); err != nil {
		return nil, err
	}
	if err := builder.Question(dnsmessage.Question{Name: name, Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}); err != nil {
		return nil, err
	}
	return builder.Finish()
}

// packResponse writes a response. id and questions are those of a conventional resolver's query, otherwise 0 and none.
func packResponse(id uint16, questions []question, answers []record) ([]byte, error) {
	builder := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, Response: true, Authoritative: true})
	builder.EnableCompression()
	if err := builder.StartQuestions(); err != nil {
		return nil, err
	}
	for _, q := range questions {
		name, err := dnsmessage.NewName(q.name)
		if err != nil {
			return nil, err
		}
		if err := builder.Question(dnsmessage.Question{Name: name, Type: q.kind, Class: dnsmessage.ClassINET}); err != nil {
			return nil, err
		}
	}
	if err := builder.StartAnswers(); err != nil {
		return nil, err
	}
	for _, r := range answers {
		if err := r.pack(&builder); err != nil {
			return nil, err
		}
	}
	return builder.Finish()
}

func (r record) pack(builder *dnsmessage.Builder) error {
	name, err := dnsmessage.NewName(r.name)
	if err != nil {
		return err
	}
	header := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: uint32(r.ttl / time.Second)}
	if r.flush {
		header.Class |= topBit
	}
	switch r.kind {
	case dnsmessage.TypePTR, dnsmessage.TypeSRV:
		target, err := dnsmessage.NewName(r.target)
		if err != nil {
			return err
		}
		if r.kind == dnsmessage.TypePTR {
			return builder.PTRResource(header, dnsmessage.PTRResource{PTR: target})
		}
		return builder.SRVResource(header, dnsmessage.SRVResource{Port: uint16(r.port), Target: target})
	case dnsmessage.TypeTXT:
		return builder.TXTResource(header, dnsmessage.TXTResource{TXT: r.text})
	case dnsmessage.TypeA:
		return builder.AResource(header, dnsmessage.AResource{A: r.address.As4()})
	default:
		return builder.AAAAResource(header, dnsmessage.AAAAResource{AAAA: r.address.As16()})
	}
}
