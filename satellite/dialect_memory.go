package satellite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/durable"
	"github.com/remotechargeport/remotechargeport/handshake"
)

// dialectMemory remembers for the next process which dialect the other board spoke last. With one that spoke legacy the
// link begins with small segments, and the loss policy auto waits for it in a controller's start. The memory is a file in
// the service's state directory. The zero value, without such a directory, remembers nothing.
type dialectMemory struct{ path string }

// legacy reports whether the other board spoke legacy last. Without a memory it returns false.
func (m dialectMemory) legacy() (bool, error) {
	if m.path == "" {
		return false, nil
	}
	content, err := os.ReadFile(m.path)
	if err == nil {
		err = durable.Sweep(m.path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("satellite: the last dialect of the other board cannot be read: %w", err)
	}
	switch name := strings.TrimSpace(string(content)); name {
	case handshake.Legacy.Name():
		return true, nil
	case handshake.V2.Name():
		return false, nil
	default:
		return false, fmt.Errorf("satellite: %s holds %.40q, which is no dialect", m.path, name)
	}
}

// remember keeps the dialect that the other board speaks. A file that holds it already is not written again, because
// flash memory wears out.
func (m dialectMemory) remember(dialect handshake.Dialect) error {
	content := dialect.Name() + "\n"
	if before, err := os.ReadFile(m.path); m.path == "" || err == nil && string(before) == content {
		return nil
	}
	if err := durable.Replace(m.path, []byte(content), 0o640); err != nil {
		return fmt.Errorf("satellite: the dialect of the other board cannot be remembered: %w", err)
	}
	return nil
}
