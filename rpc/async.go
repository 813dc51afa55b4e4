package rpc

import (
	"context"
	"errors"
	"time"
)

// Call is a call begun with Client.Go.
type Call struct {
	Method string
	Reply  any
	// Error is the result of the call. It may be read when Done is closed.
	Error error
	// Done is closed when the call has ended.
	Done <-chan struct{}
}

// Go begins a call. It returns at once, or as soon as the limits of calls in flight and of queued bytes permit. The
// arguments must not be changed before Done is closed. ctx and Config.CallTimeout bound the call as they do with Call.
func (c *Client) Go(ctx context.Context, method string, reply any, args ...any) *Call {
	done := make(chan struct{})
	result := &Call{Method: method, Reply: reply, Done: done}
	end := func(err error) {
		result.Error = err
		close(done)
	}
	if err := c.start(ctx, method, reply, args, &async{done: end, waits: true}); err != nil {
		end(err)
	}
	return result
}

// ErrBusy reports that Start could not begin a call without waiting.
var ErrBusy = errors.New("rpc: too many calls or bytes under way")

// Start begins a call and returns at once. If Start returns nil, the client calls done once, when the call has ended,
// with the error that Call would return. If Start returns an error, done is never called. Where Call would wait for the
// limits of calls in flight or of queued bytes, Start fails with ErrBusy.
//
// done often runs on the goroutine that reads the connection, so other calls get no reply while done runs. Therefore
// done must not wait for anything, least of all for another call. If the connection breaks or ctx ends during Start,
// Start may call done before it returns. So done must not lock a mutex that the caller of Start holds.
//
// done may begin other calls with Start. The client handles all replies that it has read, and then writes the new calls
// together. This is the cheapest way to keep many calls under way.
//
// Until done is called, the caller must neither change the arguments nor use reply. ctx and Config.CallTimeout bound
// the call as they do with Call.
func (c *Client) Start(ctx context.Context, method string, reply any, done func(error), args ...any) error {
	return c.start(ctx, method, reply, args, &async{done: done})
}

// async is what a call has that no goroutine waits for.
type async struct {
	done func(error)
	// waits means that the call may wait to begin.
	waits bool
	// id is the message's, 0 until the call is under way. The client's mu guards it.
	id uint32
	// forget ends the watching of the context, timer that of the deadline; nil where there is nothing to watch.
	forget func() bool
	timer  *time.Timer
}

// start begins a call. done is called only if start returns nil.
func (c *Client) start(ctx context.Context, method string, reply any, args []any, async *async) error {
	call, err := c.encode(ctx, method, reply, args)
	if err != nil {
		return err
	}
	call.async = async
	deadline := call.deadline
	// The context and the timer may end before the call is under way, and find nothing to abandon: see below.
	if ctx.Done() != nil {
		async.forget = context.AfterFunc(ctx, func() { c.abandonAsync(async, method, context.Cause(ctx)) })
	}
	if !deadline.IsZero() {
		async.timer = time.AfterFunc(time.Until(deadline), func() { c.abandonAsync(async, method, c.timeout()) })
	}
	if err := c.submitAsync(ctx, call); err != nil {
		c.recycle(call)
		async.unwatch()
		return err
	}
	if err := context.Cause(ctx); err != nil {
		c.abandonAsync(async, method, err)
	}
	if !deadline.IsZero() && !time.Now().Before(deadline) {
		c.abandonAsync(async, method, c.timeout())
	}
	return nil
}

// submitAsync sends the call. When it returns, the call may have ended, and be another one.
func (c *Client) submitAsync(ctx context.Context, call *call) error {
	begun, err := c.begin(ctx, call)
	if err != nil {
		return err
	}
	switch {
	case begun.write && begun.others:
		c.out.flushSoon()
	case begun.write, begun.gathered:
		c.out.flush(false)
	}
	if begun.wake {
		c.wakeReader()
	}
	return nil
}

// beginAsyncLocked queues the message while mu is held: the call cannot end, and become another one, before that.
func (c *Client) beginAsyncLocked(call *call, begun *begun) {
	call.async.id = call.id
	// Close waits for pending only after c.err is set, which it is not.
	c.pending.Add(1)
	begun.wake = !c.reading
	// The reader writes what is begun by the functions that it runs.
	begun.write = call.async.waits || !c.dispatching
	begun.gathered, _ = call.put(call.message.request(call.id))
}

// abandonAsync ends the call before its reply has come, unless it has ended or the reply comes at this moment.
func (c *Client) abandonAsync(a *async, method string, reason error) {
	if call := c.removeAsync(a); call != nil {
		call.finish(abandoned(method, reason))
	}
}

// removeAsync returns the call if it is under way, else nil.
func (c *Client) removeAsync(a *async) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.calls.find(a.id)
	if call == nil || call.async != a {
		return nil
	}
	c.signalChangeLocked()
	return c.calls.take(a.id)
}

// complete ends an asynchronous call. It does not wait, although a write under way may still read the caller's memory
// when the reply is there: then a goroutine waits.
func (c *call) complete(err error) {
	c.async.unwatch()
	if c.returned() {
		c.callDone(err)
		return
	}
	go c.callDone(err)
}

func (c *call) callDone(err error) {
	client, done := c.client, c.async.done
	client.recycle(c)
	done(err)
	client.pending.Done()
}

func (a *async) unwatch() {
	if a.forget != nil {
		a.forget()
	}
	if a.timer != nil {
		a.timer.Stop()
	}
}
