package handshake_test

import (
	"fmt"

	"github.com/remotechargeport/remotechargeport/handshake"
)

// A controller meets an agent that does not know it yet.
func ExampleController() {
	controller := handshake.NewController(handshake.ControllerConfig{})
	for _, event := range []handshake.Event{
		handshake.Start{},
		handshake.Connected{Link: 1},
		handshake.Answered{Link: 1, Function: handshake.IAmHere, Known: false},
		handshake.Answered{Link: 1, Function: handshake.IAmReady},
	} {
		fmt.Println(event)
		for _, action := range controller.Step(event) {
			fmt.Println("  ->", action)
		}
	}
	fmt.Println(controller.State())
	// Output:
	// Start
	//   -> Connect link=1
	//   -> StartTimer CallTimer 5s
	// Connected link=1
	//   -> Call link=1 i_am_here
	//   -> StartTimer CallTimer 5s
	// Answered link=1 i_am_here false
	//   -> Call link=1 i_am_ready
	//   -> StartTimer CallTimer 5s
	// Answered link=1 i_am_ready
	//   -> StopTimer CallTimer
	//   -> InitDone
	//   -> StartTimer PollTimer 20s
	// Agreed
}

// An agent that is announced to for a second time restarts its board.
func ExampleAgent() {
	agent := handshake.NewAgent(handshake.AgentConfig{HasSystem: true})
	for _, event := range []handshake.Event{
		handshake.Start{},
		handshake.Called{Session: 1, Function: handshake.IAmHere},
		handshake.Called{Session: 2, Function: handshake.IAmHere},
		handshake.TimerFired{Timer: handshake.ResetTimer},
	} {
		fmt.Println(event)
		for _, action := range agent.Step(event) {
			fmt.Println("  ->", action)
		}
	}
	fmt.Println(agent.State())
	// Output:
	// Start
	//   -> OpenServer
	// Called session=1 i_am_here
	//   -> RegisterWork
	//   -> Answer session=1 i_am_here false
	// Called session=2 i_am_here
	//   -> Answer session=2 i_am_here true
	//   -> StopTimer SilenceTimer
	//   -> CloseSession session=2
	//   -> StopServer
	//   -> StartTimer ResetTimer 250ms
	// TimerFired ResetTimer
	//   -> ResetSystem (peer restarted)
	//   -> StartTimer PatienceTimer 1m0s
	// Resetting
}
