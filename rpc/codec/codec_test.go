package codec_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/rpc"
	_ "github.com/remotechargeport/remotechargeport/rpc/codec"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type tuple struct {
	//lint:ignore U1000 the codec package reads it
	_struct bool `codec:",toarray"`
	Number  int32
	Text    string
	Float   float64
}

type pointArray struct {
	//lint:ignore U1000 the codec package reads it
	_struct bool `codec:",toarray"`
	X       int32
	S       string
}

type pointMap struct {
	X int32  `codec:"x"`
	S string `codec:"s"`
}

// recorded is one exchange with the real rpclib.
type recorded struct {
	Name      string
	Direction string
	Request   string `json:"request_bytes_hex"`
	Response  string `json:"response_bytes_hex"`
}

func recordings(t testing.TB) []recorded {
	t.Helper()
	data, err := os.ReadFile("../testdata/rpclib.json")
	must(t, err)
	var all []recorded
	must(t, json.Unmarshal(data, &all))
	return all
}

// TestRecordedStructs replays what clients sent to functions of the real rpclib that take a std::tuple, and structs with
// MSGPACK_DEFINE_ARRAY and MSGPACK_DEFINE_MAP.
func TestRecordedStructs(t *testing.T) {
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	must(t, server.Bind("e_tuple", func(value tuple) tuple { return value }))
	must(t, server.Bind("e_parr", func(value pointArray) pointArray { return value }))
	must(t, server.Bind("e_pmap", func(value pointMap) pointMap { return value }))
	listener := rpctest.Listen("test")
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), listener) }()
	defer func() {
		server.Close()
		must(t, <-served)
	}()
	replayed := 0
	for _, exchange := range recordings(t) {
		request, err := hex.DecodeString(exchange.Request)
		if err != nil || exchange.Direction != "raw client > C++ server" ||
			!strings.Contains(string(request), "\xa7e_tuple") && !strings.Contains(string(request), "\xa6e_parr") &&
				!strings.Contains(string(request), "\xa6e_pmap") {
			continue
		}
		replayed++
		conn, err := listener.Dial(context.Background(), nil, nil)
		must(t, err)
		must(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
		_, err = conn.Write(request)
		must(t, err)
		response := make([]byte, len(exchange.Response)/2)
		_, err = io.ReadFull(conn, response)
		must(t, err)
		conn.Close()
		if got := hex.EncodeToString(response); got != exchange.Response {
			t.Errorf("%s: replied %s, rpclib %s", exchange.Name, got, exchange.Response)
		}
	}
	if replayed != 11 {
		t.Errorf("%d exchanges replayed, want 11", replayed)
	}
}

// TestRecordedStructArguments wants a Go struct to have the bytes that rpclib's client sent for the C++ struct.
func TestRecordedStructArguments(t *testing.T) {
	arguments := map[string]any{
		"cpp_a_struct_arr": pointArray{X: 3, S: "q"},
		"cpp_a_struct_map": pointMap{X: 3, S: "q"},
	}
	for _, exchange := range recordings(t) {
		if argument, ok := arguments[exchange.Name]; ok {
			raw, err := rpc.Encode(argument)
			must(t, err)
			if got := hex.EncodeToString(raw); exchange.Request != "940001a86563686f5f6f626a91"+got {
				t.Errorf("%s: encoded as %s, sent %s", exchange.Name, got, exchange.Request)
			}
			delete(arguments, exchange.Name)
		}
	}
	if len(arguments) > 0 {
		t.Errorf("not recorded: %v", arguments)
	}
}

// TestStructsBelowOtherTypes wants structs to be found in slices, maps, pointers and interfaces, both ways.
func TestStructsBelowOtherTypes(t *testing.T) {
	point := pointMap{X: 1, S: "a"}
	type holder struct {
		Points []pointMap
		ByName map[string]*pointArray
		When   time.Time
	}
	for _, test := range []struct{ value, target any }{
		{[]pointMap{point, {}}, new([]pointMap)},
		{map[string]pointMap{"k": point}, new(map[string]pointMap)},
		{&point, new(*pointMap)},
		{[1]*pointMap{&point}, new([1]*pointMap)},
		{holder{[]pointMap{point}, map[string]*pointArray{"k": {X: 2}}, time.Unix(1_700_000_000, 5).UTC()}, new(holder)},
	} {
		raw, err := rpc.Encode(test.value)
		must(t, err)
		must(t, raw.Decode(test.target))
		again, err := rpc.Encode(test.target)
		must(t, err)
		if string(again) != string(raw) {
			t.Errorf("%T: encoded as %x, and after decoding as %x", test.value, []byte(raw), []byte(again))
		}
	}
	raw, err := rpc.Encode([]any{point, nil})
	must(t, err)
	var decoded any
	must(t, raw.Decode(&decoded))
	if diff := cmp.Diff([]any{map[string]any{"x": int64(1), "s": "a"}, nil}, decoded); diff != "" {
		t.Error(diff)
	}
}
