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
	conn     *brokerConn
	mu       sync.Mutex
	messages []Message
	arrived  chan struct{}
}

// StartRecorder starts to record all messages that match the filters. On return the broker has accepted the
// subscriptions. The caller must close it.
func StartRecorder(ctx context.Context, broker everest.Broker, filters ...string) (*Recorder, error) {
	r := &Recorder{arrived: make(chan struct{})}
	wire, err := dialBroker(ctx, broker, "recorder", r.record)
	if err != nil {
		return nil, err
	}
	r.conn = wire
	if err := wire.subscribe(ctx, 2, filters...); err != nil {
		wire.stop()
		return nil, err
	}
	return r, nil
}

func (r *Recorder) record(message Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, message)
	close(r.arrived)
	r.arrived = make(chan struct{})
}

// Messages returns the recorded messages.
func (r *Recorder) Messages() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// Reset removes the recorded messages.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = nil
}

// Wait waits until enough returns true for the messages recorded so far, and returns these messages. It calls enough at
// once, and again after each further message. The error of a timeout lists the topics of the last messages.
func (r *Recorder) Wait(ctx context.Context, enough func([]Message) bool) ([]Message, error) {
	for {
		r.mu.Lock()
		messages, arrived := slices.Clone(r.messages), r.arrived
		r.mu.Unlock()
		if enough(messages) {
			return messages, nil
		}
		select {
		case <-arrived:
		case <-r.conn.lost:
			return messages, errBrokerLost
		case <-ctx.Done():
			return messages, fmt.Errorf("everesttest: waiting for messages, after %d recorded, the last of them on %v: %w",
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

// Publish publishes a message without checking it, so that a test can send what no module may publish.
func (r *Recorder) Publish(ctx context.Context, message Message) error {
	return r.conn.publish(ctx, message.Topic, message.QoS, message.Retained, message.Payload)
}

// Close ends the recording and keeps the recorded messages. It may be called more than once.
func (r *Recorder) Close() error {
	r.conn.stop()
	return nil
}

func lastTopics(messages []Message, count int) []string {
	topics := make([]string, 0, count)
	for _, message := range messages[max(0, len(messages)-count):] {
		topics = append(topics, message.Topic)
	}
	return topics
}
