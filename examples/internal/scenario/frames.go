package scenario

import (
	"fmt"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
)

// record is what a backend has requested, and what it has got for each request. Of two requests that run at once the
// frames may mix in any order, so each request has a section.
type record struct {
	version  ocppframes.Version
	sections []*section
}

// section is a request, and what followed it.
type section struct {
	of    requestOf
	lines []string
	had   map[string]bool
	told  *ocppframes.Module
}

// requestOf identifies a request that statuses belong to.
type requestOf struct {
	log bool
	id  int64
}

// request begins a section.
func (r *record) request(of requestOf, format string, arguments ...any) {
	r.sections = append(r.sections, &section{
		of: of, lines: []string{fmt.Sprintf(format, arguments...)}, had: map[string]bool{}, told: ocppframes.New(r.version),
	})
}

// line adds a line to the latest section.
func (r *record) line(format string, arguments ...any) {
	if last := len(r.sections) - 1; last >= 0 {
		r.sections[last].lines = append(r.sections[last].lines, "  "+fmt.Sprintf(format, arguments...))
	}
}

// update adds the frames after the answer to an update.
func (r *record) update(id int64, answer string) {
	r.request(requestOf{id: id}, "UpdateFirmware %d: %s", id, answer)
	for _, frame := range r.sections[len(r.sections)-1].told.UpdateAnswered(answer) {
		r.line("%s", frame)
	}
}

// status adds the frames of a status to the latest request that it belongs to. A status that is told once more, after a
// restart, adds nothing.
func (r *record) status(of requestOf, status string) error {
	for i := len(r.sections) - 1; i >= 0; i-- {
		s := r.sections[i]
		if s.of != of {
			continue
		}
		if s.had[status] {
			return nil
		}
		s.had[status] = true
		frames := s.told.Firmware
		if of.log {
			frames = s.told.Logs
		}
		sent, err := frames(of.id, status)
		for _, frame := range sent {
			s.lines = append(s.lines, "  "+frame.String())
		}
		return err
	}
	return fmt.Errorf("%s of %+v, which nobody has requested", status, of)
}

func (r *record) String() string {
	var text strings.Builder
	for _, s := range r.sections {
		for _, line := range s.lines {
			fmt.Fprintln(&text, line)
		}
	}
	return text.String()
}
