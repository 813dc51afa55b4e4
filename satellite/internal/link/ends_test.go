package link

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// patience is generous: it only ends a test that would hang.
const patience = time.Minute

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// ending is how an end of a link ended.
type ending struct {
	exit handshake.ExitProcess
	err  error
}

// runEnd runs an end of a link until the test ends, or stop is called.
func runEnd(t *testing.T, run func(context.Context) (handshake.ExitProcess, error)) (stop func(), ended <-chan ending) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan ending, 1)
	var running sync.WaitGroup
	running.Go(func() {
		exit, err := run(ctx)
		results <- ending{exit, err}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return cancel, results
}

// fakeAgent is an agent of the test's making: it agrees with every controller.
type fakeAgent struct {
	server   *rpc.Server
	listener *rpctest.Listener
	// calls are the functions that were called, link_events apart.
	calls chan string
}

// startFakeAgent serves functions besides those of the start.
func startFakeAgent(t *testing.T, functions map[string]rpc.Handler) *fakeAgent {
	t.Helper()
	a := &fakeAgent{server: rpc.NewServer(rpc.ServerConfig{Order: rpc.OrderPerMethod, Limits: rpc.Limits{FrameSize: 64 << 20, QueuedBytes: 64 << 20}}), listener: rpctest.Listen("agent"), calls: make(chan string, 10_000)}
	known := false
	all := map[string]rpc.Handler{
		FunctionIAmHere: func(context.Context, *rpc.Request) (any, error) {
			known = true
			return false, nil
		},
		FunctionIAmReady: func(context.Context, *rpc.Request) (any, error) { return nil, nil },
		FunctionExit:     func(context.Context, *rpc.Request) (any, error) { return nil, nil },
		FunctionHello: func(_ context.Context, request *rpc.Request) (any, error) {
			hello, err := readHelloCall(request)
			return helloAnswer{version: hello.version(), instanceID: 9, known: known && hello.epoch == 1}.answer(), err
		},
		FunctionEvents: func(ctx context.Context, _ *rpc.Request) (any, error) {
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			return answerOf(0, nil), nil
		},
	}
	for name, handler := range functions {
		all[name] = handler
	}
	for name, handler := range all {
		if handler == nil {
			continue // an agent that does not have it
		}
		if err := a.server.Handle(name, func(ctx context.Context, request *rpc.Request) (any, error) {
			if name != FunctionEvents {
				a.calls <- name
			}
			return handler(ctx, request)
		}); err != nil {
			t.Fatal(err)
		}
	}
	var serving sync.WaitGroup
	serving.Go(func() { a.server.Serve(context.Background(), a.listener) })
	t.Cleanup(func() {
		a.server.Close()
		serving.Wait()
	})
	return a
}

// startClient starts the controller's end of a link to an agent. change may change
// its configuration.
func startClient(t *testing.T, agent *fakeAgent, change func(*ClientConfig)) (client *Client, stop func(), ended <-chan ending) {
	t.Helper()
	config := ClientConfig{
		Protocol: handshake.ControllerConfig{
			Dialects: handshake.AnyDialect, HeartbeatTimeout: 5 * time.Second, ResumeWindow: 5 * time.Second, Retry: 50 * time.Millisecond,
		},
		CommandTimeout: patience, Peer: "the agent", Logger: zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)),
		MainBoard: MainBoard{
			Dial: func(ctx context.Context) (*rpc.Client, error) {
				conn, err := agent.listener.Dial(ctx, nil, nil)
				if err != nil {
					return nil, err
				}
				return rpc.NewClient(conn, rpc.Config{}), nil
			},
			Connected: func(*rpc.Client) {}, NotConnected: func(error) {}, Disconnected: func(error) {},
			Compare: func(context.Context, handshake.Dialect, func(context.Context, string) (string, error)) {},
			Publish: func(context.Context, Event) {}, Unreadable: func(error) {}, Suspected: func() {},
			Established: func(bool) {}, Isolated: func(handshake.Reason) {}, Changed: func(ClientState) {},
		},
	}
	change(&config)
	client = NewClient(config)
	stop, ended = runEnd(t, client.Run)
	client.BoardReady()
	return client, stop, ended
}

// agreed waits until a client has agreed with its agent.
func agreed(t *testing.T, client *Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := client.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

// openAdmission admits everybody.
type openAdmission struct {
	mu     sync.Mutex
	refuse bool
}

func (*openAdmission) ProtectServer(config *rpc.ServerConfig)                         { config.InsecurePlaintext = true }
func (*openAdmission) Admit(*rpc.Session, bool) bool                                  { return true }
func (*openAdmission) Claim(*rpc.Session, bool) bool                                  { return true }
func (*openAdmission) Accept(*rpc.Session)                                            {}
func (*openAdmission) Leave(*rpc.Session)                                             {}
func (*openAdmission) Heard(*rpc.Session)                                             {}
func (*openAdmission) RefusesTakeover(*rpc.Session, string, bool, time.Duration) bool { return false }
func (o *openAdmission) RefusesPrivileged(*rpc.Session, string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.refuse
}

func (o *openAdmission) setRefuse(refuse bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refuse = refuse
}

type execute func(context.Context, route.Route, route.Command, everest.Args) (json.RawMessage, error)

// testServer is the agent's end of a link, with a connection to it.
type testServer struct {
	*Server
	admission *openAdmission
	listener  *rpctest.Listener
	conn      *rpc.Client
	stop      func()
	ended     <-chan ending
}

// startServer starts the agent's end of a link, and agrees with it in a dialect.
func startServer(t *testing.T, dialect handshake.Dialect, execute execute) *testServer {
	t.Helper()
	s := &testServer{admission: new(openAdmission), listener: rpctest.Listen("agent")}
	listening := make(chan struct{})
	s.Server = NewServer(ServerConfig{
		Protocol: handshake.AgentConfig{Dialects: handshake.AnyDialect}, CommandTimeout: patience, Routes: route.Standard(),
		Logger: zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)), Admission: s.admission,
		SatelliteBoard: SatelliteBoard{
			Listen: func() (net.Listener, error) { return s.listener, nil }, Listening: func() { close(listening) },
			Execute:      execute,
			Publish:      func(context.Context, string, string, json.RawMessage) error { return nil },
			Connected:    func(string) bool { return true },
			LegacyFilter: func() func(Event) bool { return func(Event) bool { return true } },
			Compare:      func(string) (string, error) { return "{}", nil },
			Status:       func(context.Context) (string, error) { return "{}", nil },
			Reset:        func(context.Context) error { return errors.New("no") },
			Fail:         func(err error) { t.Error(err) }, Changed: func(ServerState) {}, Suspected: func(int) {},
		},
	})
	s.stop, s.ended = runEnd(t, s.Server.Run)
	started := make(chan error, 1)
	var starting sync.WaitGroup
	starting.Go(func() { started <- s.Server.Start(context.Background()) })
	t.Cleanup(starting.Wait)
	receive(t, listening, "the agent's port")
	s.conn = s.dial(t)
	if dialect == handshake.V2 {
		s.hello(t, s.conn, versionTexts, versionCodes)
	}
	for _, function := range []string{FunctionIAmHere, FunctionIAmReady} {
		if err := s.conn.Call(t.Context(), function, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := receive(t, started, "the agreement"); err != nil {
		t.Fatal(err)
	}
	s.BoardReady()
	return s
}

func (s *testServer) dial(t *testing.T) *rpc.Client {
	t.Helper()
	conn, err := s.listener.Dial(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := rpc.NewClient(conn, rpc.Config{})
	t.Cleanup(func() { client.Close() })
	return client
}

// hello makes a connection one of v2.
func (s *testServer) hello(t *testing.T, conn *rpc.Client, versions ...uint64) helloAnswer {
	t.Helper()
	hello := newHelloCall(7, 1, 60*time.Second, 30*time.Second)
	hello.versions = versions
	var answer rpc.Raw
	if err := conn.Call(t.Context(), FunctionHello, &answer, hello.arguments()...); err != nil {
		t.Fatal(err)
	}
	welcome, err := readHelloAnswer(answer)
	if err != nil {
		t.Fatal(err)
	}
	return welcome
}

// forEachDialect runs a test against the agent's end of a link in both dialects.
func forEachDialect(t *testing.T, run func(t *testing.T, dialect handshake.Dialect)) {
	for _, dialect := range []handshake.Dialect{handshake.Legacy, handshake.V2} {
		t.Run(dialect.String(), func(t *testing.T) { run(t, dialect) })
	}
}

// call calls a command of `system` as the dialect does, in v2 under a number.
func (s *testServer) call(ctx context.Context, dialect handshake.Dialect, number uint64, name string, arguments ...any) (result string, err error) {
	if dialect == handshake.Legacy {
		function := "system_" + name
		if name == "reset" {
			function = "sytem_reset"
		}
		var value any
		err = s.conn.Call(ctx, function, &value, arguments...)
		text, err2 := json.Marshal(value)
		return string(text), errors.Join(err, err2)
	}
	call := numbered{number: number, floor: 1, limit: patience}
	err = s.conn.Call(ctx, commandFunction(route.System, name), &result, call.arguments("{}")...)
	return result, err
}

// A reset is replied to although the board goes down before its system replies.
func TestAResetInFlightWhileTheBoardGoesDown(t *testing.T) {
	forEachDialect(t, func(t *testing.T, dialect handshake.Dialect) {
		begun := make(chan struct{})
		s := startServer(t, dialect, func(ctx context.Context, _ route.Route, _ route.Command, _ everest.Args) (json.RawMessage, error) {
			close(begun)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		replied := make(chan error, 1)
		var result string
		go func() {
			var err error
			result, err = s.call(context.Background(), dialect, 1, "reset", "Hard", false)
			replied <- err
		}()
		receive(t, begun, "the reset")
		s.stop()
		if err := receive(t, replied, "the reply"); err != nil || result != "null" {
			t.Errorf("the reset is answered %q, %v, want null", result, err)
		}
		if end := receive(t, s.ended, "the end"); end.err != nil {
			t.Error(end.err)
		}
	})
}

// A number keeps its first result, whatever a policy that was changed in between
// says to it. Legacy calls have no number: each is judged by itself.
func TestARepeatedNumberKeepsItsFirstResult(t *testing.T) {
	forEachDialect(t, func(t *testing.T, dialect handshake.Dialect) {
		s := startServer(t, dialect, func(context.Context, route.Route, route.Command, everest.Args) (json.RawMessage, error) {
			return json.RawMessage(`"Accepted"`), nil
		})
		call := func(number uint64) string {
			result, err := s.call(t.Context(), dialect, number, "update_firmware", "{}")
			if err != nil {
				t.Error(err)
			}
			return result
		}
		var got []string
		for _, step := range []struct {
			refuse bool
			number uint64
		}{{true, 1}, {false, 1}, {false, 2}, {true, 2}} {
			s.admission.setRefuse(step.refuse)
			got = append(got, call(step.number))
		}
		want := []string{`"Rejected"`, `"Rejected"`, `"Accepted"`, `"Accepted"`}
		if dialect == handshake.Legacy {
			want = []string{`"Rejected"`, `"Accepted"`, `"Accepted"`, `"Rejected"`}
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("call %d is answered %s, want %s", i+1, got[i], want[i])
			}
		}
	})
}

// A journal that overflows with the set of active errors at a resume is reported to the loop that records it, which
// therefore must not wait for itself.
func TestAFullJournalAtAResume(t *testing.T) {
	s := startServer(t, handshake.V2, nil)
	s.conn.Call(t.Context(), FunctionEvents, nil, eventsQuery{published: 1, maxBytes: 1}.arguments()...) // the set of the agreement
	value := json.RawMessage(make([]byte, s.Stats().Journal.MaxBytes/4-2))
	for range 4 {
		s.Record(Event{Interface: "a", Name: "b", Value: value})
	}
	if stats := s.Stats().Journal; stats.Bytes != stats.MaxBytes || stats.Evicted != 0 {
		t.Fatalf("the journal is not just full: %+v", stats)
	}
	s.journal.mu.Lock()
	s.journal.asked = time.Time{} // long ago
	s.journal.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var posting sync.WaitGroup
	defer posting.Wait()
	for range 100 { // more events than the loop has room for
		posting.Go(s.BoardReady)
	}
	go s.dial(t).Call(ctx, FunctionHello, nil, newHelloCall(7, 1, time.Minute, time.Minute).arguments()...)
	if end := receive(t, s.ended, "the end of an agent that lost its controller"); end.err != nil || end.exit.Status != 1 {
		t.Errorf("ended with %+v", end)
	}
}

// A refusal is a code where the controller knows codes, else the sentence.
func TestTheAgentRefusesByCode(t *testing.T) {
	s := startServer(t, handshake.V2, func(context.Context, route.Route, route.Command, everest.Args) (json.RawMessage, error) {
		return json.RawMessage("true"), nil
	})
	refused := func(conn *rpc.Client, number, floor uint64) (refusal, any) {
		call := numbered{number: number, floor: floor, limit: patience}
		err := conn.Call(t.Context(), commandFunction("evse_manager", "pause_charging"), nil, call.arguments("{}")...)
		remote, ok := errors.AsType[*rpc.RemoteError](err)
		if !ok {
			t.Fatalf("call %d: %v, want a refusal", number, err)
		}
		return refusalOf(err), remote.Value
	}
	if err := s.conn.Call(t.Context(), FunctionCancel, nil, 5); err != nil {
		t.Fatal(err)
	}
	if got, _ := refused(s.conn, 5, 1); got != cancelled {
		t.Errorf("a cancelled number: %q", string(got))
	}
	if got, _ := refused(s.conn, 1, 3); got != forgotten {
		t.Errorf("an acknowledged number: %q", string(got))
	}
	for _, test := range []struct {
		versions []uint64
		coded    bool
	}{{nil, false}, {[]uint64{versionTexts}, false}, {[]uint64{versionTexts, versionCodes}, true}} {
		// Another controller's connection does not become the link.
		conn := s.dial(t)
		if test.versions != nil {
			hello := newHelloCall(8, 1, time.Second, time.Second)
			hello.versions = test.versions
			var answer rpc.Raw
			if err := conn.Call(t.Context(), FunctionHello, &answer, hello.arguments()...); err != nil {
				t.Fatal(err)
			}
		}
		got, value := refused(conn, 1, 3)
		if _, coded := value.(map[string]any); got != notTheLink || coded != test.coded {
			t.Errorf("a controller of versions %v is refused by %v", test.versions, value)
		}
	}
}

// A controller repeats a command on another connection where the first is not the
// link any more, whatever release refused it.
func TestARefusedConnectionIsReplaced(t *testing.T) {
	for name, version := range map[string]uint64{"text": versionTexts, "code": versionCodes} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			refused := false
			agent := startFakeAgent(t, map[string]rpc.Handler{
				commandFunction("evse_manager", "pause_charging"): func(ctx context.Context, _ *rpc.Request) (any, error) {
					mu.Lock()
					defer mu.Unlock()
					if refused {
						return "true", nil
					}
					refused = true
					session := rpc.SessionFrom(ctx)
					time.AfterFunc(50*time.Millisecond, func() { session.Close() })
					return nil, notTheLink.forVersion(version)
				},
			})
			client, _, _ := startClient(t, agent, func(*ClientConfig) {})
			agreed(t, client)
			result, err := client.Call(t.Context(), route.Route{ID: "evse_manager"}, route.Command{Name: "pause_charging", Result: route.Boolean}, nil)
			if err != nil || string(result) != "true" {
				t.Errorf("the command is answered %s, %v", result, err)
			}
			if resumes := client.Stats().Resumes; resumes != 1 {
				t.Errorf("%d resumes, want 1", resumes)
			}
		})
	}
}

// A restarting agent may refuse a poll as its last reply. The controller connects again, where
// it learns what has become of the agent.
func TestARefusedPollIsALostConnection(t *testing.T) {
	var once sync.Once
	client, _, ended := startClient(t, startFakeAgent(t, map[string]rpc.Handler{
		FunctionEvents: func(ctx context.Context, _ *rpc.Request) (reply any, err error) {
			once.Do(func() { err = notTheLink })
			if err != nil {
				return nil, err
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			return answerOf(0, nil), nil
		},
	}), func(*ClientConfig) {})
	agreed(t, client)
	deadline := time.After(patience)
	for client.Stats().Resumes == 0 {
		select {
		case end := <-ended:
			t.Fatalf("ended with %+v", end)
		case <-deadline:
			t.Fatal("the link is not resumed")
		case <-time.After(time.Millisecond):
		}
	}
}

// An answer that holds more than was asked for ends the link, and the loss policy
// applies. Nothing spins.
func TestTooMuchEndsTheLink(t *testing.T) {
	huge := hugeAnswer(1<<20, "\x95\x01\x00\xa1a\xa1b\xa11")
	functions := map[string]rpc.Handler{FunctionEvents: func(context.Context, *rpc.Request) (any, error) { return huge, nil }}
	t.Run("restart", func(t *testing.T) {
		client, _, ended := startClient(t, startFakeAgent(t, functions), func(*ClientConfig) {})
		agreed(t, client)
		if end := receive(t, ended, "the end"); end.exit.Status != 1 || end.exit.Reason != handshake.CallRefused {
			t.Errorf("ended with %+v", end)
		}
	})
	t.Run("isolate", func(t *testing.T) {
		agent := startFakeAgent(t, functions)
		isolated := make(chan handshake.Reason, 100)
		client, stop, _ := startClient(t, agent, func(config *ClientConfig) {
			config.Protocol.LossPolicy = handshake.IsolateOnLoss
			config.Protocol.Retry = 20 * time.Millisecond
			config.Isolated = func(reason handshake.Reason) { isolated <- reason }
		})
		agreed(t, client)
		began := time.Now()
		for range 4 {
			receive(t, isolated, "an isolation")
		}
		// The pause doubles: 20, 40, 80 ms before the second, third and fourth attempt.
		if took := time.Since(began); took < 140*time.Millisecond {
			t.Errorf("three further attempts took %v", took)
		}
		stop()
	})
}

// A legacy agent is not asked for a number of bytes: the bound is that of a frame.
func TestTooMuchEndsALegacyLink(t *testing.T) {
	agent := startFakeAgent(t, map[string]rpc.Handler{
		FunctionHello: nil,
		FunctionRetrieve: func(context.Context, *rpc.Request) (any, error) {
			return `{"errors":[],"vars":[` + strings.Repeat(`{"interface":"a","var":"b","value":1},`, 9<<20/38) + `0]}`, nil
		},
	})
	client, _, ended := startClient(t, agent, func(*ClientConfig) {})
	agreed(t, client)
	if end := receive(t, ended, "the end"); end.exit.Status != 1 {
		t.Errorf("ended with %+v", end)
	}
}

// The round trips of a link end with it.
func TestRoundTripsAreThoseOfTheLink(t *testing.T) {
	for _, dialect := range []handshake.Dialect{handshake.Legacy, handshake.V2} {
		client, _, _ := startClient(t, startFakeAgent(t, nil), func(*ClientConfig) {})
		client.establish(0, dialect)
		client.keeper.link().roundTrips().Add(time.Hour)
		client.establish(0, dialect)
		if latency := client.keeper.link().roundTrips().Latency(); latency != nil {
			t.Errorf("%v: a new link begins with %+v", dialect, latency)
		}
	}
}

// A board that becomes ready does not wait for a broker that takes nothing.
func TestReadyDoesNotWaitForAPublish(t *testing.T) {
	release := make(chan struct{})
	publishing := make(chan struct{}, 10)
	client, _, _ := startClient(t, startFakeAgent(t, nil), func(config *ClientConfig) {
		config.Publish = func(context.Context, Event) {
			publishing <- struct{}{}
			<-release
		}
	})
	defer close(release)
	client.queue.addUnique(batchOf(Event{Name: "a"}, Event{Name: "b"}))
	receive(t, publishing, "a publish")
	ready := make(chan struct{})
	go func() {
		client.BoardReady()
		close(ready)
	}()
	receive(t, ready, "BoardReady")
}

// Arguments are converted for the dialect that is spoken: v2 carries numbers that
// the legacy wire cannot.
func TestArgumentsAreWrittenForTheDialectSpoken(t *testing.T) {
	command := route.Command{Name: "n", Function: "n", Arguments: []route.Argument{{Name: "n", Kind: route.Integer}}}
	for _, dialect := range []handshake.Dialect{handshake.Legacy, handshake.V2} {
		got := make(chan string, 1)
		functions := map[string]rpc.Handler{
			commandFunction("r", "n"): func(_ context.Context, request *rpc.Request) (any, error) {
				var text string
				_, err := readNumbered(request, &text)
				got <- text
				return "null", err
			},
			FunctionRetrieve: func(context.Context, *rpc.Request) (any, error) { return `{"errors":[],"vars":[]}`, nil },
		}
		if dialect == handshake.Legacy {
			functions[FunctionHello] = nil
		}
		client, _, _ := startClient(t, startFakeAgent(t, functions), func(*ClientConfig) {})
		agreed(t, client)
		_, err := client.Call(t.Context(), route.Route{ID: "r"}, command, everest.Args{"n": json.RawMessage("1e17")})
		if dialect == handshake.Legacy {
			if err == nil {
				t.Error("legacy: a number that the wire cannot carry was sent")
			}
			continue
		}
		if err != nil {
			t.Errorf("v2: %v", err)
		} else if text := receive(t, got, "the arguments"); text != `{"n":1e17}` {
			t.Errorf("v2: the arguments are %s", text)
		}
	}
}
