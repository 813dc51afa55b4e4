// Package everesttest runs an EVerest module in a test, without EVerest: with a broker, a manager and fakes of other
// modules, in one process and within milliseconds. It serves tests of modules as net/http/httptest serves tests of HTTP
// handlers.
//
//	func TestDoorman(t *testing.T) {
//		station := everesttest.NewStation(t, everesttest.StationConfig{Manifest: manifest}, runDoorman)
//		station.Fake("reader").Publish("provided_token", token)
//		station.Expect(everesttest.Called("port", "pause_charging", nil))
//	}
//
// [NewStation] runs one module with a fake for each of its requirements:
//
//	module under test  <-->  Proxy  <-->  broker  <-->  manager, fakes, recorder
//
//	[Fake.Publish], [Fake.Raise], [Fake.Answer]   what the module's requirements do
//	[Station.Call]                                calls a command of the module
//	[Station.Expect]                              what the module has to do, in this order
//	[Station.Restart]                             ends the module and starts it again
//	[Proxy.Cut], [Proxy.Stall], [Proxy.Drop]      make its connection fail
//	[Station.Poison]                              sends wrong messages on each topic that the module subscribes to
//
// At the end of the test the station ends, and fails the test for each message of the module or a fake that EVerest or the
// interface definitions do not allow, for commands without a handler, and for what the module's own checks refused to
// send. The page doc/everesttest.md has the whole list, and a whole module with its test.
//
// A test that runs several real modules starts the manager itself and uses no Station:
//
//	manager := everesttest.NewManager(t, everesttest.ManagerConfig{Modules: modules})
//	everesttest.RunModule(t, manager.Options("bell"), prepareBell)
//	everesttest.RunModule(t, manager.Options("door"), prepareDoor)
//	everesttest.WaitReady(t, manager)
//
// The broker is embedded. [ForEachBroker] runs a test on it and on mosquitto. [AddURLFlag] lets a person run the tests
// on an existing broker.
//
// StartBroker, StartMosquitto, StartManager, StartRecorder and StartProxy work outside of tests, too: each returns an
// error and has a method Close.
//
// Limits:
//   - Manager sends and expects the messages of the EVerest in ManagerConfig.Family, by default those of 2026.02.0. It
//     starts no process: the test runs its modules.
//   - Manager, Recorder and Proxy do not encode or decode messages with package everest. If they did, a test would not
//     notice a mistake in that package.
//   - Helpers wait up to [Patience] for what they expect. To show that a message is absent, a test must first wait for
//     another message that comes later.
package everesttest
