package satellite

import (
	"cmp"
	"fmt"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// packetOverhead is how many bytes of a packet on the other board are not the value: the topic, in which the ids of
// modules are, and 34 bytes of JSON around the value.
const packetOverhead = 1 << 10

// limitPackets applies the configuration key max_packet_bytes, 0 for its default: to what the module sends, and to the
// values that the peer is told this board takes.
func limitPackets(module *everest.Module, table *route.Table, maxPacket int) {
	module.SetMaxPacketSize(maxPacket)
	table.SetMaxValue(cmp.Or(maxPacket, everest.MaxPacketSize) - packetOverhead)
}

// valueIntake keeps off the link what cannot be carried to the end: values that are too long for the modules of either
// board, and what those cannot read as JSON. A value that no message of the link can carry would otherwise end one
// connection after the other. What is dropped is counted and logged.
type valueIntake struct {
	log     *zap.Logger
	table   *route.Table
	dropped atomic.Uint64
}

// takes reports whether an event goes to the journal.
func (i *valueIntake) takes(event link.Event) bool {
	err := i.check(event)
	if err == nil {
		return true
	}
	i.dropped.Add(1)
	if event.Kind == link.Variable {
		i.log.Warn("a variable is dropped: the main board could not take it",
			zap.String("interface", event.Interface), zap.String("variable", event.Name), zap.Error(err))
	} else {
		i.log.Warn("an error is dropped: the main board could not take it", zap.Bool("raised", event.Kind == link.Raised), zap.Error(err))
	}
	return false
}

func (i *valueIntake) check(event link.Event) error {
	if size, most := len(event.Value), i.table.MaxValue(); size > most {
		return fmt.Errorf("%w: %d bytes, and modules of the boards take %d at most: see max_packet_bytes", everest.ErrTooLarge, size, most)
	}
	return schema.CheckNumbers(event.Value)
}
