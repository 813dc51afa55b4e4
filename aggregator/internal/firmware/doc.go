// Package firmware makes the firmware updates of several boards one update of the station, as OCPP knows it. [Machine] is
// a pure machine; see package machine for the form of its events and actions.
//
//	backend                      Machine                          boards, 0 is the main board
//	update_firmware       ->     Requested      Ask        ->     update_firmware, all
//	response, the worst   <-     Reply          Responded  <-     response, each
//	status, the slowest   <-     Publish        Reported   <-     firmware_update_status
//	allow installation    ->     Allowed        Permit     ->     allow installation: satellites, then board 0
//
// The machine promises, for every order of events:
//
//   - The published statuses of a request follow OCPP's order. Each comes at most once, with the request's id, after the
//     reply to the request; none follows an end state.
//   - A status is published when every board has reached it. The first failure of a board ends the station's update; the
//     mandatory statuses before that failure are published first.
//   - Satellites are permitted to install once the backend allowed it and every board has its image: verified, or
//     downloaded where the update is not signed. Board 0 is permitted once every satellite reported InstallRebooting or
//     Installed, so that its reboot interrupts no satellite.
//   - No board is permitted to install when one has refused the request or failed.
//   - Each phase in which a board can be silent has a limit. Its end names the silent boards and fails the update.
//   - [Machine.Saved] and [Machine.Restore] take an update over the reboot of the main board.
package firmware
