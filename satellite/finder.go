package satellite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

const (
	// findTime is how long one attempt to connect waits for the satellite to be
	// announced.
	findTime = time.Second
	// nextAddress is when the next of a board's addresses is tried while the
	// one before does not answer.
	nextAddress = 250 * time.Millisecond
)

// duplicateSerial is the sub type of the communication fault that is raised on
// `satellite` while several boards announce the configured serial number.
const duplicateSerial = "DuplicateSerial"

// finder finds a satellite that is configured by its serial number.
type finder struct {
	watcher *discovery.Watcher
	// board is the discovery id of the board that was connected to last.
	board atomic.Pointer[string]
}

// findBySerial prepares a finder where hostname is a serial number.
func (c *Controller) findBySerial() error {
	interfaces, err := discovery.ParseInterfaces(c.parameters.DiscoveryInterfaces)
	if err != nil {
		return fmt.Errorf("satellite: the configuration key discovery_interfaces: %w", err)
	}
	if c.target.serial == "" {
		return nil // nothing to find: nothing runs
	}
	if len(interfaces) == 0 {
		return fmt.Errorf("satellite: the satellite is configured as %s: discovery_interfaces must name the interfaces on which to look for it", c.target)
	}
	watcher, err := discovery.NewWatcher(discovery.WatchConfig{Serial: c.target.serial, Interfaces: interfaces, Logger: c.config.Logger})
	if err != nil {
		return fmt.Errorf("satellite: %w", err)
	}
	c.finder = &finder{watcher: watcher}
	c.status.finder.Store(c.finder)
	return nil
}

// status says in a word how the search stands.
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

// find watches for the satellite, and raises and clears the fault, until the
// protocol has ended.
func (c *Controller) find() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var watching sync.WaitGroup
	watching.Go(func() { c.finder.watcher.Run(ctx) })
	defer watching.Wait()
	defer cancel()
	raised := false
	for {
		location, changed := c.finder.watcher.Location()
		switch duplicate := len(location.Boards) > 1; {
		case duplicate && location.Settled && !raised:
			raised = true
			c.raiseDuplicate(location.Err())
		case !duplicate && raised:
			raised = false
			c.clearDuplicate()
		}
		select {
		case <-changed:
		case <-c.loop.ended:
			return
		}
	}
}

func (c *Controller) raiseDuplicate(cause error) {
	c.log.Error("the satellite is ambiguous: it is not connected to until it is not; a link that stands goes on",
		zap.String("satellite", c.address()), zap.Error(cause))
	c.delivery.add(delivered{do: func(ctx context.Context) {
		err := c.module.Provides(route.Satellite).Raise(ctx, everest.Error{
			Type: communicationFault, SubType: duplicateSerial, Severity: everest.SeverityHigh, Message: cause.Error(),
		})
		if err != nil {
			c.log.Error("cannot raise the fault of an ambiguous satellite", zap.Error(err))
		}
	}})
}

func (c *Controller) clearDuplicate() {
	c.log.Info("the satellite is not ambiguous any more", zap.String("satellite", c.address()))
	c.delivery.add(delivered{do: func(ctx context.Context) {
		if err := c.module.Provides(route.Satellite).Clear(ctx, communicationFault, duplicateSerial); err != nil {
			c.log.Error("cannot clear the fault of an ambiguous satellite", zap.Error(err))
		}
	}})
}

// dial connects to the satellite, wherever it is.
func (c *Controller) dial(ctx context.Context) (*rpc.Client, error) {
	if c.finder == nil {
		return c.dialer.Dial(ctx, c.address())
	}
	waited, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	for {
		location, changed := c.finder.watcher.Location()
		board, err := c.choose(location)
		if err != nil {
			c.logRefusal(err)
			c.finder.watcher.Query()
			if waitFor(waited, changed) != nil {
				return nil, err
			}
			continue
		}
		client, err := c.dialBoard(ctx, board, changed)
		switch {
		case err == nil:
			c.finder.board.Store(&board.ID)
			return client, nil
		case errors.Is(err, errMoved):
			continue
		}
		c.finder.watcher.Query()
		return nil, fmt.Errorf("satellite: %s announces itself, but: %w", c.address(), err)
	}
}

// choose returns the board to connect to. An ambiguous serial number is none,
// except that an agreed link that is to be resumed goes on with its own board.
func (c *Controller) choose(location discovery.Location) (discovery.Satellite, error) {
	err := location.Err()
	known := c.finder.board.Load()
	switch {
	case err != nil:
	case location.Settled, known != nil && *known == location.Boards[0].ID:
		return location.Boards[0], nil
	default:
		err = errUnsettled
	}
	if known != nil && c.links.passage().session != nil {
		for _, board := range location.Boards {
			if board.ID == *known {
				return board, nil
			}
		}
	}
	return discovery.Satellite{}, err
}

// errUnsettled is a board that was heard of just now.
var errUnsettled = errors.New("satellite: waiting whether another board has the same serial number")

// errMoved ends an attempt whose addresses are not the board's any more.
var errMoved = errors.New("satellite: the board has moved")

// dialBoard connects to a board. It gives up with errMoved as soon as the board
// is known to be elsewhere.
func (c *Controller) dialBoard(ctx context.Context, board discovery.Satellite, changed <-chan struct{}) (*rpc.Client, error) {
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
			location, changed = c.finder.watcher.Location()
			if now, err := c.choose(location); err != nil || !slices.Equal(now.Endpoints(), board.Endpoints()) {
				cancel(errMoved)
				return
			}
		}
	})
	var addresses []string
	for _, endpoint := range board.Endpoints() {
		addresses = append(addresses, endpoint.String())
	}
	client, err := dialFirst(ctx, addresses, nextAddress, c.dialer.Dial)
	if err != nil && errors.Is(context.Cause(ctx), errMoved) {
		return nil, errMoved
	}
	return client, err
}

// dialFirst tries addresses in their order, each when the one before has failed
// or has not answered for the pause, and returns the connection that is there
// first. The others are ended, and waited for.
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

// joined is one line for all of them.
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
