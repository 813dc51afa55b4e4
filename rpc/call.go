package rpc

import (
	"context"
	"fmt"
	"time"
)

// call is one call under way. It is used again after its end.
type call struct {
	client   *Client
	id       uint32
	method   string
	reply    any
	deadline time.Time
	message  encoder

	// async is nil for a call that a goroutine waits for.
	async *async

	// err and signal tell the goroutine that waits for the call, which alone uses the rest.
	err    error
	signal chan struct{}
	// timer is kept for the next call.
	timer *time.Timer
	// lent is open while the outbox may read the message or the caller's memory; nil when it never does.
	lent chan struct{}
}

// put queues the call's message; gathered is what the outbox's put answers. A put that fails has failed or will fail every
// call under way, this one too.
func (c *call) put(head []byte) (gathered bool, err error) {
	var owner pieceOwner
	if c.message.borrowed || len(head) >= bigMessage {
		c.lent = make(chan struct{})
		owner = c
	}
	gathered, err = c.client.out.put(head, c.message.tail, owner)
	if err != nil {
		c.lent = nil
	}
	return gathered, err
}

// written is the outbox's message that it no longer reads the message.
func (c *call) written() { close(c.lent) }

// returned says whether the outbox needs neither the message nor the caller's memory.
func (c *call) returned() bool {
	if c.lent == nil {
		return true
	}
	select {
	case <-c.lent:
		return true
	default:
		return false
	}
}

// reclaim waits until the outbox does not need the message and the caller's memory. What still waits to be written is
// copied, so this takes no longer than a write that is under way.
func (c *call) reclaim() {
	if c.lent == nil {
		return
	}
	if !c.client.out.disown(c) {
		<-c.lent
	}
	c.lent = nil
}

// finish ends the call with its result. The call may be another one as soon as this returns.
func (c *call) finish(err error) {
	if c.async != nil {
		c.complete(err)
		return
	}
	c.err = err
	c.signal <- struct{}{}
}

// begin encodes a call.
func (c *Client) begin(ctx context.Context, method string, reply any, args []any) (*call, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	call := c.objects.Get().(*call)
	call.method, call.reply = method, reply
	if c.config.CallTimeout > 0 {
		call.deadline = time.Now().Add(c.config.CallTimeout)
	}
	call.message.reset()
	err := call.message.arguments(method, args, c.config.Limits.Depth)
	if err == nil && call.message.size() > c.config.Limits.FrameSize {
		err = fmt.Errorf("rpc: calling %s with %d bytes: %w", method, call.message.size(), ErrFrameTooLarge)
	}
	if err != nil {
		c.recycle(call)
		return nil, err
	}
	return call, nil
}

func (c *Client) recycle(call *call) {
	call.reclaim()
	call.method, call.reply, call.async, call.err = "", nil, nil, nil
	call.deadline = time.Time{}
	call.message.tail = nil
	c.objects.Put(call)
}

// submit sends the call. lead says whether the caller has got the reader's role.
func (c *Client) submit(ctx context.Context, call *call) (lead bool, err error) {
	if err := c.admit(ctx, call); err != nil {
		return false, err
	}
	// admit has left mu locked.
	c.calls.add(call)
	c.activity++
	others := c.calls.count > 1
	if lead = !c.reading; lead {
		c.reading = true
	}
	c.mu.Unlock()
	_, _ = call.put(call.message.request(call.id))
	c.out.flush(others)
	return lead, nil
}

// admit waits until the limits let the call begin, or fails with ErrBusy where the call may not wait. On success it leaves
// mu locked.
func (c *Client) admit(ctx context.Context, call *call) error {
	var expired <-chan time.Time
	waits := call.async == nil || call.async.waits
	for {
		if c.out.queued.Load() > int64(c.out.limit) {
			if !waits {
				return ErrBusy
			}
			if expired == nil {
				expired = call.expiry()
			}
			if err := c.out.room(ctx, expired); err != nil {
				return c.cause(err)
			}
		}
		c.mu.Lock()
		if c.err != nil {
			c.mu.Unlock()
			return c.err
		}
		if c.calls.count < c.config.Limits.InFlight {
			return nil
		}
		if !waits {
			c.mu.Unlock()
			return ErrBusy
		}
		if c.change == nil {
			c.change = make(chan struct{})
		}
		change := c.change
		c.mu.Unlock()
		if expired == nil {
			expired = call.expiry()
		}
		select {
		case <-change:
		case <-expired:
			return c.timeout()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// freeSlot lets those go on who wait for a call to end; mu is held.
func (c *Client) freeSlot() {
	if c.change != nil {
		close(c.change)
		c.change = nil
	}
}

// expiry answers a channel that delivers at the call's deadline, nil when it has none.
func (c *call) expiry() <-chan time.Time {
	if c.deadline.IsZero() {
		return nil
	}
	left := max(time.Until(c.deadline), 0)
	if c.timer == nil {
		c.timer = time.NewTimer(left)
	} else {
		c.timer.Reset(left)
	}
	return c.timer.C
}

// wait waits for the reply while another goroutine reads.
func (c *Client) wait(ctx context.Context, call *call) error {
	done := ctx.Done()
	if done == nil && call.deadline.IsZero() {
		<-call.signal
		return call.err
	}
	expired := call.expiry()
	if expired != nil {
		defer call.timer.Stop()
	}
	select {
	case <-call.signal:
		return call.err
	case <-expired:
		return c.giveUp(call, c.timeout())
	case <-done:
		return c.giveUp(call, context.Cause(ctx))
	}
}

// giveUp ends a call before its reply has come, unless it comes this moment.
func (c *Client) giveUp(call *call, reason error) error {
	c.mu.Lock()
	mine := c.calls.find(call.id) == call
	if mine {
		c.calls.take(call.id)
		c.freeSlot()
	}
	c.mu.Unlock()
	if mine {
		return givenUp(call.method, reason)
	}
	<-call.signal
	return call.err
}

func givenUp(method string, reason error) error {
	return fmt.Errorf("rpc: calling %s: %w", method, reason)
}

func (c *Client) timeout() error {
	return fmt.Errorf("%w: no reply within %v", ErrTimeout, c.config.CallTimeout)
}
