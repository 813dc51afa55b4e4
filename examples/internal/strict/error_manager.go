package strict

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// errorObject is an error as it is on MQTT.
type errorObject struct {
	Type        string    `json:"type"`
	SubType     string    `json:"sub_type"`
	Message     string    `json:"message"`
	Description string    `json:"description"`
	Severity    string    `json:"severity"`
	State       string    `json:"state"`
	Timestamp   string    `json:"timestamp"`
	UUID        string    `json:"uuid"`
	VendorID    string    `json:"vendor_id"`
	Origin      errorFrom `json:"origin"`
}

// errorFrom is the origin of an error.
type errorFrom struct {
	Module         string `json:"module_id"`
	Implementation string `json:"implementation_id"`
	Mapping        *struct {
		EVSE int `json:"evse"`
	} `json:"mapping"`
}

// errorIdentity is what makes two errors the same. The mapping of the origin and the uuid are not part of it.
type errorIdentity struct{ errorType, subType, module, implementation string }

func (e errorObject) identity() errorIdentity {
	return errorIdentity{e.Type, e.SubType, e.Origin.Module, e.Origin.Implementation}
}

// errorManager stands in for the framework's manager of global errors, which OCPP and ErrorHistory live on. It receives
// messages itself, without package everest.
type errorManager struct {
	board *Board
	log   *zap.Logger

	mu     sync.Mutex
	active map[errorIdentity]string // uuids
}

func newErrorManager(board *Board) *errorManager {
	return &errorManager{board: board, log: board.logger(), active: map[errorIdentity]string{}}
}

// listen runs a module and hands the errors of the board to it.
func (m *errorManager) listen(ctx context.Context, options everest.Options, consumer errorConsumer, run func(context.Context, everest.Options) error) error {
	prefix := options.EverestPrefix
	recorder, err := everesttest.StartRecorder(ctx, options.Broker, prefix+"modules/+/impl/+/error/#")
	if err != nil {
		return err
	}
	defer recorder.Close()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var hearing sync.WaitGroup
	defer hearing.Wait()
	hearing.Go(func() {
		for seen := 0; ; {
			messages, err := recorder.Wait(ctx, func(all []everesttest.Message) bool { return len(all) > seen })
			if err != nil {
				end(err)
				return
			}
			for _, message := range messages[seen:] {
				m.receive(message.Payload, consumer)
			}
			seen = len(messages)
		}
	})
	err = run(ctx, options)
	end(nil)
	return err
}

var errIncomplete = errors.New("a member is missing")

// receive does what the framework does with a message on the topic of an error.
func (m *errorManager) receive(payload []byte, consumer errorConsumer) {
	reported, err := parseErrorMessage(payload)
	if err == nil {
		err = m.check(reported)
	}
	if err != nil {
		m.log.Error("an error is dropped", zap.Error(err))
		return
	}
	if reported.State == "Active" {
		if m.add(reported) {
			consumer.raised(reported)
		}
	} else if m.remove(reported) {
		consumer.cleared(reported)
	}
}

func parseErrorMessage(payload []byte) (errorObject, error) {
	var message struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(payload, &message); err != nil {
		return errorObject{}, err
	}
	var reported errorObject
	err := strictly(message.Data, &reported, "type", "sub_type", "message", "description", "origin", "severity", "timestamp", "uuid", "state", "vendor_id")
	if err == nil && (reported.Origin.Module == "" || reported.Origin.Implementation == "") {
		err = errIncomplete
	}
	return reported, err
}

var (
	errUnknownOrigin = errors.New("at log level DEBUG: the origin's module is not in the configuration, or its implementation not in the manifest")
	errUnknownType   = errors.New("the error's type is not defined")
)

// check returns why the framework does not take an error. At DEBUG it prints the origin by the names of the
// configuration, and an origin that has none ends the handling of the message.
func (m *errorManager) check(reported errorObject) error {
	implementations, known := m.board.Modules[reported.Origin.Module]
	if m.board.Debug && (!known || !slices.Contains(implementations, reported.Origin.Implementation)) {
		return errUnknownOrigin
	}
	if !m.board.KnowsError(reported.Type) {
		return errUnknownType
	}
	return nil
}

// add reports whether the error is new.
func (m *errorManager) add(reported errorObject) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, active := m.active[reported.identity()]; active {
		return false
	}
	// The database is keyed by uuid, so that one of two errors with one uuid is lost.
	for _, uuid := range m.active {
		if uuid == reported.UUID {
			return false
		}
	}
	m.active[reported.identity()] = reported.UUID
	return true
}

// remove reports whether the error was active.
func (m *errorManager) remove(reported errorObject) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, active := m.active[reported.identity()]
	delete(m.active, reported.identity())
	return active
}
