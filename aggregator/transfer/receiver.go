package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
)

// errClosed: the receiver, or the slot, takes no more files.
var errClosed = fmt.Errorf("transfer: the receiver of log files is closed: %w", net.ErrClosed)

// ReceiverConfig configures a [Receiver]. The zero value of a limit means its default.
type ReceiverConfig struct {
	// Directory is where files are stored. The receiver owns the directory and empties it at its start.
	Directory string
	// MaxFile is how many bytes one file may have, default 512 MiB. MaxTotal is how many bytes all files in Directory
	// may have together, default 1 GiB. A transfer beyond either bound fails.
	MaxFile, MaxTotal int64
	// KeepFree is how many bytes of Directory's file system stay free. Default 64 MiB.
	KeepFree int64
	// MaxFiles is how many files one slot may have. Default 16.
	MaxFiles int
	// StallTimeout is how long a connection may be silent before the receiver closes it. Default 60 s.
	StallTimeout time.Duration
	// AnyPeer accepts a slot's credentials from every address.
	AnyPeer bool
	// Logger logs listeners, rejected logins and failed transfers, but no credentials. By default nothing is logged.
	Logger *zap.Logger
}

// Receiver receives the boards' files by HTTP PUT and by passive FTP, which curl -T uses. A client can only store a new
// file in a slot that Open returned. The client needs that slot's credentials and path, and must connect from one of
// that slot's addresses. A Receiver is safe for concurrent use.
type Receiver struct {
	config      ReceiverConfig
	logger      *zap.Logger
	dataTimeout time.Duration // shorter in tests

	mu      sync.Mutex
	closed  bool
	slots   map[string]*Slot  // by user
	servers map[string]server // by protocol and address
	stored  int64
	wait    sync.WaitGroup
}

// server is one listener and everything that was accepted from it.
type server interface {
	address() net.Addr
	// serve returns after stop, once nothing of the server runs any more.
	serve()
	stop()
}

// NewReceiver empties the directory and returns a receiver. The receiver gets its listeners from Listen.
func NewReceiver(config ReceiverConfig) (*Receiver, error) {
	config.MaxFile = orDefault(config.MaxFile, 512<<20)
	config.MaxTotal = orDefault(config.MaxTotal, 1<<30)
	config.KeepFree = orDefault(config.KeepFree, 64<<20)
	config.MaxFiles = orDefault(config.MaxFiles, 16)
	config.StallTimeout = orDefault(config.StallTimeout, time.Minute)
	config.Logger = cmp.Or(config.Logger, zap.NewNop())
	if err := files.EmptyDirectory(config.Directory); err != nil {
		return nil, err
	}
	return &Receiver{
		config: config, logger: config.Logger, dataTimeout: dataConnectionTimeout,
		slots: map[string]*Slot{}, servers: map[string]server{},
	}, nil
}

// orDefault returns the default of a value that is not positive.
func orDefault[T int | int64 | time.Duration](value, standard T) T {
	if value <= 0 {
		return standard
	}
	return value
}

// Listen starts to receive files on a TCP address, such as "127.0.0.1:2121". Port 0 chooses a free port. protocol is
// "ftp" or "http". Listen returns the address with the port in use. A second call with the same protocol and address
// returns the first call's result.
func (r *Receiver) Listen(ctx context.Context, protocol, address string) (net.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errClosed
	}
	key := protocol + " " + address
	if existing, ok := r.servers[key]; ok {
		return existing.address(), nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("transfer: cannot receive files: %w", err)
	}
	var s server
	limited := newLimitedListener(listener, r.expects)
	switch protocol {
	case "ftp":
		s, err = newFTPReceiver(r, limited)
	case "http":
		s = newHTTPReceiver(r, limited)
	default:
		err = fmt.Errorf("transfer: the receiver speaks ftp and http, not %q", protocol)
	}
	if err != nil {
		listener.Close()
		return nil, err
	}
	r.servers[key] = s
	r.wait.Go(s.serve)
	r.logger.Info("receiving log files of the boards", zap.String("protocol", protocol), zap.Stringer("address", listener.Addr()))
	return listener.Addr(), nil
}

// Open returns a new slot for the files of one board and one request. peers are the addresses from which the board may
// connect. If peers is empty, the slot accepts only the address of the first client that presents its credentials.
//
// If progress is not nil, several goroutines call it with a file's name and the number of bytes received so far. It
// must not block.
func (r *Receiver) Open(board string, peers []netip.Addr, progress func(name string, bytes int64)) (*Slot, error) {
	slot := newSlot(r, board, peers, progress)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errClosed
	}
	if err := os.Mkdir(slot.directory, 0o700); err != nil {
		return nil, fmt.Errorf("transfer: cannot make the directory for a board's files: %w", err)
	}
	r.slots[slot.user] = slot
	return slot, nil
}

// Close ends all connections, waits for them, and removes all files.
func (r *Receiver) Close() error {
	slots, servers := r.shut()
	for _, s := range servers {
		s.stop()
	}
	r.wait.Wait()
	for _, slot := range slots {
		slot.Close()
	}
	return os.RemoveAll(r.config.Directory)
}

// shut lets nothing new begin, and returns what there is.
func (r *Receiver) shut() ([]*Slot, []server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return slices.Collect(maps.Values(r.slots)), slices.Collect(maps.Values(r.servers))
}

func (r *Receiver) forget(slot *Slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.slots, slot.user)
}

func (r *Receiver) openSlots() []*Slot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.slots))
}

// expects returns how many slots accept the address. A client at an address that none accepts is not even greeted.
func (r *Receiver) expects(peer netip.Addr) (boards int) {
	for _, slot := range r.openSlots() {
		if slot.accepts(peer) {
			boards++
		}
	}
	return boards
}

var errLogin = errors.New("no such user, password or address")

// login returns the slot of a user. The error is the same for a wrong user, password or address.
func (r *Receiver) login(user, password string, peer net.Addr) (*Slot, error) {
	address, err := addressOf(peer)
	if err != nil {
		return nil, errLogin
	}
	r.mu.Lock()
	slot, known := r.slots[user]
	r.mu.Unlock()
	if !known || !slot.admit(password, address) {
		r.logger.Warn("refused an upload: wrong credentials, or from another address than the board's",
			zap.Stringer("address", peer), zap.Bool("request_known", known))
		return nil, errLogin
	}
	return slot, nil
}

// reserve counts bytes that are about to be written, and refuses those beyond the limits.
func (r *Receiver) reserve(fileSize, bytes int64) error {
	if fileSize+bytes > r.config.MaxFile {
		return fmt.Errorf("%w: the maximum of a file is %d bytes", errTooLarge, r.config.MaxFile)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stored+bytes > r.config.MaxTotal {
		return fmt.Errorf("%w: the maximum of all boards' files together is %d bytes", errTooLarge, r.config.MaxTotal)
	}
	r.stored += bytes
	return nil
}

func (r *Receiver) release(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored -= bytes
}

func plainAddress(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

func addressOf(address net.Addr) (netip.Addr, error) {
	if tcp, ok := address.(*net.TCPAddr); ok {
		return plainAddress(tcp.AddrPort().Addr()), nil
	}
	return netip.Addr{}, fmt.Errorf("transfer: %v is not a TCP address", address)
}
