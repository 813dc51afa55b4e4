package aggregator

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/logs"
	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
)

// inbox takes the files of one board for one request.
type inbox interface {
	// url returns the location to which the board uploads.
	url() string
	// expect sets the name that the board has announced.
	expect(name string)
	// reported takes the board's end status, without delay.
	reported(status logs.Status)
	// settle waits until what the board has uploaded is complete, or until ctx ends.
	settle(ctx context.Context)
	// files returns the complete files, and the problems with the others.
	files() (files []transfer.ReceivedFile, problems []string)
	// close takes no more files and removes those there are. It may be called twice.
	close()
}

// embeddedInbox is a slot of the receiver in the module. It needs no report of the board: the sender of a file has confirmed
// it, or the file is not complete.
type embeddedInbox struct {
	slot     *transfer.Slot
	location string
}

func (b *embeddedInbox) url() string                { return b.location }
func (b *embeddedInbox) expect(string)              {}
func (b *embeddedInbox) reported(logs.Status)       {}
func (b *embeddedInbox) settle(ctx context.Context) { b.slot.Settle(ctx) }
func (b *embeddedInbox) close()                     { b.slot.Close() }

func (b *embeddedInbox) files() (files []transfer.ReceivedFile, problems []string) {
	files, incomplete := b.slot.Files()
	for _, name := range incomplete {
		problems = append(problems, name+" did not arrive completely: its sender did not end with QUIT")
	}
	return files, problems
}

// externalInbox is a directory into which another server writes the boards' files, under names that the boards choose.
// Files that existed before the request do not belong to it.
type externalInbox struct {
	location  string
	directory string
	private   string // for files that were moved out of the shared directory
	before    map[string]os.FileInfo

	mu     sync.Mutex
	name   string
	taken  []transfer.ReceivedFile
	closed bool
}

func newExternalInbox(location, directory, private string) (*externalInbox, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, fmt.Errorf("aggregator: cannot read incoming_uploads_dir: %w", err)
	}
	if err := os.MkdirAll(private, 0o700); err != nil {
		return nil, fmt.Errorf("aggregator: cannot make a directory for a board's file: %w", err)
	}
	inbox := &externalInbox{location: location, directory: directory, private: private, before: map[string]os.FileInfo{}}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			inbox.before[entry.Name()] = info
		}
	}
	return inbox, nil
}

func (b *externalInbox) url() string { return b.location }

func (b *externalInbox) expect(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if base, err := files.BaseName(name); err == nil {
		b.name = base
	}
}

// settle has nothing to wait for: reported has taken the file.
func (b *externalInbox) settle(context.Context) {}

// settledAfter is how long a file of a board that did not report its end must be unchanged to count as complete.
const settledAfter = 3 * time.Second

func (b *externalInbox) reported(status logs.Status) {
	if status == logs.Uploaded {
		// Without delay: the next board's file may have the same name.
		b.take(0)
	}
}

// take moves the announced file out of the shared directory.
func (b *externalInbox) take(unwritten time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.name == "" || len(b.taken) > 0 {
		return
	}
	shared := filepath.Join(b.directory, b.name)
	info, err := os.Lstat(shared)
	if err != nil || !info.Mode().IsRegular() || time.Since(info.ModTime()) < unwritten {
		return
	}
	if old := b.before[b.name]; old != nil && os.SameFile(old, info) && old.ModTime().Equal(info.ModTime()) && old.Size() == info.Size() {
		return
	}
	name, err := files.SafeName(b.name)
	if err != nil {
		return
	}
	path := filepath.Join(b.private, name)
	if info, err = files.Move(shared, path); err != nil {
		return
	}
	b.taken = append(b.taken, transfer.ReceivedFile{Name: name, Path: path, Size: info.Size(), Received: info.ModTime()})
}

func (b *externalInbox) files() (files []transfer.ReceivedFile, problems []string) {
	b.take(settledAfter)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken, nil
}

func (b *externalInbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	os.RemoveAll(b.private)
}
