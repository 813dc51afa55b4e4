package transfer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"
	"github.com/spf13/afero"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
)

// ftpSession is the file system of a client that has logged in: the client can store new files, rename its own, and do
// nothing else.
type ftpSession struct {
	refusingFS
	slot   *Slot
	client ftpserver.ClientContext
	from   ftpPeer

	mu sync.Mutex
	// stored are files that are arriving or stored. unconfirmed are those of which a reply 226 was sent.
	stored, unconfirmed []*slotFile
}

// GetHandle is part of ftpserver.ClientDriverExtentionFileTransfer.
func (s *ftpSession) GetHandle(name string, flags int, offset int64) (ftpserver.FileTransfer, error) {
	if flags&os.O_WRONLY == 0 || flags&os.O_APPEND != 0 || offset != 0 {
		return nil, fs.ErrPermission
	}
	writer, err := s.slot.create(name, s.from)
	if err != nil {
		return nil, ftpError(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = append(s.stored, writer.file)
	return &ftpUpload{slotWriter: writer}, nil
}

// told notes that the client is sent a reply 226.
func (s *ftpSession) told() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unconfirmed, s.stored = append(s.unconfirmed, s.stored...), nil
}

// heard takes a command: a client that sends one has heard the replies before. ABOR takes the file before it back
// (RFC 959 section 4.1.3).
func (s *ftpSession) heard(command string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range s.unconfirmed {
		if strings.HasSuffix(command, "ABOR") {
			s.slot.abort(file)
		} else {
			s.slot.confirmed(file)
		}
	}
	s.unconfirmed = nil
}

// Stat reports the directories on the way to the slot's, because clients enter each of them, and a file that is to be
// renamed.
func (s *ftpSession) Stat(name string) (os.FileInfo, error) {
	switch {
	case s.client.GetLastCommand() == "RNFR" && s.slot.has(name):
		return renamedInfo{directoryInfo(path.Base(name))}, nil
	case s.slot.leadsHere(name):
		return directoryInfo(path.Base(name)), nil
	}
	return nil, fs.ErrNotExist
}

// Rename is part of afero.Fs.
func (s *ftpSession) Rename(from, to string) error { return ftpError(s.slot.rename(from, to)) }

// ReadDir is part of ftpserver.ClientDriverExtensionFileList.
func (s *ftpSession) ReadDir(string) ([]os.FileInfo, error) { return nil, fs.ErrPermission }

// AllocateSpace is part of ftpserver.ClientDriverExtensionAllocate.
func (s *ftpSession) AllocateSpace(size int) error {
	if int64(size) > s.slot.receiver.config.MaxFile {
		return ftpserver.ErrStorageExceeded
	}
	return nil
}

// ftpUpload is a file that is arriving.
type ftpUpload struct{ *slotWriter }

func (u *ftpUpload) Write(p []byte) (int, error) {
	n, err := u.slotWriter.Write(p)
	return n, ftpError(err)
}

// ReadFrom copies from the data connection; the library calls it.
func (u *ftpUpload) ReadFrom(from io.Reader) (int64, error) {
	if data, ok := from.(stallConn); ok {
		if err := u.slot.join(data); err != nil {
			return 0, err
		}
		defer u.slot.leave(data)
	}
	n, err := u.slotWriter.ReadFrom(from)
	return n, ftpError(err)
}

// Close is called at the end of the data connection, after TransferError where there was one.
func (u *ftpUpload) Close() error { return ftpError(u.slotWriter.Close()) }

// TransferError is part of ftpserver.FileTransferError.
func (u *ftpUpload) TransferError(err error) { u.fail(err) }

func (u *ftpUpload) Read([]byte) (int, error)       { return 0, fs.ErrPermission }
func (u *ftpUpload) Seek(int64, int) (int64, error) { return 0, fs.ErrPermission }

// ftpError gives an error its FTP reply code.
func ftpError(err error) error {
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, files.ErrDiskFull):
		return errors.Join(ftpserver.ErrStorageExceeded, err)
	case errors.Is(err, errExists), errors.Is(err, errTooMany), errors.Is(err, files.ErrName), errors.Is(err, fs.ErrPermission):
		return errors.Join(ftpserver.ErrFileNameNotAllowed, err)
	}
	return err
}

// refusingFS is a file system that refuses every operation.
type refusingFS struct{}

func (refusingFS) Create(string) (afero.File, error)  { return nil, fs.ErrPermission }
func (refusingFS) Mkdir(string, os.FileMode) error    { return fs.ErrPermission }
func (refusingFS) MkdirAll(string, os.FileMode) error { return fs.ErrPermission }
func (refusingFS) Open(string) (afero.File, error)    { return nil, fs.ErrPermission }
func (refusingFS) OpenFile(string, int, os.FileMode) (afero.File, error) {
	return nil, fs.ErrPermission
}
func (refusingFS) Remove(string) error                        { return fs.ErrPermission }
func (refusingFS) RemoveAll(string) error                     { return fs.ErrPermission }
func (refusingFS) Rename(string, string) error                { return fs.ErrPermission }
func (refusingFS) Stat(string) (os.FileInfo, error)           { return nil, fs.ErrPermission }
func (refusingFS) Name() string                               { return "upload only" }
func (refusingFS) Chmod(string, os.FileMode) error            { return fs.ErrPermission }
func (refusingFS) Chown(string, int, int) error               { return fs.ErrPermission }
func (refusingFS) Chtimes(string, time.Time, time.Time) error { return fs.ErrPermission }

// directoryInfo describes a directory that exists for the client alone.
type directoryInfo string

func (d directoryInfo) Name() string     { return string(d) }
func (directoryInfo) Size() int64        { return 0 }
func (directoryInfo) Mode() os.FileMode  { return os.ModeDir | 0o300 }
func (directoryInfo) ModTime() time.Time { return time.Time{} }
func (directoryInfo) IsDir() bool        { return true }
func (directoryInfo) Sys() any           { return nil }

// renamedInfo describes a file that is to be renamed.
type renamedInfo struct{ directoryInfo }

func (renamedInfo) Mode() os.FileMode { return 0o200 }
func (renamedInfo) IsDir() bool       { return false }
