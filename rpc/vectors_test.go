package rpc_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

// vector is one recorded exchange of the real rpclib.
type vector struct {
	Name            string
	Group           string
	Direction       string
	Stable          bool
	KillsCPP        string    `json:"kills_cpp"`
	Request         *string   `json:"request_bytes_hex"`
	Response        string    `json:"response_bytes_hex"`
	ConnectionAfter string    `json:"connection_after"`
	Generator       string    `json:"request_generator"`
	RequestBig      *bytesSum `json:"request_big"`
	ResponseBig     *bytesSum `json:"response_big"`
	ClientSaw       []string  `json:"client_saw"`
	Note            string
}

// bytesSum stands for bytes that are too many to be written down.
type bytesSum struct {
	Len    int
	SHA256 string
}

func (b *bytesSum) matches(t *testing.T, what string, data []byte) {
	t.Helper()
	if sum := sha256.Sum256(data); len(data) != b.Len || hex.EncodeToString(sum[:]) != b.SHA256 {
		t.Errorf("%s: %d bytes with SHA-256 %x, want %d with %s", what, len(data), sum, b.Len, b.SHA256)
	}
}

func loadVectors(t testing.TB, direction string) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/rpclib.json")
	if err != nil {
		t.Fatal(err)
	}
	var all, selected []vector
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.Direction == direction {
			selected = append(selected, v)
		}
	}
	if len(selected) == 0 {
		t.Fatalf("no vectors of direction %q", direction)
	}
	return selected
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var (
	stringGenerator  = regexp.MustCompile(`^\[0,1,'len',\['q'\*(\d+)\]\]$`)
	nestingGenerator = regexp.MustCompile(`^([0-9a-f]+)'(\w+)'91 \+ 91\*(\d+) \+ 90$`)
)

// request builds the bytes of the vector's request.
func (v *vector) request(t testing.TB) []byte {
	t.Helper()
	switch {
	case v.Request != nil && *v.Request != "":
		return unhex(t, *v.Request)
	case v.Name == "obj_bin_65536":
		return append(unhex(t, "940001a86563686f5f6f626a91c600010000"), bytes.Repeat([]byte{'z'}, 65536)...)
	case v.Name == "obj_arr_65536":
		return append(unhex(t, "940001a86563686f5f6f626a91dd00010000"), make([]byte, 65536)...)
	}
	if match := stringGenerator.FindStringSubmatch(v.Generator); match != nil {
		n, err := strconv.Atoi(match[1])
		if err != nil {
			t.Fatal(err)
		}
		head := append(unhex(t, "940001a36c656e91db"), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		return append(head, bytes.Repeat([]byte{'q'}, n)...)
	}
	if match := nestingGenerator.FindStringSubmatch(v.Generator); match != nil {
		depth, err := strconv.Atoi(match[3])
		if err != nil {
			t.Fatal(err)
		}
		data := append(unhex(t, match[1]), match[2]...)
		data = append(data, bytes.Repeat([]byte{0x91}, depth+1)...)
		return append(data, 0x90)
	}
	t.Fatalf("vector %s has no request: generator %q", v.Name, v.Generator)
	return nil
}

func badCastAnswer(id byte, function string, count int) []byte {
	text := fmt.Sprintf("rpclib: function '%s' (called with %d arg(s)) threw an exception. The exception contained this information: std::bad_cast.", function, count)
	return append(append([]byte{0x94, 0x01, id, 0xd9, byte(len(text))}, text...), 0xc0)
}

// onPurpose are the cases in which a Go server differs from rpclib, mostly because rpclib dies there: the Go server's
// reply, and whether the connection stays up. A case with a twin that has exceptions suppressed must get the twin's
// reply.
var onPurpose = map[string]struct {
	answer []byte
	closed bool
}{
	// rpclib aborts: the stream is no MessagePack-RPC any more.
	"msgid_too_big_suppress":     {closed: true},
	"msgid_negative_suppress":    {closed: true},
	"msgid_string_suppress":      {closed: true},
	"msgid_nil":                  {closed: true},
	"msgid_float":                {closed: true},
	"msgid_bool":                 {closed: true},
	"call4_type_nil":             {closed: true},
	"call4_type_bool":            {closed: true},
	"response_sent_to_server":    {closed: true},
	"byte_c1":                    {closed: true},
	"byte_c1_suppress":           {closed: true},
	"byte_c1_then_call":          {closed: true},
	"int_3":                      {closed: true},
	"int_3_suppress":             {closed: true},
	"int_4":                      {closed: true},
	"int_4_suppress":             {closed: true},
	"str_3":                      {closed: true},
	"str_3_suppress":             {closed: true},
	"str_4":                      {closed: true},
	"str_4_suppress":             {closed: true},
	"map_3":                      {closed: true},
	"map_4_suppress":             {closed: true},
	"call4_badname_int":          {closed: true},
	"call4_badname_int_suppress": {closed: true},
	"call4_badname_nil":          {closed: true},
	"call4_badname_nil_suppress": {closed: true},
	"notify3_badname_suppress":   {closed: true},
	"tls_hello":                  {closed: true},
	"tls_hello_suppress":         {closed: true},
	"arr32_huge_suppress":        {closed: true},
	// rpclib aborts with suppression off. The Go server sends the text of suppression on, of which no twin was
	// recorded.
	"argtype_float_for_int": {answer: badCastAnswer(0x25, "add", 2)},
	"argtype_overflow_i8":   {answer: badCastAnswer(0x29, "e_i8", 1)},
	"argtype_neg_for_u32":   {answer: badCastAnswer(0x2a, "e_u32", 1)},
	"args_map1":             {answer: badCastAnswer(0x2d, "f1", 1)},
	// rpclib dies because an error was set and swallowed.
	"h_error_caught": {answer: []byte("\x94\x01\x46\xa6caught\xc0")},
	// rpclib sends an error and a result; a Go function returns one of them.
	"throw_after_respond_suppress": {answer: append(append([]byte{0x94, 0x01, 0x45, 0xd9, 134}, ("rpclib: function 't_after_respond' (called with 0 arg(s)) threw an exception. The exception contained this information: after respond.")...), 0xc0)},
	// rpclib waits for four gigabytes.
	"str32_4GiB": {closed: true},
	"bin32_4GiB": {closed: true},
	"ext32_max":  {closed: true},
	// Random bytes that announce more than the limits allow, where rpclib waits for more.
	"garbage_0": {},
	"garbage_2": {},
	"garbage_3": {closed: true},
	// rpclib cuts off the reply, and sends none to the call behind it.
	"s_exit": {answer: []byte{0x94, 0x01, 0x50, 0xc0, 0x01}, closed: true},
}

// serverElsewhere are the recorded cases that cannot be one exchange with a fresh server, with the tests that cover
// them.
var serverElsewhere = map[string]string{
	"connect_after_srv_stop":       "TestServerStopsFromInsideAHandler",
	"s_exit_big_8MiB":              "TestCloseAfterReplySendsAllOfABigReply",
	"names_count":                  "the number of functions is that of the recording program",
	"half_close_after_request":     "TestHalfClosedClientGetsItsReply",
	"half_close_fast":              "TestHalfClosedClientGetsItsReply",
	"args_nil":                     "rpclib counts uninitialised memory",
	"args_nil_suppress":            "rpclib counts uninitialised memory",
	"args_nil_unknown_fn":          "rpclib counts uninitialised memory",
	"args_nil_unknown_fn_suppress": "rpclib counts uninitialised memory",
}

// TestServerVectors sends what was sent to the real rpclib server and wants the same bytes back.
func TestServerVectors(t *testing.T) {
	vectors := loadVectors(t, "raw client > C++ server")
	byName := make(map[string]vector)
	for _, v := range vectors {
		byName[v.Name] = v
	}
	for _, v := range vectors {
		if serverElsewhere[v.Name] != "" {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			want, closed := v.Response, strings.HasPrefix(v.ConnectionAfter, "closed")
			answer := []byte(nil)
			if twin, ok := byName[v.Name+"_suppress"]; ok && v.KillsCPP != "" && twin.KillsCPP == "" {
				want, closed = twin.Response, false
			}
			if want != "no answer" && want != "connection closed" && v.ResponseBig == nil {
				answer = unhex(t, want)
			}
			if different, ok := onPurpose[v.Name]; ok {
				answer, closed = different.answer, different.closed
			}
			limits := rpc.Limits{}
			if v.Generator != "" || v.ResponseBig != nil {
				limits = rpc.Limits{FrameSize: 128 << 20, Depth: 2_000_000, Elements: 4_000_000}
			}
			conn := dialTestServer(t, limits)
			request := v.request(t)
			if v.RequestBig != nil {
				v.RequestBig.matches(t, "request", request)
			}
			if v.KillsCPP != "" && v.Generator != "" {
				// Nesting that ends rpclib's process. The Go server replies, as its limits were raised.
				size := len(request) - len("\x00\xa8echo_obj\x91") + len("\x01\xc0") - 1
				answer, closed = append(unhex(t, "940101c0"), request[13:]...), false
				if len(answer) != len(request)-9 {
					t.Fatalf("test is wrong about the answer: %d, %d", len(answer), size)
				}
			}
			go func() {
				if v.Name == "byte_by_byte" {
					for i := range request {
						conn.Write(request[i : i+1])
					}
					return
				}
				conn.Write(request)
				if v.Name == "truncated_then_close" {
					conn.CloseWrite()
				}
			}()
			if v.ResponseBig != nil {
				got := make([]byte, v.ResponseBig.Len)
				if _, err := io.ReadFull(conn, got); err != nil {
					t.Fatal(err)
				}
				v.ResponseBig.matches(t, "response", got)
			} else {
				got := make([]byte, len(answer))
				if n, err := io.ReadFull(conn, got); err != nil {
					t.Fatalf("got %.80x, then %v; want %.80x", got[:n], err, answer)
				}
				if !bytes.Equal(got, answer) {
					t.Fatalf("got  %.200x\nwant %.200x\n%.300q\n%.300q", got, answer, got, answer)
				}
			}
			if closed {
				if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil && !errors.Is(err, io.EOF) && !isReset(err) {
					t.Errorf("after the answer: %x, %v; want the end of the connection", rest, err)
				}
				return
			}
			expectOpen(t, conn, !strings.HasPrefix(v.Name, "garbage") && v.Name != "truncated_stays_open")
		})
	}
	for name := range onPurpose {
		if _, ok := byName[name]; !ok {
			t.Errorf("%s is no recorded case", name)
		}
	}
}

func isReset(err error) bool { return strings.Contains(err.Error(), "reset") }

// expectOpen checks that nothing more came and the connection still serves. Inside an unfinished value a call cannot be
// tried; then only silence is checked.
func expectOpen(t *testing.T, conn net.Conn, serves bool) {
	t.Helper()
	if serves {
		go conn.Write([]byte("\x94\x00\x7f\xa4s_id\x90"))
		got, want := make([]byte, 5), []byte("\x94\x01\x7f\xc0\xc3")
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("a call behind it is answered %x, %v; want %x", got, err, want)
		}
		return
	}
	conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, %v; want silence", n, err)
	}
}

func dialTestServer(t *testing.T, limits rpc.Limits) *net.TCPConn {
	t.Helper()
	_, addr := startTestServer(t, rpc.ServerConfig{InsecurePlaintext: true, Limits: limits})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn.(*net.TCPConn)
}

// startTestServer serves the test functions on a port of 127.0.0.1 until the test ends.
func startTestServer(t testing.TB, config rpc.ServerConfig) (*rpc.Server, string) {
	t.Helper()
	server := rpc.NewServer(config)
	if err := rpctest.BindFunctions(server); err != nil {
		t.Fatal(err)
	}
	return server, serve(t, server)
}

func serve(t testing.TB, server *rpc.Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(t.Context(), listener) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return listener.Addr().String()
}
