package satellite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
)

const (
	// searchTime limits one search. Strangers that accept a connection and then say nothing delay it by no more.
	searchTime = 5 * time.Second
	// secondTime is how long a search goes on after the first board has proven the serial number, where further boards
	// announce it.
	secondTime = time.Second
	// spreadTime is how long it takes at most until the last endpoint of a board is tried.
	spreadTime = time.Second
	// maxBoardDials is how many connections to one board are attempted at a time, and maxDials how many to all boards.
	// Further ones wait until one of them has failed.
	maxBoardDials = 4
	maxDials      = 64 * maxBoardDials
	// maxEndpoints is how many endpoints one search tries.
	maxEndpoints = 512
	// maxFailures is how many errors the error of a search shows.
	maxFailures = 3
)

// candidate is a place at which a board announces itself.
type candidate struct {
	board    discovery.Satellite
	endpoint netip.AddrPort
	// after is how long an endpoint of the board that is to be preferred gets before this one is tried.
	after time.Duration
	// announcement distinguishes boards, also those of which one announces itself with the id of another.
	announcement string
}

// isAt reports whether a board is the candidate's, or announces the candidate's endpoint.
func (c candidate) isAt(board discovery.Satellite) bool {
	return c.board.ID == board.ID || slices.Contains(board.Endpoints(), c.endpoint)
}

// isSameBoard reports whether both are one board.
func (c candidate) isSameBoard(other candidate) bool {
	return c.isAt(other.board) || other.isAt(c.board)
}

// candidatesOf returns the endpoints of boards: the first one of each board, then the second ones. The order of the boards
// is random, so that no announcement can be made to be the first.
func candidatesOf(boards []discovery.Satellite) []candidate {
	boards = slices.Clone(boards)
	rand.Shuffle(len(boards), func(i, j int) { boards[i], boards[j] = boards[j], boards[i] })
	announcements := make([]string, len(boards))
	for i, board := range boards {
		announcements[i] = fmt.Sprint(board.ID, board.Host, board.Endpoints())
	}
	var candidates []candidate
	for depth, more := 0, true; more; depth++ {
		more = false
		for i, board := range boards {
			if endpoints := board.Endpoints(); depth < len(endpoints) {
				pause := min(nextAddress, spreadTime/time.Duration(len(endpoints)))
				candidates, more = append(candidates, candidate{board, endpoints[depth], time.Duration(depth) * pause, announcements[i]}), true
			}
		}
	}
	return candidates
}

// attempt is a candidate that waits for its turn in a search.
type attempt struct {
	candidate
	// due counts from the beginning of the search.
	due time.Duration
}

// proof is the end of an attempt to connect to a candidate. The board has proven its serial number where err is nil.
type proof struct {
	candidate
	client *rpc.Client
	err    error
}

// search connects to candidates at the same time, so that none of them keeps another from proving its serial number.
// One goroutine uses it.
type search struct {
	ctx    context.Context
	cancel context.CancelFunc
	dial   func(ctx context.Context, address string) (*rpc.Client, error)
	// seen has the position of each endpoint in the order of add.
	seen map[netip.AddrPort]int
	// waiting are the candidates that are not tried yet.
	waiting  []attempt
	begun    time.Time
	running  []candidate
	results  chan proof
	dialling sync.WaitGroup
	failures []failure
}

// failure is why an attempt has failed, and the position of its endpoint.
type failure struct {
	position int
	err      error
}

func newSearch(ctx context.Context, dial func(context.Context, string) (*rpc.Client, error)) *search {
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	return &search{ctx: ctx, cancel: cancel, dial: dial, seen: map[netip.AddrPort]int{}, begun: time.Now(), results: make(chan proof, maxDials)}
}

// add adds candidates that are not in the search yet.
func (s *search) add(candidates []candidate) {
	for _, one := range candidates {
		if _, seen := s.seen[one.endpoint]; !seen && len(s.seen) < maxEndpoints {
			s.seen[one.endpoint] = len(s.seen)
			s.waiting = append(s.waiting, attempt{one, time.Since(s.begun) + one.after})
		}
	}
}

// begin begins the attempts that are due. It returns a channel that receives a value when the next one is.
func (s *search) begin() <-chan time.Time {
	now, next := time.Since(s.begun), searchTime
	s.waiting = slices.DeleteFunc(s.waiting, func(one attempt) bool {
		dials := 0
		for _, other := range s.running {
			if other.announcement == one.announcement {
				dials++
			}
		}
		switch {
		case len(s.running) >= maxDials || dials >= maxBoardDials:
			return false
		case one.due > now:
			next = min(next, one.due)
			return false
		}
		s.running = append(s.running, one.candidate)
		s.dialling.Go(func() {
			client, err := s.dial(s.ctx, one.endpoint.String())
			s.results <- proof{one.candidate, client, err}
		})
		return true
	})
	return time.After(next - now)
}

// take follows the end of an attempt. Where it has failed, the next endpoint of the board is due.
func (s *search) take(ended proof) {
	s.running = slices.DeleteFunc(s.running, func(one candidate) bool { return one.endpoint == ended.endpoint })
	if ended.err == nil {
		return
	}
	s.failures = append(s.failures, failure{s.seen[ended.endpoint], ended.err})
	next := slices.IndexFunc(s.waiting, func(one attempt) bool { return one.announcement == ended.announcement })
	if next >= 0 {
		s.waiting[next].due = 0
	}
}

// isOver reports whether every attempt has ended.
func (s *search) isOver() bool { return len(s.seen) > 0 && len(s.waiting)+len(s.running) == 0 }

// hasOthers reports whether a board other than that of a proof may still prove the serial number.
func (s *search) hasOthers(proven proof) bool {
	isOther := func(one candidate) bool { return !one.isSameBoard(proven.candidate) }
	isWaiting := func(one attempt) bool { return isOther(one.candidate) }
	return slices.ContainsFunc(s.waiting, isWaiting) || slices.ContainsFunc(s.running, isOther)
}

// settle waits for the attempts under way after the end of the search's context, so that err knows how far each has got.
func (s *search) settle() {
	s.dialling.Wait()
	for len(s.running) > 0 {
		ended := <-s.results
		if s.take(ended); ended.client != nil {
			ended.client.Close()
		}
	}
}

// end ends the attempts under way, waits for them, and closes their connections.
func (s *search) end() {
	s.cancel()
	s.dialling.Wait()
	close(s.results)
	for late := range s.results {
		if late.client != nil {
			late.client.Close()
		}
	}
}

// err returns why no board has proven the serial number. It wraps the error of the endpoint that was added first, which is
// that of the last proof: what strangers do at others says nothing about the path to the satellite.
func (s *search) err() error {
	if len(s.failures) == 0 {
		return errors.New("satellite: no board has answered in time")
	}
	slices.SortFunc(s.failures, func(a, b failure) int { return cmp.Compare(a.position, b.position) })
	text := ""
	for _, further := range s.failures[1:min(len(s.failures), maxFailures)] {
		text += "; " + further.err.Error()
	}
	if more := len(s.failures) - maxFailures; more > 0 {
		text += fmt.Sprintf("; and %d further attempts", more)
	}
	if text == "" {
		return s.failures[0].err
	}
	return fmt.Errorf("%w%s", s.failures[0].err, text)
}
