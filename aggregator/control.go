package aggregator

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
)

// controlled is what the aggregator has of package control.
type controlled struct {
	started time.Time
	events  control.Hub

	lock sync.Mutex
	// firmware and logs are what each board has reported last.
	firmware, logs []string
}

// States of the module, as its control socket tells them.
const (
	stateStarting = "Starting"
	stateReady    = "Ready"
)

// prepare comes before anything is reported.
func (c *controlled) prepare(moduleID string, boards int) {
	c.firmware, c.logs = make([]string, boards), make([]string, boards)
	c.events.ModuleID = moduleID
	c.events.Moved(stateStarting, control.Starting)
}

// serveControl serves the socket that the configuration asks for. One that cannot be had is logged: the station goes on
// without.
func (a *Aggregator) serveControl() {
	id := a.module.ID()
	path := control.PathOf(a.parameters.ControlSocket, id, os.Getenv)
	if path == "" {
		return
	}
	waiting := seconds(a.parameters.IncomingUploadTimeout+2*a.parameters.BoardTimeout, a.config.Unit)
	server, err := control.Listen(control.Config{
		Path: path, Status: a.controlStatus, Logs: a.collectLogs, Events: &a.control.events, Logger: a.log,
		NoPing:      "the aggregator has no link of its own: ping a controller",
		LogsTimeout: waiting + packingTime,
	})
	if err != nil {
		a.log.Error("the module runs without its control socket", zap.Error(err))
		return
	}
	a.log.Info("serving the control socket", zap.String("path", path))
	a.begin(func(ctx context.Context) {
		if err := server.Serve(ctx); err != nil {
			a.log.Error("the control socket failed", zap.Error(err))
		}
	})
}

// packingTime is what packing the files of a local request may take.
const packingTime = 5 * time.Minute

// reported keeps what a board has reported, and tells those who watch.
func (c *controlled) reported(b *board, variable string, value json.RawMessage, status string) {
	c.lock.Lock()
	switch variable {
	case "firmware_update_status":
		c.firmware[b.index] = status
	case "log_status":
		c.logs[b.index] = status
	}
	c.lock.Unlock()
	c.events.Publish(control.Event{Kind: control.KindVariable, Interface: b.name, Variable: variable, Value: value})
}

// published tells those who watch what the backend is told.
func (c *controlled) published(variable string, value any) {
	if !c.events.Watched() {
		return
	}
	text, err := json.Marshal(value)
	if err == nil {
		c.events.Publish(control.Event{Kind: control.KindVariable, Interface: "system", Variable: variable, Value: text})
	}
}

// controlStatus is the answer to GET /status.
func (a *Aggregator) controlStatus(ctx context.Context) (*control.Status, error) {
	station := &control.Station{Boards: make([]control.Board, len(a.boards)), Logs: []control.LogJob{}}
	looked := make(chan struct{})
	// The loop fills a value of its own: when nobody waits any more, nobody may look.
	var firmware *control.FirmwareJob
	var logs []control.LogJob
	a.loop.post(func() {
		defer close(looked)
		firmware, logs = a.firmware.job(), a.logs.jobs()
	})
	a.linked(ctx, station.Boards)
	select {
	case <-looked:
		station.Firmware, station.Logs = firmware, append(station.Logs, logs...)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now := time.Now()
	status := &control.Status{
		Module: "SystemAggregator", ModuleID: a.module.ID(), Version: everest.Version(),
		Started: a.control.started, UptimeSeconds: now.Sub(a.control.started).Seconds(), Taken: now,
		Station: station, Everest: control.EverestOf(a.module.Stats()),
		State: stateReady, Health: control.Healthy,
	}
	var lost []string
	a.control.lock.Lock()
	for i := range station.Boards {
		board := &station.Boards[i]
		board.FirmwareStatus, board.LogStatus = a.control.firmware[i], a.control.logs[i]
		if !board.Connected {
			lost = append(lost, board.Name)
		}
	}
	a.control.lock.Unlock()
	select {
	case <-a.ready:
		if len(lost) > 0 {
			status.Health, status.Problem = control.Degraded, "no link to "+strings.Join(lost, ", ")+": see the status of the controllers"
		}
	default:
		status.State, status.Health, status.Problem = stateStarting, control.Starting, "the other modules of this board are not ready yet"
	}
	return status, nil
}

// linkedTimeout bounds the question whether a link stands: a board whose controller says nothing counts as lost.
const linkedTimeout = 2 * time.Second

// linked fills in who the boards are, and asks all of them at a time for their link.
func (a *Aggregator) linked(ctx context.Context, boards []control.Board) {
	ctx, cancel := context.WithTimeout(ctx, linkedTimeout)
	defer cancel()
	select {
	case <-a.ready:
	default:
		cancel() // nobody would answer
	}
	var asking sync.WaitGroup
	for i, b := range a.boards {
		boards[i] = control.Board{Index: i, Name: b.name, SystemID: b.system.ModuleID(), Connected: i == 0}
		if b.satellite == nil {
			continue
		}
		boards[i].SatelliteID = b.satellite.ModuleID()
		asking.Go(func() { boards[i].Connected = b.connected(ctx) })
	}
	asking.Wait()
}

// job is the update under way, nil without one. It belongs to the loop.
func (f *firmwareRun) job() *control.FirmwareJob {
	state, active := f.merge.State()
	if !active {
		return nil
	}
	job := &control.FirmwareJob{RequestID: state.RequestID}
	if len(state.Published) > 0 {
		job.Status = slices.Max(state.Published).String()
	}
	return job
}

var logStepNames = [...]string{
	logAsking: "asking", logCollecting: "collecting", logPacking: "packing", logUploading: "uploading", logPausing: "pausing",
}

// jobs are the uploads under way. It belongs to the loop.
func (l *logsRun) jobs() []control.LogJob {
	var jobs []control.LogJob
	for kind, run := range l.types {
		for _, job := range []*logJob{&run.merge.current, &run.merge.asking} {
			if job.step == logNone {
				continue
			}
			found := control.LogJob{RequestID: job.requestID, Type: kind.name, Step: nameOf(logStepNames[:], job.step)}
			for _, board := range job.boards {
				if board.answer.Accepts() {
					found.Boards++
					if board.status != 0 {
						found.Done++
					}
				}
			}
			jobs = append(jobs, found)
		}
	}
	return jobs
}
