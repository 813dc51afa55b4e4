package rawjson_test

import (
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// The values of an object are slices of its text, so numbers keep their form.
func ExampleReader() {
	r := rawjson.NewReader([]byte(`{"uuid":"evse","phases":[16.0,1.60e1]}`))
	for r.Object(); ; {
		name, more := r.Next()
		if !more {
			break
		}
		if string(name) != "phases" {
			fmt.Printf("%s %s\n", name, r.Value())
			continue
		}
		for r.Array(); r.More(); {
			fmt.Printf("phase %s\n", r.Value())
		}
	}
	fmt.Println(r.Close())
	// Output:
	// uuid "evse"
	// phase 16.0
	// phase 1.60e1
	// <nil>
}
