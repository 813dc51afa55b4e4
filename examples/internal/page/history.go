package page

// historyLen is how many samples the charts show: five minutes.
const historyLen = 300

// history has the last samples of a board, one per tick.
type history struct {
	samples [historyLen]Sample
	next    int
	filled  bool
}

func (h *history) add(sample Sample) {
	h.samples[h.next] = sample
	h.next++
	if h.next == historyLen {
		h.next, h.filled = 0, true
	}
}

// series is a history with one list for each measure, the oldest sample first.
type series struct {
	Latency   []Value `json:"latency_s"`
	Variables []Value `json:"variables_per_s"`
	Queue     []Value `json:"queue"`
	Errors    []Value `json:"errors"`
}

func (h *history) series() series {
	length, first := h.next, 0
	if h.filled {
		length, first = historyLen, h.next
	}
	s := series{make([]Value, 0, length), make([]Value, 0, length), make([]Value, 0, length), make([]Value, 0, length)}
	for i := range length {
		sample := h.samples[(first+i)%historyLen]
		s.Latency = append(s.Latency, sample.Latency)
		s.Variables = append(s.Variables, sample.Variables)
		s.Queue = append(s.Queue, sample.Queue)
		s.Errors = append(s.Errors, sample.Errors)
	}
	return s
}
