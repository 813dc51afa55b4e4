package mqtt_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/internal/mqtt"
)

func TestMain(m *testing.M) {
	everesttest.Patience = time.Minute // the machine may be busy
	os.Exit(m.Run())
}

const topic = "numbers"

// peer is one end of the messages, which connects again after each cut.
type peer interface {
	// publish accepts a number for sending.
	publish(t *testing.T, number int)
	// completed waits until every exchange of what was published is completed.
	completed(t *testing.T)
	// heard returns the numbers that have arrived.
	heard() []int
}

type ears struct {
	mu      sync.Mutex
	numbers []int
}

func (e *ears) take(payload []byte) {
	number, err := strconv.Atoi(string(payload))
	if err != nil {
		panic(err) // a message that nobody sent
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.numbers = append(e.numbers, number)
}

func (e *ears) heard() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.numbers)
}

func endpoint(broker everest.Broker) string {
	return net.JoinHostPort(broker.Host, fmt.Sprint(broker.Port))
}

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), everesttest.Patience)
	t.Cleanup(cancel)
	return ctx
}

// ours is the client of this package with the loop that its owner has.
type ours struct {
	ears
	session *mqtt.Session

	mu      sync.Mutex
	client  *mqtt.Client
	changed chan struct{}
}

func newOurs(t *testing.T, broker everest.Broker, id string, subscribes bool) peer {
	o := &ours{session: mqtt.NewSession(), changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	ready := make(chan struct{})
	running.Go(func() {
		for first := true; ctx.Err() == nil; {
			client, err := o.connect(ctx, broker, id, subscribes)
			if err != nil {
				continue
			}
			if first {
				close(ready)
				first = false
			}
			o.mu.Lock()
			o.client = client
			close(o.changed)
			o.changed = make(chan struct{})
			o.mu.Unlock()
			select {
			case <-client.Done():
			case <-ctx.Done():
			}
			client.Close(context.Canceled)
		}
	})
	select {
	case <-ready:
	case <-patient(t).Done():
		t.Fatal("not connected")
	}
	return o
}

func (o *ours) connect(ctx context.Context, broker everest.Broker, id string, subscribes bool) (*mqtt.Client, error) {
	conn, err := mqtt.Dial(ctx, "tcp", endpoint(broker))
	if err != nil {
		return nil, err
	}
	client, err := mqtt.Connect(ctx, conn, mqtt.Config{ClientID: id, Receive: func(message mqtt.Message) { o.take(message.Payload) }}, o.session)
	if err != nil {
		return nil, err
	}
	client.Start()
	if subscribes && !client.Resumed() {
		if _, err := client.Subscribe(ctx, 2, []string{topic}); err != nil {
			client.Close(err)
			return nil, err
		}
	}
	client.Carry(func(string) mqtt.Decision { return mqtt.Send })
	return client, nil
}

func (o *ours) publish(t *testing.T, number int) {
	for {
		o.mu.Lock()
		client, changed := o.client, o.changed
		o.mu.Unlock()
		if client != nil && client.Publish(patient(t), topic, []byte(fmt.Sprint(number)), 2) == nil {
			return
		}
		select {
		case <-changed:
		case <-patient(t).Done():
			t.Fatal("not connected again")
		}
	}
}

func (o *ours) completed(t *testing.T) {
	done := make(chan struct{})
	o.session.OnCompleted(func() { close(done) })
	select {
	case <-done:
	case <-patient(t).Done():
		t.Fatal("not everything is completed")
	}
}

// theirs is the client of paho.
type theirs struct {
	ears
	client paho.Client
	tokens []paho.Token
}

func newTheirs(t *testing.T, broker everest.Broker, id string, subscribes bool) peer {
	p := &theirs{}
	options := paho.NewClientOptions().AddBroker("tcp://" + endpoint(broker)).SetClientID(id).SetCleanSession(false).
		SetMaxReconnectInterval(20 * time.Millisecond).SetResumeSubs(true).
		SetDefaultPublishHandler(func(_ paho.Client, message paho.Message) { p.take(message.Payload()) })
	if subscribes {
		options.SetOnConnectHandler(func(client paho.Client) { client.Subscribe(topic, 2, nil) })
	}
	p.client = paho.NewClient(options)
	t.Cleanup(func() { p.client.Disconnect(0) })
	p.wait(t, p.client.Connect())
	if subscribes {
		p.wait(t, p.client.Subscribe(topic, 2, nil))
	}
	return p
}

func (p *theirs) wait(t *testing.T, token paho.Token) {
	if !token.WaitTimeout(everesttest.Patience) || token.Error() != nil {
		t.Fatalf("paho: %v", token.Error())
	}
}

func (p *theirs) publish(_ *testing.T, number int) {
	p.tokens = append(p.tokens, p.client.Publish(topic, 2, false, fmt.Sprint(number)))
}

func (p *theirs) completed(t *testing.T) {
	for _, token := range p.tokens {
		// A token may have the error of a connection that was cut: paho sends its message again on the next one.
		if !token.WaitTimeout(everesttest.Patience) {
			t.Fatal("paho does not complete what it publishes")
		}
	}
	p.tokens = nil
}

// Our client and paho's exchange messages through a broker, and the connection of either is cut at each packet of an exchange. A
// third client, whose connection stands, says what the broker had. Where the broker keeps sessions, what we publish is there once
// and in order, and we hear what the broker has, once and in order. Without sessions, what we publish is there at least once,
// and what was under way comes twice at most; and we hear a part of what the broker has, in its order. What paho loses
// or doubles at its own cuts is not ours: it does so to the third client, too.
func TestPahoAsAPeer(t *testing.T) {
	const count, cuts = 45, 3
	exchange := []struct {
		packet     string
		fromSender bool
	}{{"PUBLISH", true}, {"PUBREC", false}, {"PUBREL", true}, {"PUBCOMP", false}}
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		keeps := strings.HasSuffix(t.Name(), "mosquitto")
		for _, publishes := range []string{"ours", "paho"} {
			for _, cut := range []string{"publisher", "subscriber"} {
				for _, step := range exchange {
					t.Run(fmt.Sprint(publishes, " publishes, ", cut, " is cut at ", step.packet), func(t *testing.T) {
						if raceEnabled && publishes == "paho" && cut == "publisher" {
							t.Skip("paho 1.5.1 marks a message as repeated while another goroutine writes it")
						}
						id := strings.Map(func(r rune) rune { return max(r, '-') }, t.Name())
						witness := newTheirs(t, broker, id+"-witness", true)
						front, back := everesttest.NewProxy(t, broker), everesttest.NewProxy(t, broker)
						newPublisher, newSubscriber := newOurs, newTheirs
						if publishes == "paho" {
							newPublisher, newSubscriber = newTheirs, newOurs
						}
						subscriber := newSubscriber(t, back.Address(), id+"-subscriber", true)
						publisher := newPublisher(t, front.Address(), id+"-publisher", false)
						proxy := front
						if cut == "subscriber" {
							proxy = back
						}
						fromClient := step.fromSender == (cut == "publisher")
						var faults []*everesttest.Fault
						for number := range count {
							if number%(count/cuts) == 5 {
								faults = append(faults, proxy.CutAt(1, func(p everesttest.Packet) bool { return p.FromClient == fromClient && p.Type == step.packet }))
							}
							publisher.publish(t, number)
						}
						publisher.completed(t)
						had, heard := untilEnd(t, publisher, witness, count), untilEnd(t, publisher, subscriber, count)
						for i, fault := range faults {
							// A subscriber without a session that is away hears none of the other faults' messages.
							if i == 0 || keeps || cut == "publisher" {
								eventually(t, "the connection is cut", func() bool { return fault.Hits() == 1 })
							}
						}
						if publishes == "ours" {
							checkPublished(t, had, count, keeps || cut != "publisher", cuts)
						}
						if publishes == "paho" || cut != "subscriber" {
							checkHeard(t, heard, had, keeps || cut != "subscriber")
						}
					})
				}
			}
		}
	})
}

// checkPublished checks what a broker had of the numbers up to count.
func checkPublished(t *testing.T, had []int, count int, once bool, cuts int) {
	t.Helper()
	if once && !slices.Equal(had, slices.Collect(upTo(count))) {
		t.Errorf("the broker had %v", had)
	}
	sorted := slices.Sorted(slices.Values(had))
	if all := slices.Compact(slices.Clone(sorted)); !slices.Equal(all, slices.Collect(upTo(count))) || len(sorted)-len(all) > cuts*mqtt.Window {
		t.Errorf("the broker had %v", had)
	}
}

// checkHeard checks what arrived of what the broker had: all of it, or a part in its order.
func checkHeard(t *testing.T, heard, had []int, all bool) {
	t.Helper()
	if all && !slices.Equal(heard, had) {
		t.Errorf("heard %v, and the broker had %v", heard, had)
	}
	rest := had
	for _, number := range heard {
		at := slices.Index(rest, number)
		if at < 0 {
			t.Fatalf("heard %v, and the broker had %v", heard, had)
		}
		rest = rest[at+1:]
	}
}

func upTo(count int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for number := range count {
			if !yield(number) {
				return
			}
		}
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for ctx := patient(t); !holds(); {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// untilEnd publishes further numbers until one has arrived, and returns those below count that arrived before. A subscriber
// without a session hears nothing of what came while it was away.
func untilEnd(t *testing.T, publisher, subscriber peer, count int) []int {
	t.Helper()
	ctx := patient(t)
	for next := count; ; next++ {
		publisher.publish(t, next)
		publisher.completed(t)
		for range 20 {
			heard := subscriber.heard()
			if at := slices.IndexFunc(heard, func(number int) bool { return number >= count }); at >= 0 {
				return slices.DeleteFunc(heard[:at], func(number int) bool { return number >= count })
			}
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				t.Fatalf("heard %v and no more", heard)
			}
		}
	}
}
