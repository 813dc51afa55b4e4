package satellite

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
)

const (
	// verifyInterval is how often boards that announce the serial number of a standing link have to prove it.
	verifyInterval = 10 * time.Second
	// maxVerified is how many of them have to each time. Of more, random ones have to.
	maxVerified = 8
)

// verifiedFinder finds a satellite that proves its serial number with a certificate. What is announced is only where
// to try, so it neither raises a fault nor touches a link.
type verifiedFinder struct {
	*finder
	// isStanding reports whether there is a connection.
	isStanding func() bool

	mu sync.Mutex
	// satellite is the board that proved the serial number last, nil before the first one.
	satellite *candidate
	// duplicates are the boards that have all proven the serial number, none where that is one board at most.
	duplicates []discovery.Satellite
	changed    chan struct{}
}

// connect connects to the board that proves the serial number. Where several boards do, that is an error, but a link
// that may be resumed takes the first one: only the board that it was agreed with resumes it.
func (f *verifiedFinder) connect(ctx context.Context) (*rpc.Client, error) {
	s := newSearch(ctx, f.dial)
	defer s.end()
	found, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	isResumed := f.canResume()
	var proven []proof
	defer func() {
		for _, one := range proven {
			one.client.Close()
		}
	}()
	// A link that may be resumed is resumed by its own board, so the others wait.
	first, second := time.After(secondTime), make(<-chan time.Time)
	takesAll := !isResumed
	for {
		location, changed := f.watcher.Location()
		s.add(f.candidates(location, isResumed, takesAll))
		switch {
		case len(proven) > 0 && (isResumed || !s.hasOthers(proven[0])):
			return f.take(&proven), nil
		case s.isOver() && !takesAll:
			takesAll = true
			continue
		case s.isOver() && len(proven) == 0:
			return nil, f.failed(s.err())
		}
		select {
		case <-s.begin():
		case <-changed:
		case <-first:
			takesAll = true
		case ended := <-s.results:
			if s.take(ended); ended.err != nil {
				continue
			}
			proven = append(proven, ended)
			if len(proven) == 1 {
				second = time.After(secondTime)
			} else if !isResumed && !ended.isSameBoard(proven[0].candidate) {
				return nil, f.setDuplicates([]discovery.Satellite{proven[0].board, ended.board})
			}
		case <-second:
			return f.take(&proven), nil
		case <-s.ctx.Done():
			if len(proven) > 0 {
				return f.take(&proven), nil
			}
			s.settle()
			return nil, f.failed(s.err())
		case <-found.Done():
			if len(s.seen) == 0 {
				return nil, f.failed(notFound(location))
			}
			found = s.ctx
		}
	}
}

// candidates returns where to try: the endpoint of the board that proved the serial number last, then what is announced
// once a second board had its time. Where takesAll is false, only the board that proved it last is tried.
func (f *verifiedFinder) candidates(location discovery.Location, isResumed, takesAll bool) []candidate {
	f.mu.Lock()
	known, duplicates := f.satellite, f.duplicates
	f.mu.Unlock()
	if known == nil && !location.Settled {
		return nil
	}
	if known == nil {
		return candidatesOf(location.Boards)
	}
	boards := slices.DeleteFunc(slices.Clone(location.Boards), func(board discovery.Satellite) bool {
		isOther := board.ID != known.board.ID
		return isOther && (!takesAll || isResumed && rankOf(duplicates, board) == 0)
	})
	return append([]candidate{*known}, candidatesOf(boards)...)
}

// failed follows a search in which no board has proven the serial number, and returns its error.
func (f *verifiedFinder) failed(err error) error {
	f.watcher.Query()
	f.setDuplicates(nil)
	return err
}

// notFound returns why a search has nowhere to try.
func notFound(location discovery.Location) error {
	if len(location.Boards) > 0 {
		return errUnsettled
	}
	return location.Err()
}

// take returns the connection of the first proof, and leaves the others.
func (f *verifiedFinder) take(proven *[]proof) *rpc.Client {
	first := (*proven)[0]
	*proven = (*proven)[1:]
	f.mu.Lock()
	f.satellite = &first.candidate
	f.mu.Unlock()
	f.setDuplicates(nil)
	return first.client
}

// setDuplicates keeps the boards that have all proven the serial number, and returns the error of several ones.
func (f *verifiedFinder) setDuplicates(boards []discovery.Satellite) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(boards)+len(f.duplicates) > 0 {
		f.duplicates = boards
		select {
		case f.changed <- struct{}{}:
		default:
		}
	}
	return discovery.Location{Serial: f.serial, Boards: boards}.Err()
}

// run watches for the satellite until the protocol has ended. It raises the fault of an ambiguous one while several
// boards have proven the serial number.
func (f *verifiedFinder) run(ended <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { f.watcher.Run(ctx) })
	running.Go(func() { f.verify(ctx) })
	for {
		f.mu.Lock()
		duplicates := f.duplicates
		f.mu.Unlock()
		f.report(discovery.Location{Serial: f.serial, Boards: duplicates}.Err(), len(duplicates) > 1)
		select {
		case <-f.changed:
		case <-ended:
			return
		}
	}
}

// verify has the other boards that announce the serial number of a standing link prove it, until the context ends.
func (f *verifiedFinder) verify(ctx context.Context) {
	ticker := time.NewTicker(verifyInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		f.mu.Lock()
		own := f.satellite
		f.mu.Unlock()
		if own == nil || !f.isStanding() {
			continue
		}
		boards := []discovery.Satellite{own.board}
		for _, other := range f.others(*own) {
			if f.proves(ctx, other) {
				boards = append(boards, other)
			}
		}
		if len(boards) == 1 {
			boards = nil
		}
		if f.isStanding() {
			f.setDuplicates(boards)
		}
	}
}

// others returns boards that announce the serial number beside that of the link. Those that have proven it before are
// among them.
func (f *verifiedFinder) others(own candidate) []discovery.Satellite {
	f.mu.Lock()
	known := f.duplicates
	f.mu.Unlock()
	location, _ := f.watcher.Location()
	others := slices.DeleteFunc(slices.Clone(location.Boards), func(board discovery.Satellite) bool {
		return own.isAt(board)
	})
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	slices.SortStableFunc(others, func(a, b discovery.Satellite) int { return rankOf(known, a) - rankOf(known, b) })
	return others[:min(len(others), maxVerified)]
}

// rankOf is 0 for a board among those known, else 1.
func rankOf(known []discovery.Satellite, board discovery.Satellite) int {
	if slices.ContainsFunc(known, func(one discovery.Satellite) bool { return one.ID == board.ID }) {
		return 0
	}
	return 1
}

// proves reports whether a board proves the serial number.
func (f *verifiedFinder) proves(ctx context.Context, board discovery.Satellite) bool {
	s := newSearch(ctx, f.dial)
	defer s.end()
	s.add(candidatesOf([]discovery.Satellite{board}))
	for !s.isOver() {
		select {
		case <-s.begin():
		case ended := <-s.results:
			if s.take(ended); ended.err == nil {
				ended.client.Close()
				return true
			}
		case <-s.ctx.Done():
			return false
		}
	}
	return false
}

// status returns the state of the search in a word, and the boards: those that have proven the serial number, else those
// that announce it.
func (f *verifiedFinder) status() (string, []discovery.Satellite) {
	location, _ := f.watcher.Location()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.duplicates) > 1 {
		return "ambiguous", f.duplicates
	}
	if f.satellite != nil {
		proven := slices.DeleteFunc(slices.Clone(location.Boards), func(board discovery.Satellite) bool {
			return !slices.Contains(board.Endpoints(), f.satellite.endpoint)
		})
		if len(proven) > 0 {
			return "found", proven
		}
	}
	if len(location.Boards) == 0 {
		return "not found", nil
	}
	return "found", location.Boards
}

// address returns where the board was that proved the serial number last, invalid before the first one.
func (f *verifiedFinder) address() netip.Addr {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.satellite == nil {
		return netip.Addr{}
	}
	return f.satellite.endpoint.Addr()
}
