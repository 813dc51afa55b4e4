package link

import (
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// segmentSizes are the TCP segments in bytes to which a link goes down, one after the other. They fit the smallest
// packets that IPv6 and IPv4 carry everywhere, of 1280 and 576 bytes.
var segmentSizes = [...]int{1200, 536}

// stallsPerStep is how many connections in a row have to stall before a link goes down to the next size.
const stallsPerStep = 2

// path is what one end knows of the path to its peer. Some paths carry packets up to a size, swallow longer ones, and
// tell nobody. A new connection then greets, and stalls at the first long message. Its methods may be called from any
// goroutine. The zero value knows nothing.
type path struct {
	mu sync.Mutex
	// stalls counts the connections in a row that have stalled. steps is how far the link went down.
	stalls, steps int
}

// ended follows the end of a connection that lasted so long after its greeting. It reports whether smaller segments are
// to be used from now on.
func (p *path) ended(lasted, timeout time.Duration) (lowered bool) {
	switch {
	case lasted > 2*timeout:
		p.carries()
	case lasted > timeout/2:
		return p.stalled()
	}
	return false // a connection that was cut tells nothing
}

// stalled follows a connection on which short messages arrived and long ones did not.
func (p *path) stalled() (lowered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalls++; p.stalls < stallsPerStep || p.steps == len(segmentSizes) {
		return false
	}
	p.stalls = 0
	p.steps++
	return true
}

// carries follows a connection that lasts.
func (p *path) carries() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalls = 0
}

// beginSmall makes the link use the first of segmentSizes from the start. It reports whether segments were larger before.
func (p *path) beginSmall() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.steps > 0 {
		return false
	}
	p.steps = 1
	return true
}

// segment returns the size of further connections' segments, 0 for the system's choice.
func (p *path) segment() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.steps == 0 {
		return 0
	}
	return segmentSizes[p.steps-1]
}

// Segment returns the size of further connections' TCP segments in bytes, 0 for the system's choice.
func (c *Client) Segment() int { return c.path.segment() }

// serverPath is what an agent knows of the path to its v2 controller. Only the loop uses its fields.
type serverPath struct {
	path
	listener net.Listener
	// conn is the link's connection, 0 without one, since when it came.
	conn  handshake.ConnID
	since time.Time
}

// keptTimeouts is for how many heartbeat timeouts an agent keeps a connection that only moves bytes. With the default
// times that is the controller's window.
const keptTimeouts = 20

func (s *Server) keepFor() time.Duration { return keptTimeouts * time.Duration(s.v2.timeout.Load()) }

// follow looks at the link's connection after each step of the handshake. In v2 it counts connections that stall, as
// the controller does: a controller of an older release cannot help itself.
func (s *Server) follow(conn handshake.ConnID, timeout time.Duration) {
	p := &s.path
	if conn == p.conn {
		return
	}
	if p.conn != 0 && p.ended(time.Since(p.since), timeout) {
		s.lower()
	}
	p.conn, p.since = conn, time.Now()
	if session := s.conns.session(conn); session != nil {
		s.work.watch.begin(session, timeout)
	} else {
		s.work.watch.begin(nil, 0)
	}
}

// lower makes the segments of further connections smaller.
func (s *Server) lower() {
	s.limitSegments()
	s.config.Suspected(s.path.segment())
}

func (s *Server) limitSegments() {
	if err := rpc.LimitSegments(s.path.listener, s.path.segment()); err != nil {
		s.log.Warn("the segments of the link cannot be made smaller", zap.Error(err))
	}
}
