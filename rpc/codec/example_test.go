package codec_test

import (
	"fmt"
	"log"

	"github.com/remotechargeport/remotechargeport/rpc"
	_ "github.com/remotechargeport/remotechargeport/rpc/codec"
)

// A struct is a map, or an array by a tag. A C++ peer has MSGPACK_DEFINE_MAP and MSGPACK_DEFINE_ARRAY for them.
func Example() {
	type limit struct {
		Amps   float64 `codec:"amps"`
		Phases int     `codec:"phases"`
	}
	type point struct {
		//lint:ignore U1000 the codec package reads it
		_struct bool `codec:",toarray"`
		X, Y    int
	}
	for _, value := range []any{limit{Amps: 16, Phases: 3}, point{X: 1, Y: 2}} {
		raw, err := rpc.Encode(value)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%x\n", []byte(raw))
	}
	// Output:
	// 82a4616d7073cb4030000000000000a670686173657303
	// 920102
}
