package transfer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/testenv"
)

// uploadFile makes a file and uploads it once.
func uploadFile(t *testing.T, ctx context.Context, uploader *Uploader, location string, content []byte) error {
	t.Helper()
	parsed, err := ParseLocation(location)
	if err != nil {
		return err
	}
	path := filepath.Join(t.TempDir(), "packed")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var last atomic.Int64
	err = uploader.Upload(ctx, parsed, path, "logs.tar.gz", func(sent, total int64) {
		if sent > total || total != int64(len(content)) {
			t.Errorf("progress %d of %d", sent, total)
		}
		last.Store(sent)
	})
	if err == nil && last.Load() != int64(len(content)) {
		t.Errorf("the last progress was %d of %d", last.Load(), len(content))
	}
	return err
}

func wantFailure(t *testing.T, err error, want Status) {
	t.Helper()
	var failure *Error
	if !errors.As(err, &failure) || failure.Status != want {
		t.Errorf("failed as %v, want %s", err, want)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("the error shows the credentials: %v", err)
	}
}

// scriptedFTP is an FTP server with a test's replies. "close" ends the connection, "stall" sends nothing more.
type scriptedFTP struct {
	listener net.Listener
	replies  map[string]string
	mu       sync.Mutex
	heard    []string
	stored   bytes.Buffer
	running  sync.WaitGroup
}

func newScriptedFTP(t *testing.T, replies map[string]string) *scriptedFTP {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scriptedFTP{listener: listener, replies: map[string]string{
		"greeting": "220 ready", "USER": "331 password", "PASS": "230 in", "FEAT": "500 none", "TYPE": "200 ok", "OPTS": "500 none",
		"CWD": "250 ok", "EPSV": "229 (|||PORT|)", "STOR": "150 go", "stored": "226 done", "QUIT": "221 bye",
	}}
	for command, reply := range replies {
		s.replies[command] = reply
	}
	s.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.running.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() { listener.Close(); s.running.Wait() })
	return s
}

func (s *scriptedFTP) url(path string) string {
	return "ftp://user:sec%20secret@" + s.listener.Addr().String() + path
}

func (s *scriptedFTP) serve(conn net.Conn) {
	defer conn.Close()
	var data net.Listener
	reply := func(command string) bool {
		text := s.replies[command]
		switch text {
		case "close":
			return false
		case "stall":
			io.Copy(io.Discard, conn)
			return false
		case "":
			text = "502 not here"
		}
		if strings.Contains(text, "PORT") || strings.Contains(text, "HIGH") {
			if data != nil {
				data.Close()
			}
			data, _ = net.Listen("tcp", "127.0.0.1:0")
			switch {
			case strings.Contains(text, "NOBODY"):
				data.Close()
			case strings.Contains(text, "SILENT"):
				silence(data)
			}
			port := data.Addr().(*net.TCPAddr).Port
			text = strings.NewReplacer("NOBODY", "", "SILENT", "", "PORT", fmt.Sprint(port), "HIGH", fmt.Sprint(port/256), "LOW", fmt.Sprint(port%256)).Replace(text)
		}
		fmt.Fprintf(conn, "%s\r\n", text)
		return true
	}
	defer func() {
		if data != nil {
			data.Close()
		}
	}()
	if !reply("greeting") {
		return
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		s.mu.Lock()
		s.heard = append(s.heard, lines.Text())
		s.mu.Unlock()
		command, _, _ := strings.Cut(lines.Text(), " ")
		if !reply(command) {
			return
		}
		if command == "STOR" && strings.HasPrefix(s.replies["STOR"], "1") {
			if !s.store(data) || !reply("stored") {
				return
			}
		}
	}
}

// silence has a listener answer no more connections, as a firewall does that drops them: its queue is full.
func silence(listener net.Listener) {
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { syscall.Listen(int(fd), 0) })
	for err == nil {
		_, err = net.DialTimeout("tcp", listener.Addr().String(), 200*time.Millisecond)
	}
}

func (s *scriptedFTP) store(listener net.Listener) bool {
	data, err := listener.Accept()
	if err != nil {
		return false
	}
	defer data.Close()
	if s.replies["data"] == "close midway" {
		io.CopyN(io.Discard, data, 1000)
		data.(*net.TCPConn).SetLinger(0)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	io.Copy(&s.stored, data)
	return true
}

func (s *scriptedFTP) has(command string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.heard {
		if line == command {
			return true
		}
	}
	return false
}

func TestUploadFTP(t *testing.T) {
	content := bytes.Repeat([]byte("log "), 100_000)
	for _, test := range []struct {
		name, path string
		replies    map[string]string
		heard      []string
	}{
		{"home", "", nil, []string{"STOR logs.tar.gz", "USER user", "PASS sec secret"}},
		{"directory", "/in/", nil, []string{"CWD in/", "STOR logs.tar.gz"}},
		{"directory without slash", "/in", nil, []string{"CWD in", "STOR logs.tar.gz"}},
		{"absolute", "//srv/in/", nil, []string{"CWD /srv/in/", "STOR logs.tar.gz"}},
		{"file", "/name.gz", map[string]string{"CWD": "550 no directory"}, []string{"CWD name.gz", "STOR name.gz"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := newScriptedFTP(t, test.replies)
			if err := uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), server.url(test.path), content); err != nil {
				t.Fatal(err)
			}
			for _, line := range test.heard {
				if !server.has(line) {
					t.Errorf("%q was not said; said was %q", line, server.heard)
				}
			}
			server.mu.Lock()
			defer server.mu.Unlock()
			if !bytes.Equal(server.stored.Bytes(), content) {
				t.Errorf("%d of %d bytes were stored", server.stored.Len(), len(content))
			}
		})
	}
}

// TestUploadFTPToOtherServers: servers that are within RFC 959, or that other clients live with.
func TestUploadFTPToOtherServers(t *testing.T) {
	content := bytes.Repeat([]byte("log "), 100_000)
	for name, test := range map[string]struct {
		replies map[string]string
		heard   []string
	}{
		"250 after the file (RFC 959 section 5.4)": {map[string]string{"stored": "250 stored"}, nil},
		"several lines after the file":             {map[string]string{"stored": "226-stored\r\n  quota: 250 of 500\r\n226-\r\n226 done"}, nil},
		"a restart marker before the end":          {map[string]string{"stored": "110 MARK 1 = 2\r\n226 done"}, nil},
		"125":                                      {map[string]string{"STOR": "125 go"}, nil},
		"EPSV is unknown":                          {map[string]string{"EPSV": "500 what", "PASV": "227 Entering Passive Mode (127,0,0,1,HIGH,LOW)."}, []string{"PASV"}},
		"the port of EPSV is closed":               {map[string]string{"EPSV": "229 (|||PORT|) NOBODY", "PASV": "227 Entering Passive Mode (127,0,0,1,HIGH,LOW)"}, []string{"EPSV", "PASV"}},
		"the port of EPSV is silent":               {map[string]string{"EPSV": "229 (|||PORT|) SILENT", "PASV": "227 Entering Passive Mode (127,0,0,1,HIGH,LOW)"}, []string{"EPSV", "PASV"}},
		"EPSV is nonsense":                         {map[string]string{"EPSV": "229 (|||x|)", "PASV": "227 ok (127,0,0,1,HIGH,LOW)"}, []string{"PASV"}},
		"EPSV with another delimiter":              {map[string]string{"EPSV": "229 Extended Passive Mode OK (!!!PORT!)"}, nil},
		"PASV without parentheses":                 {map[string]string{"EPSV": "502 no", "PASV": "227 Entering Passive Mode 127,0,0,1,HIGH,LOW"}, nil},
		"PASV with an equals sign":                 {map[string]string{"EPSV": "502 no", "PASV": "227 =127,0,0,1,HIGH,LOW"}, nil},
		"PASV with spaces and another address":     {map[string]string{"EPSV": "502 no", "PASV": "227 Mode 2 (192, 168, 0, 1, HIGH, LOW) at 7"}, nil},
		"no password wanted":                       {map[string]string{"USER": "230 in"}, nil},
		"a greeting that waits":                    {map[string]string{"greeting": "120 soon\r\n220-hello\r\n220-you\r\n220 ready"}, nil},
		"features": {map[string]string{"FEAT": "211-Features\r\n UTF8\r\n PRET\r\n MLST size*;\r\n211 End", "OPTS": "202 always", "PRET": "200 ok"},
			[]string{"OPTS UTF8 ON", "PRET STOR logs.tar.gz"}},
		"202 for the type": {map[string]string{"TYPE": "202 always binary"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := newScriptedFTP(t, test.replies)
			config := UploaderConfig{}
			if strings.HasSuffix(name, "silent") {
				config.StallTimeout = 10 * time.Second // half of it is waited
			}
			if err := uploadFile(t, t.Context(), NewUploader(config), server.url("/in/"), content); err != nil {
				t.Fatalf("%v\nsaid was %q", err, server.heard)
			}
			for _, line := range test.heard {
				if !server.has(line) {
					t.Errorf("%q was not said; said was %q", line, server.heard)
				}
			}
			server.mu.Lock()
			defer server.mu.Unlock()
			if !bytes.Equal(server.stored.Bytes(), content) {
				t.Errorf("%d of %d bytes were stored", server.stored.Len(), len(content))
			}
		})
	}
}

func TestUploadFTPFailures(t *testing.T) {
	for name, test := range map[string]struct {
		replies map[string]string
		want    Status
	}{
		"user refused":        {map[string]string{"USER": "530 no"}, PermissionDenied},
		"password refused":    {map[string]string{"PASS": "530 no"}, PermissionDenied},
		"busy":                {map[string]string{"greeting": "421 too many"}, UploadFailure},
		"no such directory":   {map[string]string{"CWD": "550 no"}, PermissionDenied},
		"not permitted":       {map[string]string{"STOR": "550 no"}, PermissionDenied},
		"not creatable":       {map[string]string{"STOR": "553 no"}, PermissionDenied},
		"no data":             {map[string]string{"STOR": "425 no data connection"}, UploadFailure},
		"quota":               {map[string]string{"stored": "552 quota"}, UploadFailure},
		"no passive mode":     {map[string]string{"EPSV": "500 no"}, UploadFailure},
		"nobody at its ports": {map[string]string{"EPSV": "229 (|||PORT|) NOBODY", "PASV": "227 (127,0,0,1,HIGH,LOW) NOBODY"}, UploadFailure},
		"PASV is nonsense":    {map[string]string{"EPSV": "500 no", "PASV": "227 (127,0,0,1,256,1)"}, UploadFailure},
		"account wanted":      {map[string]string{"PASS": "332 account"}, PermissionDenied},
		"confirms at once":    {map[string]string{"STOR": "226 done"}, UploadFailure},
		"fails at the end":    {map[string]string{"stored": "451 local error"}, UploadFailure},
		"refuses at the end":  {map[string]string{"stored": "553 no"}, PermissionDenied},
		"a reply without end": {map[string]string{"greeting": "220-" + strings.Repeat("x", 2*maxReply)}, UploadFailure},
		"lines without end":   {map[string]string{"greeting": strings.Repeat("220-hello\r\n", maxReply/8)}, UploadFailure},
		"says nonsense":       {map[string]string{"greeting": "hello"}, UploadFailure},
		"closes at once":      {map[string]string{"greeting": "close"}, UploadFailure},
		"closes at login":     {map[string]string{"PASS": "close"}, UploadFailure},
		"closes at store":     {map[string]string{"STOR": "close"}, UploadFailure},
		"closes midway":       {map[string]string{"data": "close midway"}, UploadFailure},
		"never confirms":      {map[string]string{"stored": "close"}, UploadFailure},
	} {
		t.Run(name, func(t *testing.T) {
			server := newScriptedFTP(t, test.replies)
			err := uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), server.url("/in/"), make([]byte, 8<<20))
			wantFailure(t, err, test.want)
		})
	}
}

// TestUploadEndsWithItsContext: wherever the server is when the upload is cancelled.
func TestUploadEndsWithItsContext(t *testing.T) {
	for _, place := range []string{"greeting", "USER", "PASS", "FEAT", "CWD", "EPSV", "STOR", "stored"} {
		t.Run(place, func(t *testing.T) {
			server := newScriptedFTP(t, map[string]string{place: "stall"})
			ctx, cancel := context.WithCancelCause(t.Context())
			enough := errors.New("somebody else wants to upload")
			done := make(chan error, 1)
			go func() { done <- uploadFile(t, ctx, NewUploader(UploaderConfig{}), server.url("/in/"), []byte("x")) }()
			testenv.Eventually(t, "the server gets there", func() bool {
				server.mu.Lock()
				defer server.mu.Unlock()
				return place == "greeting" || len(server.heard) > 0 && (strings.HasPrefix(server.heard[len(server.heard)-1], place) || place == "stored")
			})
			cancel(enough)
			select {
			case err := <-done:
				if !errors.Is(err, enough) {
					t.Errorf("ended with %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("the upload goes on")
			}
		})
	}
}

func TestUploadStalls(t *testing.T) {
	patient := UploaderConfig{StallTimeout: 300 * time.Millisecond}
	t.Run("ftp", func(t *testing.T) {
		server := newScriptedFTP(t, map[string]string{"STOR": "stall"})
		err := uploadFile(t, t.Context(), NewUploader(patient), server.url("/"), []byte("x"))
		wantFailure(t, err, UploadFailure)
		if !errors.Is(err, errStalled) {
			t.Error(err)
		}
	})
	t.Run("http", func(t *testing.T) {
		over := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
		defer server.Close()
		defer close(over)
		err := uploadFile(t, t.Context(), NewUploader(patient), server.URL+"/", make([]byte, 32<<20))
		wantFailure(t, err, UploadFailure)
		if !errors.Is(err, errStalled) {
			t.Error(err)
		}
	})
	t.Run("for ever a little", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		var running sync.WaitGroup
		defer running.Wait()
		running.Go(func() {
			conn, err := listener.Accept()
			for err == nil {
				time.Sleep(20 * time.Millisecond)
				_, err = conn.Write([]byte("2"))
			}
		})
		config := UploaderConfig{StallTimeout: 20 * time.Second, AttemptTimeout: 500 * time.Millisecond}
		err = uploadFile(t, t.Context(), NewUploader(config), "ftp://"+listener.Addr().String()+"/", []byte("x"))
		wantFailure(t, err, UploadFailure)
		if !errors.Is(err, errTooLong) {
			t.Error(err)
		}
	})
}

func TestUploadHTTP(t *testing.T) {
	content := bytes.Repeat([]byte("log "), 300_000)
	type heard struct {
		method, path, query, user, disposition, contentType string
		body                                                []byte
	}
	var got heard
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if r.URL.Path == "/moved/" || strings.HasPrefix(r.URL.Path, "/moved/") {
			http.Redirect(w, r, "/final/place", http.StatusTemporaryRedirect)
			return
		}
		body, _ := io.ReadAll(r.Body)
		got = heard{r.Method, r.URL.Path, r.URL.RawQuery, user + "/" + password, r.Header.Get("Content-Disposition"), r.Header.Get("Content-Type"), body}
		w.WriteHeader(http.StatusCreated)
	}))
	defer server.Close()
	withUser := strings.Replace(server.URL, "://", "://us%2Fer:pa%40ss@", 1)
	for name, test := range map[string]struct {
		method, location string
		want             heard
	}{
		"directory":     {"PUT", server.URL + "/in/", heard{"PUT", "/in/logs.tar.gz", "", "/", "", "application/gzip", content}},
		"root":          {"PUT", server.URL, heard{"PUT", "/logs.tar.gz", "", "/", "", "application/gzip", content}},
		"presigned":     {"PUT", server.URL + "/in/key?sig=a%2Bb", heard{"PUT", "/in/key", "sig=a%2Bb", "/", "", "application/gzip", content}},
		"user":          {"PUT", withUser + "/in/", heard{"PUT", "/in/logs.tar.gz", "", "us/er/pa@ss", "", "application/gzip", content}},
		"post":          {"POST", server.URL + "/in/", heard{"POST", "/in/", "", "/", "attachment; filename=logs.tar.gz", "application/gzip", content}},
		"redirected":    {"PUT", server.URL + "/moved/", heard{"PUT", "/final/place", "", "/", "", "application/gzip", content}},
		"empty":         {"PUT", server.URL + "/in/", heard{"PUT", "/in/logs.tar.gz", "", "/", "", "application/gzip", []byte{}}},
		"post redirect": {"POST", server.URL + "/moved/", heard{"POST", "/final/place", "", "/", "attachment; filename=logs.tar.gz", "application/gzip", content}},
	} {
		t.Run(name, func(t *testing.T) {
			got = heard{}
			if err := uploadFile(t, t.Context(), NewUploader(UploaderConfig{HTTPMethod: test.method}), test.location, test.want.body); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.body, test.want.body) {
				t.Errorf("%d bytes arrived, want %d", len(got.body), len(test.want.body))
			}
			got.body, test.want.body = nil, nil
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("\n got %v\nwant %v", got, test.want)
			}
		})
	}
}

// TestUploadToAServerWithoutExpect: RFC 9110 section 10.1.1 has a client repeat the request without Expect after 417.
func TestUploadToAServerWithoutExpect(t *testing.T) {
	content := bytes.Repeat([]byte("log "), 300_000)
	for name, refuses := range map[string]string{"at once": "/in/logs.tar.gz", "after a redirect": "/final"} {
		t.Run(name, func(t *testing.T) {
			var got []byte
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path != refuses:
					http.Redirect(w, r, refuses, http.StatusTemporaryRedirect)
				case r.Header.Get("Expect") != "":
					w.WriteHeader(http.StatusExpectationFailed)
				default:
					got, _ = io.ReadAll(r.Body)
				}
			}))
			defer server.Close()
			if err := uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), server.URL+"/in/", content); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, content) {
				t.Errorf("%d bytes arrived, want %d", len(got), len(content))
			}
		})
	}
}

// A redirect may lead to another server, which must get neither the location's credentials nor its query.
func TestARedirectTakesNoCredentialsAlong(t *testing.T) {
	type heard struct{ user, referer string }
	var got heard
	var first *httptest.Server
	final := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/return" {
			http.Redirect(w, r, first.URL+"/final", http.StatusPermanentRedirect)
			return
		}
		user, password, _ := r.BasicAuth()
		got = heard{user + "/" + password, r.Referer()}
		io.Copy(io.Discard, r.Body)
	}))
	defer final.Close()
	_, otherPort, _ := net.SplitHostPort(final.Listener.Addr().String())
	first = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/final":
			final.Config.Handler.ServeHTTP(w, r)
		case "/back":
			http.Redirect(w, r, first.URL+"/final", http.StatusPermanentRedirect)
		default:
			target := strings.NewReplacer("PORT", otherPort, "BACK", first.URL).Replace(r.URL.Query().Get("to"))
			http.Redirect(w, r, target, http.StatusTemporaryRedirect)
		}
	}))
	defer first.Close()
	for name, test := range map[string]struct {
		to   string
		want heard
	}{
		"the same server":                 {"/final", heard{"user/secret", ""}},
		"another port":                    {"http://127.0.0.1:PORT/", heard{"/", ""}},
		"another host":                    {"http://localhost:PORT/", heard{"/", ""}},
		"the same server after a second":  {"/back", heard{"user/secret", ""}},
		"the same server after another":   {"http://127.0.0.1:PORT/return", heard{"/", ""}},
		"the same server by its full URL": {"BACK/final", heard{"user/secret", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			got = heard{}
			location := strings.Replace(first.URL, "://", "://user:secret@", 1) + "/in/key?to=" + url.QueryEscape(test.to)
			if err := uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), location, []byte("log")); err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("the server got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestUploadHTTPFailures(t *testing.T) {
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }
	}
	redirect := func(to string, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, status) }
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    Status
	}{
		"unauthorized":     {answer(401), PermissionDenied},
		"forbidden":        {answer(403), PermissionDenied},
		"proxy login":      {answer(407), PermissionDenied},
		"not found":        {answer(404), UploadFailure},
		"server error":     {answer(500), UploadFailure},
		"unavailable":      {answer(503), UploadFailure},
		"not modified":     {answer(304), UploadFailure},
		"redirect to get":  {redirect("/elsewhere", 302), UploadFailure},
		"redirect for see": {redirect("/elsewhere", 303), UploadFailure},
		"redirect loop":    {redirect("/again", 307), UploadFailure},
		"redirect to file": {redirect("file:///etc/passwd", 307), UploadFailure},
		"closes midway": {func(w http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 1000)
			panic(http.ErrAbortHandler)
		}, UploadFailure},
		"answers nonsense": {func(w http.ResponseWriter, r *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			fmt.Fprintf(conn, "SSH-2.0\r\n\r\n")
			conn.Close()
		}, UploadFailure},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			location := strings.Replace(server.URL, "://", "://user:secret@", 1) + "/in/?token=secret"
			wantFailure(t, uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), location, make([]byte, 4<<20)), test.want)
		})
	}
	t.Run("expectation failed whatever is sent", func(t *testing.T) {
		server := httptest.NewServer(answer(http.StatusExpectationFailed))
		defer server.Close()
		wantFailure(t, uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), server.URL+"/", make([]byte, 1<<20)), UploadFailure)
	})
	t.Run("nobody there", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		for _, scheme := range []string{"http", "https", "ftp", "ftps"} {
			err := uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), scheme+"://user:secret@"+listener.Addr().String()+"/", []byte("x"))
			wantFailure(t, err, UploadFailure)
		}
	})
}

func TestUploadTrust(t *testing.T) {
	authority := newAuthority(t)
	stored := make(chan string, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down/" || strings.HasPrefix(r.URL.Path, "/down/") {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
			return
		}
		body, _ := io.ReadAll(r.Body)
		stored <- string(body)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{authority.certificate(t, "127.0.0.1")}}
	server.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	server.StartTLS()
	defer server.Close()

	wantFailure(t, uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), server.URL+"/", []byte("x")), PermissionDenied)
	trusting := NewUploader(UploaderConfig{TrustBundle: authority.bundle})
	if err := uploadFile(t, t.Context(), trusting, server.URL+"/", []byte("content")); err != nil {
		t.Fatal(err)
	}
	if got := <-stored; got != "content" {
		t.Errorf("%q was stored", got)
	}
	wantFailure(t, uploadFile(t, t.Context(), trusting, server.URL+"/down/", []byte("x")), UploadFailure)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	wantFailure(t, uploadFile(t, t.Context(), trusting, "https://localhost:"+port+"/", []byte("x")), PermissionDenied)
	missing := NewUploader(UploaderConfig{TrustBundle: filepath.Join(t.TempDir(), "none.pem")})
	wantFailure(t, uploadFile(t, t.Context(), missing, server.URL+"/", []byte("x")), UploadFailure)
}

func TestFailureStatus(t *testing.T) {
	for _, test := range []struct {
		err  error
		want Status
	}{
		{&net.DNSError{Err: "no such host", IsNotFound: true}, BadMessage},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "timeout", IsTimeout: true}}, UploadFailure},
		{fmt.Errorf("login: %w", errRefused), PermissionDenied},
		{x509.UnknownAuthorityError{}, PermissionDenied},
		{tls.AlertError(42), PermissionDenied},
		{os.ErrPermission, PermissionDenied},
		{io.ErrUnexpectedEOF, UploadFailure},
		{context.DeadlineExceeded, UploadFailure},
	} {
		if got := failureStatus(test.err); got != test.want {
			t.Errorf("%v: %s, want %s", test.err, got, test.want)
		}
	}
}

// The uploader logs nothing; its error is what a caller logs.
func TestUploadErrorShowsNoCredentials(t *testing.T) {
	server := newScriptedFTP(t, map[string]string{"PASS": "530 no"})
	err := uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), server.url("/in/"), []byte("x"))
	wantFailure(t, err, PermissionDenied)
	if !strings.Contains(server.url("/in/"), "secret") {
		t.Errorf("the location %s has no credentials to show", server.url("/in/"))
	}
}

// authority signs certificates for tests.
type authority struct {
	certificateDER *x509.Certificate
	key            *ecdsa.PrivateKey
	bundle         string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{certificateDER: parsed, key: key, bundle: filepath.Join(t.TempDir(), "bundle.pem")}
	if err := os.WriteFile(a.bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// certificate is for a server on an address.
func (a *authority) certificate(t *testing.T, address string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificateDER, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// pemFile writes a certificate and its key into one file.
func (a *authority) pemFile(t *testing.T, address string) string {
	t.Helper()
	certificate := a.certificate(t, address)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "server.pem")
	content := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
