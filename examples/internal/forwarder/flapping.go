package forwarder

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
)

// MinFlapping is the shortest interval of a Flapping: below it no connection comes about.
const MinFlapping = 100 * time.Millisecond

// maxOutage is how long an outage lasts at most, so that it stays within the
// resume window of a link, which is 30 s.
const maxOutage = 5 * time.Second

// Outage is a way in which a link goes away.
type Outage int

// The outages, in the order in which they take turns.
const (
	// OutageClosed ends connections by FIN, as a proxy that restarts does.
	OutageClosed Outage = iota
	// OutageReset ends connections by RST, as a peer that lost its state does.
	OutageReset
	// OutageSilent holds up every byte, and the ends of connections.
	OutageSilent
	outageCount
)

// String returns the outage's name.
func (o Outage) String() string { return [...]string{"closed", "reset", "silent"}[o] }

// Begin begins an outage, which Heal ends, and reports whether there is a
// connection.
func (f *Forwarder) Begin(outage Outage) bool {
	if outage == OutageSilent {
		return f.Stall(ToServer, ToClient)
	}
	return f.Refuse(outage == OutageReset)
}

// Link is what a Flapping cuts: a Forwarder.
type Link interface {
	Begin(Outage) bool
	Heal()
}

// Flapping makes an outage on each link once every interval. All methods are safe
// for concurrent use.
type Flapping struct {
	interval time.Duration
	links    []Link
	close    func()

	mu sync.Mutex
	// cuts are the outages that met a connection, by link and outage.
	cuts [][outageCount]int
}

// NewFlapping returns a Flapping that begins with Run.
func NewFlapping(interval time.Duration, links ...Link) *Flapping {
	return &Flapping{interval: interval, links: links, cuts: make([][outageCount]int, len(links))}
}

// Flap puts a forwarder in front of each port of the loopback interface, and cuts
// the forwarders until Close. It returns their ports.
func Flap(interval time.Duration, ports []int) (*Flapping, []int, error) {
	var links []Link
	var forwarders []*Forwarder
	var front []int
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	closeAll := func() {
		cancel()
		running.Wait()
		for _, f := range forwarders {
			f.Close()
		}
	}
	for _, port := range ports {
		f, err := Listen(fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		links, forwarders, front = append(links, f), append(forwarders, f), append(front, f.Port())
	}
	flapping := NewFlapping(interval, links...)
	flapping.close = closeAll
	running.Go(func() { flapping.Run(ctx) })
	return flapping, front, nil
}

// Close ends the outages and the forwarders that Flap began.
func (f *Flapping) Close() { f.close() }

// Outage returns how long each outage lasts.
func (f *Flapping) Outage() time.Duration { return min(f.interval*2/5, maxOutage) }

// LinkTimeout returns a link timeout at which the peers notice a silent outage
// before it ends. The modules accept none below 200 ms.
func (f *Flapping) LinkTimeout() time.Duration {
	const usual, least = 1500 * time.Millisecond, 200 * time.Millisecond
	return max(least, min(usual, f.Outage()*3/4))
}

// Run makes the outages until ctx ends. The links take turns, so that each is doing
// something else when its outage begins.
func (f *Flapping) Run(ctx context.Context) {
	var running sync.WaitGroup
	for i, link := range f.links {
		running.Go(func() {
			wait := f.interval * time.Duration(i+1) / time.Duration(len(f.links))
			for outage := Outage(i) % outageCount; recording.Sleep(ctx, wait) == nil; outage = (outage + 1) % outageCount {
				f.cut(ctx, i, link, outage)
				wait = f.interval - f.Outage()
			}
		})
	}
	running.Wait()
}

func (f *Flapping) cut(ctx context.Context, number int, link Link, outage Outage) {
	defer link.Heal()
	if link.Begin(outage) {
		f.mu.Lock()
		f.cuts[number][outage]++
		f.mu.Unlock()
	}
	_ = recording.Sleep(ctx, f.Outage())
}

// Cuts returns how many outages a link had, counted from 0.
func (f *Flapping) Cuts(link int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := 0
	for _, count := range f.cuts[link] {
		sum += count
	}
	return sum
}

// String says how often the links were cut, in which ways and for how long.
func (f *Flapping) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var kinds [outageCount]int
	total := 0
	for _, cuts := range f.cuts {
		for kind, count := range cuts {
			kinds[kind] += count
			total += count
		}
	}
	var each []string
	for kind, count := range kinds {
		each = append(each, fmt.Sprintf("%d %v", count, Outage(kind)))
	}
	return fmt.Sprintf("%d times (%s) for %v each", total, strings.Join(each, ", "), f.Outage())
}
