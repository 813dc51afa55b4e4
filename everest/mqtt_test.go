package everest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/internal/mqtt"
)

// scriptedBroker is a broker of few words: what it answers is up to the test.
type scriptedBroker struct {
	listener net.Listener
	broker   Broker
	received chan packets.ControlPacket
	serving  sync.WaitGroup
}

// newScriptedBroker serves one connection. answer returns nil for no answer.
func newScriptedBroker(t *testing.T, answer func(packets.ControlPacket) packets.ControlPacket) *scriptedBroker {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().(*net.TCPAddr)
	b := &scriptedBroker{listener: listener, broker: Broker{Host: address.IP.String(), Port: address.Port}, received: make(chan packets.ControlPacket, 1000)}
	b.serving.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			packet, err := packets.ReadPacket(conn)
			if err != nil {
				return
			}
			if reply := answer(packet); reply != nil {
				if reply.Write(conn) != nil {
					return
				}
			}
			b.received <- packet
		}
	})
	t.Cleanup(func() {
		listener.Close()
		b.serving.Wait()
	})
	return b
}

func (b *scriptedBroker) open(t *testing.T, ctx context.Context) (Transport, error) {
	t.Helper()
	transport, err := openMQTT(ctx, TransportConfig{Broker: b.broker, ClientID: "test", Receive: func(Message) {}, Logger: zap.NewNop()})
	if err == nil {
		t.Cleanup(func() { transport.Close() })
	}
	return transport, err
}

func accept(code byte) packets.ControlPacket {
	connack := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
	connack.ReturnCode = code
	return connack
}

func patientContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestMQTTConnectSaysWhoItIs(t *testing.T) {
	broker := newScriptedBroker(t, func(packet packets.ControlPacket) packets.ControlPacket {
		if _, ok := packet.(*packets.ConnectPacket); ok {
			return accept(packets.Accepted)
		}
		return nil
	})
	if _, err := broker.open(t, patientContext(t)); err != nil {
		t.Fatal(err)
	}
	connect := (<-broker.received).(*packets.ConnectPacket)
	if connect.ProtocolVersion != 4 || !connect.CleanSession || connect.WillFlag || connect.UsernameFlag || connect.Keepalive != 20 || connect.ClientIdentifier != "test" {
		t.Errorf("%+v", connect)
	}
}

func TestMQTTNeverHasMoreThan16UnacknowledgedMessages(t *testing.T) {
	broker := newScriptedBroker(t, func(packet packets.ControlPacket) packets.ControlPacket {
		if _, ok := packet.(*packets.ConnectPacket); ok {
			return accept(packets.Accepted)
		}
		return nil // nothing is ever acknowledged
	})
	transport, err := broker.open(t, patientContext(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range mqtt.Window {
		if err := transport.Publish(patientContext(t), "t", fmt.Append(nil, i), ExactlyOnce); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := transport.Publish(ctx, "t", []byte("one more"), ExactlyOnce); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the 17th message: %v", err)
	}
	if err := transport.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush: %v", err)
	}
	published := 0
	for range 1 + mqtt.Window {
		if publish, ok := (<-broker.received).(*packets.PublishPacket); ok {
			if string(publish.Payload) != fmt.Sprint(published) || publish.Qos != 2 || publish.Retain {
				t.Errorf("message %d is %s", published, publish)
			}
			published++
		}
	}
	if published != mqtt.Window || len(broker.received) != 0 {
		t.Errorf("%d messages were sent, and %d packets more", published, len(broker.received))
	}
	// A waiting publisher learns of the end.
	waiting := make(chan error, 1)
	go func() { waiting <- transport.Publish(context.Background(), "t", nil, ExactlyOnce) }()
	transport.Close()
	if err := <-waiting; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestMQTTRefusedSubscriptionIsAnError(t *testing.T) {
	broker := newScriptedBroker(t, func(packet packets.ControlPacket) packets.ControlPacket {
		switch packet := packet.(type) {
		case *packets.ConnectPacket:
			return accept(packets.Accepted)
		case *packets.SubscribePacket:
			suback := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
			suback.MessageID = packet.MessageID
			for _, topic := range packet.Topics {
				code := byte(2)
				if topic == "secret" {
					code = 0x80
				}
				suback.ReturnCodes = append(suback.ReturnCodes, code)
			}
			return suback
		}
		return nil
	})
	transport, err := broker.open(t, patientContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := transport.Subscribe(patientContext(t), ExactlyOnce, "a", "b"); err != nil {
		t.Error(err)
	}
	if err := transport.Subscribe(patientContext(t), ExactlyOnce, "c", "secret"); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestMQTTSubscribeAwaitsTheAcknowledgement(t *testing.T) {
	broker := newScriptedBroker(t, func(packet packets.ControlPacket) packets.ControlPacket {
		if _, ok := packet.(*packets.ConnectPacket); ok {
			return accept(packets.Accepted)
		}
		return nil
	})
	transport, err := broker.open(t, patientContext(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := transport.Subscribe(ctx, ExactlyOnce, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	go transport.Close()
	if err := transport.Subscribe(patientContext(t), ExactlyOnce, "b"); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestMQTTConnectErrorsNameTheBroker(t *testing.T) {
	refusing := newScriptedBroker(t, func(packets.ControlPacket) packets.ControlPacket { return accept(packets.ErrRefusedNotAuthorised) })
	silent := newScriptedBroker(t, func(packets.ControlPacket) packets.ControlPacket { return nil })
	gone := newScriptedBroker(t, func(packets.ControlPacket) packets.ControlPacket { return nil })
	gone.listener.Close()
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, test := range []struct {
		name   string
		broker *scriptedBroker
		ctx    context.Context
		want   string
	}{
		{"refusing", refusing, patientContext(t), "uthori"},
		{"silent", silent, short, context.DeadlineExceeded.Error()},
		{"gone", gone, patientContext(t), "connection refused"},
	} {
		_, err := test.broker.open(t, test.ctx)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.broker.broker.String()) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestMQTTLostConnection(t *testing.T) {
	broker := newScriptedBroker(t, func(packet packets.ControlPacket) packets.ControlPacket {
		switch packet.(type) {
		case *packets.ConnectPacket:
			return accept(packets.Accepted)
		case *packets.PublishPacket:
			return brokenPacket{}
		}
		return nil
	})
	transport, err := broker.open(t, patientContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := transport.Publish(patientContext(t), "t", []byte("x"), ExactlyOnce); err != nil {
		t.Fatal(err)
	}
	<-transport.Done()
	if err := transport.Err(); !errors.Is(err, ErrBrokerLost) || !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), broker.broker.String()) {
		t.Error(err)
	}
	if err := transport.Publish(patientContext(t), "t", nil, ExactlyOnce); !errors.Is(err, ErrBrokerLost) {
		t.Error(err)
	}
	if err := errors.Join(transport.Close(), transport.Close()); err != nil {
		t.Error(err)
	}
	if err := transport.Err(); !errors.Is(err, ErrBrokerLost) {
		t.Errorf("after Close: %v", err)
	}
}

// brokenPacket makes the scripted broker hang up.
type brokenPacket struct{ packets.ControlPacket }

func (brokenPacket) Write(io.Writer) error { return net.ErrClosed }

// A module that is busy for minutes keeps its connection, and learns within half a minute that the other side is silent.
func TestMQTTPingsGoOnAndTheirAbsenceIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		var pings atomic.Int64
		var silent atomic.Bool
		var serving sync.WaitGroup
		serving.Go(func() {
			for {
				packet, err := packets.ReadPacket(theirs)
				if err != nil {
					return
				}
				var reply packets.ControlPacket
				switch packet.(type) {
				case *packets.ConnectPacket:
					reply = accept(packets.Accepted)
				case *packets.PingreqPacket:
					pings.Add(1)
					reply = packets.NewControlPacket(packets.Pingresp)
				}
				if reply == nil || silent.Load() {
					continue
				}
				if reply.Write(theirs) != nil {
					return
				}
			}
		})
		transport, err := openMQTTOver(t.Context(), TransportConfig{Receive: func(Message) {}, Logger: zap.NewNop()}, func(context.Context, Broker) (net.Conn, error) {
			return mqtt.Wrap(ours), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if got := pings.Load(); got < 20 || got > 40 || transport.Err() != nil {
			t.Errorf("%d pings in ten minutes, %v", got, transport.Err())
		}
		silent.Store(true)
		started := time.Now()
		<-transport.Done()
		if took := time.Since(started); took > 45*time.Second || !errors.Is(transport.Err(), ErrBrokerLost) {
			t.Errorf("noticed after %v: %v", took, transport.Err())
		}
		transport.Close()
		theirs.Close()
		serving.Wait()
	})
}
