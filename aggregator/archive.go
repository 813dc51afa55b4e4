package aggregator

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
)

// Archive is what goes into the one file of a station: a gzipped tar with one folder per board and a manifest.json.
type Archive struct {
	// Type is the log type that was asked for, empty for OCPP 1.6's diagnostics.
	Type string
	// RequestID is the backend's, NoRequestID without.
	RequestID int64
	Created   time.Time
	Boards    []ArchiveBoard
}

// ArchiveBoard is one board's part.
type ArchiveBoard struct {
	// Name of the board; it is also the folder.
	Name  string
	Files []transfer.ReceivedFile
	// Problems say what is missing, and why.
	Problems []string
}

// archiveManifest is manifest.json.
type archiveManifest struct {
	Type      string        `json:"type,omitempty"`
	RequestID *int64        `json:"request_id,omitempty"`
	Created   time.Time     `json:"created"`
	Boards    []packedBoard `json:"boards"`
}

type packedBoard struct {
	Board    string       `json:"board"`
	Files    []packedFile `json:"files"`
	Problems []string     `json:"problems,omitempty"`
}

type packedFile struct {
	File     string    `json:"file"`
	Size     int64     `json:"size"`
	SHA256   string    `json:"sha256"`
	Received time.Time `json:"received"`
}

const archiveBuffer = 256 << 10

// WriteTo streams the archive; it needs the same memory for files of any size. The manifest is its last entry, because
// only then the digests are known. ctx ends it between two pieces.
func (a *Archive) WriteTo(ctx context.Context, w io.Writer) error {
	buffered := bufio.NewWriterSize(w, archiveBuffer)
	compressed := gzip.NewWriter(buffered)
	packed := tar.NewWriter(compressed)
	manifest := archiveManifest{Type: a.Type, Created: a.Created.UTC()}
	if a.RequestID != NoRequestID {
		manifest.RequestID = &a.RequestID
	}
	copying := make([]byte, archiveBuffer)
	for _, board := range a.Boards {
		entry := packedBoard{Board: board.Name, Files: []packedFile{}, Problems: board.Problems}
		for _, file := range board.Files {
			sum, err := packFile(ctx, packed, path.Join(board.Name, file.Name), file, copying)
			if err != nil {
				return fmt.Errorf("aggregator: cannot pack %s of %s: %w", file.Name, board.Name, files.StorageError(err))
			}
			entry.Files = append(entry.Files, packedFile{File: file.Name, Size: file.Size, SHA256: sum, Received: file.Received.UTC()})
		}
		manifest.Boards = append(manifest.Boards, entry)
	}
	content, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return fmt.Errorf("aggregator: cannot write the archive's manifest: %w", err)
	}
	header := &tar.Header{Name: "manifest.json", Mode: 0o644, Size: int64(len(content)), ModTime: a.Created, Format: tar.FormatPAX}
	if err := packed.WriteHeader(header); err != nil {
		return files.StorageError(err)
	}
	if _, err := packed.Write(content); err != nil {
		return files.StorageError(err)
	}
	for _, finish := range []func() error{packed.Close, compressed.Close, buffered.Flush} {
		if err := finish(); err != nil {
			return fmt.Errorf("aggregator: cannot finish the archive: %w", files.StorageError(err))
		}
	}
	return nil
}

func packFile(ctx context.Context, packed *tar.Writer, name string, file transfer.ReceivedFile, buffer []byte) (sum string, err error) {
	source, err := os.Open(file.Path)
	if err != nil {
		return "", err
	}
	defer source.Close()
	header := &tar.Header{Name: name, Mode: 0o644, Size: file.Size, ModTime: file.Received, Format: tar.FormatPAX}
	if err := packed.WriteHeader(header); err != nil {
		return "", err
	}
	digest := sha256.New()
	// The header says how long the file is; one that another process still writes to is cut, not torn.
	reader := io.LimitReader(contextReader{ctx, source}, file.Size)
	written, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(packed, digest)}, reader, buffer)
	if err != nil {
		return "", err
	}
	if written != file.Size {
		return "", fmt.Errorf("the file has shrunk from %d to %d bytes", file.Size, written)
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// writeArchive makes the archive's file. Where it fails nothing is left.
func writeArchive(ctx context.Context, archive *Archive, file string) (err error) {
	handle, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("aggregator: cannot make the archive: %w", files.StorageError(err))
	}
	defer func() {
		if err != nil {
			os.Remove(file)
		}
	}()
	if err := archive.WriteTo(ctx, handle); err != nil {
		handle.Close()
		return err
	}
	if err := handle.Close(); err != nil {
		return fmt.Errorf("aggregator: cannot make the archive: %w", files.StorageError(err))
	}
	return nil
}
