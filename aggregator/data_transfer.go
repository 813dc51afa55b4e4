package aggregator

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/vendordata"
	"github.com/remotechargeport/remotechargeport/everest"
)

// dataTransfer is the id of the implementation, and the name of its interface. An EVerest without that interface has no
// such implementation: see install.
const dataTransfer = "ocpp_data_transfer"

// handleDataTransfer answers OCPP's DataTransfer, by which a backend asks about single boards.
func (a *Aggregator) handleDataTransfer() {
	if !a.station.answersBackend {
		return
	}
	a.station.module.Provides(dataTransfer).Handle("data_transfer", func(ctx context.Context, arguments everest.Args) (any, error) {
		var request vendordata.Request
		if err := arguments.Decode("request", &request); err != nil {
			return vendordata.Reject("the request cannot be read: " + err.Error()), nil
		}
		message, refusal := vendordata.Parse(vendordata.Access(a.station.parameters.DataTransfer), request)
		var reply vendordata.Reply
		switch message := message.(type) {
		case *vendordata.GetBoards:
			reply = vendordata.ListBoards(a.status.boardsForBackend(ctx), message.From)
		case *vendordata.ResetBoard:
			reply = a.reset.forBackend(ctx, message)
		default:
			reply = *refusal
		}
		a.station.log.Info("answered a backend's data transfer", zap.String("vendor_id", shortened(request.VendorID)),
			zap.String("message_id", shortened(request.MessageID)), zap.String("answer", reply.Status))
		return reply, nil
	})
}

// shortened returns a text of a backend or a board for the log and the status.
func shortened(text string) string { return text[:min(len(text), 60)] }

// boardsForBackend returns what is known of the boards. A board that does not answer has linkedTimeout. OCPP may be ready
// before this module is, which then waits as long: a board that nobody has asked is not one without a link.
func (c *statusSocket) boardsForBackend(ctx context.Context) (boards []vendordata.Board) {
	starting := time.NewTimer(linkedTimeout)
	defer starting.Stop()
	select {
	case <-c.ready:
	case <-starting.C:
	case <-ctx.Done():
	}
	status, err := c.status(ctx)
	if err != nil {
		return nil
	}
	for _, board := range status.Station.Boards {
		boards = append(boards, vendordata.Board{
			Index: board.Index, Name: board.Name, EVSE: board.EVSE, Connected: board.Connected, Since: board.Since,
			Serial: board.Serial, Version: board.Version, FirmwareStatus: board.FirmwareStatus, FirmwareRefusal: board.FirmwareRefusal,
			Flashing: board.Flashing, Mixed: board.Mixed, MixedRequest: board.MixedRequest,
		})
	}
	return boards
}

// forBackend resets one board as the status socket does. The board has maxQuestionTime to answer its reset: OCPP waits
// for the reply, and handles no other message of the backend meanwhile.
func (r *stationReset) forBackend(ctx context.Context, wanted *vendordata.ResetBoard) vendordata.Reply {
	ctx, cancel := context.WithTimeout(ctx, 2*maxQuestionTime)
	defer cancel()
	name, err := r.alone(ctx, wanted.Board, wanted.Hard)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return vendordata.Reject("the board has not answered its reset in time, and may be reset all the same")
	case err != nil:
		return vendordata.Reject(err.Error())
	}
	return vendordata.IsReset(name)
}

// linkStatus is the part that the aggregator reads of the result of the command get_link_status of the interface satellite.
type linkStatus struct {
	Since   *time.Time `json:"since"`
	Serial  string     `json:"serial"`
	Version string     `json:"version"`
	Uptime  float64    `json:"uptime_s"`
}

// linkStatusPause is how long a controller that does not answer get_link_status is not asked again. A C++ controller has
// no such command, and never answers it: each status would take the whole linkedTimeout.
const linkStatusPause = 10 * time.Minute

// linkStatus asks a satellite's controller what it knows of the satellite.
func (b *board) linkStatus(ctx context.Context) linkStatus {
	if !b.tellsLinkStatus {
		return linkStatus{}
	}
	if last := b.noLinkStatus.Load(); last != nil && time.Since(*last) < linkStatusPause {
		return linkStatus{}
	}
	status, err := everest.Call[linkStatus](ctx, b.satellite, "get_link_status", nil)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		b.noLinkStatus.Store(new(time.Now()))
	}
	if err != nil {
		return linkStatus{}
	}
	return status
}
