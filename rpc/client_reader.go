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

// At most one goroutine at a time is the reader of the connection:
//
//   - A caller that finds no reader becomes the reader, until its own reply has come. With one call after the other no
//     goroutine is woken for a reply, which halves the time of a call.
//   - The background reader is a goroutine of the client. It reads while nothing is called, so that the end of the
//     connection is noticed, and while many calls are under way. It stops reading when calls come one after the other
//     in quick succession, and reads again when they no longer do.

const (
	// maxQuick is the time between replies below which calls count as quick. After quickCalls of them the background
	// reader stops, and looks again after each quietInterval.
	maxQuick      = time.Millisecond
	quickCalls    = 16
	quietInterval = 20 * time.Millisecond
)

// wakeReader makes the background reader read when no other goroutine does.
func (c *Client) wakeReader() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// readInBackground is the background reader. It begins as the reader of the connection.
func (c *Client) readInBackground() {
	timer := time.NewTimer(quietInterval)
	defer timer.Stop()
	for {
		if err := c.readWhileBusy(); err != nil {
			c.fail(err)
			return
		}
		if !c.awaitReading(timer) {
			return
		}
	}
}

// readWhileBusy reads replies until calls come one after the other, which callers should read for themselves. On return
// without an error it is no longer the reader.
func (c *Client) readWhileBusy() error {
	quick := 0
	last := time.Now()
	for {
		_, replies, err := c.dispatchAll(nil)
		if err != nil {
			return err
		}
		now := time.Now()
		if now.Sub(last) < maxQuick && replies <= 1 {
			quick++
		} else {
			quick = 0
		}
		last = now
		pending, stopped := c.stopReading(quick >= quickCalls)
		if stopped {
			return nil
		}
		if pending > 0 {
			quick = 0
		}
		c.acknowledge(pending)
		c.setDeadline(time.Time{})
		if err := c.in.fill(); err != nil && !c.interrupted(err) {
			return err
		}
	}
}

// stopReading returns how many calls are under way. If there are none it gives the reading up where that is wanted.
func (c *Client) stopReading(wanted bool) (pending int, stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls.count > 0 || !wanted || c.in.partial() || c.err != nil {
		return c.calls.count, false
	}
	c.reading = false
	return 0, true
}

// awaitReading waits until the background reader is the reader again. It returns false at the end of the connection.
func (c *Client) awaitReading(timer *time.Timer) bool {
	_, seen := c.counts()
	for {
		timer.Reset(quietInterval)
		woken := false
		select {
		case <-c.done:
			return false
		case <-c.wake:
			woken = true
		case <-timer.C:
		}
		var reading bool
		if seen, reading = c.resumeReading(woken, seen); reading {
			return true
		}
	}
}

// resumeReading makes the background reader the reader if no other goroutine is, and if it was woken or nothing was
// called since activity was seen. It returns the activity now.
func (c *Client) resumeReading(woken bool, seen uint64) (activity uint64, reading bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reading && (woken || c.activity == seen) {
		c.reading = true
		return c.activity, true
	}
	return c.activity, false
}

// lead reads until the call has ended. The caller is the reader, and no longer on return.
func (c *Client) lead(ctx context.Context, call *call) error {
	stop := func() bool { return true }
	if ctx.Done() != nil {
		// It may interrupt a read after lead has returned. The reader then sees no reason to stop, and reads again.
		stop = context.AfterFunc(ctx, c.interrupt)
	}
	mine, err := c.readUntilDone(ctx, call)
	stop()
	if c.endLead() {
		c.wakeReader()
	}
	if mine {
		return call.err
	}
	if err != nil {
		return c.abandon(call, err)
	}
	<-call.signal
	return call.err
}

// endLead reports whether calls are under way that need a reader.
func (c *Client) endLead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = false
	return c.calls.count > 0
}

// readUntilDone reads until the reply to the call has come, and then returns true, or until the call is to be abandoned
// with an error. Otherwise the connection has ended, and so has the call.
func (c *Client) readUntilDone(ctx context.Context, call *call) (bool, error) {
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
			pending, _ := c.counts()
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

// counts returns how many calls are under way and how many were begun.
func (c *Client) counts() (pending int, begun uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls.count, c.activity
}

// interrupt makes a read under way return.
func (c *Client) interrupt() {
	// The only error is that of a closed connection, which the reader gets too.
	_ = c.conn.SetReadDeadline(time.Unix(1, 0))
}

// interrupted reports whether a read ended only for its deadline, and forgets the deadline.
func (c *Client) interrupted(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.deadline = time.Unix(1, 0)
	return true
}

// setDeadline makes a read return at the deadline or somewhat earlier; the zero time is none. An earlier deadline that
// is set and not over is kept, because the reader looks at its own when the read returns.
func (c *Client) setDeadline(deadline time.Time) {
	if c.deadline.Equal(deadline) || !c.deadline.IsZero() && !deadline.IsZero() && c.deadline.After(time.Unix(1, 0)) && c.deadline.Before(deadline) {
		return
	}
	c.deadline = deadline
	_ = c.conn.SetReadDeadline(deadline)
}

// acknowledge makes TCP acknowledge received data at once where the peer may be waiting for that: with other calls
// under way, whose replies Nagle's algorithm may hold back, and in the middle of a message.
func (c *Client) acknowledge(pending int) {
	if pending > 1 || c.in.partial() {
		c.ack.now()
	}
}

// replyBatch is how many replies are given to their calls with one lock of mu.
const replyBatch = 32

// reply is a reply that was read, and the call that it is for.
type reply struct {
	message responseMessage
	call    *call
}

// dispatchAll gives every reply that was read to its call, and returns how many there were. mine reports whether the
// reply to the caller's own call was among them. That call is not signalled.
func (c *Client) dispatchAll(own *call) (mine bool, replies int, err error) {
	for {
		batch, err := c.collect()
		for i := range batch {
			call, message := batch[i].call, batch[i].message
			if call == nil {
				// A late reply to a call that was abandoned, or a stray one.
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

// collect returns replies that were read, with their calls, which it takes from the table. A big reply is the last, so
// that its buffer can be handed over. With an error it returns the replies before that.
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
	if len(batch) > 0 {
		c.takeCalls(batch)
	}
	return batch, err
}

// takeCalls fills in the calls that replies are for.
func (c *Client) takeCalls(batch []reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range batch {
		call := c.calls.take(batch[i].message.id)
		batch[i].call = call
		if call != nil && call.async != nil && !call.async.waits {
			c.dispatching = true
		}
	}
	c.signalChangeLocked()
}

// endDispatch writes what functions given to Start have begun. The reader alone changes dispatching.
func (c *Client) endDispatch() {
	if !c.dispatching {
		return
	}
	c.stopDispatching()
	c.out.flush(false)
}

func (c *Client) stopDispatching() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dispatching = false
}

// result decodes a reply into what the caller gave for it. The message must be the last that in has returned.
func (c *call) result(message responseMessage, in *messageReader) error {
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
	if len(message.result) >= bigMessage && c.adopt(message.result, in) {
		return nil
	}
	if _, err := decode(message.result, c.reply); err != nil {
		return fmt.Errorf("rpc: the result of %s: %w", c.method, err)
	}
	return nil
}

// adopt makes a big result the reply without copying it, where the reply is of a type that can keep the message's memory. It
// reports whether that was so.
func (c *call) adopt(result Raw, in *messageReader) bool {
	if raw, ok := c.reply.(*Raw); ok {
		size, err := msgpack.Skip(result)
		if err != nil || in.handOver(len(result)) == nil {
			return false
		}
		*raw = Raw(result[:size:size])
		return true
	}
	head, err := msgpack.ReadHead(result)
	if err != nil || !isText(head) {
		return false
	}
	content := result[head.Size:][:head.Bits:head.Bits]
	switch reply := c.reply.(type) {
	case *string:
		if in.handOver(len(result)) == nil {
			return false
		}
		*reply = adopt(content)
	case *[]byte:
		if in.handOver(len(result)) == nil {
			return false
		}
		*reply = content
	default:
		return false
	}
	return true
}

// adopt returns a text made of bytes without copying them. Nothing may change the bytes any more.
func adopt(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
