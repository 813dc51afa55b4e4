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
	// Error is to be read when Done is closed.
	Error error
	// Done is closed when the call has ended.
	Done <-chan struct{}
}

// Go begins a call and answers at once, or as soon as the limits of calls in flight and of queued bytes let it. The
// arguments must not be changed before Done is closed. ctx and Config.CallTimeout bound the call as they do with Call.
func (c *Client) Go(ctx context.Context, method string, reply any, args ...any) *Call {
	done := make(chan struct{})
	result := &Call{Method: method, Reply: reply, Done: done}
	end := func(err error) {
		result.Error = err
		close(done)
	}
	if err := c.start(ctx, method, reply, args, &async{client: c, done: end, waits: true}); err != nil {
		end(err)
	}
	return result
}

// ErrBusy is a call that Start could not begin without waiting.
var ErrBusy = errors.New("rpc: too many calls or bytes under way")

// Start begins a call and answers at once. When it answers nil, done is called once, when the call has ended, with what
// Call would return.
//
// done is called on the goroutine that reads the connection, or on one that ends a context or closes the client, so it must
// not wait for anything, least of all for another call. Where the connection breaks or ctx ends just then it is called by
// Start itself, before that returns: a lock that the caller holds meanwhile is one that done must not take. It may begin other calls with Start: they are written when all
// replies that were read have been handled. That makes Start the way to keep many calls under way that costs least.
//
// The arguments must not be changed, and reply not be used, before done is called. ctx and Config.CallTimeout bound the
// call as they do with Call. Where Call would wait because the limits of calls in flight or of queued bytes are reached,
// Start fails with ErrBusy.
func (c *Client) Start(ctx context.Context, method string, reply any, done func(error), args ...any) error {
	return c.start(ctx, method, reply, args, &async{client: c, done: done})
}

// async is a call that no goroutine waits for.
type async struct {
	client *Client
	done   func(error)
	// waits says that the call may wait to begin.
	waits bool
	// id is the message's, 0 until the call is under way; the client's mu guards it.
	id uint32
	// forget ends the watching of the context, timer that of the deadline; nil where there is nothing to watch.
	forget func() bool
	timer  *time.Timer
}

// start begins a call. done is called only if it answers nil.
func (c *Client) start(ctx context.Context, method string, reply any, args []any, async *async) error {
	call, err := c.begin(ctx, method, reply, args)
	if err != nil {
		return err
	}
	call.async = async
	deadline := call.deadline
	// They may end before the call is under way, and find nothing to give up.
	if ctx.Done() != nil {
		async.forget = context.AfterFunc(ctx, func() { async.giveUp(method, context.Cause(ctx)) })
	}
	if !deadline.IsZero() {
		async.timer = time.AfterFunc(time.Until(deadline), func() { async.giveUp(method, c.timeout()) })
	}
	if err := c.submitAsync(ctx, call); err != nil {
		c.recycle(call)
		async.unwatch()
		return err
	}
	if err := context.Cause(ctx); err != nil {
		async.giveUp(method, err)
	}
	if !deadline.IsZero() && !time.Now().Before(deadline) {
		async.giveUp(method, c.timeout())
	}
	return nil
}

// submitAsync sends the call, which may have ended, and be another one, when it returns.
func (c *Client) submitAsync(ctx context.Context, call *call) error {
	if err := c.admit(ctx, call); err != nil {
		return err
	}
	// admit has left mu locked.
	c.calls.add(call)
	c.activity++
	call.async.id = call.id
	// Close begins to wait when the client has failed, and it has not: mu is held.
	c.waiting.Add(1)
	others := c.calls.count > 1
	wake := !c.reading
	// A done function that the reader runs may have begun it: the reader writes then.
	write := call.async.waits || !c.dispatching
	// mu is held so that nobody ends the call, and makes another one of it, before its message is queued.
	gathered, _ := call.put(call.message.request(call.id))
	c.mu.Unlock()
	switch {
	case write && others:
		c.out.flushSoon()
	case write:
		c.out.flush(false)
	case gathered:
		c.out.flush(false)
	}
	if wake {
		c.wakeWatcher()
	}
	return nil
}

// giveUp ends the call before its reply has come, unless it has ended or comes this moment.
func (a *async) giveUp(method string, reason error) {
	c := a.client
	c.mu.Lock()
	call := c.calls.find(a.id)
	mine := call != nil && call.async == a
	if mine {
		c.calls.take(a.id)
		c.freeSlot()
	}
	c.mu.Unlock()
	if mine {
		call.finish(givenUp(method, reason))
	}
}

// complete ends an asynchronous call. It does not wait: the caller's memory may still be read by a write that is under way,
// even though the reply is there.
func (c *call) complete(err error) {
	client, async := c.client, c.async
	async.unwatch()
	if !c.returned() {
		go func() {
			client.recycle(c)
			async.done(err)
			client.waiting.Done()
		}()
		return
	}
	client.recycle(c)
	async.done(err)
	client.waiting.Done()
}

func (a *async) unwatch() {
	if a.forget != nil {
		a.forget()
	}
	if a.timer != nil {
		a.timer.Stop()
	}
}
