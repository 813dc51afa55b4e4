package rpc

import (
	"errors"
	"fmt"

	"go.uber.org/zap"
)

// takeAll takes the calls that were read. notified says that there was a notification among them.
func (s *Session) takeAll() (notified bool, err error) {
	limits := &s.server.config.Limits
	for {
		if s.inFlight.Load() >= int64(limits.InFlight) || s.received.Load() > int64(limits.QueuedBytes) {
			s.lanes.dispatch()
			s.admit()
		}
		if s.end() >= endAfterReplies {
			return notified, nil
		}
		frame, err := s.in.next()
		if frame == nil || err != nil {
			return notified, err
		}
		message, ok, err := parseRequest(frame)
		if err != nil {
			return notified, err
		}
		if ok {
			notified = notified || message.notification
			s.take(message, len(frame))
		}
	}
}

// take begins one call: at once where that may be, else by way of a lane.
func (s *Session) take(message requestMessage, size int) {
	r := s.server.requests.Get().(*request)
	r.session = s
	r.id = message.id
	r.notification = message.notification
	r.Args = message.args
	r.functions = s.server.functions.Load()
	if r.function = (*r.functions)[string(message.method)]; r.function != nil {
		r.Method = r.function.name
	} else {
		r.Method = string(message.method)
		r.function = s.server.missing
	}
	r.size = size
	s.inFlight.Add(1)
	s.received.Add(int64(size))
	if size >= bigMessage {
		r.whole = s.in.handOver(size)
	}
	if r.function.nonBlocking && s.lanes.mayRunNow() {
		if size >= bigMessage && r.whole == nil {
			// A part of it may be the reply, which is then written from where it is, after the buffer was used again.
			r.keep()
		}
		if s.run(r) {
			s.out.flush(false)
		}
		return
	}
	if r.whole == nil {
		r.keep()
	}
	s.lanes.add(r)
}

// admit waits until the limits let the session read on.
func (s *Session) admit() {
	limits := &s.server.config.Limits
	full := func() bool {
		return s.inFlight.Load() >= int64(limits.InFlight) || s.received.Load() > int64(limits.QueuedBytes)
	}
	if !full() {
		return
	}
	// What is waited for may be the sending of a reply.
	s.out.flush(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled.Store(true)
	defer s.stalled.Store(false)
	for full() && s.end() == endNot {
		s.progress.Wait()
	}
}

// release gives a request back that is answered and needed no more.
func (s *Session) release(r *request) {
	s.received.Add(int64(-r.size))
	s.inFlight.Add(-1)
	if r.whole != nil && !r.adopted {
		whole := r.whole
		s.server.big.Put(&whole)
	}
	r.whole, r.adopted = nil, false
	r.Args, r.reply.tail, r.function = nil, nil, nil
	s.server.requests.Put(r)
	if s.stalled.Load() {
		s.mu.Lock()
		s.progress.Broadcast()
		s.mu.Unlock()
	}
}

// run runs a handler and queues its reply. gathered says that enough replies are queued to write them.
func (s *Session) run(r *request) (gathered bool) {
	if s.end() >= endAfterReplies {
		s.release(r)
		return false
	}
	r.find(r.Method)
	err := s.invoke(r)
	silent := r.notification || errors.Is(err, NoReply)
	exit := s.exit.Load() && (r.notification || !silent)
	if silent {
		if err != nil && err != NoReply {
			s.server.config.Logger.Warn("notification failed", zap.String("function", r.Method), zap.Error(err))
		}
		s.release(r)
	} else {
		gathered = s.answer(r, err)
	}
	if exit {
		s.finish(endAfterReplies)
	}
	return gathered
}

// invoke runs the handler; what it panics with is an error.
func (s *Session) invoke(r *request) (err error) {
	defer func() {
		if value := recover(); value != nil {
			s.server.config.Logger.Error("handler panicked", zap.String("function", r.Method), zap.Any("panic", value), zap.Stack("stack"))
			err = &panicked{value: value}
		}
	}()
	limits := &s.server.config.Limits
	r.reply.depth = limits.Depth
	r.reply.reset()
	r.reply.buffer = append(r.reply.buffer, 0xc0)
	if err := r.function.invoke(s.ctx, &r.Request, &r.reply); err != nil {
		return err
	}
	if size := r.reply.size(); size > limits.FrameSize {
		return fmt.Errorf("a result of %d bytes: %w", size, ErrFrameTooLarge)
	}
	return nil
}

// answer queues the reply to a call; gathered is what the outbox's put answers.
func (s *Session) answer(r *request, err error) (gathered bool) {
	if err != nil {
		r.reply.reset()
		r.reply.failure(r.Method, r.numArgs(), err)
	}
	// When the session ends meanwhile put says so.
	_ = s.out.room(s.ctx, nil)
	head := r.reply.response(r.id)
	if len(head) < bigMessage && len(r.reply.tail) == 0 {
		gathered, err = s.out.put(head, nil, nil)
		s.release(r)
	} else if gathered, err = s.out.put(head, r.reply.tail, r); err != nil {
		s.release(r)
	}
	if err != nil {
		// Nobody gets a reply any more: no further handler shall run for one.
		s.finish(endNow)
	}
	return gathered
}
