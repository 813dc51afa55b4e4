package satellite_test

import (
	"net"
	"sync"
	"testing"
)

// cable is the network between the boards: a forwarder that can be cut, cut and
// kept out, or fall silent.
type cable struct {
	t        *testing.T
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu sync.Mutex
	// out refuses connections; silent, when not nil, holds up every byte until
	// it is closed.
	out    bool
	silent chan struct{}
	ends   map[net.Conn]bool
	// heard, when not nil, is called with what passes, and whether it goes to
	// the agent.
	heard func(toAgent bool, bytes []byte)
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{t: t, listener: listener, to: to, ends: map[net.Conn]bool{}}
	c.running.Go(c.accept)
	t.Cleanup(func() {
		listener.Close()
		c.heal()
		c.cut()
		c.running.Wait()
	})
	return c
}

func (c *cable) port() int { return c.listener.Addr().(*net.TCPAddr).Port }

func (c *cable) accept() {
	for {
		near, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.mu.Lock()
		out := c.out
		c.mu.Unlock()
		far, err := net.Dial("tcp", c.to)
		if err != nil || out {
			near.Close()
			if err == nil {
				far.Close()
			}
			continue
		}
		c.mu.Lock()
		c.ends[near], c.ends[far] = true, true
		c.mu.Unlock()
		c.running.Go(func() { c.forward(near, far, true) })
		c.running.Go(func() { c.forward(far, near, false) })
	}
}

func (c *cable) forward(from, to net.Conn, toAgent bool) {
	defer func() {
		from.Close()
		to.Close()
		c.mu.Lock()
		delete(c.ends, from)
		c.mu.Unlock()
	}()
	chunk := make([]byte, 64<<10)
	for {
		count, err := from.Read(chunk)
		c.mu.Lock()
		silent, heard := c.silent, c.heard
		c.mu.Unlock()
		if heard != nil && count > 0 {
			heard(toAgent, chunk[:count])
		}
		if silent != nil {
			// What is held up is lost with its connection. The end of a connection is held up, too: a pulled cable
			// carries no FIN.
			<-silent
			return
		}
		if err != nil {
			return
		}
		if _, err := to.Write(chunk[:count]); err != nil {
			return
		}
	}
}

// cut ends every connection.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for end := range c.ends {
		end.Close()
	}
}

// pull lets nothing through any more and tells nobody; new connections are
// taken and get no answer.
func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.silent == nil {
		c.silent = make(chan struct{})
	}
}

// takeOut refuses new connections and cuts those there are.
func (c *cable) takeOut() {
	c.mu.Lock()
	c.out = true
	c.mu.Unlock()
	c.cut()
}

func (c *cable) heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = false
	if c.silent != nil {
		close(c.silent)
		c.silent = nil
	}
}
