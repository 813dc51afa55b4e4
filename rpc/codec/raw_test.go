package codec_test

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ugorji/go/codec"

	"github.com/remotechargeport/remotechargeport/rpc"
)

type Payload struct{ R rpc.Raw }

type payloadArray struct {
	//lint:ignore U1000 the codec package reads it
	_struct bool `codec:",toarray"`
	R       rpc.Raw
	X       int
}

type payloads struct {
	A int
	R rpc.Raw `codec:"r"`
	P *rpc.Raw
	L []rpc.Raw
	M map[string]rpc.Raw
	I Payload
	F [2]rpc.Raw
	N map[string]*Payload
}

// tree cannot be rebuilt with another type in the place of Raw.
type tree struct {
	R    rpc.Raw
	Next []tree
}

type leaves struct {
	R    codec.Raw
	Next []leaves
}

// value is what the tests have for a Raw: [1, "q"].
var value = rpc.Raw("\x92\x01\xa1q")

// TestRawIsSentUnchanged wants a Raw to be the value itself wherever it is inside a struct, and an empty one nil.
func TestRawIsSentUnchanged(t *testing.T) {
	for _, test := range []struct {
		value any
		want  string
	}{
		{Payload{value}, "81a1529201a171"},
		{&Payload{value}, "81a1529201a171"},
		{Payload{}, "81a152c0"},
		{[]Payload{{value}, {}}, "9281a1529201a17181a152c0"},
		{payloadArray{R: value, X: 2}, "929201a17102"},
		{struct{ Payload }{Payload{value}}, "81a1529201a171"},
		{struct{ V any }{value}, "81a1569201a171"},
		{struct{ V any }{&value}, "81a1569201a171"},
		{struct{ V []any }{[]any{value, nil, Payload{value}}}, "81a156939201a171c081a1529201a171"},
		{tree{value, []tree{{R: value}}}, "82a1529201a171a44e6578749182a1529201a171a44e657874c0"},
		{struct{ M map[string]rpc.Raw }{map[string]rpc.Raw{"k": value}}, "81a14d81a16b9201a171"},
		// The same bytes as binary are a value like any other.
		{struct{ B []byte }{value}, "81a142c4049201a171"},
	} {
		raw, err := rpc.Encode(test.value)
		if got := hex.EncodeToString(raw); err != nil || got != test.want {
			t.Errorf("%T: encoded as %s, %v, want %s", test.value, got, err, test.want)
		}
	}
}

// TestRawIsReceivedUndecoded decodes into every place where a Raw may be.
func TestRawIsReceivedUndecoded(t *testing.T) {
	want := payloads{
		A: 7, R: rpc.Raw("\x81\x01\x02"), P: &value, L: []rpc.Raw{{0x01}, value}, M: map[string]rpc.Raw{"k": rpc.Raw("\x91\x05")},
		I: Payload{rpc.Raw("\xc4\x01a")}, F: [2]rpc.Raw{{0x01}, rpc.Raw("\xd4\x01\x02")}, N: map[string]*Payload{"n": {rpc.Raw("\xa1a")}},
	}
	raw, err := rpc.Encode(want)
	must(t, err)
	var got payloads
	must(t, raw.Decode(&got))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// The maps and pointers that the codec made are used as those of their real types.
	got.M["other"] = value
	got.N["other"] = &Payload{value}
	delete(got.M, "k")
	got.L = append(got.L, value)
	again, err := rpc.Encode(got)
	must(t, err)
	var copied payloads
	must(t, again.Decode(&copied))
	if diff := cmp.Diff(got, copied); diff != "" || len(copied.M) != 1 || len(copied.N) != 2 {
		t.Error(diff, copied)
	}
	array := payloadArray{X: 5}
	must(t, rpc.Raw("\x91\x92\x01\xa1q").Decode(&array))
	if string(array.R) != string(value) || array.X != 5 {
		t.Errorf("decoded %+v", array)
	}
	kept := Payload{rpc.Raw("old")}
	must(t, rpc.Raw("\x81\xa1z\x01").Decode(&kept))
	if string(kept.R) != "old" {
		t.Errorf("a missing field became %q", kept.R)
	}
	must(t, rpc.Raw("\x81\xa1R\xc0").Decode(&kept))
	if len(kept.R) != 0 {
		t.Errorf("nil became %q", kept.R)
	}
}

// TestRawThatIsNotOneValue wants the error that such a Raw has outside of a struct.
func TestRawThatIsNotOneValue(t *testing.T) {
	for _, raw := range []string{"\x01\x02", "\x91", "\xc1"} {
		// The second field of the pair would make up for what the first one lacks.
		for _, value := range []any{Payload{rpc.Raw(raw)}, struct{ A, B rpc.Raw }{rpc.Raw("\x91"), rpc.Raw("\x01\x02")}} {
			if b, err := rpc.Encode(value); !errors.Is(err, rpc.ErrProtocol) || !strings.Contains(err.Error(), "raw value: ") {
				t.Errorf("%x: encoded as %x, %v", raw, []byte(b), err)
			}
		}
	}
	deep := rpc.Raw(strings.Repeat("\x91", 1000) + "\xc0")
	if _, err := rpc.Encode(Payload{deep}); !errors.Is(err, rpc.ErrTooDeep) {
		t.Errorf("1000 levels within a struct: %v", err)
	}
}

// TestRawThatCannotBeDecoded wants an error with the remedy, and the remedy to work.
func TestRawThatCannotBeDecoded(t *testing.T) {
	type embedded struct{ R rpc.Raw }
	for _, target := range []any{new(tree), new([]tree), &struct{ embedded }{}, &struct{ V any }{&Payload{}}, &struct{ V any }{new(rpc.Raw)}} {
		data := rpc.Raw("\x81\xa1R\x05")
		switch target.(type) {
		case *[]tree:
			data = rpc.Raw("\x91\x81\xa1R\x05")
		case *struct{ V any }:
			data = rpc.Raw("\x81\xa1V\xa1q")
			if _, holds := reflect.ValueOf(target).Elem().Field(0).Interface().(*Payload); holds {
				data = rpc.Raw("\x81\xa1V\x81\xa1R\xa1q")
			}
		}
		err := data.Decode(target)
		if !errors.Is(err, rpc.ErrType) || !strings.Contains(err.Error(), "use a codec.Raw of github.com/ugorji/go/codec") {
			t.Errorf("%T: %v", target, err)
		}
	}
	var remedy leaves
	must(t, rpc.Raw("\x82\xa1R\x92\x01\xa1q\xa4Next\x91\x81\xa1R\x05").Decode(&remedy))
	if string(remedy.R) != string(value) || len(remedy.Next) != 1 || string(remedy.Next[0].R) != "\x05" {
		t.Errorf("decoded %x", remedy)
	}
}
