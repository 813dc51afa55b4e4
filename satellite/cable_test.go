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

	lock sync.Mutex
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
		c.lock.Lock()
		out := c.out
		c.lock.Unlock()
		far, err := net.Dial("tcp", c.to)
		if err != nil || out {
			near.Close()
			if err == nil {
				far.Close()
			}
			continue
		}
		c.lock.Lock()
		c.ends[near], c.ends[far] = true, true
		c.lock.Unlock()
		c.running.Go(func() { c.forward(near, far, true) })
		c.running.Go(func() { c.forward(far, near, false) })
	}
}

func (c *cable) forward(from, to net.Conn, toAgent bool) {
	defer func() {
		from.Close()
		to.Close()
		c.lock.Lock()
		delete(c.ends, from)
		c.lock.Unlock()
	}()
	chunk := make([]byte, 64<<10)
	for {
		count, err := from.Read(chunk)
		if err != nil {
			return
		}
		c.lock.Lock()
		silent, heard := c.silent, c.heard
		c.lock.Unlock()
		if heard != nil {
			heard(toAgent, chunk[:count])
		}
		if silent != nil {
			<-silent
			return // what was held up is lost with its connection
		}
		if _, err := to.Write(chunk[:count]); err != nil {
			return
		}
	}
}

// cut ends every connection.
func (c *cable) cut() {
	c.lock.Lock()
	defer c.lock.Unlock()
	for end := range c.ends {
		end.Close()
	}
}

// pull lets nothing through any more and tells nobody; new connections are
// taken and get no answer.
func (c *cable) pull() {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.silent == nil {
		c.silent = make(chan struct{})
	}
}

// takeOut refuses new connections and cuts those there are.
func (c *cable) takeOut() {
	c.lock.Lock()
	c.out = true
	c.lock.Unlock()
	c.cut()
}

func (c *cable) heal() {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.out = false
	if c.silent != nil {
		close(c.silent)
		c.silent = nil
	}
}
