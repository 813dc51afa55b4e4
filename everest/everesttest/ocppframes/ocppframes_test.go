package ocppframes_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
)

// story plays values of the interface system, such as "firmware 7 Installed", and returns the frames.
func story(t *testing.T, version ocppframes.Version, values string) string {
	t.Helper()
	module := ocppframes.New(version)
	var got []string
	for value := range strings.SplitSeq(values, ", ") {
		var kind, status string
		var id int64
		if _, err := fmt.Sscan(value, &kind, &id, &status); err != nil {
			t.Fatal(err)
		}
		report := module.Firmware
		if kind == "log" {
			report = module.Logs
		}
		frames, err := report(id, status)
		if err != nil {
			got = append(got, "ends")
		}
		for _, frame := range frames {
			got = append(got, frame.String())
		}
	}
	return strings.Join(got, "\n")
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		version ocppframes.Version
		values  string
		want    []string
	}{
		{"1.6", "firmware -1 Downloading, firmware -1 Downloaded, firmware -1 InstallRebooting, firmware -1 Installed", []string{
			`FirmwareStatusNotification {"status":"Downloading"}`, `FirmwareStatusNotification {"status":"Downloaded"}`,
			`FirmwareStatusNotification {"status":"Installed"}`}},
		{"1.6", "firmware 7 InstallRebooting, firmware 7 InvalidSignature, firmware 7 InvalidSignature", []string{
			`SignedFirmwareStatusNotification {"requestId":7,"status":"InstallRebooting"}`,
			`SignedFirmwareStatusNotification {"requestId":7,"status":"InvalidSignature"}`, `SecurityEventNotification {"type":"InvalidFirmwareSignature"}`,
			`SignedFirmwareStatusNotification {"requestId":7,"status":"InvalidSignature"}`, `SecurityEventNotification {"type":"InvalidFirmwareSignature"}`}},
		{"2.0.1", "firmware 7 Downloading, firmware 7 Downloading, firmware 8 Downloading, firmware 8 InvalidSignature", []string{
			`FirmwareStatusNotification {"requestId":7,"status":"Downloading"}`, `FirmwareStatusNotification {"requestId":8,"status":"Downloading"}`,
			`FirmwareStatusNotification {"requestId":8,"status":"InvalidSignature"}`, `SecurityEventNotification {"type":"InvalidFirmwareSignature"}`}},
		{"2.0.1", "firmware -1 Installed, firmware -1 Installed", []string{
			`FirmwareStatusNotification {"status":"Installed"}`, `SecurityEventNotification {"type":"FirmwareUpdated"}`}},
		{"1.6", "log -1 Uploading, log -1 UploadFailure, log -1 BadMessage", []string{
			`DiagnosticsStatusNotification {"status":"Uploading"}`, `DiagnosticsStatusNotification {"status":"UploadFailed"}`, "ends"}},
		{"1.6", "log 5 Uploading, log 5 BadMessage, log 5 AcceptedCanceled", []string{
			`LogStatusNotification {"requestId":5,"status":"Uploading"}`, `LogStatusNotification {"requestId":5,"status":"BadMessage"}`, "ends"}},
		{"2.0.1", "log 5 AcceptedCanceled, log 6 Uploaded, log 6 Nonsense, firmware 6 Nonsense", []string{
			`LogStatusNotification {"requestId":5,"status":"AcceptedCanceled"}`, `LogStatusNotification {"requestId":6,"status":"Uploaded"}`, "ends", "ends"}},
	} {
		if got := story(t, test.version, test.values); got != strings.Join(test.want, "\n") {
			t.Errorf("OCPP %s, %s:\n%s", test.version, test.values, got)
		}
	}
}

func TestUpdateAnswered(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		version        ocppframes.Version
		status, frames string
	}{
		{"2.0.1", "Accepted", "[]"}, {"1.6", "InvalidCertificate", "[]"},
		{"2.0.1", "InvalidCertificate", `[SecurityEventNotification {"type":"InvalidFirmwareSigningCertificate"}]`},
		{"2.0.1", "RevokedCertificate", `[SecurityEventNotification {"type":"InvalidFirmwareSigningCertificate"}]`},
	} {
		if got := fmt.Sprint(ocppframes.New(test.version).UpdateAnswered(test.status)); got != test.frames {
			t.Errorf("OCPP %s, %s: %s", test.version, test.status, got)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	connector := 1
	origin := everest.Origin{ModuleID: "connector_2", ImplementationID: "satellite", Mapping: &everest.Mapping{EVSE: 2, Connector: &connector}}
	long := strings.Repeat("x", 300)
	for _, test := range []struct {
		raised      everest.Error
		old, status string
		events      []string
	}{
		{everest.Error{Type: "evse_board_support/MREC2GroundFailure", Description: "d", Origin: origin},
			`{"connectorId":2,"errorCode":"GroundFailure","status":"Charging","vendorErrorCode":"CX002","vendorId":"https://chargex.inl.gov"}`, "Charging",
			[]string{`"techCode":"CX002","techInfo":"d"`}},
		{everest.Error{Type: "evse_manager/Inoperative", Message: "connector_2: " + long, Description: "MREC17", VendorID: "EVerest", Origin: origin},
			`{"connectorId":2,"errorCode":"OtherError","info":"` + ("caused_by:connector_2: " + long)[:50] + `","status":"Faulted","vendorErrorCode":"MREC17","vendorId":"EVerest"}`, "Faulted",
			[]string{`"component":{"evse":{"connectorId":1,"id":2},"name":"EVSE"}`, `StatusNotification {"connectorId":1,"connectorStatus":"Faulted","evseId":2}`}},
		{everest.Error{Type: "generic/VendorError", SubType: "S bsp/x", Message: "m", Description: "connector_2: hot", Origin: everest.Origin{ModuleID: "connector_2", ImplementationID: "satellite"}},
			`{"connectorId":2,"errorCode":"OtherError","info":"connector_2->satellite","status":"Available","vendorErrorCode":"VendorError/S bsp/x","vendorId":"m"}`, "Available",
			[]string{`"component":{"name":"ChargingStation"}`}},
		{everest.Error{Type: "powermeter/CommunicationFault", Origin: origin}, `{"connectorId":2,"errorCode":"PowerMeterFailure","status":"Available"}`, "Available",
			[]string{`"techCode":"powermeter/CommunicationFault"`}},
	} {
		info := ocppframes.ErrorInfoOf(test.raised)
		if got := (ocppframes.Frame{Payload: info.Payload(2, test.status)}).String(); got != " "+test.old || info.Fault != (test.status == "Faulted") {
			t.Errorf("%s in OCPP 1.6: %s", test.raised.Type, got)
		}
		frames := ocppframes.Event(test.raised, false)
		if len(frames) != len(test.events) {
			t.Fatalf("%s in OCPP 2.0.1: %v", test.raised.Type, frames)
		}
		for i, want := range test.events {
			if !strings.Contains(frames[i].String(), want) {
				t.Errorf("%s in OCPP 2.0.1: %s", test.raised.Type, frames[i])
			}
		}
		if cleared := ocppframes.Event(test.raised, true); len(cleared) != 1 || !strings.Contains(cleared[0].String(), `"actualValue":"false"`) {
			t.Errorf("%s cleared: %v", test.raised.Type, cleared)
		}
	}
}

func TestDataTransfer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		version            ocppframes.Version
		status, data, want string
	}{
		{"1.6", "Accepted", `{"a":1}`, `{"data":"{\"a\":1}","status":"Accepted"}`},
		{"2.0.1", "Accepted", `{"a":1}`, `{"data":{"a":1},"status":"Accepted"}`},
		{"1.6", "Rejected", "no JSON", `{"data":"no JSON","status":"Rejected"}`},
		{"2.0.1", "Rejected", "no JSON", "ends"},
		{"2.0.1", "Offline", "", `{"status":"UnknownVendorId"}`},
	} {
		payload, err := test.version.DataTransfer(test.status, test.data)
		got := strings.TrimSpace(ocppframes.Frame{Payload: payload}.String())
		if err != nil {
			got = "ends"
		}
		if got != test.want {
			t.Errorf("OCPP %s, %s %s: %s", test.version, test.status, test.data, got)
		}
	}
}
