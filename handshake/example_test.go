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
		handshake.Connected{Conn: 1},
		handshake.Replied{Conn: 1, Function: handshake.IAmHere, Known: false},
		handshake.Replied{Conn: 1, Function: handshake.IAmReady},
	} {
		fmt.Printf("%T%+v\n", event, event)
		for _, action := range controller.Step(event) {
			fmt.Printf("  -> %T%+v\n", action, action)
		}
	}
	fmt.Println(controller.State())
	// Output:
	// handshake.Start{}
	//   -> handshake.Connect{Conn:1}
	//   -> handshake.StartTimer{Timer:call After:5s}
	// handshake.Connected{Conn:1}
	//   -> handshake.Call{Conn:1 Function:IAmHere}
	//   -> handshake.StartTimer{Timer:call After:5s}
	// handshake.Replied{Conn:1 Function:IAmHere Known:false}
	//   -> handshake.Call{Conn:1 Function:IAmReady}
	//   -> handshake.StartTimer{Timer:call After:5s}
	// handshake.Replied{Conn:1 Function:IAmReady Known:false}
	//   -> handshake.StopTimer{Timer:call}
	//   -> handshake.InitDone{}
	//   -> handshake.StartTimer{Timer:poll After:20s}
	// Agreed
}

// An agent that gets a second announcement restarts its board.
func ExampleAgent() {
	agent := handshake.NewAgent(handshake.AgentConfig{HasSystem: true})
	var last handshake.Timer
	step := func(event handshake.Event) {
		fmt.Printf("%T%+v\n", event, event)
		for _, action := range agent.Step(event) {
			fmt.Printf("  -> %T%+v\n", action, action)
			if start, ok := action.(handshake.StartTimer); ok {
				last = start.Timer
			}
		}
	}
	step(handshake.Start{})
	step(handshake.Called{Conn: 1, Function: handshake.IAmHere})
	step(handshake.Called{Conn: 2, Function: handshake.IAmHere})
	step(handshake.TimerFired{Timer: last})
	fmt.Println(agent.State())
	// Output:
	// handshake.Start{}
	//   -> handshake.OpenServer{}
	// handshake.Called{Conn:1 Function:IAmHere}
	//   -> handshake.RegisterWork{}
	//   -> handshake.Reply{Conn:1 Function:IAmHere Known:false}
	// handshake.Called{Conn:2 Function:IAmHere}
	//   -> handshake.Reply{Conn:2 Function:IAmHere Known:true}
	//   -> handshake.StopTimer{Timer:heartbeat}
	//   -> handshake.CloseAfterReply{Conn:2}
	//   -> handshake.StopServer{}
	//   -> handshake.StartTimer{Timer:reset delay After:250ms}
	// handshake.TimerFired{Timer:reset delay}
	//   -> handshake.ResetSystem{Reason:peer restarted}
	//   -> handshake.StartTimer{Timer:reset After:1m0s}
	// Resetting
}
