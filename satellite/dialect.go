package satellite

import (
	"fmt"

	"github.com/remotechargeport/remotechargeport/handshake"
)

// dialectsOf reads the configuration key dialect; empty is its default.
func dialectsOf(key string) (handshake.Dialects, error) {
	switch key {
	case "", "auto":
		return handshake.AnyDialect, nil
	case "legacy":
		return handshake.OnlyLegacy, nil
	case "v2":
		return handshake.OnlyV2, nil
	}
	return 0, fmt.Errorf("satellite: the configuration key dialect is %q: it must be auto, legacy or v2", key)
}

// onLossOf reads the configuration key on_loss; empty is its default.
func onLossOf(key string) (handshake.LossPolicy, error) {
	switch key {
	case "", "restart":
		return handshake.RestartOnLoss, nil
	case "isolate":
		return handshake.IsolateOnLoss, nil
	}
	return 0, fmt.Errorf("satellite: the configuration key on_loss is %q: it must be restart or isolate", key)
}
