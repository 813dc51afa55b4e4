package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/websocket"
)

// csms is a backend for one station that speaks OCPP-J 1.6. It accepts whatever the station asks for, and records what
// the station sends.
type csms struct {
	journal  *journal
	listener net.Listener
	server   *http.Server
	serving  sync.WaitGroup

	mu           sync.Mutex
	transactions int
	conns        []*websocket.Conn
}

// startCSMS starts a backend on a free port of the loopback interface.
func startCSMS(j *journal) (*csms, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &csms{journal: j, listener: listener}
	c.server = &http.Server{Handler: websocket.Server{Handshake: chooseOCPP, Handler: c.serve}, ReadHeaderTimeout: 10 * time.Second}
	c.serving.Go(func() { _ = c.server.Serve(listener) }) // ends with close
	return c, nil
}

// address returns the URI that a station connects to.
func (c *csms) address() string { return "ws://" + c.listener.Addr().String() + "/ocpp" }

func (c *csms) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.mu.Lock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.mu.Unlock()
	err := c.server.Shutdown(ctx)
	c.serving.Wait()
	return err
}

// ocppVersion is the WebSocket subprotocol of OCPP-J 1.6.
const ocppVersion = "ocpp1.6"

func chooseOCPP(config *websocket.Config, _ *http.Request) error {
	if !slices.Contains(config.Protocol, ocppVersion) {
		return fmt.Errorf("the station offers %v, want %s", config.Protocol, ocppVersion)
	}
	config.Protocol = []string{ocppVersion}
	return nil
}

// The message types of OCPP-J.
const (
	ocppCall   = 2
	ocppResult = 3
)

// serve answers the calls of a station until the connection ends.
func (c *csms) serve(conn *websocket.Conn) {
	c.mu.Lock()
	c.conns = append(c.conns, conn)
	c.mu.Unlock()
	for {
		var text string
		if err := websocket.Message.Receive(conn, &text); err != nil {
			return
		}
		id, action, payload, err := parseCall([]byte(text))
		if err != nil {
			continue // results of calls, of which this backend makes none
		}
		c.journal.add(atBackendOf(action, payload))
		answer, err := json.Marshal([]any{ocppResult, id, c.answer(action, payload)})
		if err != nil {
			return
		}
		time.Sleep(latency)
		if err := websocket.Message.Send(conn, string(answer)); err != nil {
			return
		}
	}
}

var errNoCall = errors.New("not a call")

// latency is how long an answer takes, as it does over a network. libocpp drops an answer that arrives before it has
// taken note of its own connection.
const latency = 50 * time.Millisecond

// parseCall reads [2, id, action, payload].
func parseCall(text []byte) (id, action string, payload json.RawMessage, err error) {
	var frame []json.RawMessage
	if err := json.Unmarshal(text, &frame); err != nil {
		return "", "", nil, err
	}
	if len(frame) != 4 || string(frame[0]) != fmt.Sprint(ocppCall) {
		return "", "", nil, errNoCall
	}
	err = errors.Join(json.Unmarshal(frame[1], &id), json.Unmarshal(frame[2], &action))
	return id, action, frame[3], err
}

func (c *csms) answer(action string, payload json.RawMessage) map[string]any {
	now := time.Now().UTC().Format(time.RFC3339)
	accepted := map[string]any{"status": "Accepted"}
	switch action {
	case "BootNotification":
		return map[string]any{"status": "Accepted", "currentTime": now, "interval": 300}
	case "Heartbeat":
		return map[string]any{"currentTime": now}
	case "Authorize":
		return map[string]any{"idTagInfo": accepted}
	case "StartTransaction":
		c.mu.Lock()
		defer c.mu.Unlock()
		c.transactions++
		return map[string]any{"transactionId": c.transactions, "idTagInfo": accepted}
	case "DataTransfer":
		return map[string]any{"status": "Accepted", "data": contractAnswer(payload)}
	}
	return map[string]any{}
}

// exiResponse is the answer to a car that asks for a certificate.
const exiResponse = "cmVzcG9uc2U="

// contractAnswer returns the data that answers a DataTransfer for Plug and Charge.
func contractAnswer(payload json.RawMessage) string {
	var request struct{ MessageID string }
	if json.Unmarshal(payload, &request) != nil {
		return ""
	}
	switch request.MessageID {
	case "Authorize":
		return `{"idTokenInfo":{"status":"Accepted"},"certificateStatus":"Accepted"}`
	case "Get15118EVCertificate":
		return `{"status":"Accepted","exiResponse":"` + exiResponse + `"}`
	}
	return ""
}
