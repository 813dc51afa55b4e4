package satellite

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest/durable/durabletest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/occupancy"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

func dialectIn(directory string) dialectMemory {
	return dialectMemory{path: stateFile(directory, "connector_2", ".dialect")}
}

func TestKeptEndsSurviveCuts(t *testing.T) {
	table := &route.Table{}
	table.SetMaxValue(maxKeptEnd)
	files := func(directory string) *keptEnds {
		return newKeptEnds(stateFile(directory, "remote_controller", ".ends.json"), zaptest.NewLogger(t))
	}
	keep := func(sessions ...string) func(string) error {
		return func(directory string) error {
			var ends []link.Event
			for _, session := range sessions {
				ends = append(ends, link.Event{Ends: session, Value: json.RawMessage(fmt.Sprintf(
					`{"event":"TransactionFinished","timestamp":"2026-11-27T15:00:00.000Z","uuid":%q}`, session))})
			}
			return files(directory).replace(ends)
		}
	}
	durabletest.Cut(t, durabletest.Program{
		Steps: []func(string) error{keep("A"), keep("A", "B"), keep("B"), keep()},
		Read: func(directory string) (string, error) {
			ends, err := files(directory).read(&valueIntake{log: zaptest.NewLogger(t), table: table})
			found := ""
			for _, end := range ends {
				found += end.Session
			}
			return found, err
		},
		Repeats: true,
	})
}

func TestAKeptSessionSurvivesCuts(t *testing.T) {
	keep := func(session string) func(string) error {
		return func(directory string) error {
			kept := newKeptSession(stateFile(directory, "connector_2", ".session.json"), zaptest.NewLogger(t))
			return kept.replace(occupancy.Kept{Session: session, EVSE: 2, Meter: json.RawMessage(`{"energy_Wh_import":{"total":54}}`), Began: time.Unix(0, 0)})
		}
	}
	durabletest.Cut(t, durabletest.Program{
		Steps: []func(string) error{keep("A"), keep("B"), keep("")},
		Read: func(directory string) (string, error) {
			log, unreadable := observer.New(zap.WarnLevel)
			kept := newKeptSession(stateFile(directory, "connector_2", ".session.json"), zap.New(log)).read()
			if unreadable.Len() > 0 {
				return "", errors.New(unreadable.All()[0].Message)
			}
			if kept == nil {
				return "", nil
			}
			return kept.Session, nil
		},
		Repeats: true,
	})
}

func TestTheDialectSurvivesCuts(t *testing.T) {
	remember := func(dialect handshake.Dialect) func(string) error {
		return func(directory string) error {
			return dialectIn(directory).remember(dialect)
		}
	}
	durabletest.Cut(t, durabletest.Program{
		Steps: []func(string) error{remember(handshake.Legacy), remember(handshake.Legacy), remember(handshake.V2)},
		Read: func(directory string) (string, error) {
			legacy, err := dialectIn(directory).legacy()
			return fmt.Sprint(legacy), err
		},
		Repeats: true,
	})
}
