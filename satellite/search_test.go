package satellite

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
)

// boardAt returns a board with addresses in a network of its own.
func boardAt(number, addresses int) discovery.Satellite {
	board := discovery.Satellite{Serial: "SAT01", ID: fmt.Sprint(number), Port: 4129}
	for i := range addresses {
		board.Addresses = append(board.Addresses, netip.AddrFrom4([4]byte{10, 0, byte(number), byte(1 + i)}))
	}
	return board
}

// Boards that take a connection and say nothing, at as many addresses as a watcher keeps, delay the one that proves its
// serial number by no more than the preference among its own addresses.
func TestSilentBoardsDelayNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own := boardAt(200, 3)
		dial := func(ctx context.Context, address string) (*rpc.Client, error) {
			if address == own.Endpoints()[2].String() {
				return nil, nil // this search only looks at the error
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		var boards []discovery.Satellite
		for i := range 20 {
			boards = append(boards, boardAt(i, 16))
		}
		s, begun := newSearch(t.Context(), dial), time.Now()
		s.add(candidatesOf(append(boards, own)))
		for {
			select {
			case <-s.begin():
				continue
			case ended := <-s.results:
				if s.take(ended); ended.err != nil {
					continue
				}
				if took := time.Since(begun); took > 2*nextAddress {
					t.Errorf("board %s after %v", ended.board.ID, took)
				}
				if !s.hasOthers(ended) {
					t.Error("the silent boards are not waited for")
				}
			case <-s.ctx.Done():
				t.Error("the search is over")
			}
			break
		}
		s.end()
	})
}

// How long a board was searched for delays no later search: a link that is resumed has less time than the first contact took.
func TestABoardThatCameLateIsFoundAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		find := func(candidates []candidate, after time.Duration) proof {
			s := newSearch(t.Context(), func(context.Context, string) (*rpc.Client, error) { return nil, nil })
			defer s.end()
			time.Sleep(after)
			added := time.Now()
			s.add(candidates)
			for {
				select {
				case <-s.begin():
				case ended := <-s.results:
					if took := time.Since(added); took > 0 {
						t.Errorf("tried after %v", took)
					}
					return ended
				}
			}
		}
		late := find(candidatesOf([]discovery.Satellite{boardAt(1, 1)}), searchTime/2)
		find([]candidate{late.candidate}, 0)
	})
}

// An attempt to resume a link is ended after a while. Its error says how far the connection to the link's own board got, for a
// TLS handshake that is not answered is how a path shows that it swallows long packets.
func TestAnEndedSearchSaysHowFarItGot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own := candidatesOf([]discovery.Satellite{boardAt(1, 1)})[0]
		dial := func(ctx context.Context, address string) (*rpc.Client, error) {
			if address != own.endpoint.String() {
				return nil, syscall.ECONNREFUSED // strangers, which fail sooner
			}
			<-ctx.Done()
			return nil, fmt.Errorf("%w: %w", rpc.ErrHandshake, ctx.Err())
		}
		watcher, err := discovery.NewWatcher(discovery.WatchConfig{Serial: "SAT01", Verified: true, Interfaces: []string{"eth0"}})
		if err != nil {
			t.Fatal(err)
		}
		f := &verifiedFinder{finder: &finder{watcher: watcher, serial: "SAT01", dial: dial, canResume: func() bool { return true }}, satellite: &own}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if _, err := f.connect(ctx); !errors.Is(err, rpc.ErrHandshake) {
			t.Errorf("resuming: %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		s := newSearch(ctx, dial)
		var strangers []discovery.Satellite
		for i := range 2 * maxFailures {
			strangers = append(strangers, boardAt(2+i, 1))
		}
		s.add(append([]candidate{own}, candidatesOf(strangers)...))
		s.begin()
		<-ctx.Done()
		s.settle()
		if err := s.err(); !errors.Is(err, rpc.ErrHandshake) || errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("among strangers: %v", err)
		}
		s.end()
	})
}

// A search tries each endpoint once, a board's next one when the one before has failed, and bounds how many attempts
// are under way.
func TestASearchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var tried []string
		running, most := 0, 0
		dial := func(_ context.Context, address string) (*rpc.Client, error) {
			mu.Lock()
			tried, running = append(tried, address), running+1
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			running--
			mu.Unlock()
			return nil, errors.New("refused")
		}
		s, begun := newSearch(t.Context(), dial), time.Now()
		var boards []discovery.Satellite
		for i := range 100 {
			boards = append(boards, boardAt(i, 8))
		}
		s.add(candidatesOf(boards))
		s.add(candidatesOf(boards))
		for !s.isOver() {
			select {
			case <-s.begin():
			case ended := <-s.results:
				s.take(ended)
			}
		}
		s.end()
		if len(tried) != maxEndpoints || most > maxDials {
			t.Errorf("%d endpoints were tried, %d at a time", len(tried), most)
		}
		slices.Sort(tried)
		if len(slices.Compact(tried)) != maxEndpoints {
			t.Error("an endpoint was tried twice")
		}
		if took := time.Since(begun); took > nextAddress {
			t.Errorf("refused connections took %v", took)
		}
		if text := s.err().Error(); len(text) > 200 {
			t.Errorf("the error has %d bytes: %s", len(text), text)
		}
	})
}
