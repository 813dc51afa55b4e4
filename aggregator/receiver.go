package aggregator

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"
)

// ErrReceiverClosed: the receiver, or the slot, takes no files any more.
var ErrReceiverClosed = fmt.Errorf("aggregator: receiver of the boards' files closed: %w", net.ErrClosed)

// ReceiverConfig is what a Receiver needs to know. The zero value of a limit means its default.
type ReceiverConfig struct {
	// Directory for what is received; the receiver owns it and empties it at its start.
	Directory string
	// MaxFile limits one file, MaxTotal all files that are there at a time, in bytes. Default 512 MiB and 1 GiB.
	MaxFile, MaxTotal int64
	// KeepFree is the free space, in bytes, that the file system of Directory keeps. Default 64 MiB.
	KeepFree int64
	// MaxFiles limits the files of one board for one request. Default 16.
	MaxFiles int
	// StallTimeout ends a connection on which nothing arrives. Default 60 s.
	StallTimeout time.Duration
	// AnyPeer lets whoever has the credentials of a slot in, from whatever address.
	AnyPeer bool
	// Logger is where the receiver reports; never a credential. nil: nowhere.
	Logger *zap.Logger
}

// Receiver takes the boards' files: FTP (passive, which is what curl -T speaks) and HTTP PUT. Nobody can do anything but
// store a new file, into a slot that Open has made, with the slot's credentials, on its path and from its addresses. It
// is safe for concurrent use.
type Receiver struct {
	config ReceiverConfig
	logger *zap.Logger

	mu        sync.Mutex
	closed    bool
	slots     map[string]*Slot
	listening map[string]server
	stored    int64
	wait      sync.WaitGroup
}

// server is one listener and everything that was accepted from it.
type server interface {
	address() net.Addr
	// serve returns when stop was called and nothing of the server runs any more.
	serve()
	stop()
}

// NewReceiver makes a receiver that does not listen yet, and removes what an earlier one left in its directory.
func NewReceiver(config ReceiverConfig) (*Receiver, error) {
	if config.MaxFile <= 0 {
		config.MaxFile = 512 << 20
	}
	if config.MaxTotal <= 0 {
		config.MaxTotal = 1 << 30
	}
	if config.KeepFree <= 0 {
		config.KeepFree = 64 << 20
	}
	if config.MaxFiles <= 0 {
		config.MaxFiles = 16
	}
	if config.StallTimeout <= 0 {
		config.StallTimeout = time.Minute
	}
	if config.Logger == nil {
		config.Logger = zap.NewNop()
	}
	if err := emptyDirectory(config.Directory); err != nil {
		return nil, err
	}
	return &Receiver{
		config: config, logger: config.Logger,
		slots: map[string]*Slot{}, listening: map[string]server{},
	}, nil
}

// emptyDirectory makes a directory that only this process may use, without what was in it.
func emptyDirectory(directory string) error {
	if err := os.RemoveAll(directory); err != nil {
		return fmt.Errorf("aggregator: cannot clean up leftovers: %w", err)
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return fmt.Errorf("aggregator: cannot make the directory for log files: %w", err)
	}
	return nil
}

// Listen begins to take files on an address ("127.0.0.1:2121"; port 0 takes any) with the protocol "ftp" or "http". An
// address on which the receiver listens already is no error. It returns the address with its port.
func (r *Receiver) Listen(ctx context.Context, protocol, address string) (net.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrReceiverClosed
	}
	key := protocol + " " + address
	if there, ok := r.listening[key]; ok {
		return there.address(), nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("aggregator: cannot receive files: %w", err)
	}
	var s server
	guarded := newGuardedListener(listener, r.expects)
	switch protocol {
	case "ftp":
		s, err = newFTPServer(r, guarded)
	case "http":
		s = newHTTPServer(r, guarded)
	default:
		err = fmt.Errorf("aggregator: the receiver speaks ftp and http, not %q", protocol)
	}
	if err != nil {
		listener.Close()
		return nil, err
	}
	r.listening[key] = s
	r.wait.Go(s.serve)
	r.logger.Info("receiving log files of the boards", zap.String("protocol", protocol), zap.Stringer("address", listener.Addr()))
	return listener.Addr(), nil
}

// Open makes a slot: a place for the files of one board for one request. peers are the addresses that the board may come
// from; none means that the first one with the credentials is taken for the board's.
func (r *Receiver) Open(board string, peers []netip.Addr) (*Slot, error) {
	slot := &Slot{
		receiver: r, board: board, files: map[string]*slotFile{}, sessions: map[interface{ Close() error }]bool{},
		access: slotAccess{user: "b" + randomHex(8), password: randomHex(16), token: randomHex(16)},
	}
	for _, peer := range peers {
		slot.peers = append(slot.peers, plainAddress(peer))
	}
	slot.directory = filepath.Join(r.config.Directory, randomHex(8))
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrReceiverClosed
	}
	if err := os.Mkdir(slot.directory, 0o700); err != nil {
		return nil, fmt.Errorf("aggregator: cannot make the directory for a board's files: %w", err)
	}
	r.slots[slot.access.user] = slot
	return slot, nil
}

// Close ends all connections and removes all files.
func (r *Receiver) Close() error {
	r.mu.Lock()
	r.closed = true
	var slots []*Slot
	for _, slot := range r.slots {
		slots = append(slots, slot)
	}
	servers := make([]server, 0, len(r.listening))
	for _, s := range r.listening {
		servers = append(servers, s)
	}
	r.mu.Unlock()
	for _, s := range servers {
		s.stop()
	}
	r.wait.Wait()
	for _, slot := range slots {
		slot.Close()
	}
	return os.RemoveAll(r.config.Directory)
}

// expects says whether any slot waits for somebody at the address: others are not even greeted.
func (r *Receiver) expects(peer netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, slot := range r.slots {
		if slot.takes(peer) {
			return true
		}
	}
	return false
}

var errLogin = errors.New("no such user, password or address")

// login finds the slot of a user. The answer to a wrong user, password, or address is the same.
func (r *Receiver) login(user, password string, peer net.Addr) (*Slot, error) {
	address, err := addressOf(peer)
	if err != nil {
		return nil, errLogin
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	slot, ok := r.slots[user]
	if !ok || subtle.ConstantTimeCompare([]byte(password), []byte(slot.access.password)) != 1 || !slot.takes(address) {
		r.logger.Warn("refused an upload: wrong credentials, or from another address than the board's",
			zap.Stringer("address", peer), zap.Bool("request_known", ok))
		return nil, errLogin
	}
	if len(slot.peers) == 0 {
		slot.peers = []netip.Addr{address}
	}
	return slot, nil
}

// reserve counts bytes that are about to be written, and refuses what goes beyond the limits.
func (r *Receiver) reserve(fileSize, bytes int64) error {
	if fileSize+bytes > r.config.MaxFile {
		return fmt.Errorf("%w: a file may have %d bytes", errTooLarge, r.config.MaxFile)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stored+bytes > r.config.MaxTotal {
		return fmt.Errorf("%w: all boards' files together may have %d bytes", errTooLarge, r.config.MaxTotal)
	}
	r.stored += bytes
	return nil
}

func (r *Receiver) release(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored -= bytes
}

func randomHex(bytes int) string {
	random := make([]byte, bytes)
	rand.Read(random)
	return hex.EncodeToString(random)
}

func plainAddress(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

func addressOf(address net.Addr) (netip.Addr, error) {
	if tcp, ok := address.(*net.TCPAddr); ok {
		return plainAddress(tcp.AddrPort().Addr()), nil
	}
	return netip.Addr{}, fmt.Errorf("aggregator: %v is no TCP address", address)
}
