package everest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

func TestCallWithoutReplyEndsAfter300SecondsAndALateReplyIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, nil)
		running(t, m)
		started := time.Now()
		err := m.Requires("peer")[0].Call(t.Context(), "ring", nil, nil)
		failure, ok := errors.AsType[*CommandError](err)
		if !ok || failure.Type != CmdTimeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if waited := time.Since(started); waited != 300*time.Second {
			t.Errorf("waited %v", waited)
		}
		id := requestID(t, hub.on("everest/modules/two/impl/main/cmd/ring")[0])
		hub.deliver(Message{Topic: "everest/modules/two/impl/main/cmd/ring/response/one", Payload: testWire.Result(wire.Result{ID: id, Origin: "two", Value: json.RawMessage("1")})})
		synctest.Wait()
		if stats := m.Stats(); stats.Dropped != 1 || stats.CallsWaiting != 0 {
			t.Errorf("after a late reply: %+v", stats)
		}
	})
}

func TestCallTimeoutIsConfigurableAndTheContextCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := connectMemory(t, &memoryHub{}, func(o *Options) { o.CallTimeout = 7 * time.Second })
		running(t, m)
		started := time.Now()
		if err := m.Requires("peer")[0].Call(t.Context(), "ring", nil, nil); err == nil || time.Since(started) != 7*time.Second {
			t.Errorf("%v after %v", err, time.Since(started))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started = time.Now()
		err := m.Requires("peer")[0].Call(ctx, "ring", nil, nil)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(started) != time.Second {
			t.Errorf("%v after %v", err, time.Since(started))
		}
	})
}

func TestReplyIsNotSentToACallerThatHasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, nil)
		ended := make(chan error, 2)
		m.Provides("main").Handle("slow", func(ctx context.Context, _ Args) (any, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return 1, nil
		})
		running(t, m)
		for i := range 2 { // the second waits behind the first until its own caller has given up
			hub.deliver(Message{Topic: "everest/modules/one/impl/main/cmd/slow", Payload: testWire.Command(wire.Command{ID: fmt.Sprint(i), Origin: "two", Arguments: json.RawMessage("null")})})
		}
		started := time.Now()
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) || time.Since(started) != 300*time.Second {
			t.Errorf("the handler's context ended with %v after %v", err, time.Since(started))
		}
		synctest.Wait()
		if len(ended) != 0 {
			t.Error("a command was carried out after its caller had given up")
		}
		if replies := hub.on("everest/modules/one/impl/main/cmd/slow/response/two"); len(replies) != 0 {
			t.Errorf("replies %s", replies)
		}
	})
}

func TestConfigRequestIsRepeatedEveryFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := memoryManager("one", memoryConfig)
		asked := 0
		hub := &memoryHub{}
		hub.answer = func(message Message) []Message {
			if message.Topic == "everest/config/request" {
				if asked++; asked <= 3 {
					return nil // no manager yet
				}
			}
			return manager(message)
		}
		started := time.Now()
		m := connectMemory(t, hub, nil)
		// Nothing of the start-up topics is there, so their wait is over as well.
		if waited := time.Since(started); waited != 15*time.Second+300*time.Millisecond || asked != 4 {
			t.Errorf("asked %d times in %v", asked, waited)
		}
		if m.Name() != "One" {
			t.Errorf("name %q", m.Name())
		}

		asked = 0
		_, err := Connect(t.Context(), Options{ModuleID: "one", Wire: "C", OpenTransport: hub.open, ConfigAttempts: 2})
		if !errors.Is(err, errNoAnswer) || asked != 2 {
			t.Errorf("asked %d times: %v", asked, err)
		}
	})
}

func TestAnswersToOtherRequestsAreNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, nil)
		manager := hub.answer
		hub.answer = func(message Message) []Message {
			if message.Topic != "everest/config/request" {
				return manager(message)
			}
			answer := func(data string) Message {
				return Message{Topic: "everest/modules/one/response", Payload: fmt.Appendf(nil, `{"data":%s,"msg_type":"GetConfigResponse"}`, data)}
			}
			return []Message{
				answer(`{"status":"Ok","type":"Set","response":{"status":"RebootRequired"}}`),
				answer(`{"status":"Ok","type":"Get","response":{"type":"All","data":{}}}`),
				answer(`{"status":"Ok","type":"Get","response":{"type":"Value","data":{"name":"num","value":3}}}`),
			}
		}
		parameter, err := m.ConfigValue(t.Context(), ConfigID{Module: "two", Parameter: "num"})
		if err != nil || string(parameter.Value) != "3" {
			t.Errorf("%+v, %v", parameter, err)
		}
	})
}

func TestFullQueueEndsTheModuleWithItsName(t *testing.T) {
	tests := map[string]func(*Options){
		"messages": func(o *Options) { o.QueueMessages = 5 },
		"bytes":    func(o *Options) { o.QueueBytes = 5 * len(testWire.Variable("", json.RawMessage("0"))) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &memoryHub{}
				m := connectMemory(t, hub, change)
				entered := make(chan struct{}, 1)
				m.Requires("peer")[0].Subscribe("v", func(ctx context.Context, _ json.RawMessage) {
					entered <- struct{}{}
					<-ctx.Done()
				})
				ended := running(t, m)
				publish := func() {
					hub.deliver(Message{Topic: variableTopicOf("v"), Payload: testWire.Variable("", json.RawMessage("0"))})
				}
				publish()
				<-entered
				for range 5 {
					publish()
				}
				synctest.Wait()
				if len(ended) != 0 {
					t.Fatalf("ended below the bound: %v", <-ended)
				}
				publish()
				err := <-ended
				full, ok := errors.AsType[*queueFullError](err)
				if !ok || !errors.Is(err, ErrQueueFull) || full.Queue != variableTopicOf("v") || full.Topic != variableTopicOf("v") || full.Messages != 5 {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestNewestOnlySkipsWhatIsOutdated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, func(o *Options) { o.QueueMessages = 2 })
		release, values := make(chan struct{}), make(chan string, 10)
		m.Requires("peer")[0].Subscribe("v", func(_ context.Context, value json.RawMessage) {
			<-release
			values <- string(value)
		}, NewestOnly())
		running(t, m)
		for i := range 1000 {
			hub.deliver(Message{Topic: variableTopicOf("v"), Payload: testWire.Variable("", json.RawMessage(fmt.Sprint(i)))})
			if i == 0 {
				synctest.Wait() // the handler has taken the first
			}
		}
		close(release)
		synctest.Wait()
		if len(values) != 2 || <-values != "0" || <-values != "999" {
			t.Errorf("the handler did not get the first and the last value only")
		}
	})
}

func TestSlowHandlerIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		hub := &memoryHub{}
		m := connectMemory(t, hub, func(o *Options) { o.Logger = zap.New(core) })
		m.Requires("peer")[0].Subscribe("v", func(context.Context, json.RawMessage) { time.Sleep(20 * time.Second) })
		others := make(chan struct{}, 100)
		m.Requires("peer")[0].Subscribe("other", func(context.Context, json.RawMessage) { others <- struct{}{} })
		running(t, m)
		for range 30 {
			hub.deliver(Message{Topic: variableTopicOf("v"), Payload: testWire.Variable("", json.RawMessage("0"))})
			hub.deliver(Message{Topic: variableTopicOf("other"), Payload: testWire.Variable("", json.RawMessage("0"))})
			synctest.Wait()
			time.Sleep(time.Second)
		}
		if len(others) != 30 {
			t.Errorf("another topic got %d of 30 messages", len(others))
		}
		if found := logs.FilterField(zap.String("queue", variableTopicOf("v"))).Len(); found != 1 {
			t.Errorf("reported %d times: %v", found, logs.All())
		}
		time.Sleep(700 * time.Second)
	})
}
