package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
)

// controllerID is the module id of the SatelliteController.
const controllerID = "connector_2"

// inoperative is the error of an EVSE that is out of order.
const inoperative = "evse_manager/Inoperative"

// faults: errors of both boards reach ErrorHistory and the backend, each as one of its own, and go one by one.
func faults(r *Run) {
	r.equalOrigins()
	r.twoOrigins()
	r.outOfOrder()
}

// raised raises a warning and expects it at the backend's EVSE. It returns the warning's uuid.
func (r *Run) raised(board *probe, implementation string, evse int, what string) string {
	mark := r.journal.mark()
	var uuid string
	if r.do("raise", func(ctx context.Context) (err error) {
		uuid, err = board.raise(ctx, implementation)
		return err
	}) {
		r.expect("backend: "+what+" is raised at its EVSE", mark, notified(evse, func(s statusNotification) bool {
			return s.ErrorCode == "OtherError" && strings.HasPrefix(s.VendorErrorCode, "VendorWarning/")
		}))
	}
	return uuid
}

// cleared clears a warning and expects at the backend that the EVSE has that many errors left.
func (r *Run) cleared(board *probe, implementation string, evse, left int, what string) {
	mark := r.journal.mark()
	if r.do("clear", func(ctx context.Context) error { return board.clear(ctx, implementation) }) {
		r.expect("backend: "+what+" is cleared at its EVSE", mark, notified(evse, func(s statusNotification) bool {
			return (s.ErrorCode == "NoError") == (left == 0)
		}))
	}
}

func (r *Run) equalOrigins() {
	ours := r.raised(r.main, powerpath, local, "the local warning")
	theirs := r.raised(r.satellite, powerpath, remote, "the satellite's of an equal origin")
	r.active("history: both of equal origins", ours, theirs)
	r.figure("equal origins: %s")
	r.cleared(r.main, powerpath, local, 0, "the local warning")
	r.active("history: the satellite's stays", theirs)
	r.cleared(r.satellite, powerpath, remote, 0, "the satellite's of an equal origin")
	r.active("history: none of equal origins stays")
}

func (r *Run) twoOrigins() {
	first := r.raised(r.satellite, powerpath, remote, "the first of two origins")
	second := r.raised(r.satellite, powerpath2, remote, "the second of two origins")
	r.active("history: both of two origins", first, second)
	r.figure("two origins: %s")
	r.cleared(r.satellite, powerpath, remote, 1, "the first of two origins")
	r.active("history: the second of two origins stays", second)
	r.cleared(r.satellite, powerpath2, remote, 0, "the second of two origins")
	r.active("history: none of two origins stays")
}

// outOfOrder breaks the satellite's contactor.
func (r *Run) outOfOrder() {
	mark := r.journal.mark()
	heard := func(raised bool) func(Observation) bool {
		return func(o Observation) bool {
			return o.Place == onMain && o.Kind == fault && o.EVSE == remote && o.Name == inoperative && o.Raised == raised
		}
	}
	fail := func(raise bool) func(context.Context) error {
		return func(ctx context.Context) error { return r.satellite.breakContactor(ctx, raise) }
	}
	if !r.do("break the contactor", fail(true)) {
		return
	}
	r.expect("Inoperative comes under evse_manager", mark, heard(true))
	r.expect("backend: EVSE 2 is Faulted, by name of the board", mark, notified(remote, faultedByName))
	r.eventually("history: Inoperative of "+controllerID+"/evse_manager", func(ctx context.Context) (string, bool) {
		return r.findActive(ctx, func(e historyEntry) bool {
			return e.Type == inoperative && e.Origin.Module == controllerID && e.Origin.Implementation == "evse_manager"
		})
	})
	r.figure("Inoperative: %s")
	mark = r.journal.mark()
	if !r.do("mend the contactor", fail(false)) {
		return
	}
	r.expect("Inoperative is cleared under evse_manager", mark, heard(false))
	r.expect("backend: EVSE 2 is Available", mark, notified(remote, func(s statusNotification) bool { return s.Status == "Available" }))
	r.active("history: none of the contactor stays")
}

// historyEntry is an error as ErrorHistory returns it.
type historyEntry struct {
	Type    string `json:"type"`
	SubType string `json:"sub_type"`
	UUID    string `json:"uuid"`
	Origin  struct {
		Module         string `json:"module_id"`
		Implementation string `json:"implementation_id"`
	} `json:"origin"`
}

func (e historyEntry) String() string {
	text := e.Origin.Module + "/" + e.Origin.Implementation
	if e.SubType != "" {
		text += " (" + e.SubType + ")"
	}
	return text
}

func (r *Run) history(ctx context.Context) ([]historyEntry, error) {
	arguments := map[string]any{"filters": map[string]any{"state_filter": "Active"}}
	return everest.Call[[]historyEntry](ctx, r.main.connected().Requires("error_history")[0], "get_errors", arguments)
}

// active records whether exactly the errors with these uuids are active in ErrorHistory.
func (r *Run) active(check string, uuids ...string) {
	slices.Sort(uuids)
	r.eventually(check, func(ctx context.Context) (string, bool) {
		entries, err := r.history(ctx)
		if err != nil {
			return err.Error(), false
		}
		found, texts := []string{}, []string{}
		for _, entry := range entries {
			found, texts = append(found, entry.UUID), append(texts, entry.String())
		}
		slices.Sort(found)
		slices.Sort(texts)
		return fmt.Sprintf("%d active%s", len(found), list(texts)), slices.Equal(found, uuids)
	})
}

func list(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return ": " + strings.Join(texts, ", ")
}

func (r *Run) findActive(ctx context.Context, match func(historyEntry) bool) (string, bool) {
	entries, err := r.history(ctx)
	if err != nil {
		return err.Error(), false
	}
	if i := slices.IndexFunc(entries, match); i >= 0 {
		return entries[i].String(), true
	}
	texts := []string{}
	for _, entry := range entries {
		texts = append(texts, entry.String())
	}
	return fmt.Sprintf("%d active%s", len(entries), list(texts)), false
}

// statusNotification is a StatusNotification of OCPP 1.6.
type statusNotification struct {
	Status, ErrorCode, Info, VendorErrorCode string
}

// faultedByName reports whether the backend can tell which board is faulted.
func faultedByName(s statusNotification) bool {
	return s.Status == "Faulted" && strings.HasPrefix(s.Info, "caused_by:"+controllerID+": ")
}

// notified matches a StatusNotification of an EVSE.
func notified(evse int, match func(statusNotification) bool) func(Observation) bool {
	return func(o Observation) bool {
		var status statusNotification
		return o.Kind == message && o.Name == "StatusNotification" && o.EVSE == evse &&
			json.Unmarshal(o.Value, &status) == nil && match(status)
	}
}
