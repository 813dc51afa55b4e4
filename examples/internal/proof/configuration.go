package proof

import (
	"strings"
)

// module is an entry of a board's configuration.
type module struct {
	id, name        string
	config          map[string]any
	implementations map[string]map[string]any
	// connections are by requirement, each written as "module/implementation".
	connections map[string][]string
	// evse is the mapping of the module, 0 for none, and evses the mappings of its implementations.
	evse  int
	evses map[string]int
	// standalone is true for a module that the manager does not start.
	standalone bool
}

// places are where the parts of a station find each other and their files.
type places struct {
	// address and port are where the agent listens.
	address string
	port    int
	// folder is for the files of a board's modules.
	folder string
	// linkTimeout is the key link_timeout_ms of the Go controller, 0 for its default.
	linkTimeout int
	// resumeWindow is the key resume_window_s of the Go controller, 0 for its default.
	resumeWindow int
	// v2gInterface is the network interface for ISO 15118.
	v2gInterface string
	// ocppConfig is the file with OCPP's configuration.
	ocppConfig string
}

// mainBoard returns the configuration of the main board.
func mainBoard(pairing Pairing, setup Setup, where places) []module {
	local, remote, validator := setup.LocalID, controllerID, probeID+"/validator"
	if setup.Contract {
		validator = "ocpp/auth_validator"
	}
	modules := []module{
		{id: probeID, name: "MainProbe", standalone: true, evses: map[string]int{powerpath: 1}, connections: map[string][]string{
			"evse_manager": {local + "/evse", remote + "/evse_manager"}, "auth": {"auth/main"}, "error_history": {"error_history/error_history"},
			"token_provider": {remote + "/auth_token_provider"},
		}},
		evseManager(local, 1, Setup{}),
		{id: remote, name: "SatelliteController", evse: 2, config: controllerConfig(pairing, where), connections: map[string][]string{"auth": {"auth/main"}}},
		{id: "auth", name: "Auth", config: map[string]any{"connection_timeout": 120, "selection_algorithm": "FindFirst"}, connections: map[string][]string{
			"token_provider":  {probeID + "/reader", local + "/token_provider", remote + "/auth_token_provider", remote + "/rfid_token_provider"},
			"token_validator": {validator}, "evse_manager": {local + "/evse", remote + "/evse_manager"},
		}},
		{id: nodeID, name: "EnergyNode", config: map[string]any{"fuse_limit_A": fuseLimit, "phase_count": 3}, connections: map[string][]string{
			"energy_consumer": {local + "/energy_grid", remote + "/energy"},
		}},
		{id: "energy_manager", name: "EnergyManager", connections: map[string][]string{"energy_trunk": {nodeID + "/energy_grid"}}},
		{id: "error_history", name: "ErrorHistory", implementations: map[string]map[string]any{
			"error_history": {"database_path": where.folder + "/error_history.db"},
		}},
	}
	modules = append(modules, simulators()...)
	if setup.Backend {
		modules = append(modules, backendModules(local, remote, where)...)
	}
	return modules
}

// backendModules returns OCPP and what it requires.
func backendModules(local, remote string, where places) []module {
	return []module{
		{id: "ocpp", name: "OCPP", config: map[string]any{
			"ChargePointConfigPath": where.ocppConfig, "UserConfigPath": where.folder + "/ocpp-user.json",
			"DatabasePath": where.folder + "/ocpp", "MessageLogPath": where.folder + "/ocpp-messages",
		}, connections: map[string][]string{
			"evse_manager": {local + "/evse", remote + "/evse_manager"}, "auth": {"auth/main"}, "reservation": {"auth/reservation"},
			"system": {"system/main"}, "security": {"evse_security/main"}, "extensions_15118": {remote + "/iso15118_extensions"},
		}},
		{id: "system", name: "System"},
		{id: "evse_security", name: "EvseSecurity", config: map[string]any{"private_key_password": "123456"}},
	}
}

// satelliteBoard returns the configuration of the satellite.
func satelliteBoard(pairing Pairing, setup Setup, where places) []module {
	port := setup.SatelliteID
	energy := port
	if setup.Node {
		energy = nodeID
	}
	modules := []module{
		{id: probeID, name: "SatelliteProbe", standalone: true, evses: map[string]int{powerpath: 1}, connections: map[string][]string{
			"evse_manager": {port + "/evse"},
		}},
		evseManager(port, setup.ConnectorID, setup),
		{id: "remote_controller", name: "SatelliteAgent", config: agentConfig(pairing, where), connections: map[string][]string{
			"evse_manager": {port + "/evse"}, "energy": {energy + "/energy_grid"}, "auth_token_provider": {port + "/token_provider"},
			"rfid_token_provider": {probeID + "/reader"}, "iso15118_extensions": {probeID + "/" + extensions},
		}},
	}
	modules = append(modules, simulators()...)
	if setup.DC || setup.HLC {
		car := modules[len(modules)-1]
		car.connections["slac"] = []string{"slac/ev"}
		modules = append(modules, module{id: "slac", name: "SlacSimulator"})
	}
	if setup.Node {
		modules = append(modules, module{id: nodeID, name: "EnergyNode", config: map[string]any{"fuse_limit_A": satelliteFuse, "phase_count": 3},
			connections: map[string][]string{"energy_consumer": {port + "/energy_grid"}}})
	}
	if setup.DC {
		modules = append(modules, dcSimulators()...)
	}
	if setup.HLC {
		modules = append(modules,
			module{id: hlcID, name: "EvseV2G", config: map[string]any{"device": where.v2gInterface, "tls_security": "allow"},
				connections: map[string][]string{"security": {"evse_security/main"}}},
			module{id: "evse_security", name: "EvseSecurity", config: map[string]any{"private_key_password": "123456"}})
	}
	return modules
}

// evseManager returns an EvseManager on the simulated hardware of its board.
func evseManager(id string, number int, setup Setup) module {
	m := module{
		id: id, name: "EvseManager", config: map[string]any{"connector_id": number},
		connections: map[string][]string{"bsp": {"yeti/board_support"}},
	}
	if setup.DC {
		m.config["charge_mode"] = "DC"
		m.connections["powermeter_car_side"], m.connections["powersupply_DC"] = []string{"supply/powermeter"}, []string{"supply/main"}
		m.connections["imd"], m.connections["over_voltage_monitor"] = []string{"imd/main"}, []string{"ovm/main"}
		m.connections["hlc"] = []string{hlcID + "/main"}
	} else {
		m.config["ac_hlc_enabled"], m.config["ac_hlc_use_5percent"] = setup.HLC, false
		m.connections["powermeter_grid_side"] = []string{"yeti/powermeter"}
	}
	if setup.HLC {
		m.connections["hlc"] = []string{hlcID + "/charger"}
	}
	if setup.DC || setup.HLC {
		m.connections["slac"] = []string{"slac/evse"}
	}
	return m
}

// dcSimulators returns the simulated DC hardware of a board, and a module for ISO 15118 that has no car.
func dcSimulators() []module {
	return []module{
		{id: "supply", name: "DCSupplySimulator"},
		{id: "imd", name: "IMDSimulator", implementations: map[string]map[string]any{"main": {"selftest_success": true, "resistance_F_Ohm": 900000}}},
		{id: "ovm", name: "OVMSimulator", implementations: map[string]map[string]any{"main": {"simulate_emergency_shutdown": false, "simulate_error_delay": 5}}},
		{id: hlcID, name: "DummyV2G"},
	}
}

// simulators returns the simulated hardware and the simulated car of a board.
func simulators() []module {
	return []module{
		{id: "yeti", name: "YetiSimulator", config: map[string]any{"connector_id": 1}},
		{id: "car", name: "EvManager", config: map[string]any{"connector_id": 1, "auto_enable": true},
			connections: map[string][]string{"ev_board_support": {"yeti/ev_board_support"}}},
	}
}

func controllerConfig(pairing Pairing, where places) map[string]any {
	config := map[string]any{"hostname": where.address, "port": where.port}
	if pairing.Controller == goModule {
		setText(config, "dialect", pairing.Dialect)
		setText(config, "identities", pairing.Identities)
		if where.linkTimeout > 0 {
			config["link_timeout_ms"] = where.linkTimeout
		}
		if where.resumeWindow > 0 {
			config["resume_window_s"] = where.resumeWindow
		}
	}
	return config
}

func agentConfig(pairing Pairing, where places) map[string]any {
	config := map[string]any{"port": where.port}
	if pairing.Agent == goModule {
		config["listen_address"] = where.address
		setText(config, "dialect", pairing.Dialect)
	}
	return config
}

// setText sets a key unless its value is empty.
func setText(config map[string]any, key, value string) {
	if value != "" {
		config[key] = value
	}
}

// split returns the two parts of a connection.
func split(connection string) (moduleID, implementation string) {
	moduleID, implementation, _ = strings.Cut(connection, "/")
	return moduleID, implementation
}
