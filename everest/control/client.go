package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The errors of a Client, to be found by errors.Is.
var (
	// ErrUnreachable is returned when no process serves the socket or the caller may not open it.
	ErrUnreachable = errors.New("control: the module cannot be reached")
	// ErrUnsupported is returned for a request that the module can never fulfil.
	ErrUnsupported = errors.New("control: the module cannot do this")
)

// AnswerError is a response of the module that reports a failure.
type AnswerError struct {
	// StatusCode is the HTTP status: 501 if the module can never fulfil the request, 503 if it cannot at the moment,
	// 504 after a timeout.
	StatusCode int
	// Text is the reason, and what to do.
	Text string
}

func (e *AnswerError) Error() string { return e.Text }

// Is reports a 501 as ErrUnsupported.
func (e *AnswerError) Is(target error) bool {
	return target == ErrUnsupported && e.StatusCode == http.StatusNotImplemented
}

// Client sends requests to the status socket of one module. Its methods may be called from several goroutines. A client
// connects for each request that needs a connection, so it also works after a restart of the module.
type Client struct {
	path string
	http *http.Client
}

// Bounds of what a module may send, in bytes. A longer status or event is an error, a longer error text is cut.
const (
	maxStatus  = 4 << 20
	maxEvent   = 4 << 20
	maxFailure = 64 << 10
)

// Dial returns a client for the socket at path. It does not connect yet.
func Dial(path string) *Client {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return &Client{path: path, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
		MaxIdleConns: 2, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
	}}}
}

// Path returns the path of the socket.
func (c *Client) Path() string { return c.path }

// Close closes idle connections. The client remains usable.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status requests a snapshot of the module.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	var status Status
	return &status, c.json(ctx, http.MethodGet, "/status", &status)
}

// Configuration requests the module's configuration. In the place of a value that may be a secret is a text in brackets.
func (c *Client) Configuration(ctx context.Context) (map[string]any, error) {
	var values map[string]any
	return values, c.json(ctx, http.MethodGet, "/config", &values)
}

// Ping requests one round trip to the other board.
func (c *Client) Ping(ctx context.Context) (*Pong, error) { return c.PingSize(ctx, 0) }

// PingSize requests one round trip to the other board with a payload of size bytes in both directions.
func (c *Client) PingSize(ctx context.Context, size int) (*Pong, error) {
	path := "/ping"
	if size != 0 {
		path += "?size=" + strconv.Itoa(size)
	}
	var pong Pong
	if err := c.json(ctx, http.MethodPost, path, &pong); err != nil {
		return &pong, err
	}
	if pong.Size != size {
		return &pong, fmt.Errorf("%w: %s is of a version that pings without a size: update it", ErrUnsupported, c.path)
	}
	return &pong, nil
}

// Reset requests the reset of one satellite, and returns the name of the board. board is its index, its name in a
// [Board], or the id of one of the modules that represent it.
func (c *Client) Reset(ctx context.Context, board string, hard bool) (name string, err error) {
	query := url.Values{"board": {board}, "type": {"Soft"}}
	if hard {
		query.Set("type", "Hard")
	}
	var reset ResetBoard
	err = c.json(ctx, http.MethodPost, "/reset?"+query.Encode(), &reset)
	return reset.Board, err
}

// Logs writes the module's logs to the writer that create returns. name is the file name that the module proposes for
// them, without a directory.
func (c *Client) Logs(ctx context.Context, create func(name string) (io.Writer, error)) error {
	response, err := c.do(ctx, http.MethodGet, "/logs")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	name := ""
	if _, parameters, err := mime.ParseMediaType(response.Header.Get("Content-Disposition")); err == nil {
		name = parameters["filename"]
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	w, err := create(name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, response.Body); err != nil {
		return fmt.Errorf("control: the logs of %s are incomplete: %w", c.path, err)
	}
	return nil
}

func (c *Client) json(ctx context.Context, method, path string, answer any) error {
	response, err := c.do(ctx, method, path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(io.LimitReader(response.Body, maxStatus)).Decode(answer); err != nil {
		return fmt.Errorf("control: cannot decode the answer of %s to %s: %w", c.path, path, err)
	}
	// Only a connection whose response was read to its end is used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxFailure))
	return nil
}

// do sends a request. It returns any response other than 200 as an *AnswerError.
func (c *Client) do(ctx context.Context, method, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://module"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("control: %s did not answer %s: %w", c.path, path, ctx.Err())
		}
		if unwrapped := errors.Unwrap(err); unwrapped != nil {
			err = unwrapped // the text without the URL, which no user has typed
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxFailure))
	var failed failure
	if json.Unmarshal(text, &failed) != nil || failed.Error == "" {
		failed.Error = fmt.Sprintf("control: %s answered %s to %s", c.path, response.Status, path)
	}
	return nil, &AnswerError{StatusCode: response.StatusCode, Text: failed.Error}
}

// Watch calls fn for every event until ctx ends or the module ends. It returns the error of ctx or ErrUnreachable. If
// fn is slow, the module drops events for this watcher. In their place fn receives one event of KindLost with the
// number of dropped events.
func (c *Client) Watch(ctx context.Context, fn func(Event)) error {
	response, err := c.do(ctx, http.MethodGet, "/watch")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(make([]byte, 0, 16<<10), maxEvent)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		var event Event
		if err := json.Unmarshal(data, &event); err != nil {
			return fmt.Errorf("control: cannot decode an event of %s: %w", c.path, err)
		}
		fn(event)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err = lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("control: an event of %s is longer than %d bytes", c.path, maxEvent)
	}
	return fmt.Errorf("%w: the module has ended: %w", ErrUnreachable, err)
}
