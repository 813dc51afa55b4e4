package main

// laterRequired are the properties that EVerest has begun to require after 2024.3, by the type and then the property, each
// with the first release that requires it. A module hears values without them from a board of an older release. The list is
// that of the definitions of all releases up to 2026.02.0 and of main in May 2026.
var laterRequired = map[string]map[string]string{
	"/authorization#/ValidationResult": {"tariff_messages": "2025.5.0"},
	"/energy#/EnergyFlowRequest": {
		"schedule_import": "2025.3.0", "schedule_export": "2025.3.0", "schedule_setpoints": "2025.3.0",
	},
	"/energy#/EnforcedLimits": {"limits_root_side": "2025.3.0", "schedule": "2025.3.0", "valid_for": "2025.8.0"},
	"/energy#/ExternalLimits": {
		"schedule_import": "2025.3.0", "schedule_export": "2025.3.0", "schedule_setpoints": "2025.3.0",
	},
	"/energy_price_information#/EnergyPriceSchedule": {"schedule_import": "2025.3.0", "schedule_export": "2025.3.0"},
	"/evse_board_support#/HardwareCapabilities":      {"supports_cp_state_E": "2026.02.0"},
	"/evse_manager#/SessionEvent":                    {"timestamp": "2024.4.0"},
	"/evse_manager#/SessionStarted":                  {"meter_value": "2024.4.0"},
	"/evse_manager#/SessionFinished":                 {"meter_value": "2024.4.0"},
	"/iso15118_vas#/OfferedServices":                 {"services": "2025.12.0"},
	"/ocpp#/ChargingSchedule":                        {"evse": "2024.9.0"},
	"/powermeter#/TransactionReq": {
		"identification_flags": "2024.5.0", "identification_status": "2024.5.0", "identification_type": "2024.5.0",
	},
	"/session_cost#/SessionCost": {"session_id": "2024.8.0"},
}
