//go:build linux

package proof

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// startOutage starts a station whose boards can be lost.
func (w Installed) startOutage(ctx context.Context, pairing Pairing, setup Setup, folder string, port int) (_ *Station, err error) {
	j := newJournal()
	cable, err := forwarder.Listen(net.JoinHostPort(board.Address, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	backend, err := startCSMS(j)
	if err != nil {
		cable.Close()
		return nil, err
	}
	s := &Station{setup: setup, journal: j, main: newMainProbe(j), satellite: newSatelliteProbe(j), cable: cable, pace: realPace, boards: map[string]powered{}}
	var boards []*supervised
	s.stop = func() error {
		err := os.WriteFile(filepath.Join(folder, "journal.txt"), j.text(), 0o644)
		for _, b := range boards {
			err = errors.Join(err, b.stop())
		}
		cable.Close()
		return errors.Join(err, backend.close())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	makeBoard := func(place, linkModule, prefix, origin string, p *probe, modules func(places) []module, port int) (*supervised, error) {
		where := places{address: board.Address, port: port, folder: filepath.Join(folder, strings.Fields(place)[0])}
		where.ocppConfig = filepath.Join(where.folder, "ocpp.json")
		for _, made := range []string{where.folder, filepath.Join(where.folder, "ocpp"), filepath.Join(where.folder, "state")} {
			if err := os.MkdirAll(made, 0o755); err != nil {
				return nil, err
			}
		}
		target := filepath.Join(where.folder, "prefix")
		if origin == cppModule {
			prefix = w.CPP
		}
		if err := overlay(prefix, target, setup.Debug); err != nil {
			return nil, err
		}
		if origin == goModule {
			if err := installModule(ctx, filepath.Join(w.Programs, linkModule), target); err != nil {
				return nil, err
			}
		}
		if place == onMain {
			if err := errors.Join(writeOCPPConfig(w.Main, where.ocppConfig, backend.address()), sampleOften(where.ocppConfig)); err != nil {
				return nil, err
			}
		}
		installed := &installedBoard{
			place: place, prefix: target, folder: where.folder, modules: setup.Outage.apply(modules(where), where), probe: p, journal: j,
		}
		b := &supervised{place: place, journal: j, pause: bootTime, boot: installed.boot}
		boards = append(boards, b)
		s.boards[place] = b
		return b, nil
	}
	satelliteOne, err := makeBoard(onSatellite, "SatelliteAgent", w.Satellite, pairing.Agent, s.satellite,
		func(where places) []module { return satelliteBoard(pairing, setup, where) }, port)
	if err != nil {
		return nil, err
	}
	satelliteOne.start(ctx, !setup.Outage.Absent)
	mainOne, err := makeBoard(onMain, "SatelliteController", w.Main, pairing.Controller, s.main,
		func(where places) []module { return mainBoard(pairing, setup, where) }, cable.Port())
	if err != nil {
		return nil, err
	}
	mainOne.start(ctx, true)
	if setup.Outage.Absent {
		return s, s.waitReady(ctx, s.main)
	}
	return s, s.waitReady(ctx, s.main, s.satellite)
}

// installedBoard is a board of an installed EVerest.
type installedBoard struct {
	place   string
	prefix  string // with the module of the link
	folder  string
	modules []module
	probe   *probe
	journal *journal
}

// boot is one life of the board, from its broker to the end of its manager.
func (b *installedBoard) boot(ctx context.Context, setKill func(func())) (err error) {
	broker, err := everesttest.StartMosquitto(ctx, everesttest.MosquittoConfig{Lines: []string{"set_tcp_nodelay true"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	// Each life has its own log: the manager truncates it, and makes a pipe.
	folder, err := lifeFolder(b.folder)
	if err != nil {
		return err
	}
	m, err := startManager(b.prefix, folder, broker.Address(), b.modules, "STATE_DIRECTORY="+filepath.Join(b.folder, "state"))
	if err != nil {
		return err
	}
	setKill(func() { _ = syscall.Kill(-m.command.Process.Pid, syscall.SIGKILL) })
	known, err := satellite.Definitions()
	if err != nil {
		return errors.Join(err, m.stop())
	}
	probing, cancel := context.WithCancel(ctx)
	var probe sync.WaitGroup
	probe.Go(func() {
		if m.spawned(probing) != nil {
			return
		}
		name := map[string]string{onMain: "MainProbe", onSatellite: "SatelliteProbe"}[b.place]
		// The end of the probe is that of its board.
		_ = b.probe.run(probing, everest.Options{
			ModuleID: probeID, Broker: broker.Address(), Manifest: manifestOf(name), Definitions: known,
			Spawned: new(false), ReadyReminder: readyPatience,
		})
	})
	select {
	case <-m.ended:
	case <-ctx.Done():
	}
	cancel()
	probe.Wait()
	setKill(nil)
	b.journal.add(Observation{Place: b.place, Kind: down, Name: m.complaint()})
	return m.stop()
}

// lifeFolder makes a folder for one life of a board.
func lifeFolder(folder string) (string, error) {
	for life := 1; ; life++ {
		made := filepath.Join(folder, fmt.Sprintf("life-%d", life))
		err := os.Mkdir(made, 0o755)
		if !errors.Is(err, os.ErrExist) {
			return made, err
		}
	}
}
