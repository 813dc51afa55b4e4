package transfer

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
)

// nameOf returns the name of a file at a path that a client gave: the slot's directory, and a name.
func (s *Slot) nameOf(clientPath string) (string, error) {
	directory, name := path.Split(path.Clean(clientPath))
	if path.Base(directory) != s.token {
		return "", fs.ErrPermission
	}
	return files.SafeName(name)
}

// create begins a file at a path that a client gave. It replaces a file of that name that is not complete: its sender is
// trying again, and the connection of its first attempt may still be open, because nothing told this end that it is dead.
func (s *Slot) create(clientPath string, from sender) (*slotWriter, error) {
	name, err := s.nameOf(clientPath)
	if err != nil {
		return nil, err
	}
	writer, replaced, err := s.begin(name, from)
	if replaced != nil && replaced != from {
		replaced.Close()
	}
	return writer, err
}

// begin begins a file, and returns the sender of the one that it replaces.
func (s *Slot) begin(name string, from sender) (*slotWriter, sender, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, maxFiles := s.files[name], s.receiver.config.MaxFiles
	switch {
	case s.closed:
		return nil, nil, errClosed
	case old != nil && old.state == fileComplete:
		return nil, nil, errExists
	case (old == nil && len(s.files) >= maxFiles) || s.attempts >= 8*maxFiles:
		return nil, nil, errTooMany
	}
	s.attempts++
	file := &slotFile{name: name, path: filepath.Join(s.directory, fmt.Sprint(s.attempts)), sender: from}
	handle, err := os.OpenFile(file.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, nil, files.StorageError(err)
	}
	replaced := s.replaceLocked(old)
	s.files[name] = file
	s.writers.Add(1)
	return &slotWriter{slot: s, file: file, handle: handle}, replaced, nil
}

// replaceLocked forgets a file that is not complete, and returns its sender. nil is none. A file that is still arriving is
// removed by its writer.
func (s *Slot) replaceLocked(old *slotFile) sender {
	if old == nil {
		return nil
	}
	delete(s.files, old.name)
	if old.state != fileArriving {
		s.discard(old)
	}
	s.changedLocked()
	return old.sender
}

func (s *Slot) discard(file *slotFile) {
	os.Remove(file.path)
	s.receiver.release(file.size)
}

// takes returns an error where the slot no longer wants the file's content.
func (s *Slot) takes(file *slotFile) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosed
	case s.files[file.name] != file:
		return errReplaced
	}
	return nil
}

// grow counts bytes of a file and returns its size.
func (s *Slot) grow(file *slotFile, bytes int) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	file.size += int64(bytes)
	return file.size
}

// stored ends a file that arrived, and reports whether the slot still wants it.
func (s *Slot) stored(file *slotFile) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files[file.name] != file {
		s.discard(file)
		return false
	}
	file.state, file.when = fileStored, time.Now()
	s.changedLocked()
	return true
}

// confirmed makes a stored file a complete one.
func (s *Slot) confirmed(file *slotFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files[file.name] == file && file.state == fileStored {
		file.state = fileComplete
		s.changedLocked()
	}
}

// remove removes a file that did not arrive: its sender may try again.
func (s *Slot) remove(file *slotFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files[file.name] == file {
		delete(s.files, file.name)
	}
	s.discard(file)
	s.changedLocked()
}

// abort removes a file whose sender gives it up after its end.
func (s *Slot) abort(file *slotFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files[file.name] == file && file.state == fileStored {
		s.replaceLocked(file)
	}
}

// has reports whether a client's path is that of a complete file.
func (s *Slot) has(clientPath string) bool {
	name, err := s.nameOf(clientPath)
	s.mu.Lock()
	defer s.mu.Unlock()
	return err == nil && s.files[name] != nil && s.files[name].state == fileComplete
}

// rename gives a complete file another name within the slot: some clients upload under a temporary one.
func (s *Slot) rename(from, to string) error {
	oldName, err := s.nameOf(from)
	if err != nil {
		return err
	}
	newName, err := s.nameOf(to)
	if err != nil {
		return err
	}
	replaced, err := s.move(oldName, newName)
	if replaced != nil {
		replaced.Close()
	}
	return err
}

// move returns the sender of the file that the renamed one replaces.
func (s *Slot) move(oldName, newName string) (sender, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, target := s.files[oldName], s.files[newName]
	switch {
	case s.closed:
		return nil, errClosed
	case file == nil || file.state != fileComplete:
		return nil, fs.ErrNotExist
	case file == target:
		return nil, nil
	case target != nil && target.state == fileComplete:
		return nil, errExists
	}
	replaced := s.replaceLocked(target)
	if replaced == file.sender {
		replaced = nil
	}
	delete(s.files, oldName)
	file.name, s.files[newName] = newName, file
	return replaced, nil
}
