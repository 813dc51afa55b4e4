// Package everesttest stands up what an EVerest module needs around it, without EVerest: a broker, a manager and other
// modules, in one process and in milliseconds. It is to package everest what net/http/httptest is to net/http.
//
// A test starts with NewStation, which runs the module under test among fakes of everything that its manifest requires, or
// with NewManager and RunModule for several modules of one's own. ForEachBroker runs a test on an embedded broker and on
// mosquitto. What a module does is told by Station.Expect, what goes wrong around it is up to Proxy. The page
// doc/everesttest.md shows a whole module with its test.
//
// The pieces work outside of tests too: Broker is an MQTT broker in the process, Mosquitto a mosquitto process, Manager
// speaks EVerest's wire as its manager does (release 2026.02.0), Recorder writes down what is said. None of them uses
// everest.Module, so a mistake there does not hide itself here.
package everesttest
