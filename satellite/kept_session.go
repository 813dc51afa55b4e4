package satellite

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/durable"
	"github.com/remotechargeport/remotechargeport/satellite/internal/occupancy"
)

// maxKeptSession bounds the file of a kept session.
const maxKeptSession = 256 << 10

// keptSession is the open transaction on disk, so that a main board that restarts without its satellite can resume it
// before OCPP ends it. A nil keptSession keeps nothing.
type keptSession struct {
	path string
	log  *zap.Logger
}

// newKeptSession returns what is kept in a file, nil where there is no path.
func newKeptSession(path string, log *zap.Logger) *keptSession {
	if path == "" {
		return nil
	}
	return &keptSession{path: path, log: log}
}

// read returns the transaction that was kept, nil for none.
func (k *keptSession) read() *occupancy.Kept {
	if k == nil {
		return nil
	}
	if err := durable.Sweep(k.path); err != nil {
		k.log.Debug("a file that was not written to its end stays", zap.Error(err))
	}
	file, err := os.Open(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var kept occupancy.Kept
	if err == nil {
		defer file.Close()
		err = json.NewDecoder(io.LimitReader(file, maxKeptSession)).Decode(&kept)
	}
	if err != nil {
		k.log.Warn("the transaction that was kept cannot be read", zap.String("path", k.path), zap.Error(err))
		return nil
	}
	return &kept
}

// write replaces the transaction, and removes it if kept has none.
func (k *keptSession) write(kept occupancy.Kept) {
	if k == nil {
		return
	}
	if err := k.replace(kept); err != nil {
		k.log.Warn("the open transaction cannot be kept on disk: after a restart without the satellite OCPP ends it",
			zap.String("path", k.path), zap.Error(err))
	}
}

func (k *keptSession) replace(kept occupancy.Kept) error {
	if kept.Session == "" {
		return durable.Remove(k.path)
	}
	content, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return durable.Replace(k.path, content, 0o600)
}

// stateFile returns the path of a module's file, empty where there is no state directory. The suffix tells a module's
// files apart. systemd sets STATE_DIRECTORY to the directories of the unit's key StateDirectory, separated by colons.
func stateFile(directory, moduleID, suffix string) string {
	if directory == "" {
		directory, _, _ = strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
	}
	if directory == "" {
		return ""
	}
	return filepath.Join(directory, filepath.Base(moduleID)+suffix)
}
