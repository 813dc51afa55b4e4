package everest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// ExternalHandler handles a message of an external topic. topic is the topic of the message, without
// Options.ExternalPrefix, even when the subscription's filter has wildcards.
type ExternalHandler func(ctx context.Context, topic string, payload []byte)

// SubscribeExternal subscribes topics outside of EVerest. The filter is appended to Options.ExternalPrefix and may hold
// the wildcards + and #. The handler is called with each message; payloads may be any bytes. The broker delivers a
// message at most once. The manifest must set enable_external_mqtt.
func (m *Module) SubscribeExternal(filter string, handler ExternalHandler, options ...SubscribeOption) {
	whole := m.options.ExternalPrefix + filter
	err := m.checkExternal(whole)
	switch {
	case err == nil && handler == nil:
		err = fmt.Errorf("the handler is nil")
	case err == nil && !wire.ValidFilter(whole):
		err = fmt.Errorf("the filter is not a valid one")
	}
	if err != nil {
		m.mistake(fmt.Errorf("everest: subscribe external topic %q: %w", whole, err))
		return
	}
	m.router.addExternal(whole, m.newSubscription(whole, options, func(ctx context.Context, message Message, _ time.Time) {
		handler(ctx, strings.TrimPrefix(message.Topic, m.options.ExternalPrefix), message.Payload)
	}))
	m.registered()
}

// PublishExternal publishes bytes on a topic outside of EVerest. The topic is appended to Options.ExternalPrefix. The
// message is delivered at most once and is not retained. The manifest must set enable_external_mqtt.
func (m *Module) PublishExternal(ctx context.Context, topic string, payload []byte) error {
	whole := m.options.ExternalPrefix + topic
	err := m.checkExternal(whole)
	if err == nil && !wire.ValidTopic(whole) {
		err = fmt.Errorf("the topic must not be empty nor hold + or #")
	}
	if err == nil {
		err = m.send(ctx, whole, payload, AtMostOnce)
	}
	if err != nil {
		return fmt.Errorf("everest: publish external topic %q: %w", whole, err)
	}
	return nil
}

// checkExternal rejects topics of the framework, because one unknown message on them ends EVerest's modules.
func (m *Module) checkExternal(topic string) error {
	if m.manifest != nil && !m.manifest.EnableExternalMQTT {
		return fmt.Errorf("set enable_external_mqtt in the manifest")
	}
	if strings.HasPrefix(topic, m.options.EverestPrefix) {
		return fmt.Errorf("it lies below %s, where EVerest's own topics are", m.options.EverestPrefix)
	}
	return nil
}
