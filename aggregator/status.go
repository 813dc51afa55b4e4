package aggregator

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
)

// statusSocket shows the station at the status socket.
type statusSocket struct {
	*station
	update  *firmwareUpdate
	uploads *logUploads
	reset   *stationReset

	mu sync.Mutex
	// firmware and logs are the last report of each board.
	firmware, logs []string
}

// The states of the module, as the status socket shows them.
const (
	stateStarting = "Starting"
	stateReady    = "Ready"
)

func newStatusSocket(s *station, update *firmwareUpdate, uploads *logUploads, reset *stationReset) *statusSocket {
	return &statusSocket{
		station: s, update: update, uploads: uploads, reset: reset,
		firmware: make([]string, len(s.boards)), logs: make([]string, len(s.boards)),
	}
}

// maxPackingTime bounds how long packing the files of a local request may take; the request fails then.
const maxPackingTime = 5 * time.Minute

// serve serves the socket that the configuration names. The station works without a socket that cannot be opened.
func (c *statusSocket) serve(ctx context.Context) {
	path := control.PathOf(c.parameters.ControlSocket, c.module.ID(), os.Getenv)
	if path == "" {
		return
	}
	server, err := control.Listen(control.Config{
		Path: path, Status: c.status, Reset: c.reset.alone, Logs: c.uploads.collect, Events: &c.events, Logger: c.log,
		Configuration: c.module.Config, Manifest: Installation().Manifest,
		NoPing:      "the aggregator has no link of its own: ping a controller",
		LogsTimeout: c.duration(c.parameters.IncomingUploadTimeout+2*c.parameters.BoardTimeout) + maxPackingTime,
	})
	if err != nil {
		c.log.Error("the module runs without its control socket", zap.Error(err))
		return
	}
	c.log.Info("serving the control socket", zap.String("path", path))
	c.begin(ctx, func(ctx context.Context) {
		if err := server.Serve(ctx); err != nil {
			c.log.Error("the control socket failed", zap.Error(err))
		}
	})
}

// reported keeps a board's report and shows it to the clients that watch.
func (c *statusSocket) reported(b *board, variable string, value json.RawMessage, status string) {
	c.mu.Lock()
	if variable == "log_status" {
		c.logs[b.index] = status
	} else {
		c.firmware[b.index] = status
	}
	c.mu.Unlock()
	c.events.Publish(control.Event{Kind: control.KindVariable, Interface: b.name, Variable: variable, Value: value})
}

// status handles GET /status.
func (c *statusSocket) status(ctx context.Context) (*control.Status, error) {
	station := &control.Station{Boards: make([]control.Board, len(c.boards))}
	type jobs struct {
		firmware *control.FirmwareJob
		logs     []control.LogJob
		boards   []control.Board // their firmware
	}
	inProgress := make(chan jobs, 1)
	c.loop.post(func(context.Context) {
		inProgress <- jobs{c.update.job(), c.uploads.inProgress(), c.update.ofBoards()}
	})
	c.linked(ctx, station.Boards)
	select {
	case jobs := <-inProgress:
		station.Firmware, station.Logs = jobs.firmware, jobs.logs
		for i, board := range jobs.boards {
			station.Boards[i].Flashing, station.Boards[i].Mixed, station.Boards[i].MixedRequest = board.Flashing, board.Mixed, board.MixedRequest
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now := time.Now()
	status := &control.Status{
		Module: "SystemAggregator", ModuleID: c.module.ID(), Version: everest.Version(),
		Started: c.started, UptimeSeconds: now.Sub(c.started).Seconds(), Taken: now,
		Station: station, Everest: control.EverestOf(c.module.Stats()),
		State: stateReady, Health: control.Healthy,
	}
	problems := c.addReports(station.Boards)
	select {
	case <-c.ready:
		if len(problems) > 0 {
			status.Health, status.Problem = control.Degraded, strings.Join(problems, " ")
		}
	default:
		status.State, status.Health, status.Problem = stateStarting, control.Starting, "The other modules of this board are not ready yet."
	}
	return status, nil
}

// addReports fills in the boards' last reports, and returns what is wrong with the boards.
func (c *statusSocket) addReports(boards []control.Board) (problems []string) {
	var lost, mixed []string
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range boards {
		boards[i].FirmwareStatus, boards[i].LogStatus = c.firmware[i], c.logs[i]
		if !boards[i].Connected {
			lost = append(lost, boards[i].Name)
		}
		if boards[i].Mixed {
			mixed = append(mixed, boards[i].Name)
		}
	}
	if len(lost) > 0 {
		problems = append(problems, "No link to "+strings.Join(lost, ", ")+": see the status of the controllers.")
	}
	if len(mixed) > 0 {
		problems = append(problems, "Firmware that the station does not have on "+strings.Join(mixed, ", ")+": another board refused it or failed. Update the station again.")
	}
	return problems
}

// linkedTimeout bounds asking the controllers for their links; a board whose controller does not respond counts as
// lost. Tests that share a busy machine have more.
var linkedTimeout = 2 * time.Second

// linked fills in what is known of the boards and their links. It asks all controllers at once.
func (c *statusSocket) linked(ctx context.Context, boards []control.Board) {
	ctx, cancel := context.WithTimeout(ctx, linkedTimeout)
	defer cancel()
	select {
	case <-c.ready:
	default:
		cancel() // no controller would respond
	}
	var calls sync.WaitGroup
	for i, b := range c.boards {
		boards[i] = control.Board{Index: i, Name: b.name, SystemID: b.system.ModuleID(), Connected: i == 0}
		if refusal := b.refusal.Load(); refusal != nil {
			boards[i].FirmwareRefusal = *refusal
		}
		if b.satellite == nil {
			if i == 0 {
				// By the clock of today: a backend may have set it meanwhile.
				boards[i].Since, boards[i].Version = new(time.Now().Add(-time.Since(c.started)).UTC().Round(time.Second)), everest.Version()
			}
			continue
		}
		boards[i].SatelliteID = b.satellite.ModuleID()
		if mapping := b.satellite.Mapping(); mapping != nil {
			boards[i].EVSE = mapping.EVSE
		}
		calls.Go(func() { boards[i].Connected = b.connected(ctx) })
		calls.Go(func() {
			found := b.linkStatus(ctx)
			boards[i].Since, boards[i].Serial, boards[i].Version = found.Since, found.Serial, found.Version
		})
	}
	calls.Wait()
}
