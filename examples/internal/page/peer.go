package page

import (
	"fmt"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// peer returns a line about the peer of a module and the link to it.
func peer(status control.Status) string {
	if status.Station != nil {
		connected := 0
		for _, board := range status.Station.Boards {
			if board.Connected {
				connected++
			}
		}
		return fmt.Sprintf("%d of %s connected", connected, verdict.Count(uint64(len(status.Station.Boards)), "board", "boards"))
	}
	link := status.Link
	if link == nil {
		return ""
	}
	var parts []string
	if link.PeerAddress != "" {
		parts = append(parts, link.PeerAddress)
	}
	if link.Dialect != "" {
		parts = append(parts, link.Dialect)
	}
	switch link.Security {
	case "plain":
		parts = append(parts, "not encrypted")
	case "mutual-tls":
		parts = append(parts, "encrypted")
	}
	return strings.Join(parts, " · ")
}
