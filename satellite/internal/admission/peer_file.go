package admission

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"

	"github.com/remotechargeport/remotechargeport/everest/durable"
)

// peerFile keeps the address of the link's peer across restarts.
type peerFile struct{ path string }

// maxPeerFile is the size of the file in bytes from which its content is not read: an address has at most 45.
const maxPeerFile = 256

// read returns the address, empty where there is no file.
func (f *peerFile) read() (string, error) {
	if err := durable.Sweep(f.path); err != nil {
		return "", err
	}
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxPeerFile))
	if err != nil {
		return "", err
	}
	address, err := netip.ParseAddr(string(bytes.TrimSpace(content)))
	if err != nil {
		return "", fmt.Errorf("satellite: %s: %w", f.path, err)
	}
	return address.String(), nil
}

// write replaces the file. After a loss of power there is the old or the new one.
func (f *peerFile) write(address string) error {
	return durable.Replace(f.path, []byte(address+"\n"), 0o600)
}
