package proof

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
	"github.com/remotechargeport/remotechargeport/examples/internal/strict"
)

// The times of a real station, in seconds: the key resume_window_s, and for how long limits hold.
const (
	window   = 30
	validity = 10
)

// quick returns the pace of a station of stand-ins on which everything that a scenario waits for goes faster. How quick a
// card and the limits are is measured on real modules only: a machine that runs other tests is late.
func quick(quicker int) pace {
	return pace{
		quicker: time.Duration(quicker), limitLife: limitLife / time.Duration(quicker),
		maxStale: 40, maxCardWait: time.Minute, maxLimitGap: time.Minute,
	}
}

// quickTimeout returns the key link_timeout_ms. It is not as much smaller as the rest, because a busy machine is late.
func quickTimeout(quicker int) int { return max(1500/quicker, 500) }

// startOutage starts a station whose boards can be lost.
func (w StandIns) startOutage(ctx context.Context, pairing Pairing, setup Setup, build standInBoard, port int) (*Station, error) {
	outage := *setup.Outage
	outage.Deadline /= build.quicker
	cable, err := forwarder.Listen(net.JoinHostPort(board.Address, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	j := build.journal
	s := &Station{setup: setup, journal: j, main: newMainProbe(j), satellite: newSatelliteProbe(j), cable: cable, pace: quick(build.quicker)}
	mainPlaces := places{address: board.Address, port: cable.Port(), linkTimeout: quickTimeout(build.quicker), resumeWindow: window / build.quicker}
	satellitePlaces := places{address: board.Address, port: port}
	mainBoard := build.supervise(onMain, s.main, outage.apply(mainBoard(pairing, setup, mainPlaces), mainPlaces))
	satelliteBoard := build.supervise(onSatellite, s.satellite, outage.apply(satelliteBoard(pairing, setup, satellitePlaces), satellitePlaces))
	s.boards = map[string]powered{onMain: mainBoard, onSatellite: satelliteBoard}
	satelliteBoard.start(ctx, !outage.Absent)
	mainBoard.start(ctx, true)
	s.stop = func() error {
		err := errors.Join(mainBoard.stop(), satelliteBoard.stop())
		cable.Close()
		return err
	}
	probes := []*probe{s.main, s.satellite}
	if outage.Absent {
		probes = probes[:1]
	}
	if err := s.waitReady(ctx, probes...); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// supervise returns a board of stand-ins that is started again when it ends.
func (b standInBoard) supervise(place string, p *probe, entries []module) *supervised {
	memory := new(strict.Memory)
	boot := func(ctx context.Context, setKill func(func())) error {
		modules, err := b.modules(entries, false, p, memory)
		if err != nil {
			return err
		}
		running, end := context.WithCancel(ctx)
		defer end()
		setKill(end)
		cause := "killed"
		err = board.Run(running, board.Config{Modules: modules, Definitions: b.known, Logger: b.log.Named(place), Ready: func() {}})
		if err != nil {
			cause = err.Error() // why a board ends is part of what is seen, not an error
		}
		b.journal.add(Observation{Place: place, Kind: down, Name: cause})
		return nil
	}
	return &supervised{place: place, journal: b.journal, pause: bootTime / time.Duration(b.quicker), boot: boot}
}
