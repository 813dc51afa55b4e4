// Package page has the HTTP server of `satctl serve`: a page for people and metrics for Prometheus that show the
// modules of a station.
//
//	status sockets -> Station (station.go, watch.go, assess.go, history.go) -> Server -> browsers, Prometheus
//
// A Station reads every status socket of its directories once a second, each on its own goroutine, so that a hanging
// module delays no other. It rates what it reads, keeps five minutes of it for the charts, and lists the changes. A
// module that does not respond stays on the page as down; one whose socket is gone does so until Config.Forget has
// passed.
//
//	/             the page: one document, a style sheet and scripts, all embedded
//	/events       the content of the page, as server-sent events
//	/status.json  the same for programs, with each module's own snapshot
//	/metrics      the same for Prometheus; metric.go has the list
//	/healthz      200 while the sockets are being read
//
// The page treats text from a module as text, never as markup, and its Content-Security-Policy allows only embedded
// files. A request is rejected unless its Host is an address or a configured name, so that no foreign page can reach
// the server by DNS rebinding. There is no authentication: every client that reaches the port can read the page.
// Nothing can be changed through it.
package page
