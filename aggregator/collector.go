package aggregator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
)

// collector makes inboxes: of the receiver in the module, or of a directory that another server fills.
type collector struct {
	receiver  *transfer.Receiver // nil: another server
	templates []locationTemplate
	directory string
	private   string
	progress  func(Progress) // may be nil
}

// The values of the configuration key receiver; another value is "auto".
const (
	receiverEmbedded = "embedded"
	receiverExternal = "external"
)

// newCollector decides whether the module receives the boards' files or another server does.
func newCollector(ctx context.Context, s *station, progress func(Progress)) (*collector, error) {
	p, id := &s.parameters, s.module.ID()
	templates, err := p.templates(len(s.boards))
	if err != nil {
		return nil, err
	}
	c := &collector{
		templates: templates, directory: p.IncomingUploadsDir, progress: progress,
		private: filepath.Join(hidden(p.IncomingUploadsDir, id), "taken"),
	}
	if p.Receiver == receiverExternal {
		return c, files.EmptyDirectory(c.private)
	}
	receiver, err := transfer.NewReceiver(p.receiverConfig(id, s.log))
	if err != nil {
		return nil, err
	}
	for _, template := range templates {
		err := fmt.Errorf("aggregator: the receiver in the module speaks ftp and http, not %s", template.scheme)
		if template.embeddable() {
			_, err = receiver.Listen(ctx, template.scheme, template.address("127.0.0.1"))
		}
		switch {
		case err == nil:
		case p.Receiver == receiverEmbedded:
			s.log.Error("the boards' files cannot be received; log uploads are refused until they can", zap.Error(err))
		default:
			s.log.Warn("another server has to receive the boards' files into incoming_uploads_dir: anybody who reaches it may write there; "+
				"to let the module receive them, stop that server, or give upload_url_template a free port",
				zap.String("incoming_uploads_dir", p.IncomingUploadsDir), zap.Error(err))
			return c, errors.Join(receiver.Close(), files.EmptyDirectory(c.private))
		}
	}
	c.receiver = receiver
	return c, nil
}

func (c *collector) close() {
	if c.receiver != nil {
		c.receiver.Close()
	}
	os.RemoveAll(c.private)
}

// open returns a new inbox for one board and one request.
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
	if _, err := c.receiver.Listen(ctx, template.scheme, template.address(address)); err != nil {
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
