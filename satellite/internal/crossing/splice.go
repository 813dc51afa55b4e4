package crossing

import (
	"encoding/json"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// path is where identifiers are in a value.
type path []step

// step leads from an object to a member, or to each element of the array that is the member. A deep step also leads to
// the elements of the arrays of the same name in these elements, and so on.
type step struct {
	member     string
	each, deep bool
}

// parsePath reads a path of the table. "a/b" is member b of member a. "a[]/b" is member b of each element of array a.
// "a[]../b" is member b of each element of array a, of each element of their arrays a, and so on.
func parsePath(text string) path {
	var parsed path
	for part := range strings.SplitSeq(text, "/") {
		member, deep := strings.CutSuffix(part, "..")
		member, each := strings.CutSuffix(member, "[]")
		parsed = append(parsed, step{member, each, deep})
	}
	return parsed
}

// target is an identifier to translate: where it is and how.
type target struct {
	path path
	rule rule
}

// place is a target with the number of steps that led to a value.
type place struct {
	target *target
	steps  int
}

// maxPlaces is how many targets one value may have.
const maxPlaces = 4

// places are the targets that may lie in a value.
type places struct {
	list [maxPlaces]place
	len  int
}

func (p *places) add(at place) {
	if p.len < maxPlaces {
		p.list[p.len] = at
		p.len++
	}
}

func (p *places) all() []place { return p.list[:p.len] }

// splicer replaces identifiers in one pass over a value. What is not replaced is copied as it is.
type splicer struct {
	translator *Translator
	value      json.RawMessage
	reader     rawjson.Reader
	// out is the value up to the byte copied, nil before the first replacement.
	out    []byte
	copied int
}

// splice returns the value with the identifiers at the targets translated.
func (t *Translator) splice(value json.RawMessage, targets []target) (json.RawMessage, error) {
	s := splicer{translator: t, value: value, reader: rawjson.NewReader(value)}
	var all places
	for i := range targets {
		all.add(place{target: &targets[i]})
	}
	s.walk(all)
	if err := s.reader.Close(); err != nil {
		return nil, err
	}
	if s.out == nil {
		return value, nil
	}
	return append(s.out, value[s.copied:]...), nil
}

// walk reads the next value, in which the places may lie.
func (s *splicer) walk(in places) {
	for _, at := range in.all() {
		if at.steps == len(at.target.path) {
			s.translate(at.target.rule)
			return
		}
	}
	if in.len == 0 || s.reader.Kind() != '{' {
		s.reader.Value()
		return
	}
	for s.reader.Object(); ; {
		name, more := s.reader.Next()
		if !more {
			return
		}
		var member, elements places
		for _, at := range in.all() {
			step := at.target.path[at.steps]
			switch {
			case step.member != string(name):
			case step.each:
				elements.add(place{at.target, at.steps + 1})
				if step.deep {
					elements.add(at)
				}
			default:
				member.add(place{at.target, at.steps + 1})
			}
		}
		if elements.len > 0 && s.reader.Kind() == '[' {
			for s.reader.Array(); s.reader.More(); {
				s.walk(elements)
			}
			continue
		}
		s.walk(member)
	}
}

// translate replaces the next value by what the rule returns for it.
func (s *splicer) translate(rule rule) {
	identifier := s.reader.Value()
	if identifier == nil {
		return
	}
	replacement := rule(s.translator, identifier)
	if replacement == nil {
		return
	}
	end := s.reader.Offset()
	s.out = append(s.out, s.value[s.copied:end-len(identifier)]...)
	s.out = append(s.out, replacement...)
	s.copied = end
}
