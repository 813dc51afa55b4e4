package satellite

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
)

const (
	// findTime is how long one attempt to connect waits for an announcement of the satellite. It is more than a board
	// is waited for that announces the same serial number.
	findTime = 2 * time.Second
	// nextAddress is after how long the next of a board's addresses is tried while the one before does not answer.
	nextAddress = 250 * time.Millisecond
)

// duplicateSerial is the sub type of the communication fault that is raised on `satellite` while several boards
// announce the configured serial number.
const duplicateSerial = "DuplicateSerial"

// boardFinder finds and connects to a satellite that is configured by its serial number.
type boardFinder interface {
	// run watches for the satellite, and raises and clears the fault of an ambiguous one, until the protocol has ended.
	run(ended <-chan struct{})
	// connect connects to the satellite, wherever it is.
	connect(ctx context.Context) (*rpc.Client, error)
	// status returns the state of the search in a word, and the boards that announce the serial number.
	status() (string, []discovery.Satellite)
	// address returns where the satellite is, invalid where that is not known.
	address() netip.Addr
}

// finder finds a satellite that proves nothing: the board that announces the serial number alone is taken for it.
type finder struct {
	watcher *discovery.Watcher
	serial  string
	// satellite names the satellite in the log.
	satellite string
	log       *zap.Logger
	dial      func(ctx context.Context, address string) (*rpc.Client, error)
	// refused follows each reason why no board can be connected to.
	refused func(error)
	// canResume reports whether a link may be resumed. Such a link keeps its board.
	canResume func() bool
	fault     *fault
	// raised means that the fault is raised. It belongs to run.
	raised bool
	// board is the discovery id of the board that was connected to last.
	board atomic.Pointer[string]
}

// newWatcher returns a watcher for the satellite, nil where hostname is not a serial number. verified means that the
// board has to prove it.
func newWatcher(target target, discoveryInterfaces string, verified bool, logger *zap.Logger) (*discovery.Watcher, error) {
	interfaces, err := discovery.ParseInterfaces(discoveryInterfaces)
	if err != nil {
		return nil, fmt.Errorf("satellite: the configuration key discovery_interfaces: %w", err)
	}
	if target.serial == "" {
		return nil, nil
	}
	if len(interfaces) == 0 {
		return nil, fmt.Errorf("satellite: the satellite is configured as %s: discovery_interfaces must name the interfaces on which to look for it", target)
	}
	watcher, err := discovery.NewWatcher(discovery.WatchConfig{Serial: target.serial, Verified: verified, Interfaces: interfaces, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("satellite: %w", err)
	}
	return watcher, nil
}

func (f *finder) status() (string, []discovery.Satellite) {
	location, _ := f.watcher.Location()
	switch err := location.Err(); {
	case err == nil:
		return "found", location.Boards
	case errors.Is(err, discovery.ErrAmbiguous):
		return "ambiguous", location.Boards
	}
	return "not found", nil
}

func (f *finder) address() netip.Addr {
	if location, _ := f.watcher.Location(); location.Err() == nil {
		return location.Boards[0].Addresses[0]
	}
	return netip.Addr{}
}

func (f *finder) run(ended <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var watching sync.WaitGroup
	watching.Go(func() { f.watcher.Run(ctx) })
	defer watching.Wait()
	defer cancel()
	for {
		location, changed := f.watcher.Location()
		if duplicate := len(location.Boards) > 1; location.Settled || !duplicate {
			f.report(location.Err(), duplicate)
		}
		select {
		case <-changed:
		case <-ended:
			return
		}
	}
}

// report raises the fault of a duplicate, or clears it.
func (f *finder) report(err error, duplicate bool) {
	switch {
	case duplicate && !f.raised:
		f.raised = true
		f.log.Error("the satellite is ambiguous: it is not connected to until it is not; a link that stands goes on",
			zap.String("satellite", f.satellite), zap.Error(err))
		f.fault.raise(err.Error())
	case !duplicate && f.raised:
		f.raised = false
		f.log.Info("the satellite is not ambiguous any more", zap.String("satellite", f.satellite))
		f.fault.clear()
	}
}

func (f *finder) connect(ctx context.Context) (*rpc.Client, error) {
	waited, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	for {
		location, changed := f.watcher.Location()
		board, err := f.choose(location)
		if err != nil {
			f.refused(err)
			f.watcher.Query()
			if waitFor(waited, changed) != nil {
				return nil, err
			}
			continue
		}
		client, err := f.dialBoard(ctx, board, changed)
		switch {
		case err == nil:
			f.board.Store(&board.ID)
			return client, nil
		case errors.Is(err, errMoved):
			continue
		}
		f.watcher.Query()
		return nil, fmt.Errorf("satellite: %s announces itself, but: %w", f.satellite, err)
	}
}

// choose returns the board to connect to. An ambiguous serial number is an error, but a link that may be resumed keeps
// its own board.
func (f *finder) choose(location discovery.Location) (discovery.Satellite, error) {
	err := location.Err()
	known := f.board.Load()
	switch {
	case err != nil:
	case location.Settled, known != nil && *known == location.Boards[0].ID:
		return location.Boards[0], nil
	default:
		err = errUnsettled
	}
	if known != nil && f.canResume() {
		for _, board := range location.Boards {
			if board.ID == *known {
				return board, nil
			}
		}
	}
	return discovery.Satellite{}, err
}

// errUnsettled: the first announcement is so new that another board may follow.
var errUnsettled = errors.New("satellite: waiting whether another board has the same serial number")

// errMoved: the board is not at the addresses of the attempt any more.
var errMoved = errors.New("satellite: the board has moved")

// dialBoard connects to a board. It returns errMoved as soon as the board is known to be elsewhere.
func (f *finder) dialBoard(ctx context.Context, board discovery.Satellite, changed <-chan struct{}) (*rpc.Client, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var following sync.WaitGroup
	defer following.Wait()
	ended := make(chan struct{})
	defer close(ended)
	following.Go(func() {
		for {
			select {
			case <-changed:
			case <-ended:
				return
			}
			var location discovery.Location
			location, changed = f.watcher.Location()
			if now, err := f.choose(location); err != nil || !slices.Equal(now.Endpoints(), board.Endpoints()) {
				cancel(errMoved)
				return
			}
		}
	})
	var addresses []string
	for _, endpoint := range board.Endpoints() {
		addresses = append(addresses, endpoint.String())
	}
	client, err := dialFirst(ctx, addresses, nextAddress, f.dial)
	if err != nil && errors.Is(context.Cause(ctx), errMoved) {
		return nil, errMoved
	}
	return client, err
}

// dialFirst tries addresses in their order, and returns the first connection that is made. It begins with an address
// when the one before has failed, or after the pause. On return no other attempt is under way.
func dialFirst(ctx context.Context, addresses []string, pause time.Duration,
	dial func(context.Context, string) (*rpc.Client, error)) (*rpc.Client, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		client *rpc.Client
		err    error
	}
	results := make(chan result, len(addresses))
	var failures []error
	begun, ended := 0, 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ended < len(addresses) {
		select {
		case <-timer.C:
			if begun < len(addresses) {
				address := addresses[begun]
				begun++
				go func() {
					client, err := dial(ctx, address)
					results <- result{client, err}
				}()
				timer.Reset(pause)
			}
		case r := <-results:
			ended++
			if r.err == nil {
				cancel()
				for ; ended < begun; ended++ {
					if late := <-results; late.client != nil {
						late.client.Close()
					}
				}
				return r.client, nil
			}
			failures = append(failures, r.err)
			timer.Reset(0)
		}
	}
	return nil, joined(failures)
}

// joined returns one error of one line for all of them.
func joined(failures []error) error {
	switch len(failures) {
	case 0:
		return errors.New("satellite: the board announces no address")
	case 1:
		return failures[0]
	}
	var texts []string
	for _, failure := range failures {
		texts = append(texts, failure.Error())
	}
	return errors.New(strings.Join(texts, "; "))
}
