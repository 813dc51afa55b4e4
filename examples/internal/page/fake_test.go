package page

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// fakeStation is a Source without sockets. A test sets the status of its modules.
type fakeStation struct {
	mu      sync.Mutex
	modules map[string]func(ctx context.Context) (*control.Status, error)
	failure error
}

func newFakeStation() *fakeStation {
	return &fakeStation{modules: map[string]func(context.Context) (*control.Status, error){}}
}

func (f *fakeStation) set(id string, answer func(context.Context) (*control.Status, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.modules[id] = answer
}

// answer sets a fixed status of a module.
func (f *fakeStation) answer(id string, status control.Status) {
	f.set(id, func(context.Context) (*control.Status, error) { return &status, nil })
}

func (f *fakeStation) remove(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.modules, id)
}

func (f *fakeStation) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
}

func (f *fakeStation) List() ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	for id := range f.modules {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, f.failure
}

func (f *fakeStation) Open(id string) Module { return fakeModule{f, id} }

type fakeModule struct {
	station *fakeStation
	id      string
}

func (m fakeModule) Status(ctx context.Context) (*control.Status, error) {
	m.station.mu.Lock()
	answer := m.station.modules[m.id]
	m.station.mu.Unlock()
	if answer == nil {
		return nil, errors.New("no such module")
	}
	return answer(ctx)
}

func (m fakeModule) Close() {}

// controllerStatus returns the status of a working controller.
func controllerStatus(id string, started time.Time) control.Status {
	none := 0
	return control.Status{
		Module: "SatelliteController", ModuleID: id, Version: "v1.4.0", State: "Working", Health: control.Healthy,
		Started: started, Taken: started,
		Link: &control.Link{
			Role: "controller", Connected: true, Dialect: "v2", PeerAddress: "10.0.0.12:4129", Security: "mutual-tls",
			PeerSerial: "EV-000123", PeerFingerprint: "7f:2a:90:11:c4:0e:5b:d8", ActiveErrors: &none,
			Latency:   &control.Latency{Last: 0.0021, Median: 0.002, P99: 0.0048, Samples: 100},
			Variables: 12000, Errors: 14, Commands: 830, Pushed: 96,
		},
		Everest: &control.Everest{Received: 51234, Published: 15000, Commands: 830, Queues: []control.Queue{}},
	}
}

// agentStatus returns the status of a working agent.
func agentStatus(id string, started time.Time) control.Status {
	return control.Status{
		Module: "SatelliteAgent", ModuleID: id, Version: "v1.4.0", State: "Working", Health: control.Healthy, Started: started, Taken: started,
		Link: &control.Link{
			Role: "agent", Connected: true, Dialect: "v2", PeerAddress: "10.0.0.1:51022", ListenAddress: "10.0.0.12:4129", Security: "mutual-tls",
			Journal:   &control.Journal{Events: 3, Bytes: 2100, MaxEvents: 20000, MaxBytes: 16 << 20},
			Collected: 12003, Delivered: 12000, Commands: 830,
		},
	}
}

// aggregatorStatus returns the status of an aggregator during a firmware update.
func aggregatorStatus(id string, started time.Time) control.Status {
	return control.Status{
		Module: "SystemAggregator", ModuleID: id, Version: "v1.4.0", State: "Working", Health: control.Healthy, Started: started, Taken: started,
		Station: &control.Station{
			Boards: []control.Board{
				{Index: 0, Name: "0_system", SystemID: "system", Connected: true, FirmwareStatus: "Downloaded"},
				{Index: 1, Name: "1_system_2", SystemID: "system_2", SatelliteID: "connector_2", Connected: true, FirmwareStatus: "Downloading"},
			},
			Firmware: &control.FirmwareJob{RequestID: 17, Status: "Downloading"},
			Logs:     []control.LogJob{},
		},
		Everest: &control.Everest{Received: 902, Published: 44, Queues: []control.Queue{{Name: "system_2", Depth: 1, Handled: 40}}},
	}
}

// lively returns a working controller whose numbers change like those of a real one.
func lively(id string, number int, began time.Time) func(context.Context) (*control.Status, error) {
	started := began.Add(-time.Duration(number+1) * 97 * time.Minute)
	return func(context.Context) (*control.Status, error) {
		status := controllerStatus(id, started)
		running := time.Since(began).Seconds()
		phase := running/9 + float64(number)
		link := status.Link
		link.PeerAddress = fmt.Sprintf("10.0.0.%d:4129", 10+number)
		link.PeerSerial = fmt.Sprintf("EV-%06d", 100+number)
		link.Latency.Last = 0.0021 + 0.0009*math.Sin(phase*2.1)*math.Sin(phase*7.3) + 0.002*math.Max(0, math.Sin(phase*0.7)-0.9)*10
		link.Variables += uint64(running*38 + 20*math.Sin(phase))
		link.Backlog = int(3 + 3*math.Sin(phase*3))
		taken := time.Now()
		last := taken.Add(-40 * time.Millisecond)
		status.Taken, link.LastVariable = taken, &last
		return &status, nil
	}
}
