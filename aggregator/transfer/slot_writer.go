package transfer

import (
	"errors"
	"fmt"
	"io"
	"os"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
)

// slotWriter writes one file of a slot. One goroutine uses it.
type slotWriter struct {
	slot   *Slot
	file   *slotFile
	handle *os.File
	// unchecked is how many bytes may be written before the free space is looked at again.
	unchecked int64
	failure   error
	finished  bool
}

const (
	// copyBuffer is larger than io.Copy's 32 KiB: a file needs an eighth of the system calls.
	copyBuffer     = 256 << 10
	diskCheckEvery = 8 << 20
)

// ReadFrom copies until the end of from.
func (w *slotWriter) ReadFrom(from io.Reader) (total int64, err error) {
	buffer := make([]byte, copyBuffer)
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
	w.fail(err)
	return n, err
}

func (w *slotWriter) write(p []byte) (int, error) {
	if err := w.slot.takes(w.file); err != nil {
		return 0, err
	}
	receiver := w.slot.receiver
	if err := receiver.reserve(w.file.size, int64(len(p))); err != nil {
		return 0, err
	}
	if w.unchecked -= int64(len(p)); w.unchecked < 0 {
		w.unchecked = diskCheckEvery
		if free, err := files.FreeSpace(w.slot.directory); err == nil && free < receiver.config.KeepFree+diskCheckEvery {
			receiver.release(int64(len(p)))
			return 0, fmt.Errorf("%w: %d bytes are free", files.ErrDiskFull, free)
		}
	}
	n, err := w.handle.Write(p)
	receiver.release(int64(len(p) - n))
	size := w.slot.grow(w.file, n)
	if w.slot.progress != nil {
		w.slot.progress(w.file.name, size)
	}
	return n, files.StorageError(err)
}

// fail records the first error of the transfer; nil is none.
func (w *slotWriter) fail(err error) {
	if w.failure == nil {
		w.failure = err
	}
}

// Close ends the file, and removes it after an error.
func (w *slotWriter) Close() error {
	if w.finished {
		return nil
	}
	w.finished = true
	defer w.slot.writers.Done()
	w.fail(files.StorageError(w.handle.Close()))
	if w.failure == nil {
		if !w.slot.stored(w.file) {
			w.failure = errReplaced
		}
		return w.failure
	}
	w.slot.remove(w.file)
	w.slot.receiver.logger.Warn("a board's file did not arrive", zap.String("board", w.slot.board),
		zap.String("file", w.file.name), zap.Int64("bytes", w.file.size), zap.Error(w.failure))
	return w.failure
}
