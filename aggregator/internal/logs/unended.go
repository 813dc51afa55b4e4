package logs

import "slices"

// Unended knows which accepted requests have no end status yet, so that a restart, which ends them all, is followed by their
// end. It is not safe for concurrent use.
//
// What leaves is saved before: a request before the reply that accepts it, an end status before it is published. The request
// is forgotten after that. A power cut in the wrong moment repeats an end, and loses none.
type Unended struct{ requests []SavedRequest }

// SavedRequest is a request without an end.
type SavedRequest struct {
	// Type is the log type, empty for a request without one.
	Type      string `json:"type,omitempty"`
	RequestID int64  `json:"request_id"`
	// End is the name of the end status that is being published.
	End string `json:"end,omitempty"`
}

// Outgoing is a step on the way out: publish Status of the request, or save Requests where Status is 0. The steps keep
// their order.
type Outgoing struct {
	RequestID int64
	Status    Status
	Requests  []SavedRequest
}

// RestoreUnended returns the end of every request that a restart interrupted.
func RestoreUnended(saved []SavedRequest) (*Unended, []Outgoing) {
	u := &Unended{requests: slices.Clone(saved)}
	var steps []Outgoing
	for _, request := range saved {
		end, known := ParseStatus(request.End)
		if !known || !end.IsFinal() {
			end = UploadFailure
		}
		steps = append(steps, u.Publish(request.Type, request.RequestID, end)...)
	}
	return u, steps
}

// Accept adds a request, before the reply to its caller.
func (u *Unended) Accept(kind string, id int64) []Outgoing {
	if id == NoRequestID {
		// Nothing is published when it replaces another one.
		u.requests = slices.DeleteFunc(u.requests, func(r SavedRequest) bool { return r.Type == kind && r.RequestID == id })
	}
	u.requests = append(u.requests, SavedRequest{Type: kind, RequestID: id})
	return []Outgoing{u.save()}
}

// Publish publishes a status of a request.
func (u *Unended) Publish(kind string, id int64, status Status) []Outgoing {
	publish := Outgoing{RequestID: id, Status: status}
	// A request may replace one with the same id: the older one ends first.
	i := slices.IndexFunc(u.requests, func(r SavedRequest) bool { return r.Type == kind && r.RequestID == id })
	if i < 0 || !status.IsFinal() {
		return []Outgoing{publish}
	}
	u.requests[i].End = status.Name()
	steps := []Outgoing{u.save(), publish}
	u.requests = slices.Delete(u.requests, i, i+1)
	return append(steps, u.save())
}

func (u *Unended) save() Outgoing { return Outgoing{Requests: slices.Clone(u.requests)} }
