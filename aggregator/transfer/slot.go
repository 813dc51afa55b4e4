package transfer

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
)

var (
	errTooLarge = errors.New("too large")
	errExists   = fmt.Errorf("a file of that name exists, or is arriving: %w", fs.ErrExist)
	errTooMany  = errors.New("too many files")
	errReplaced = errors.New("another upload of the same name replaces it")

	errTooManySessions = errors.New("too many connections")
)

// maxSessions is how many connections that have logged in one slot has. A board has one at a time, with FTP a second for
// the data, and those of attempts that it gave up until they stall.
const maxSessions = 16

// Slot is the place for the files of one board and one request, with credentials and a path of its own. A Slot is safe
// for concurrent use.
type Slot struct {
	receiver       *Receiver
	board          string
	user, password string
	token          string // the slot's directory in its location
	directory      string // the slot's directory on the disk
	progress       func(name string, bytes int64)

	mu       sync.Mutex
	closed   bool
	peers    []netip.Addr
	files    map[string]*slotFile
	attempts int
	sessions map[sender]bool
	writers  sync.WaitGroup
	// changed is closed at the next change of a file or a connection.
	changed chan struct{}
}

// sender is a connection that sends files. Close ends it.
type sender interface{ Close() error }

type fileState uint8

const (
	fileArriving fileState = iota
	// fileStored: the sender ended its connection without an error. With FTP that proves nothing: the connection of a
	// sender that was killed ends the same way.
	fileStored
	// fileComplete: the sender has seen the confirmation.
	fileComplete
)

type slotFile struct {
	name   string
	path   string // a new one for each attempt
	size   int64
	state  fileState
	when   time.Time
	sender sender
}

// ReceivedFile is a complete file of a board.
type ReceivedFile struct {
	// Name is made from the client's name for the file, and is safe to use as a file name. Path is the stored file,
	// which exists until the slot is closed.
	Name, Path string
	Size       int64
	Received   time.Time
}

func newSlot(receiver *Receiver, board string, peers []netip.Addr, progress func(string, int64)) *Slot {
	slot := &Slot{
		receiver: receiver, board: board, progress: progress,
		user: "b" + files.RandomName(8), password: files.RandomName(16), token: files.RandomName(16),
		directory: filepath.Join(receiver.config.Directory, files.RandomName(8)),
		files:     map[string]*slotFile{}, sessions: map[sender]bool{}, changed: make(chan struct{}),
	}
	for _, peer := range peers {
		slot.peers = append(slot.peers, plainAddress(peer))
	}
	return slot
}

// Location returns the URL to which the board uploads. base is the URL at which the board reaches one of the receiver's
// listeners. Location adds the slot's credentials and directory to base.
func (s *Slot) Location(base string) (string, error) {
	parsed, err := url.Parse(base)
	if err != nil {
		return "", errMalformed // the error of url.Parse shows the URL
	}
	parsed.User = url.UserPassword(s.user, s.password)
	parsed.Path = path.Join("/", parsed.Path, s.token) + "/"
	parsed.RawPath, parsed.RawQuery, parsed.Fragment = "", "", ""
	return parsed.String(), nil
}

// Files returns the complete files and the names of the incomplete ones, both sorted by name.
func (s *Slot) Files() (complete []ReceivedFile, incomplete []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		file := s.files[name]
		if file.state == fileComplete {
			complete = append(complete, ReceivedFile{Name: file.name, Path: file.path, Size: file.size, Received: file.when})
		} else {
			incomplete = append(incomplete, file.name)
		}
	}
	return complete, incomplete
}

// Settle waits until no file is arriving or waits for its sender's confirmation, or until ctx ends. The confirmation of a
// file may arrive after the board's report of Uploaded, which comes another way.
func (s *Slot) Settle(ctx context.Context) {
	for {
		changed := s.unsettled()
		if changed == nil {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// unsettled returns a channel that is closed at the next change, nil where nothing is to be waited for.
func (s *Slot) unsettled() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range s.files {
		if file.state == fileArriving || (file.state == fileStored && s.sessions[file.sender]) {
			return s.changed
		}
	}
	return nil
}

func (s *Slot) changedLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// received returns how many bytes of the slot have arrived so far.
func (s *Slot) received() (bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range s.files {
		bytes += file.size
	}
	return bytes
}

// Close makes the credentials invalid, ends the connections that use them, and removes the files. It may be called
// twice.
func (s *Slot) Close() error {
	s.receiver.forget(s)
	sessions, closing := s.shut()
	if !closing {
		return nil
	}
	for _, session := range sessions {
		session.Close()
	}
	s.writers.Wait()
	s.receiver.release(s.received())
	return os.RemoveAll(s.directory)
}

// shut lets nothing new begin. It returns the sessions, and reports whether this was the first call.
func (s *Slot) shut() ([]sender, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.closed
	s.closed = true
	return slices.Collect(maps.Keys(s.sessions)), first
}

// accepts reports whether the board may come from the address.
func (s *Slot) accepts(peer netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acceptsLocked(peer)
}

func (s *Slot) acceptsLocked(peer netip.Addr) bool {
	return len(s.peers) == 0 || s.receiver.config.AnyPeer || slices.Contains(s.peers, peer)
}

// admit reports whether the password and the address are the slot's. A slot without addresses gets this one.
func (s *Slot) admit(password string, peer netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if subtle.ConstantTimeCompare([]byte(password), []byte(s.password)) != 1 || !s.acceptsLocked(peer) {
		return false
	}
	if len(s.peers) == 0 {
		s.peers = []netip.Addr{peer}
	}
	return true
}

// join adds a connection that Close has to end.
func (s *Slot) join(session sender) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosed
	case len(s.sessions) >= maxSessions:
		return fmt.Errorf("%w: the maximum of a request is %d", errTooManySessions, maxSessions)
	}
	s.sessions[session] = true
	return nil
}

// leave removes a connection that join added.
func (s *Slot) leave(session sender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session)
	s.changedLocked()
}

// leadsHere reports whether a directory may be on the way to the slot's: clients enter one directory after the other.
// Every directory may be, because the path before the token is the configuration's and no directory has content.
func (s *Slot) leadsHere(directory string) bool {
	elements := strings.Split(strings.Trim(path.Clean(directory), "/"), "/")
	at := slices.Index(elements, s.token)
	return len(directory) <= 512 && (at < 0 || at == len(elements)-1)
}
