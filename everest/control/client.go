package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
)

// Errors of a Client. Both are found by errors.Is.
var (
	// ErrUnreachable: nobody answers at the socket, or it may not be opened.
	ErrUnreachable = errors.New("control: the module cannot be reached")
	// ErrUnsupported: the module can never do what it was asked for.
	ErrUnsupported = errors.New("control: the module cannot do this")
)

// An AnswerError is a module's answer that it did not do what it was asked for.
type AnswerError struct {
	// StatusCode is that of HTTP: 501 never, 503 not at the moment, 504 not in time.
	StatusCode int
	// Text says why.
	Text string
}

func (e *AnswerError) Error() string { return e.Text }

// Is makes a 501 an ErrUnsupported.
func (e *AnswerError) Is(target error) bool {
	return target == ErrUnsupported && e.StatusCode == http.StatusNotImplemented
}

// Client asks one module. Its methods may be used from several goroutines; it connects when it has to, so a module may
// restart meanwhile.
type Client struct {
	path string
	http *http.Client
}

// mostStatus bounds a status, mostFailure the text of an error, in bytes.
const mostStatus, mostFailure = 4 << 20, 64 << 10

// Dial makes a client for the socket at path. It does not connect yet.
func Dial(path string) *Client {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return &Client{path: path, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
		MaxIdleConns: 2, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
	}}}
}

// Path is that of the socket.
func (c *Client) Path() string { return c.path }

// Close closes connections that are idle. The client can be used on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks for a snapshot.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	var status Status
	return &status, c.json(ctx, http.MethodGet, "/status", &status)
}

// Ping asks for a round trip to the other board.
func (c *Client) Ping(ctx context.Context) (*Pong, error) {
	var pong Pong
	return &pong, c.json(ctx, http.MethodPost, "/ping", &pong)
}

// Logs writes the module's logs to w and returns the name of a file for it, as the module proposes it, without a directory.
func (c *Client) Logs(ctx context.Context, w io.Writer) (name string, err error) {
	response, err := c.do(ctx, http.MethodGet, "/logs")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if _, parameters, err := mime.ParseMediaType(response.Header.Get("Content-Disposition")); err == nil {
		name = parameters["filename"]
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	if _, err := io.Copy(w, response.Body); err != nil {
		return name, fmt.Errorf("control: the logs of %s broke off: %w", c.path, err)
	}
	return name, nil
}

func (c *Client) json(ctx context.Context, method, path string, answer any) error {
	response, err := c.do(ctx, method, path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(io.LimitReader(response.Body, mostStatus)).Decode(answer); err != nil {
		return fmt.Errorf("control: the answer of %s to %s cannot be read: %w", c.path, path, err)
	}
	// What is left keeps the connection from being used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, mostFailure))
	return nil
}

// do makes a request; an answer that is an error becomes an *AnswerError.
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
			err = unwrapped // without the URL, which nobody has typed
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, mostFailure))
	var failed failure
	if json.Unmarshal(text, &failed) != nil || failed.Error == "" {
		failed.Error = fmt.Sprintf("control: %s answered %s to %s", c.path, response.Status, path)
	}
	return nil, &AnswerError{StatusCode: response.StatusCode, Text: failed.Error}
}
