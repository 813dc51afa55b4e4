package aggregator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
)

// inbox takes the files of one board for one request.
type inbox interface {
	// url is where the board is to upload to.
	url() string
	// expect tells the name that the board has announced.
	expect(name string)
	// reported tells the board's end status, at once.
	reported(status LogStatus)
	// files are those that are complete, and what is to be said about the others.
	files() (files []transfer.ReceivedFile, problems []string)
	// close ends the taking and removes the files. It may be called twice.
	close()
}

// embeddedInbox is a slot of the receiver in the module.
type embeddedInbox struct {
	slot     *transfer.Slot
	location string

	mu      sync.Mutex
	claimed bool
}

func (b *embeddedInbox) url() string   { return b.location }
func (b *embeddedInbox) expect(string) {}
func (b *embeddedInbox) close()        { b.slot.Close() }

func (b *embeddedInbox) reported(status LogStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.claimed = status == LogUploaded
}

func (b *embeddedInbox) files() (files []transfer.ReceivedFile, problems []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	files, incomplete := b.slot.Files(b.claimed)
	for _, name := range incomplete {
		problems = append(problems, name+" did not arrive completely")
	}
	return files, problems
}

// externalInbox is a directory into which another server writes whatever boards send, under the names that they choose.
// Files that were there before the request are not the request's.
type externalInbox struct {
	location  string
	directory string
	private   string // for what has been taken out of the shared directory
	before    map[string]os.FileInfo

	mu     sync.Mutex
	name   string
	claims []transfer.ReceivedFile
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

// settledAfter is how long nobody may have written to a file of a board that did not report, to count as complete.
const settledAfter = 3 * time.Second

func (b *externalInbox) reported(status LogStatus) {
	if status == LogUploaded {
		// At once: the next board's file may have the same name.
		b.take(0)
	}
}

// take moves the announced file out of the shared directory.
func (b *externalInbox) take(unwritten time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.name == "" || len(b.claims) > 0 {
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
	taken := filepath.Join(b.private, name)
	if err := os.Rename(shared, taken); err != nil {
		return
	}
	b.claims = append(b.claims, transfer.ReceivedFile{Name: name, Path: taken, Size: info.Size(), Received: info.ModTime()})
}

func (b *externalInbox) files() (files []transfer.ReceivedFile, problems []string) {
	b.take(settledAfter)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.claims, nil
}

func (b *externalInbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	os.RemoveAll(b.private)
}

// collector makes inboxes.
type collector struct {
	receiver  *transfer.Receiver // nil: external
	templates []locationTemplate
	directory string
	private   string
	log       *zap.Logger
	progress  func(Progress) // nil: nobody wants to know
}

const (
	receiverEmbedded = "embedded"
	receiverExternal = "external"
)

// newCollector decides who receives the boards' files.
func newCollector(ctx context.Context, p *parameters, moduleID string, boards int, log *zap.Logger) (*collector, error) {
	templates, err := p.templates(boards)
	if err != nil {
		return nil, err
	}
	c := &collector{
		templates: templates, directory: p.IncomingUploadsDir, log: log,
		private: filepath.Join(hidden(p.IncomingUploadsDir, moduleID), "taken"),
	}
	if p.Receiver == receiverExternal {
		return c, c.cleanUp()
	}
	receiver, err := transfer.NewReceiver(p.receiverConfig(moduleID, log))
	if err != nil {
		return nil, err
	}
	for _, template := range templates {
		err := fmt.Errorf("aggregator: the receiver in the module speaks ftp and http, not %s", template.scheme)
		if template.embeddable() {
			_, err = receiver.Listen(ctx, template.scheme, net.JoinHostPort("127.0.0.1", strconv.Itoa(template.port)))
		}
		switch {
		case err == nil:
		case p.Receiver == receiverEmbedded:
			log.Error("the boards' files cannot be received; log uploads are refused until they can", zap.Error(err))
		default:
			log.Warn("another server has to receive the boards' files into incoming_uploads_dir: anybody who reaches it may write there; "+
				"to let the module receive them, stop that server, or give upload_url_template a free port",
				zap.String("incoming_uploads_dir", p.IncomingUploadsDir), zap.Error(err))
			return c, errors.Join(receiver.Close(), c.cleanUp())
		}
	}
	c.receiver = receiver
	return c, nil
}

func (c *collector) cleanUp() error { return files.EmptyDirectory(c.private) }

func (c *collector) close() {
	if c.receiver != nil {
		c.receiver.Close()
	}
	os.RemoveAll(c.private)
}

// open makes the inbox of one board for one request.
func (c *collector) open(ctx context.Context, b *board) (inbox, error) {
	template := c.templates[b.index]
	address := template.fixedHost
	if address == "" || c.receiver != nil {
		own, err := b.ownAddress(ctx)
		if err != nil {
			return nil, err
		}
		address = own
	}
	if c.receiver == nil {
		return newExternalInbox(template.expand(address), c.directory, filepath.Join(c.private, files.RandomName(8)))
	}
	if _, err := c.receiver.Listen(ctx, template.scheme, net.JoinHostPort(address, strconv.Itoa(template.port))); err != nil {
		return nil, err
	}
	var progress func(string, int64)
	if c.progress != nil {
		progress = func(name string, bytes int64) { c.progress(Progress{Board: b.index, Name: name, Done: bytes}) }
	}
	slot, err := c.receiver.Open(b.name, b.addresses(ctx), progress)
	if err != nil {
		return nil, err
	}
	location, err := slot.Location(template.expand(address))
	if err != nil {
		slot.Close()
		return nil, err
	}
	return &embeddedInbox{slot: slot, location: location}, nil
}
