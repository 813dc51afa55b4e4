// Package page is what `satctl serve` shows: the modules of a station, read from
// their control sockets, as a page for people and as metrics for Prometheus.
//
// A Station reads every control socket of its directories once a second, each on
// a goroutine of its own, so that a module that hangs delays nobody else. It
// judges what it reads (assess.go), remembers five minutes of it for the charts
// (history.go) and what changed (change.go). A module whose socket no longer
// answers, or is gone, stays on the page as down until Config.Forget is over.
//
// A Server answers with that over HTTP, for reading only:
//
//	/             the page: one document, a style sheet and scripts, all embedded
//	/events       what the page shows, as server-sent events
//	/status.json  the same for programs, with each module's own snapshot
//	/metrics      the same for Prometheus (metric.go is the list)
//	/healthz      200 while the sockets are being read
//
// Whatever comes from a module is text to the page and never markup; the
// Content-Security-Policy allows nothing but the embedded files. A request whose
// Host is neither an address nor a name that was configured is refused, so that
// no foreign page can reach the server by rebinding a name. There is no
// authentication: who reaches the port reads the page, and nobody can change
// anything through it.
package page
