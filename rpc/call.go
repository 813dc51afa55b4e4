package rpc

import (
	"context"
	"fmt"
	"time"
)

// call is one call under way. The client uses it again after its end.
type call struct {
	client   *Client
	id       uint32
	method   string
	reply    any
	deadline time.Time
	message  encoder

	// async is nil for a call that a goroutine waits for.
	async *async

	// signal tells the goroutine that waits for the call that err is set. That goroutine alone uses timer and lent.
	err    error
	signal chan struct{}
	// timer is kept for the next call.
	timer *time.Timer
	// lent is open while the writer may read the message or the caller's memory; nil when it never does.
	lent chan struct{}
}

// put queues the call's message. gathered is what the writer's put returns. After an error the connection fails every
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

// written is called when the writer no longer reads the message.
func (c *call) written() { close(c.lent) }

// returned reports whether the writer needs neither the message nor the caller's memory.
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

// reclaim waits until the writer needs neither the message nor the caller's memory. What is still queued is copied, so
// the wait is that for one write at most.
func (c *call) reclaim() {
	if c.lent == nil {
		return
	}
	if !c.client.out.disown(c) {
		<-c.lent
	}
	c.lent = nil
}

// finish ends the call with its result. The call may be another one as soon as finish returns.
func (c *call) finish(err error) {
	if c.async != nil {
		c.complete(err)
		return
	}
	c.err = err
	c.signal <- struct{}{}
}

// expiry returns a channel that delivers at the call's deadline, nil when it has none.
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

// encode returns a call with its encoded message.
func (c *Client) encode(ctx context.Context, method string, reply any, args []any) (*call, error) {
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

// submit sends the call. lead reports whether the caller has become the reader.
func (c *Client) submit(ctx context.Context, call *call) (lead bool, err error) {
	begun, err := c.begin(ctx, call)
	if err != nil {
		return false, err
	}
	_, _ = call.put(call.message.request(call.id))
	c.out.flush(begun.others)
	return begun.lead, nil
}

// begun is what the start of a call leaves to do.
type begun struct {
	// others means that other calls are under way.
	others bool
	// lead means that the caller has become the reader.
	lead bool
	// wake, write and gathered are for calls with async: whether the background reader must be woken, whether the call
	// must be written, and what the writer's put has returned.
	wake, write, gathered bool
}

// begin waits until the limits let the call begin, and begins it. A call that must not wait fails with ErrBusy instead.
func (c *Client) begin(ctx context.Context, call *call) (begun, error) {
	waits := call.async == nil || call.async.waits
	for {
		if c.out.queued.Load() > int64(c.out.limit) {
			if !waits {
				return begun{}, ErrBusy
			}
			if err := c.out.room(ctx, call.expiry()); err != nil {
				return begun{}, c.cause(err)
			}
		}
		begun, change, err := c.tryBegin(call, waits)
		if change == nil {
			return begun, err
		}
		select {
		case <-change:
		case <-call.expiry():
			return begun, c.timeout()
		case <-ctx.Done():
			return begun, context.Cause(ctx)
		}
	}
}

// tryBegin begins the call. When the limit of calls in flight is reached it fails with ErrBusy. For a call that waits
// it then returns a channel that is closed when a call has ended.
func (c *Client) tryBegin(call *call, waits bool) (begun, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return begun{}, nil, c.err
	}
	if c.calls.count >= c.config.Limits.InFlight {
		if !waits {
			return begun{}, nil, ErrBusy
		}
		if c.change == nil {
			c.change = make(chan struct{})
		}
		return begun{}, c.change, ErrBusy
	}
	c.calls.add(call)
	c.activity++
	begun := begun{others: c.calls.count > 1}
	if call.async != nil {
		c.beginAsyncLocked(call, &begun)
		return begun, nil, nil
	}
	begun.lead = !c.reading
	c.reading = true
	return begun, nil, nil
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
		return c.abandon(call, c.timeout())
	case <-done:
		return c.abandon(call, context.Cause(ctx))
	}
}

// abandon ends a call before its reply has come, unless the reply comes at this moment.
func (c *Client) abandon(call *call, reason error) error {
	if c.remove(call) {
		return abandoned(call.method, reason)
	}
	<-call.signal
	return call.err
}

// remove reports whether the call was under way.
func (c *Client) remove(call *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls.find(call.id) != call {
		return false
	}
	c.calls.take(call.id)
	c.signalChangeLocked()
	return true
}

func abandoned(method string, reason error) error {
	return fmt.Errorf("rpc: calling %s: %w", method, reason)
}

func (c *Client) timeout() error {
	return fmt.Errorf("%w: no reply within %v", ErrTimeout, c.config.CallTimeout)
}
