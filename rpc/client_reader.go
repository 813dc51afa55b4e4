package rpc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// Who reads. Of the goroutines around a client, one at a time has the reader's role. A caller that finds the role free
// takes it and reads until its own reply has come: with one call after the other no goroutine is woken for a reply. When
// it leaves and other calls are under way, the watcher takes over. The watcher is a goroutine of the client: it has the
// role while nothing happens, so that the end of the connection is noticed, and while many calls are under way. It steps
// aside when calls come one after the other in quick succession, and comes back when they no longer do.

const (
	// quickCall is the time between replies below which calls count as quick; after quickCalls of them the watcher steps
	// aside, and looks again after each watchInterval.
	quickCall     = time.Millisecond
	quickCalls    = 16
	watchInterval = 20 * time.Millisecond
)

func (c *Client) wakeWatcher() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// watch is the watcher; it begins with the reader's role.
func (c *Client) watch() {
	timer := time.NewTimer(watchInterval)
	defer timer.Stop()
	for {
		if err := c.readWhileBusy(); err != nil {
			c.fail(err)
			return
		}
		if !c.aside(timer) {
			return
		}
	}
}

// readWhileBusy reads replies until it finds that the callers had better read themselves; it has then given the role up.
func (c *Client) readWhileBusy() error {
	quick := 0
	last := time.Now()
	for {
		_, replies, err := c.dispatchAll(nil)
		if err != nil {
			return err
		}
		now := time.Now()
		if now.Sub(last) < quickCall && replies <= 1 {
			quick++
		} else {
			quick = 0
		}
		last = now
		c.mu.Lock()
		pending := c.calls.count
		if pending > 0 {
			quick = 0
		} else if quick >= quickCalls && !c.in.partial() && c.err == nil {
			c.reading = false
			c.mu.Unlock()
			return nil
		}
		c.mu.Unlock()
		c.acknowledge(pending)
		c.setDeadline(time.Time{})
		if err := c.in.fill(); err != nil && !c.interrupted(err) {
			return err
		}
	}
}

// aside waits until the watcher has the reader's role again; false is the end of the connection.
func (c *Client) aside(timer *time.Timer) bool {
	c.mu.Lock()
	seen := c.activity
	c.mu.Unlock()
	for {
		timer.Reset(watchInterval)
		called := false
		select {
		case <-c.done:
			return false
		case <-c.wake:
			called = true
		case <-timer.C:
		}
		c.mu.Lock()
		if !c.reading && (called || c.activity == seen) {
			c.reading = true
			c.mu.Unlock()
			return true
		}
		seen = c.activity
		c.mu.Unlock()
	}
}

// lead reads until the call has ended. The caller has the reader's role and loses it.
func (c *Client) lead(ctx context.Context, call *call) error {
	stop := func() bool { return true }
	if ctx.Done() != nil {
		// A read that this interrupts after lead has returned goes on: the reader then in charge sees no reason to stop.
		stop = context.AfterFunc(ctx, c.interrupt)
	}
	mine, err := c.leadUntilDone(ctx, call)
	stop()
	c.mu.Lock()
	c.reading = false
	others := c.calls.count > 0
	c.mu.Unlock()
	if others {
		c.wakeWatcher()
	}
	if mine {
		return call.err
	}
	if err != nil {
		return c.giveUp(call, err)
	}
	<-call.signal
	return call.err
}

// leadUntilDone answers true when the reply came while it read, and an error when the call is to be given up. Otherwise
// the connection has ended, and so has the call.
func (c *Client) leadUntilDone(ctx context.Context, call *call) (bool, error) {
	for {
		mine, _, err := c.dispatchAll(call)
		if err == nil && mine {
			return true, nil
		}
		if err == nil {
			c.setDeadline(call.deadline)
			if ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
			c.mu.Lock()
			pending := c.calls.count
			c.mu.Unlock()
			c.acknowledge(pending)
			if err = c.in.fill(); err != nil && c.interrupted(err) {
				err = nil
				if !call.deadline.IsZero() && !time.Now().Before(call.deadline) {
					return false, c.timeout()
				}
			}
		}
		if err != nil {
			c.fail(err)
			return mine, nil
		}
	}
}

// interrupt makes a read that is under way return.
func (c *Client) interrupt() {
	// The only error is that of a closed connection, which the reader gets too.
	_ = c.conn.SetReadDeadline(time.Unix(1, 0))
}

// interrupted says whether a read ended for its deadline only, and forgets the deadline.
func (c *Client) interrupted(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.deadline = time.Unix(1, 0)
	return true
}

// setDeadline sees to it that a read returns at the deadline, or somewhat before: a deadline that is set already and not
// over is good enough, as the reader looks at its own when it returns. Zero means none.
func (c *Client) setDeadline(deadline time.Time) {
	if c.deadline.Equal(deadline) || !c.deadline.IsZero() && !deadline.IsZero() && c.deadline.After(time.Unix(1, 0)) && c.deadline.Before(deadline) {
		return
	}
	c.deadline = deadline
	_ = c.conn.SetReadDeadline(deadline)
}

// acknowledge has TCP acknowledge at once where the peer may be waiting for that: with other calls under way, whose
// replies Nagle's algorithm may hold back, and in the middle of a message.
func (c *Client) acknowledge(pending int) {
	if pending > 1 || c.in.partial() {
		c.ack.now()
	}
}

// replyBatch is how many replies are looked up at a time.
const replyBatch = 32

// reply is one that was read, and the call that it is for.
type reply struct {
	message responseMessage
	call    *call
}

// dispatchAll gives every reply that was read to its call. It answers how many there were, and whether that of the
// caller's own call was among them, which is not signalled.
func (c *Client) dispatchAll(own *call) (mine bool, replies int, err error) {
	for {
		batch, err := c.collect()
		for i := range batch {
			call, message := batch[i].call, batch[i].message
			if call == nil {
				// A late reply of a call that was given up, or a stray one.
				continue
			}
			err := call.result(message, &c.in)
			if call == own {
				call.err = err
				mine = true
				continue
			}
			call.finish(err)
		}
		replies += len(batch)
		if err != nil || len(batch) == 0 {
			c.endDispatch()
			return mine, replies, err
		}
	}
}

// collect takes replies that were read, and their calls from the table. A big one is the last, so that its buffer can be
// handed over. With an error it answers those before it.
func (c *Client) collect() (batch []reply, err error) {
	batch = c.replies[:0]
	for len(batch) < replyBatch {
		var frame []byte
		if frame, err = c.in.next(); frame == nil || err != nil {
			break
		}
		var message responseMessage
		if message, err = parseResponse(frame); err != nil {
			break
		}
		batch = append(batch, reply{message: message})
		if len(frame) >= bigMessage {
			break
		}
	}
	if len(batch) == 0 {
		return batch, err
	}
	c.mu.Lock()
	for i := range batch {
		call := c.calls.take(batch[i].message.id)
		batch[i].call = call
		if call != nil && call.async != nil && !call.async.waits {
			c.dispatching = true
		}
	}
	c.freeSlot()
	c.mu.Unlock()
	return batch, err
}

// endDispatch writes what functions given to Start have begun; the reader alone changes dispatching.
func (c *Client) endDispatch() {
	if !c.dispatching {
		return
	}
	c.mu.Lock()
	c.dispatching = false
	c.mu.Unlock()
	c.out.flush(false)
}

// result decodes a reply into what the caller gave for it. The message is the last that next has answered.
func (c *call) result(message responseMessage, in *inbox) error {
	if message.failed {
		value, _, err := decodeAny(message.failure)
		if err != nil {
			value = append(Raw(nil), message.failure...)
		}
		return &RemoteError{Method: c.method, Value: value}
	}
	if c.reply == nil {
		return nil
	}
	if text, ok := c.reply.(*string); ok && len(message.result) >= bigMessage {
		if head, err := msgpack.ReadHead(message.result); err == nil && isText(head) && in.handOver(len(message.result)) != nil {
			*text = adopt(message.result[head.Size:][:head.Bits])
			return nil
		}
	}
	if _, err := decode(message.result, c.reply); err != nil {
		return fmt.Errorf("rpc: the result of %s: %w", c.method, err)
	}
	return nil
}

// adopt makes a text of bytes that were handed over: nothing else points to them, so nothing can change them.
func adopt(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
