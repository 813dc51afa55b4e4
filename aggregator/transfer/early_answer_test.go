package transfer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// hastyServer is an HTTP server that answers before it has the content, and resets the connection then.
type hastyServer struct {
	listener net.Listener
	tls      *tls.Config // nil for plain text
	// answers has what the server does by path, and by path with "!" for requests without Expect.
	answers map[string]hastyAnswer
	running sync.WaitGroup

	mu     sync.Mutex
	heard  []string // path, with "!" for a request without Expect
	stored []byte
}

type hastyAnswer struct {
	before  string // what is sent first
	read    int64  // how much of the content is read, -1 for all
	answer  string
	patient bool // the connection stays open until the client closes it
}

// early answers when the content is on its way.
func early(answer string) hastyAnswer {
	return hastyAnswer{before: "HTTP/1.1 100 Continue\r\n\r\n", read: inFlight, answer: answer}
}

// earlyWithoutExpect is early for a request without Expect.
func earlyWithoutExpect(answer string) hastyAnswer {
	return hastyAnswer{read: inFlight, answer: answer}
}

// inFlight is how much of the content a server reads before it answers early.
const inFlight = 256 << 10

var storesIt = hastyAnswer{before: "HTTP/1.1 100 Continue\r\n\r\n", read: -1, answer: reply(201)}

func reply(status int, headers ...string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\n%sContent-Length: 0\r\n\r\n", status, http.StatusText(status), strings.Join(headers, ""))
}

func newHastyServer(t *testing.T, config *tls.Config, answers map[string]hastyAnswer) *hastyServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &hastyServer{listener: listener, tls: config, answers: answers}
	s.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.running.Go(func() { s.serve(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() { listener.Close(); s.running.Wait() })
	return s
}

func (s *hastyServer) url(path string) string {
	scheme := "http"
	if s.tls != nil {
		scheme = "https"
	}
	return scheme + "://user:secret@" + s.listener.Addr().String() + path
}

func (s *hastyServer) serve(tcp *net.TCPConn) {
	defer tcp.Close()
	tcp.SetReadBuffer(64 << 10)
	tcp.SetLinger(0) // Close resets
	var conn net.Conn = tcp
	if s.tls != nil {
		conn = tls.Server(tcp, s.tls)
	}
	reader := bufio.NewReader(conn)
	request, err := http.ReadRequest(reader)
	if err != nil {
		return
	}
	name := request.URL.Path
	if request.Header.Get("Expect") == "" {
		name += "!"
	}
	s.mu.Lock()
	s.heard = append(s.heard, name)
	s.mu.Unlock()
	answer := s.answers[name]
	io.WriteString(conn, answer.before)
	if answer.read < 0 {
		stored, _ := io.ReadAll(request.Body)
		s.mu.Lock()
		s.stored = stored
		s.mu.Unlock()
	} else {
		io.CopyN(io.Discard, request.Body, answer.read)
	}
	io.WriteString(conn, answer.answer)
	if answer.patient {
		io.Copy(io.Discard, reader)
	}
}

// lateConn is a connection whose reader gets the answer to content only after a write has failed or all was written: so it
// is by chance where a server resets the connection.
type lateConn struct {
	net.Conn
	size int64 // of the content
	// readerFirst has the content wait until the reader has seen the end.
	readerFirst bool
	written     atomic.Int64
	once        sync.Once
	over        chan struct{}
}

func (c *lateConn) Write(p []byte) (int, error) {
	if c.readerFirst && c.written.Load() >= 2*inFlight {
		<-c.over
	}
	n, err := c.Conn.Write(p)
	if written := c.written.Add(int64(n)); err != nil || written >= c.size {
		c.once.Do(func() { close(c.over) })
	}
	return n, err
}

func (c *lateConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	switch {
	case c.readerFirst && err != nil:
		c.once.Do(func() { close(c.over) })
	case !c.readerFirst && c.written.Load() >= inFlight:
		<-c.over
	}
	return n, err
}

func (c *lateConn) Close() error {
	c.once.Do(func() { close(c.over) })
	return c.Conn.Close()
}

// uploadLate makes one attempt whose connections are lateConns.
func uploadLate(t *testing.T, server *hastyServer, bundle string, content []byte, readerFirst bool) error {
	t.Helper()
	location, err := ParseLocation(server.url("/in/"))
	if err != nil {
		t.Fatal(err)
	}
	a, ctx, err := NewUploader(UploaderConfig{TrustBundle: bundle}).newAttempt(t.Context(), location)
	if err != nil {
		t.Fatal(err)
	}
	defer a.end()
	dial := a.dialContext
	a.dialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &lateConn{Conn: conn, size: int64(len(content)), readerFirst: readerFirst, over: make(chan struct{})}, nil
	}
	source := uploadSource{name: "logs", size: int64(len(content)), open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}}
	if err := a.sendHTTP(ctx, source); err != nil {
		return classify(err)
	}
	return nil
}

// TestAnAnswerBeforeTheContentIsHeeded: a server may answer before it has the content (RFC 9112 section 9.5), and the rest of
// the content then resets the connection. The answer counts, wherever on the way it is.
func TestAnAnswerBeforeTheContentIsHeeded(t *testing.T) {
	content := bytes.Repeat([]byte("log "), 2<<20) // more than the sockets buffer
	authority := newAuthority(t)
	secure := &tls.Config{Certificates: []tls.Certificate{authority.certificate(t, "127.0.0.1")}}
	to := func(status int, path string) string { return reply(status, "Location: "+path+"\r\n") }
	for name, test := range map[string]struct {
		answers map[string]hastyAnswer
		heard   []string
		want    Status // "" for success
		text    string
	}{
		"307":            {map[string]hastyAnswer{"/in/logs": early(to(307, "/final")), "/final": storesIt}, []string{"/in/logs", "/final"}, "", ""},
		"308":            {map[string]hastyAnswer{"/in/logs": early(to(308, "/final")), "/final": storesIt}, []string{"/in/logs", "/final"}, "", ""},
		"403":            {map[string]hastyAnswer{"/in/logs": early(reply(403))}, []string{"/in/logs"}, PermissionDenied, "403"},
		"413":            {map[string]hastyAnswer{"/in/logs": early(reply(413))}, []string{"/in/logs"}, UploadFailure, "413"},
		"500":            {map[string]hastyAnswer{"/in/logs": early(reply(500))}, []string{"/in/logs"}, UploadFailure, "500"},
		"417":            {map[string]hastyAnswer{"/in/logs": early(reply(417)), "/in/logs!": storesWithout}, []string{"/in/logs", "/in/logs!"}, "", ""},
		"201":            {map[string]hastyAnswer{"/in/logs": early(reply(201))}, []string{"/in/logs"}, UploadFailure, "before it had the whole file"},
		"nothing":        {map[string]hastyAnswer{"/in/logs": early("")}, []string{"/in/logs"}, UploadFailure, " tcp "},
		"half an answer": {map[string]hastyAnswer{"/in/logs": early("HTTP/1.1 307 Moved\r\nLoc")}, []string{"/in/logs"}, UploadFailure, " tcp "},
		"403 after a redirect": {map[string]hastyAnswer{"/in/logs": early(to(307, "/final")), "/final": early(reply(403))},
			[]string{"/in/logs", "/final"}, PermissionDenied, "403"},
		"417 after a redirect": {map[string]hastyAnswer{"/in/logs": early(to(307, "/final")), "/final": early(reply(417)), "/final!": storesWithout},
			[]string{"/in/logs", "/final", "/final!"}, "", ""},
		"307 after 417": {map[string]hastyAnswer{"/in/logs": {answer: reply(417)}, "/in/logs!": earlyWithoutExpect(to(307, "/final")), "/final": storesIt},
			[]string{"/in/logs", "/in/logs!", "/final"}, "", ""},
		"503 after 417": {map[string]hastyAnswer{"/in/logs": {answer: reply(417)}, "/in/logs!": earlyWithoutExpect(reply(503))},
			[]string{"/in/logs", "/in/logs!"}, UploadFailure, "503"},
		"417 twice": {map[string]hastyAnswer{"/in/logs": {answer: reply(417)}, "/in/logs!": earlyWithoutExpect(reply(417))},
			[]string{"/in/logs", "/in/logs!"}, UploadFailure, "417"},
		"a loop": {map[string]hastyAnswer{"/in/logs": early(to(307, "/in/logs"))},
			[]string{"/in/logs", "/in/logs", "/in/logs", "/in/logs"}, UploadFailure, "more than 3 redirects"},
	} {
		for scheme, config := range map[string]*tls.Config{"http": nil, "https": secure} {
			t.Run(name+"/"+scheme, func(t *testing.T) {
				server := newHastyServer(t, config, test.answers)
				err := uploadLate(t, server, authority.bundle, content, false)
				server.mu.Lock()
				defer server.mu.Unlock()
				if !slices.Equal(server.heard, test.heard) {
					t.Errorf("the server heard %q, want %q", server.heard, test.heard)
				}
				switch {
				case test.want != "":
					wantFailure(t, err, test.want)
					if err != nil && !strings.Contains(err.Error(), test.text) {
						t.Errorf("failed as %v, want %q", err, test.text)
					}
				case err != nil:
					t.Error(err)
				case !bytes.Equal(server.stored, content):
					t.Errorf("%d of %d bytes were stored", len(server.stored), len(content))
				}
			})
		}
	}
}

// TestTheCauseOfAnEndWithoutAnAnswer: the reader finds the end of a connection before the writer does.
func TestTheCauseOfAnEndWithoutAnAnswer(t *testing.T) {
	content := bytes.Repeat([]byte("log "), 2<<20)
	authority := newAuthority(t)
	secure := &tls.Config{Certificates: []tls.Certificate{authority.certificate(t, "127.0.0.1")}}
	for _, answer := range []string{"", "HTTP/1.1 307 Moved\r\nLoc"} {
		for scheme, config := range map[string]*tls.Config{"http": nil, "https": secure} {
			t.Run(fmt.Sprintf("%s after %d bytes", scheme, len(answer)), func(t *testing.T) {
				server := newHastyServer(t, config, map[string]hastyAnswer{"/in/logs": early(answer)})
				err := uploadLate(t, server, authority.bundle, content, true)
				wantFailure(t, err, UploadFailure)
				if err != nil && !strings.Contains(err.Error(), " tcp ") {
					t.Errorf("failed as %v, want the socket's error", err)
				}
			})
		}
	}
}

// storesWithout stores a request without Expect.
var storesWithout = hastyAnswer{read: -1, answer: reply(201)}

// TestAnAnswerInsteadOf100Continue: the server answers a request that waits for it.
func TestAnAnswerInsteadOf100Continue(t *testing.T) {
	for name, test := range map[string]struct {
		answer hastyAnswer
		want   string // of the error, "" for success
	}{
		"success without the content":            {hastyAnswer{answer: reply(200), patient: true}, "before it had the whole file"},
		"success without the content, then ends": {hastyAnswer{answer: reply(200, "Connection: close\r\n"), patient: true}, "before it had the whole file"},
		"success without the content, and reset": {hastyAnswer{answer: reply(200)}, "before it had the whole file"},
		"a refusal":                              {hastyAnswer{answer: reply(413), patient: true}, "413"},
		"see other":                              {hastyAnswer{answer: reply(303, "Location: /\r\n"), patient: true}, "asks for GET"},
		"nowhere":                                {hastyAnswer{answer: reply(307), patient: true}, "307"},
		"a broken location":                      {hastyAnswer{answer: reply(307, "Location: http://[secret\r\n"), patient: true}, "leads to no URL"},
		"processing first":                       {hastyAnswer{before: "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", read: -1, answer: reply(200)}, ""},
		"processing without end":                 {hastyAnswer{answer: strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 10_000), patient: true}, "without end"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newHastyServer(t, nil, map[string]hastyAnswer{"/in/logs.tar.gz": test.answer})
			err := uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), server.url("/in/"), []byte("a few bytes"))
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantFailure(t, err, UploadFailure)
			if err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("failed as %v, want %q", err, test.want)
			}
		})
	}
}
