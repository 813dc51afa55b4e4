package ocppframes_test

import (
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
)

func TestUpdateOrder(t *testing.T) {
	for _, test := range []struct{ statuses, wrong string }{
		{"Downloading Downloaded SignatureVerified Installing Installed", ""},
		{"Downloading Downloaded SignatureVerified InstallRebooting Installing InstallRebooting Installed", "InstallRebooting"},
		{"Downloading Downloaded InvalidSignature", ""},
		{"DownloadFailed", ""},
		{"Downloading Downloaded Installing", "Installing"}, // a signed one is verified first
		{"Downloading Downloading", "Downloading"},
		{"Downloading Installed", "Installed"},
		{"Downloading DownloadFailed Downloading", "Downloading"},
	} {
		var order ocppframes.UpdateOrder
		order.Answer(7, true, "Accepted")
		wrong := ""
		for _, status := range strings.Fields(test.statuses) {
			if order.Hear(7, status) != nil {
				wrong = status
			}
		}
		if wrong != test.wrong {
			t.Errorf("%s: %q is wrong, want %q", test.statuses, wrong, test.wrong)
		}
	}
	var order ocppframes.UpdateOrder
	order.Answer(7, true, "Rejected")
	if order.Hear(7, "Downloading") == nil {
		t.Error("a status of a rejected request is accepted")
	}
	order.Answer(-1, false, "Rejected")
	if err := order.Hear(-1, "DownloadFailed"); err != nil {
		t.Error(err)
	}
	order.Answer(8, true, "Accepted")
	order.Answer(9, true, "AcceptedCanceled")
	if order.Hear(8, "Downloading") == nil || order.Hear(9, "Downloading") != nil {
		t.Error("statuses are not those of the latest request")
	}
}
