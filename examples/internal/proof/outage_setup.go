package proof

import (
	"encoding/json"
	"os"
	"time"
)

// Outage is what the scenarios of a lost satellite add to a station: boards that are started again, and a cable between
// them.
type Outage struct {
	// OnLoss is the key on_loss of the controller.
	OnLoss string
	// Deadline is the key session_deadline_s of the controller, 0 for its default.
	Deadline int
	// Store is true for EvseManagers that keep their session in a PersistentStore.
	Store bool
	// Absent is true for a satellite that is not there when the main board starts.
	Absent bool
}

// storeID is the module id of the PersistentStore of a board.
const storeID = "persistent_store"

// meterInterval is the interval of the MeterValues that OCPP sends, in seconds.
const meterInterval = 5

// realPace is the pace of a station of real modules.
var realPace = pace{quicker: 1, limitLife: limitLife, maxCardWait: 2 * time.Second, maxLimitGap: 1500 * time.Millisecond, maxStale: 8}

// apply adds the outage's part to the configuration of a board.
func (o Outage) apply(modules []module, where places) []module {
	system := false
	for i := range modules {
		m := &modules[i]
		switch m.name {
		case "EvseManager":
			m.config["external_ready_to_start_charging"] = true // OCPP gives the ready
			if o.Store {
				m.connections["store"] = []string{storeID + "/main"}
			}
		case "SatelliteController":
			m.config["on_loss"] = o.OnLoss
			if o.Deadline > 0 {
				m.config["session_deadline_s"] = o.Deadline
			}
		case "MainProbe":
			m.connections["satellite_system"] = []string{controllerID + "/system"}
		case "SatelliteAgent":
			m.connections["system"] = []string{"system/main"}
			system = true
		}
	}
	if system {
		modules = append(modules, module{id: "system", name: "System"})
	}
	if o.Store {
		modules = append(modules, module{id: storeID, name: "PersistentStore", config: map[string]any{
			"sqlite_db_file_path": where.folder + "/store.db",
		}})
	}
	return modules
}

// sampleOften makes OCPP send the meter values of a transaction often enough to compare them.
func sampleOften(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var config map[string]map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return err
	}
	config["Core"]["MeterValueSampleInterval"] = meterInterval
	config["Core"]["NumberOfConnectors"] = remote
	if text, err = json.MarshalIndent(config, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
