package discovery

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// The names of DNS-SD, lower case as all names in this package.
const (
	serviceName = ServiceType + ".local."
	metaName    = "_services._dns-sd._udp.local."
)

// topBit is the cache-flush bit of a record's class (RFC 6762 section 10.2), and
// the unicast bit of a question's (section 5.4).
const topBit = 1 << 15

// record is one resource record of a kind that matters here.
type record struct {
	name string // lower case
	kind dnsmessage.Type
	ttl  time.Duration
	// flush: what else was known under name and kind is out of date.
	flush bool

	target  string     // of PTR and SRV, lower case
	port    int        // of SRV
	text    []string   // of TXT
	address netip.Addr // of A and AAAA
}

// question is one of a query.
type question struct {
	name string // lower case
	kind dnsmessage.Type
}

// message is a packet as far as it matters here.
type message struct {
	id        uint16
	response  bool
	questions []question
	// raw are the questions as they came: a conventional resolver wants them back.
	raw []dnsmessage.Question
	// records are those of a response, or those that a query knows already.
	records []record
}

// mostRecords bounds what is read of one packet.
const mostRecords = 256

// parse reads a packet. An error comes with what was read before it.
func parse(packet []byte) (message, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(packet)
	if err != nil {
		return message{}, err
	}
	m := message{id: header.ID, response: header.Response}
	// RFC 6762 sections 18.3 and 18.11: anything else is to be ignored.
	if header.OpCode != 0 || header.RCode != dnsmessage.RCodeSuccess {
		return message{}, fmt.Errorf("opcode %d and response code %d, want 0 and 0", header.OpCode, header.RCode)
	}
	for range mostRecords {
		q, err := parser.Question()
		if err == dnsmessage.ErrSectionDone {
			break
		} else if err != nil {
			return m, err
		}
		m.questions = append(m.questions, question{strings.ToLower(q.Name.String()), q.Type})
		m.raw = append(m.raw, q)
	}
	if err := parser.SkipAllQuestions(); err != nil {
		return m, err
	}
	if err := m.take(parser.AnswerHeader, parser.SkipAnswer, &parser); err != nil || !m.response {
		return m, err
	}
	if err := parser.SkipAllAnswers(); err != nil {
		return m, err
	}
	if err := parser.SkipAllAuthorities(); err != nil {
		return m, err
	}
	return m, m.take(parser.AdditionalHeader, parser.SkipAdditional, &parser)
}

// take reads the records of one section.
func (m *message) take(next func() (dnsmessage.ResourceHeader, error), skip func() error, parser *dnsmessage.Parser) error {
	for len(m.records) < mostRecords {
		header, err := next()
		if err == dnsmessage.ErrSectionDone {
			return nil
		} else if err != nil {
			return err
		}
		r := record{
			name: strings.ToLower(header.Name.String()), kind: header.Type,
			ttl: time.Duration(header.TTL) * time.Second, flush: header.Class&topBit != 0,
		}
		known, err := r.body(parser)
		if err == nil && !known {
			err = skip()
		}
		if err != nil {
			return err
		}
		if known && header.Class&^topBit == dnsmessage.ClassINET {
			m.records = append(m.records, r)
		}
	}
	return nil
}

// body reads what follows a record's header; false is a kind that does not
// matter here.
func (r *record) body(parser *dnsmessage.Parser) (bool, error) {
	switch r.kind {
	case dnsmessage.TypePTR:
		body, err := parser.PTRResource()
		r.target = strings.ToLower(body.PTR.String())
		return true, err
	case dnsmessage.TypeSRV:
		body, err := parser.SRVResource()
		r.target, r.port = strings.ToLower(body.Target.String()), int(body.Port)
		return true, err
	case dnsmessage.TypeTXT:
		body, err := parser.TXTResource()
		r.text = body.TXT
		return true, err
	case dnsmessage.TypeA:
		body, err := parser.AResource()
		r.address = netip.AddrFrom4(body.A)
		return true, err
	case dnsmessage.TypeAAAA:
		body, err := parser.AAAAResource()
		r.address = netip.AddrFrom16(body.AAAA)
		return true, err
	}
	return false, nil
}

// question asks who offers the service.
func packQuestion() ([]byte, error) {
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

// packResponse writes a response. Id and questions are those of a conventional
// resolver's query, else 0 and none.
func packResponse(id uint16, questions []dnsmessage.Question, answers []record) ([]byte, error) {
	builder := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, Response: true, Authoritative: true})
	builder.EnableCompression()
	if err := builder.StartQuestions(); err != nil {
		return nil, err
	}
	for _, q := range questions {
		if err := builder.Question(q); err != nil {
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
