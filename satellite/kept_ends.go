package satellite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/durable"
	"github.com/remotechargeport/remotechargeport/everest/rawjson"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

const (
	// sessionEvent is the variable of evse_manager that ends transactions.
	sessionEvent = "session_event"
	// maxKeptEnd bounds an end of a transaction that is kept, in bytes. A longer one ends with the process. A signed
	// meter value has some 2 KiB.
	maxKeptEnd = 64 << 10
	// maxKeptEnds bounds the file. A longer file is not one of ours.
	maxKeptEnds = (link.MaxUnheardEnds + 1) * maxKeptEnd
	// keptEndsVersion is the version of the file's format.
	keptEndsVersion = 1
)

// keptEnds are the ends of transactions that no controller has acknowledged, on disk. A transaction that ended in an
// outage so ends truthfully on the main board, whatever becomes of the agent's process. EvseManager's own store does not
// have it any more. A nil keptEnds keeps nothing.
type keptEnds struct {
	path string
	log  *zap.Logger
}

// keptEndsFile is the content of the file.
type keptEndsFile struct {
	Version int       `json:"version"`
	Ends    []keptEnd `json:"ends"`
}

// keptEnd is a TransactionFinished as EvseManager published it, and the session that it belongs to.
type keptEnd struct {
	Session string          `json:"session"`
	Event   json.RawMessage `json:"event"`
}

// newKeptEnds returns what is kept in a file, nil where there is no path.
func newKeptEnds(path string, log *zap.Logger) *keptEnds {
	if path == "" {
		log.Debug("no state directory: a transaction that ends in an outage has no true end if this process ends in it")
		return nil
	}
	return &keptEnds{path: path, log: log}
}

// keeper returns the function that replaces what is kept, nil for a nil keptEnds.
func (k *keptEnds) keeper() func([]link.Event) error {
	if k == nil {
		return nil
	}
	return func(ends []link.Event) error {
		err := k.replace(ends)
		switch {
		case err != nil:
			k.log.Warn("the ends of transactions cannot be kept on disk: they end with this process",
				zap.String("path", k.path), zap.Error(err))
		case len(ends) > 0:
			k.log.Info("no controller has the end of a transaction yet: it is kept on disk", zap.String("session", ends[len(ends)-1].Ends))
		}
		return err
	}
}

// replace writes the file anew, and removes it if there are no ends.
func (k *keptEnds) replace(ends []link.Event) error {
	if len(ends) == 0 {
		return durable.Remove(k.path)
	}
	file := keptEndsFile{Version: keptEndsVersion}
	for _, end := range ends {
		file.Ends = append(file.Ends, keptEnd{end.Ends, end.Value})
	}
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(file); err != nil {
		return err
	}
	return durable.Replace(k.path, content.Bytes(), 0o600)
}

// handOver gives a server what the process before has kept. A controller gets it before anything new.
func (k *keptEnds) handOver(server *link.Server, intake *valueIntake) {
	if k == nil {
		return
	}
	ends, err := k.read(intake)
	if err != nil {
		aside := k.path + ".unreadable"
		k.log.Warn("the ends of transactions that were kept cannot be read: their file is set aside",
			zap.String("path", aside), zap.Error(errors.Join(err, os.Rename(k.path, aside))))
	}
	var events []link.Event
	for _, end := range ends {
		k.log.Info("handing over the end of a transaction that the process before has kept", zap.String("session", end.Session))
		events = append(events, end.events()...)
	}
	server.Restore(events)
	if err := durable.Sweep(k.path); err != nil {
		k.log.Debug("a file that was not written to its end stays", zap.Error(err))
	}
}

// read returns what is kept, nothing where there is no file.
func (k *keptEnds) read(intake *valueIntake) ([]keptEnd, error) {
	opened, err := os.Open(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	content, err := io.ReadAll(io.LimitReader(opened, maxKeptEnds+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) > maxKeptEnds:
		return nil, fmt.Errorf("satellite: the file has more than %d bytes", maxKeptEnds)
	}
	var file keptEndsFile
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, err
	}
	if file.Version != keptEndsVersion || len(file.Ends) > link.MaxUnheardEnds {
		return nil, fmt.Errorf("satellite: version %d with %d ends, want version %d with %d at most",
			file.Version, len(file.Ends), keptEndsVersion, link.MaxUnheardEnds)
	}
	for _, end := range file.Ends {
		event, err := readSessionEnd(end.Event)
		if err != nil || end.Session == "" || event.UUID != "" && event.UUID != end.Session {
			return nil, fmt.Errorf("satellite: no end of a transaction of the session %.40q", end.Session)
		}
		for _, event := range end.events() {
			if err := intake.check(event); err != nil {
				return nil, err
			}
		}
	}
	return file.Ends, nil
}

// events returns what EvseManager publishes at its boot for a transaction that it has ended: SessionResumed, with which
// OCPP keeps the transaction open over a restart of the main board, and the end. SessionFinished is the controller's.
func (e keptEnd) events() []link.Event {
	event, _ := readSessionEnd(e.Event)
	resumed := append(rawjson.AppendString([]byte(`{"event":"SessionResumed","timestamp":`), event.Timestamp), `,"uuid":`...)
	resumed = append(rawjson.AppendString(resumed, e.Session), '}')
	return []link.Event{
		{Interface: route.EVSEManager, Name: sessionEvent, GivenUpLast: true, Value: resumed},
		{Interface: route.EVSEManager, Name: sessionEvent, GivenUpLast: true, Value: e.Event, Ends: e.Session},
	}
}

// sessionEnd is what the agent looks at in a session event.
type sessionEnd struct{ Event, Timestamp, UUID string }

// readSessionEnd reads a TransactionFinished. Any other value is an error.
func readSessionEnd(value json.RawMessage) (end sessionEnd, err error) {
	if err := json.Unmarshal(value, &end); err != nil {
		return sessionEnd{}, err
	}
	if end.Event != "TransactionFinished" {
		return end, fmt.Errorf("satellite: %.40q ends no transaction", end.Event)
	}
	_, err = time.Parse(time.RFC3339, end.Timestamp)
	return end, err
}

// endFinder finds the ends of transactions among the events of this board. EvseManager names no session where it ends
// a transaction at its boot, but has named it with SessionResumed before.
type endFinder struct{ resumed string }

// session returns the session whose transaction an event ends, empty for any other event.
func (f *endFinder) session(event link.Event) string {
	if event.Interface != route.EVSEManager || event.Name != sessionEvent || len(event.Value) > maxKeptEnd {
		return ""
	}
	end, err := readSessionEnd(event.Value)
	switch {
	case end.Event == "SessionResumed":
		f.resumed = end.UUID
		return ""
	case err != nil:
		return ""
	case end.UUID == "":
		return f.resumed
	}
	return end.UUID
}
