// Package everesttest runs an EVerest module in a test, without EVerest: with a broker, a manager and fakes of other
// modules, in one process and within milliseconds. It is for package everest what net/http/httptest is for net/http.
//
//	func TestDoorman(t *testing.T) {
//		station := everesttest.NewStation(t, everesttest.StationConfig{Manifest: manifest}, runDoorman)
//		station.Fake("reader").Publish("provided_token", token)
//		station.Expect(everesttest.Called("port", "pause_charging", nil))
//	}
//
// NewStation runs one module with a fake for each of its requirements. NewManager and RunModule run several modules of
// one's own. ForEachBroker runs a test on an embedded broker and on mosquitto. Station.Expect checks what the module
// does, and Proxy makes its connection fail. doc/everesttest.md has a whole module with its test.
//
// StartBroker, StartMosquitto, StartManager, StartRecorder and StartProxy work outside of tests, too. Manager speaks
// the wire of EVerest 2026.02.0. Manager, Recorder and Proxy do not use package everest for it, so that a mistake there
// cannot hide itself here.
package everesttest
