package satellite_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
)

// frames returns what a backend gets for an active error of the controller, at the EVSE of its mapping.
func (s *station) frames(t *testing.T, implementation, errorType string) (old string, events []ocppframes.Frame) {
	t.Helper()
	var raised everest.Error
	waitUntil(t, errorType+" on the main board", func() bool {
		for _, active := range s.main.required(implementation).ActiveErrors() {
			if active.Type == errorType {
				raised = active
				return true
			}
		}
		return false
	})
	info := ocppframes.ErrorInfoOf(raised)
	status := "Available"
	if info.Fault {
		status = "Faulted"
	}
	return ocppframes.Frame{Action: "S", Payload: info.Payload(raised.Origin.Mapping.EVSE, status)}.String(), ocppframes.Event(raised, false)
}

// TestBackendKnowsTheBoardOfAFault: the page for operators has these very frames.
func TestBackendKnowsTheBoardOfAFault(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../doc/backend.md")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := startCabled(t, satelliteOptions{main: map[string]any{"on_loss": "isolate", "resume_window_s": 1, "link_timeout_ms": 30_000}})
	evse := s.satellite.port.module.Provides("evse_manager")
	for _, e := range []everest.Error{
		{Type: "evse_manager/Inoperative", Message: "evse_board_support/MREC17EVSEContactorFault", Description: "MREC17EVSEContactorFault", VendorID: "EVerest"},
		{Type: "evse_manager/MREC4OverCurrentFailure", Message: "38 A", Description: "Over current", VendorID: "EVerest"},
		{Type: "evse_manager/PowermeterTransactionStartFailed", Message: "no answer", Description: "Meter does not start", VendorID: "EVerest"},
	} {
		if err := evse.Raise(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	check := func(implementation, errorType, techInfo string) {
		t.Helper()
		old, events := s.frames(t, implementation, errorType)
		old = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(old, "10.0.0.2:4129")
		if !strings.Contains(string(page), "`"+old+"`") {
			t.Errorf("the page does not have OCPP 1.6's %s", old)
		}
		if text := events[0].String(); !strings.Contains(text, `"techInfo":"`+techInfo) || !strings.Contains(text, `"evse":{"connectorId":1,"id":2}`) && !strings.Contains(text, `"evse":{"id":2}`) {
			t.Errorf("OCPP 2.0.1: %s", text)
		}
		if (len(events) == 2) != strings.Contains(old, "Faulted") {
			t.Errorf("OCPP 2.0.1: %v", events)
		}
	}
	check("evse_manager", "evse_manager/Inoperative", "MREC17EVSEContactorFault")
	check("satellite", "evse_manager/MREC4OverCurrentFailure", controllerID+": Over current")
	check("satellite", "evse_manager/PowermeterTransactionStartFailed", controllerID+": Meter does not start")
	if err := evse.Clear(t.Context(), "evse_manager/Inoperative", ""); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the end of the fault", func() bool { return len(s.main.required("evse_manager").ActiveErrors()) == 0 })

	s.satellite.process.stop()
	receive(t, s.satellite.process.ended, "the agent's end")
	check("evse_manager", "evse_manager/Inoperative", "CommunicationFault")
	check("satellite", "generic/CommunicationFault", controllerID+": no link to the satellite at ")
}
