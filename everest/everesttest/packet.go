package everesttest

import (
	"bytes"
	"strings"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Packet is one MQTT packet as it passed a proxy.
type Packet struct {
	Time time.Time
	// Connection counts the connections to the proxy, from 1.
	Connection int
	// FromClient tells packets of the client from those of the broker.
	FromClient bool
	// Type is MQTT's name of the packet: "CONNECT", "PUBLISH", "SUBACK".
	Type string
	// Topic and Payload of a PUBLISH.
	Topic   string
	Payload []byte
	// Filters of a SUBSCRIBE or UNSUBSCRIBE.
	Filters []string
	// QoS of a PUBLISH, or that of a SUBSCRIBE's first filter.
	QoS      byte
	Retained bool
	// MessageID pairs packets with their acknowledgements.
	MessageID uint16
	// Connect is what a CONNECT says, else nil.
	Connect *Connect
}

// Connect is what a client says about itself.
type Connect struct {
	ClientID     string
	CleanSession bool
	Will         bool
	KeepAlive    time.Duration
}

func packetOf(raw packets.ControlPacket, connection int, fromClient bool) Packet {
	packet := Packet{Time: time.Now(), Connection: connection, FromClient: fromClient, MessageID: raw.Details().MessageID}
	packet.Type, _, _ = strings.Cut(raw.String(), ":")
	switch raw := raw.(type) {
	case *packets.ConnectPacket:
		packet.Connect = &Connect{
			ClientID: raw.ClientIdentifier, CleanSession: raw.CleanSession, Will: raw.WillFlag,
			KeepAlive: time.Duration(raw.Keepalive) * time.Second,
		}
	case *packets.PublishPacket:
		packet.Topic, packet.Payload, packet.QoS, packet.Retained = raw.TopicName, bytes.Clone(raw.Payload), raw.Qos, raw.Retain
	case *packets.SubscribePacket:
		packet.Filters, packet.QoS = raw.Topics, raw.Qoss[0]
	case *packets.UnsubscribePacket:
		packet.Filters = raw.Topics
	}
	return packet
}
