package aggregator

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

var (
	errTooLarge = errors.New("too large")
	errExists   = fmt.Errorf("a file of that name is there, or on its way: %w", fs.ErrExist)
	errTooMany  = errors.New("too many files")
	errDiskFull = errors.New("the disk is full")
)

// Slot is the place for the files of one board for one request.
type Slot struct {
	receiver  *Receiver
	board     string
	access    slotAccess
	directory string
	peers     []netip.Addr // guarded by the receiver
	// progress, when set before the slot's location is given out, is told how many bytes of a file have arrived.
	progress func(name string, bytes int64)

	mu       sync.Mutex
	closed   bool
	files    map[string]*slotFile
	attempts int
	sessions map[interface{ Close() error }]bool
	writers  sync.WaitGroup
}

type fileState uint8

const (
	fileArriving fileState = iota
	// fileStored: the sender ended its connection without an error. With FTP that is not enough: a sender that was
	// killed ends it the same way.
	fileStored
	// fileComplete: the sender has shown that it believes in having sent everything.
	fileComplete
)

type slotFile struct {
	name  string
	path  string
	size  int64
	state fileState
	when  time.Time
}

// ReceivedFile is a complete file of a board.
type ReceivedFile struct {
	// Name is safe to use as a name of a file; Path is where the content lies until the slot is closed.
	Name, Path string
	Size       int64
	Received   time.Time
}

// location is the URL for the board.
func (s *Slot) location(template boardTemplate, ownAddress string) (string, error) {
	return template.withAccess(ownAddress, s.access)
}

// Files are the complete files in the order of their names, and the names of those that are not complete. claimed says
// that the board has reported Uploaded: its client has seen the server's confirmation, so what was stored is complete.
func (s *Slot) Files(claimed bool) (complete []ReceivedFile, incomplete []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range s.files {
		if file.state == fileComplete || (file.state == fileStored && claimed) {
			complete = append(complete, ReceivedFile{Name: file.name, Path: file.path, Size: file.size, Received: file.when})
		} else {
			incomplete = append(incomplete, file.name)
		}
	}
	sort.Slice(complete, func(i, j int) bool { return complete[i].Name < complete[j].Name })
	sort.Strings(incomplete)
	return complete, incomplete
}

// Received is how many bytes of the slot have arrived so far.
func (s *Slot) Received() (bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range s.files {
		bytes += file.size
	}
	return bytes
}

// Close makes the credentials invalid, ends the connections that use them and removes the files.
func (s *Slot) Close() error {
	s.receiver.mu.Lock()
	delete(s.receiver.slots, s.access.user)
	s.receiver.mu.Unlock()

	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	sessions := make([]interface{ Close() error }, 0, len(s.sessions))
	for session := range s.sessions {
		sessions = append(sessions, session)
	}
	s.mu.Unlock()
	for _, session := range sessions {
		session.Close()
	}
	s.writers.Wait()
	var stored int64
	for _, file := range s.files {
		stored += file.size
	}
	s.receiver.release(stored)
	return os.RemoveAll(s.directory)
}

// takes says whether the board may come from the address. The receiver is locked.
func (s *Slot) takes(peer netip.Addr) bool {
	if len(s.peers) == 0 || s.receiver.config.AnyPeer {
		return true
	}
	for _, known := range s.peers {
		if known == peer {
			return true
		}
	}
	return false
}

// join adds a connection that Close is to end; leave takes it out.
func (s *Slot) join(session interface{ Close() error }) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrReceiverClosed
	}
	s.sessions[session] = true
	return nil
}

func (s *Slot) leave(session interface{ Close() error }) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session)
}

// leadsHere says whether a directory is on the way to the slot's own: clients change into one after the other.
// The template's own directories are part of the way; any is, because nothing lies in them.
func (s *Slot) leadsHere(directory string) bool {
	elements := strings.Split(strings.Trim(path.Clean(directory), "/"), "/")
	for i, element := range elements {
		if element == s.access.token && i != len(elements)-1 {
			return false
		}
	}
	return len(directory) <= 512
}

// create begins a file at a path that a client gave: the slot's directory, and a name.
func (s *Slot) create(clientPath string) (*slotWriter, error) {
	directory, name := path.Split(path.Clean(clientPath))
	if path.Base(directory) != s.access.token {
		return nil, fs.ErrPermission
	}
	name, err := safeName(name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrReceiverClosed
	case s.files[name] != nil:
		return nil, errExists
	case len(s.files) >= s.receiver.config.MaxFiles || s.attempts >= 8*s.receiver.config.MaxFiles:
		return nil, errTooMany
	}
	s.attempts++
	file := &slotFile{name: name, path: filepath.Join(s.directory, name)}
	handle, err := os.OpenFile(file.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, storageError(err)
	}
	s.files[name] = file
	s.writers.Add(1)
	return &slotWriter{slot: s, file: file, handle: handle}, nil
}

// slotWriter writes one file of a slot.
type slotWriter struct {
	slot     *Slot
	file     *slotFile
	handle   *os.File
	checked  int64
	failure  error
	finished bool
}

const (
	uploadBuffer   = 256 << 10
	diskCheckEvery = 8 << 20
)

// ReadFrom takes what comes, in larger pieces than io.Copy does.
func (w *slotWriter) ReadFrom(from io.Reader) (total int64, err error) {
	buffer := make([]byte, uploadBuffer)
	for {
		n, readErr := from.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return total, err
			}
			total += int64(n)
		}
		if errors.Is(readErr, io.EOF) {
			return total, nil
		}
		if readErr != nil {
			return total, readErr
		}
	}
}

func (w *slotWriter) Write(p []byte) (int, error) {
	if w.failure != nil {
		return 0, w.failure
	}
	n, err := w.write(p)
	if err != nil {
		w.failure = err
	}
	return n, err
}

func (w *slotWriter) write(p []byte) (int, error) {
	if w.slot.isClosed() {
		return 0, ErrReceiverClosed
	}
	receiver := w.slot.receiver
	if err := receiver.reserve(w.file.size, int64(len(p))); err != nil {
		return 0, err
	}
	if w.checked -= int64(len(p)); w.checked < 0 {
		w.checked = diskCheckEvery
		if free, err := freeSpace(w.slot.directory); err == nil && free < receiver.config.KeepFree+diskCheckEvery {
			receiver.release(int64(len(p)))
			return 0, fmt.Errorf("%w: %d bytes are free", errDiskFull, free)
		}
	}
	n, err := w.handle.Write(p)
	receiver.release(int64(len(p) - n))
	w.slot.mu.Lock()
	w.file.size += int64(n)
	size := w.file.size
	w.slot.mu.Unlock()
	if w.slot.progress != nil {
		w.slot.progress(w.file.name, size)
	}
	return n, storageError(err)
}

// fail notes that the transfer did not come to its end.
func (w *slotWriter) fail(err error) {
	if w.failure == nil && err != nil {
		w.failure = err
	}
}

// Close ends the file. A file that failed is removed: its sender may try again.
func (w *slotWriter) Close() error {
	if w.finished {
		return nil
	}
	w.finished = true
	defer w.slot.writers.Done()
	if err := w.handle.Close(); err != nil {
		w.fail(storageError(err))
	}
	w.slot.mu.Lock()
	defer w.slot.mu.Unlock()
	if w.failure != nil {
		delete(w.slot.files, w.file.name)
		os.Remove(w.file.path)
		w.slot.receiver.release(w.file.size)
		w.slot.receiver.logger.Warn("a board's file did not arrive", zap.String("board", w.slot.board),
			zap.String("file", w.file.name), zap.Int64("bytes", w.file.size), zap.Error(w.failure))
		return w.failure
	}
	w.file.state, w.file.when = fileStored, time.Now()
	return nil
}

// confirm makes a stored file a complete one.
func (w *slotWriter) confirm() {
	w.slot.mu.Lock()
	defer w.slot.mu.Unlock()
	if w.finished && w.failure == nil && w.file.state == fileStored {
		w.file.state = fileComplete
	}
}

func (s *Slot) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
