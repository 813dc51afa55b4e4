//go:build linux

package proof

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// Installed is a World of installed EVerests, with mosquitto as the broker of each board.
type Installed struct {
	// Main and Satellite are the prefixes of the two boards. CPP is the prefix of an EVerest that has the C++ modules of
	// the link, empty for none.
	Main, Satellite, CPP string
	// Programs is a folder with the programs SatelliteAgent and SatelliteController.
	Programs string
	// Folder is where the files and logs of the stations go, a folder for each.
	Folder string
	// V2GInterface is the network interface for ISO 15118, which needs a link-local IPv6 address. Without it, the
	// satellite has no module for ISO 15118.
	V2GInterface string
}

// readyPatience is after what time a probe tells its manager a second time that it is ready. The manager has been there
// before the probe.
const readyPatience = time.Minute

// Start implements World.
func (w Installed) Start(ctx context.Context, pairing Pairing, setup Setup) (_ *Station, err error) {
	folder, err := os.MkdirTemp(w.Folder, "station-")
	if err != nil {
		return nil, err
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return nil, err
	}
	setup.HLC = setup.HLC && w.V2GInterface != ""
	ports, err := board.FreePorts(1)
	if err != nil {
		return nil, err
	}
	if setup.Outage != nil {
		return w.startOutage(ctx, pairing, setup, folder, ports[0])
	}
	j := newJournal()
	s := &Station{setup: setup, journal: j, main: newMainProbe(j), satellite: newSatelliteProbe(j)}
	running := &installedStation{world: w, pairing: pairing, journal: j}
	s.stop = running.stop
	defer func() {
		if err != nil {
			err = errors.Join(err, running.stop())
		}
	}()
	where := places{address: board.Address, port: ports[0], v2gInterface: w.V2GInterface}
	mainPlaces, satellitePlaces := where, where
	mainPlaces.folder, satellitePlaces.folder = filepath.Join(folder, "main"), filepath.Join(folder, "satellite")
	mainPlaces.ocppConfig = filepath.Join(mainPlaces.folder, "ocpp.json")
	for _, made := range []string{mainPlaces.folder, satellitePlaces.folder, filepath.Join(mainPlaces.folder, "ocpp")} {
		if err := os.MkdirAll(made, 0o755); err != nil {
			return nil, err
		}
	}
	if setup.Backend {
		if running.backend, err = startCSMS(j); err != nil {
			return nil, err
		}
		if err := writeOCPPConfig(w.Main, mainPlaces.ocppConfig, running.backend.address()); err != nil {
			return nil, err
		}
	}
	satelliteBroker, err := running.board(ctx, onSatellite, "SatelliteAgent", w.Satellite, satellitePlaces.folder, false, s.satellite,
		satelliteBoard(pairing, setup, satellitePlaces))
	if err != nil {
		return nil, err
	}
	if s.tap, err = startTap(ctx, satelliteBroker, setup.SatelliteID); err != nil {
		return nil, err
	}
	running.tap = s.tap
	if _, err := running.board(ctx, onMain, "SatelliteController", w.Main, mainPlaces.folder, setup.Debug, s.main,
		mainBoard(pairing, setup, mainPlaces)); err != nil {
		return nil, err
	}
	return s, s.waitReady(ctx, s.main, s.satellite)
}

// installedStation is what runs for a station.
type installedStation struct {
	world    Installed
	pairing  Pairing
	journal  *journal
	backend  *csms
	tap      *tap
	brokers  []*everesttest.Mosquitto
	managers []*manager
	probes   []context.CancelFunc
	running  sync.WaitGroup
	stopping sync.Once
}

// board starts the broker, the manager and the probe of a board.
func (i *installedStation) board(ctx context.Context, place, linkModule, prefix, folder string, debug bool, p *probe, modules []module) (everest.Broker, error) {
	target := filepath.Join(folder, "prefix")
	origin := i.pairing.Agent
	if place == onMain {
		origin = i.pairing.Controller
	}
	if origin == cppModule {
		prefix = i.world.CPP
	}
	if err := overlay(prefix, target, debug); err != nil {
		return everest.Broker{}, err
	}
	if origin == goModule {
		if err := installModule(ctx, filepath.Join(i.world.Programs, linkModule), target); err != nil {
			return everest.Broker{}, err
		}
	}
	broker, err := everesttest.StartMosquitto(ctx, everesttest.MosquittoConfig{Lines: []string{"set_tcp_nodelay true"}})
	if err != nil {
		return everest.Broker{}, err
	}
	i.brokers = append(i.brokers, broker)
	m, err := startManager(target, folder, broker.Address(), modules)
	if err != nil {
		return everest.Broker{}, err
	}
	i.managers = append(i.managers, m)
	known, err := satellite.Definitions()
	if err != nil {
		return everest.Broker{}, err
	}
	probing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	i.probes = append(i.probes, cancel)
	i.running.Go(func() {
		select {
		case <-m.ended:
			i.journal.add(Observation{Place: place, Kind: ended, Name: m.complaint()})
			cancel()
		case <-probing.Done():
		}
	})
	i.running.Go(func() {
		if m.spawned(probing) != nil {
			return // the board has ended
		}
		name := map[string]string{onMain: "MainProbe", onSatellite: "SatelliteProbe"}[place]
		options := everest.Options{
			ModuleID: probeID, Broker: broker.Address(), Manifest: manifestOf(name), Definitions: known,
			Spawned: new(false), ReadyReminder: readyPatience,
		}
		if err := p.run(probing, options); err != nil && probing.Err() == nil {
			i.journal.add(Observation{Place: place, Kind: ended, Name: "the probe: " + err.Error()})
		}
	})
	return broker.Address(), nil
}

// installModule runs a module's own installation.
func installModule(ctx context.Context, program, prefix string) error {
	output, err := exec.CommandContext(ctx, program, "-install", prefix).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s -install: %w\n%s", filepath.Base(program), err, output)
	}
	return nil
}

// stop ends everything, in the order in which nothing misses the others.
func (i *installedStation) stop() (err error) {
	i.stopping.Do(func() {
		for _, cancel := range i.probes {
			cancel()
		}
		i.running.Wait()
		for _, m := range i.managers {
			err = errors.Join(err, m.stop())
		}
		if i.tap != nil {
			err = errors.Join(err, i.tap.recorder.Close())
		}
		for _, broker := range i.brokers {
			err = errors.Join(err, broker.Close())
		}
		if i.backend != nil {
			err = errors.Join(err, i.backend.close())
		}
	})
	return err
}

// BuildPrograms builds the programs of both modules into a folder. It needs the Go tool and the sources in the current
// directory.
func BuildPrograms(ctx context.Context, folder string) error {
	for name, source := range map[string]string{"SatelliteAgent": "./examples/agent", "SatelliteController": "./examples/controller"} {
		output, err := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(folder, name), source).CombinedOutput()
		if err != nil {
			return fmt.Errorf("go build %s: %w\n%s", source, err, output)
		}
	}
	return nil
}
