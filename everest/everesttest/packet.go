package everesttest

import (
	"bytes"
	"strings"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Packet is an MQTT packet that a proxy has received.
type Packet struct {
	Time time.Time
	// Connection is the number of the connection to the proxy, from 1.
	Connection int
	// FromClient is true for a packet that the client sent, false for one that the broker sent.
	FromClient bool
	// Type is MQTT's name of the packet type, such as "PUBLISH".
	Type string
	// Topic and Payload are set for a PUBLISH.
	Topic   string
	Payload []byte
	// Filters are set for a SUBSCRIBE or UNSUBSCRIBE.
	Filters []string
	// QoS is the QoS of a PUBLISH, or of the first filter of a SUBSCRIBE.
	QoS      byte
	Retained bool
	// MessageID connects a packet with its acknowledgements.
	MessageID uint16
	// Connect is set for a CONNECT.
	Connect *Connect
}

// Connect is the content of a CONNECT packet.
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
