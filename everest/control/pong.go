package control

// Pong is the answer to POST /ping.
type Pong struct {
	// Seconds is how long the round trip took.
	Seconds float64 `json:"round_trip_s"`
	// Peer is the address of the other board.
	Peer string `json:"peer"`
	// Dialect is that of the link.
	Dialect string `json:"dialect"`
	// Function is what was called for it. A legacy link has no function that does nothing: there the round trip is that
	// of the next poll.
	Function string `json:"function"`
}
