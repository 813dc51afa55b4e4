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
	"slices"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/logs"
	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
)

// archive is the content of the station's one file: a gzipped tar with one folder for each board and a manifest.json.
type archive struct {
	// Type is the requested log type, empty for OCPP 1.6's diagnostics.
	Type string
	// RequestID is the backend's, logs.NoRequestID without.
	RequestID int64
	Created   time.Time
	Boards    []archiveBoard
}

// archiveBoard is one board's part.
type archiveBoard struct {
	// Name is the board's, and that of the folder.
	Name  string
	Files []transfer.ReceivedFile
	// Problems are what is missing, and why.
	Problems []string
}

func (a *archive) hasFiles() bool {
	return slices.ContainsFunc(a.Boards, func(board archiveBoard) bool { return len(board.Files) > 0 })
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

// write streams the archive, in the same memory for files of any size. The manifest is the last entry, because it has
// the digests. The end of ctx ends it between two reads.
func (a *archive) write(ctx context.Context, w io.Writer) error {
	buffered := bufio.NewWriterSize(w, archiveBuffer)
	compressed := gzip.NewWriter(buffered)
	packed := tar.NewWriter(compressed)
	manifest := archiveManifest{Type: a.Type, Created: a.Created.UTC()}
	if a.RequestID != logs.NoRequestID {
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
	// The header has the length: a file that still grows is cut there.
	reader := io.LimitReader(readerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return source.Read(p)
	}), file.Size)
	written, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(packed, digest)}, reader, buffer)
	if err != nil {
		return "", err
	}
	if written != file.Size {
		return "", fmt.Errorf("the file has shrunk from %d to %d bytes", file.Size, written)
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// writeFile writes the archive to a new file, and leaves none after an error.
func (a *archive) writeFile(ctx context.Context, path string) (err error) {
	handle, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("aggregator: cannot make the archive: %w", files.StorageError(err))
	}
	defer func() {
		if err != nil {
			os.Remove(path)
		}
	}()
	if err := a.write(ctx, handle); err != nil {
		handle.Close()
		return err
	}
	if err := handle.Close(); err != nil {
		return fmt.Errorf("aggregator: cannot make the archive: %w", files.StorageError(err))
	}
	return nil
}
