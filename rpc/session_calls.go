package rpc

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"
)

// takeAll takes the calls that were read. notified reports whether a notification was among them.
func (s *Session) takeAll(ctx context.Context) (notified bool, err error) {
	if size := s.frameSize.Load(); size != s.scanned {
		s.scanned = size
		s.in.scanner.SetLimits(s.limits().message())
	}
	for {
		if s.full() {
			s.queues.dispatch(ctx)
			s.awaitRoom()
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
			s.take(ctx, message, len(frame))
		}
	}
}

// take runs one call at once where that is allowed, else it adds the call to the queues.
func (s *Session) take(ctx context.Context, message requestMessage, size int) {
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
	if r.function.nonBlocking && s.queues.mayRunNow() {
		if size >= bigMessage && r.whole == nil {
			// The reply may be a part of the arguments, which is written after the reader has used the buffer again.
			r.keep()
		}
		if s.run(ctx, r) {
			s.out.flush(false)
		}
		return
	}
	if r.whole == nil {
		r.keep()
	}
	s.queues.add(r)
}

// full reports whether the limits keep the session from reading more calls.
func (s *Session) full() bool {
	limits := &s.server.config.Limits
	return s.inFlight.Load() >= int64(limits.InFlight) || s.received.Load() > int64(limits.QueuedBytes)
}

// awaitRoom waits until the limits let the session read more calls, or the session is to end.
func (s *Session) awaitRoom() {
	if !s.full() {
		return
	}
	// A reply that is queued and not written holds its call in flight.
	s.out.flush(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled.Store(true)
	defer s.stalled.Store(false)
	for s.full() && s.end() == endNot {
		s.progress.Wait()
	}
}

// release takes back a request whose reply is written or never comes.
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
		s.wakeReader()
	}
}

func (s *Session) wakeReader() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.Broadcast()
}

// runAlone runs a call on a goroutine of its own and writes the reply.
func (s *Session) runAlone(ctx context.Context, r *request) {
	s.overdue.begin()
	s.run(ctx, r)
	s.overdue.done()
	s.out.flush(s.inFlight.Load() > 0)
}

// run runs a handler and queues its reply. gathered reports whether enough replies are queued to write them.
func (s *Session) run(ctx context.Context, r *request) (gathered bool) {
	if s.end() >= endAfterReplies {
		s.release(r)
		return false
	}
	r.find(r.Method)
	err := s.invoke(ctx, r)
	silent := r.notification || errors.Is(err, NoReply)
	exit := s.exit.Load() && (r.notification || !silent)
	if silent {
		if err != nil && err != NoReply {
			s.server.config.Logger.Warn("notification failed", zap.String("function", r.Method), zap.Error(err))
		}
		s.release(r)
	} else {
		gathered = s.reply(ctx, r, err)
	}
	if exit {
		s.finish(endAfterReplies)
	}
	return gathered
}

// invoke runs the handler. A panic is what rpclib makes of an exception: with an error, one of std::exception.
func (s *Session) invoke(ctx context.Context, r *request) (err error) {
	defer func() {
		if value := recover(); value != nil {
			s.server.config.Logger.Error("handler panicked", zap.String("function", r.Method), zap.Any("panic", value), zap.Stack("stack"))
			if cause, ok := value.(error); ok {
				err = errors.New(cause.Error())
			} else {
				err = ErrorValue{Value: textUnknownException(r.Method, r.numArgs())}
			}
		}
	}()
	limits := &s.server.config.Limits
	r.reply.depth = limits.Depth
	r.reply.reset()
	r.reply.buffer = append(r.reply.buffer, 0xc0)
	if err := r.function.invoke(ctx, &r.Request, &r.reply); err != nil {
		return err
	}
	if size := r.reply.size(); size > limits.FrameSize {
		return fmt.Errorf("a result of %d bytes: %w", size, ErrFrameTooLarge)
	}
	return nil
}

// reply queues the reply to a call. gathered is what the writer's put returns.
func (s *Session) reply(ctx context.Context, r *request, err error) (gathered bool) {
	if err != nil {
		r.reply.reset()
		r.reply.failure(r.Method, r.numArgs(), err)
	}
	// It fails when the session ends; then put fails too.
	_ = s.out.room(ctx, nil)
	head := r.reply.response(r.id)
	if len(head) < bigMessage && len(r.reply.tail) == 0 {
		gathered, err = s.out.put(head, nil, nil)
		s.release(r)
	} else if gathered, err = s.out.put(head, r.reply.tail, r); err != nil {
		s.release(r)
	}
	if err != nil {
		// No reply can be sent any more, so no further handler runs for one.
		s.finish(endNow)
	}
	return gathered
}
