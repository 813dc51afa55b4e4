package schema_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

func TestEverySchemaCompiles(t *testing.T) {
	loaded, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Compile(); err != nil {
		t.Fatal(err)
	}
	if got := len(loaded.InterfaceNames()); got != 19 {
		t.Errorf("%d interfaces, want 19", got)
	}
	if got := len(loaded.TypeNames()); got != 169 {
		t.Errorf("%d types, want 169", got)
	}
	var file struct {
		Meta struct{ Rev string } `json:"_meta"`
	}
	if text, err := os.ReadFile("2026.02.0/interfaces.json"); err != nil || json.Unmarshal(text, &file) != nil || file.Meta.Rev != "2026.02.0" {
		t.Errorf("rev %q, %v", file.Meta.Rev, err)
	}
}

func ExampleBuiltIn() {
	loaded, err := schema.BuiltIn()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(loaded.CheckArguments("auth", "set_connection_timeout", map[string]json.RawMessage{"connection_timeout": []byte(`5`)}))
	fmt.Println(loaded.CheckVariable("evse_manager", "supported_energy_transfer_modes", []byte(`["AC_three_phase_core"]`)))
	// Output:
	// argument connection_timeout of auth.set_connection_timeout: minimum: got 5, want 10
	// <nil>
}
