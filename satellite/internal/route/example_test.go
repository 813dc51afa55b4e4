package route_test

import (
	"fmt"

	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// What is tunnelled is a table.
func ExampleStandard() {
	for _, r := range route.Standard() {
		if r.ID != "uk_random_delay" {
			continue
		}
		for _, command := range r.Commands {
			fmt.Println("command ", command.Name, "->", command.Function)
		}
		for _, variable := range r.Variables {
			fmt.Println("variable", variable.Name)
		}
	}
	// Output:
	// command  enable -> uk_random_delay_enable
	// command  disable -> uk_random_delay_disable
	// command  cancel -> uk_random_delay_cancel
	// command  set_duration_s -> uk_random_delay_set_duration_s
	// variable countdown
}
