package bindings_test

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/bindings/types"
)

// objects are the types of package types that are objects.
var objects = map[string]any{
	"/authorization#/CustomIdToken":             types.AuthorizationCustomIdToken{},
	"/authorization#/IdToken":                   types.AuthorizationIdToken{},
	"/authorization#/ProvidedIdToken":           types.AuthorizationProvidedIdToken{},
	"/authorization#/ValidationResult":          types.AuthorizationValidationResult{},
	"/energy#/EnforcedLimits":                   types.EnergyEnforcedLimits{},
	"/energy#/IntegerWithSource":                types.EnergyIntegerWithSource{},
	"/energy#/LimitsRes":                        types.EnergyLimitsRes{},
	"/energy#/NumberWithSource":                 types.EnergyNumberWithSource{},
	"/energy#/ScheduleResEntry":                 types.EnergyScheduleResEntry{},
	"/energy_price_information#/PricePerkWh":    types.EnergyPriceInformationPricePerkWh{},
	"/evse_board_support#/HardwareCapabilities": types.EvseBoardSupportHardwareCapabilities{},
	"/evse_board_support#/Telemetry":            types.EvseBoardSupportTelemetry{},
	"/evse_manager#/AuthorizationEvent":         types.EvseManagerAuthorizationEvent{},
	"/evse_manager#/ChargingPausedEVSEReasons":  types.EvseManagerChargingPausedEVSEReasons{},
	"/evse_manager#/ChargingStateChangedEvent":  types.EvseManagerChargingStateChangedEvent{},
	"/evse_manager#/Connector":                  types.EvseManagerConnector{},
	"/evse_manager#/EVInfo":                     types.EvseManagerEVInfo{},
	"/evse_manager#/EnableDisableSource":        types.EvseManagerEnableDisableSource{},
	"/evse_manager#/Evse":                       types.EvseManagerEvse{},
	"/evse_manager#/HlcSessionFailedEvent":      types.EvseManagerHlcSessionFailedEvent{},
	"/evse_manager#/Limits":                     types.EvseManagerLimits{},
	"/evse_manager#/PlugAndChargeConfiguration": types.EvseManagerPlugAndChargeConfiguration{},
	"/evse_manager#/SessionEvent":               types.EvseManagerSessionEvent{},
	"/evse_manager#/SessionFinished":            types.EvseManagerSessionFinished{},
	"/evse_manager#/SessionStarted":             types.EvseManagerSessionStarted{},
	"/evse_manager#/StopTransactionRequest":     types.EvseManagerStopTransactionRequest{},
	"/evse_manager#/TransactionFinished":        types.EvseManagerTransactionFinished{},
	"/evse_manager#/TransactionStarted":         types.EvseManagerTransactionStarted{},
	"/iso15118#/CertificateHashDataInfo":        types.Iso15118CertificateHashDataInfo{},
	"/powermeter#/Powermeter":                   types.Powermeter{},
	"/temperature#/Temperature":                 types.Temperature{},
	"/text_message#/MessageContent":             types.TextMessageContent{},
	"/units#/Current":                           types.UnitsCurrent{},
	"/units#/Energy":                            types.UnitsEnergy{},
	"/units#/Frequency":                         types.UnitsFrequency{},
	"/units#/Power":                             types.UnitsPower{},
	"/units#/ReactivePower":                     types.UnitsReactivePower{},
	"/units#/Voltage":                           types.UnitsVoltage{},
	"/units_signed#/Current":                    types.UnitsSignedCurrent{},
	"/units_signed#/Energy":                     types.UnitsSignedEnergy{},
	"/units_signed#/Frequency":                  types.UnitsSignedFrequency{},
	"/units_signed#/Power":                      types.UnitsSignedPower{},
	"/units_signed#/ReactivePower":              types.UnitsSignedReactivePower{},
	"/units_signed#/SignedMeterValue":           types.UnitsSignedMeterValue{},
	"/units_signed#/Voltage":                    types.UnitsSignedVoltage{},
}

// A value of any release decodes: it has what that release requires. One without what all releases require does not.
//
// testdata/required.json has, for each type, the properties that are required from a release on. They are those of EVerest's
// definitions at the tags from 2024.3.0 to 2026.02.0.
func TestValuesOfEveryRelease(t *testing.T) {
	content, err := os.ReadFile("testdata/required.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded map[string]map[string][]string
	if err := json.Unmarshal(content, &recorded); err != nil {
		t.Fatal(err)
	}
	if len(recorded) != len(objects) {
		t.Errorf("%d types are recorded, and %d are here", len(recorded), len(objects))
	}
	for reference, object := range objects {
		decode := func(value map[string]json.RawMessage) error {
			encoded, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			return json.Unmarshal(encoded, reflect.New(reflect.TypeOf(object)).Interface())
		}
		var always []string
		for release, required := range recorded[reference] {
			if err := decode(sample(t, object, required)); err != nil {
				t.Errorf("%s of %s with %v: %v", reference, release, required, err)
			}
			if always == nil {
				always = append(always, required...)
			}
			always = slices.DeleteFunc(always, func(name string) bool { return !slices.Contains(required, name) })
		}
		for _, name := range always {
			value := sample(t, object, always)
			delete(value, name)
			if err := decode(value); err == nil {
				t.Errorf("%s decodes without %s, which every release requires", reference, name)
			}
		}
	}
}

// sample returns a value of an object with these properties. What is no field of it is a number.
func sample(t *testing.T, object any, properties []string) map[string]json.RawMessage {
	t.Helper()
	value := map[string]json.RawMessage{}
	for _, name := range properties {
		value[name] = json.RawMessage("1")
		for field := range reflect.TypeOf(object).Fields() {
			if tag, _, _ := strings.Cut(field.Tag.Get("json"), ","); tag != name {
				continue
			}
			of := field.Type
			if of.Kind() == reflect.Pointer {
				of = of.Elem()
			}
			encoded, err := json.Marshal(reflect.Zero(of).Interface())
			if err != nil {
				t.Fatal(err)
			}
			value[name] = encoded
		}
	}
	return value
}
