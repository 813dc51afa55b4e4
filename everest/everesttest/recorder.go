package everesttest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Recorder records messages in the order in which the broker delivers them.
type Recorder struct {
	wire     *wire
	mutex    sync.Mutex
	messages []Message
	arrived  chan struct{}
}

// StartRecorder connects and records everything below the filters, from the moment on in which it returns. Close it.
func StartRecorder(ctx context.Context, broker everest.Broker, filters ...string) (*Recorder, error) {
	r := &Recorder{arrived: make(chan struct{})}
	wire, err := dialWire(ctx, broker, "recorder", r.record)
	if err != nil {
		return nil, err
	}
	r.wire = wire
	if err := wire.subscribe(ctx, 2, filters...); err != nil {
		wire.stop()
		return nil, err
	}
	return r, nil
}

func (r *Recorder) record(message Message) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.messages = append(r.messages, message)
	close(r.arrived)
	r.arrived = make(chan struct{})
}

// Messages returns what was recorded so far.
func (r *Recorder) Messages() []Message {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.Clone(r.messages)
}

// Reset forgets what was recorded so far.
func (r *Recorder) Reset() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.messages = nil
}

// Wait returns when the recorded messages satisfy the predicate, with these messages. The predicate is asked again after each
// message. The error of a wait in vain tells the topics that were recorded last.
func (r *Recorder) Wait(ctx context.Context, enough func([]Message) bool) ([]Message, error) {
	for {
		r.mutex.Lock()
		messages, arrived := slices.Clone(r.messages), r.arrived
		r.mutex.Unlock()
		if enough(messages) {
			return messages, nil
		}
		select {
		case <-arrived:
		case <-r.wire.lost:
			return messages, errBrokerLost
		case <-ctx.Done():
			return messages, fmt.Errorf("everesttest: the messages waited for are not among the %d recorded, the last of which are %v: %w",
				len(messages), lastTopics(messages, 10), context.Cause(ctx))
		}
	}
}

// WaitTopic returns the first message recorded on the topic.
func (r *Recorder) WaitTopic(ctx context.Context, topic string) (Message, error) {
	var found Message
	_, err := r.Wait(ctx, func(messages []Message) bool {
		i := slices.IndexFunc(messages, func(m Message) bool { return m.Topic == topic })
		if i >= 0 {
			found = messages[i]
		}
		return i >= 0
	})
	return found, err
}

// OnTopic returns the recorded messages of one topic.
func (r *Recorder) OnTopic(topic string) []Message {
	return slices.DeleteFunc(r.Messages(), func(m Message) bool { return m.Topic != topic })
}

// Publish says something on the wire, as it is: what no module would say as well.
func (r *Recorder) Publish(ctx context.Context, message Message) error {
	return r.wire.publish(ctx, message.Topic, message.QoS, message.Retained, message.Payload)
}

// Close ends the recording; what was recorded stays. It may be called more than once.
func (r *Recorder) Close() error {
	r.wire.stop()
	return nil
}

func lastTopics(messages []Message, count int) []string {
	topics := make([]string, 0, count)
	for _, message := range messages[max(0, len(messages)-count):] {
		topics = append(topics, message.Topic)
	}
	return topics
}
