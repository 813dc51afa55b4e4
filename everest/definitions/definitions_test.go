package definitions_test

import (
	"fmt"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/definitions"
)

func TestEverySchemaCompiles(t *testing.T) {
	loaded, err := definitions.EVerest()
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
	if got := loaded.Meta()["rev"]; got != "2026.02.0" {
		t.Errorf("rev %q", got)
	}
}

func ExampleEVerest() {
	loaded, err := definitions.EVerest()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(loaded.CheckArguments("auth", "set_connection_timeout", everest.Args{"connection_timeout": []byte(`5`)}))
	fmt.Println(loaded.CheckVariable("evse_manager", "supported_energy_transfer_modes", []byte(`["AC_three_phase_core"]`)))
	// Output:
	// SchemaValidationError: argument connection_timeout of auth.set_connection_timeout: minimum: got 5, want 10
	// <nil>
}
