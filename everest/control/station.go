package control

// Station is what an aggregator knows of its boards.
type Station struct {
	// Boards in the order of the requirement system; the first is the main board.
	Boards []Board `json:"boards"`
	// Firmware is the update under way, nil without one.
	Firmware *FirmwareJob `json:"firmware,omitempty"`
	// Logs are the uploads under way.
	Logs []LogJob `json:"logs"`
}

// Board is one board of a station.
type Board struct {
	Index int `json:"index"`
	// Name is the board's folder in an archive of logs.
	Name string `json:"name"`
	// SystemID and SatelliteID are the ids of the modules that stand for it; the main board has no SatelliteID.
	SystemID    string `json:"system_id"`
	SatelliteID string `json:"satellite_id,omitempty"`
	// Connected says whether the link to the board stands; true for the main board.
	Connected bool `json:"connected"`
	// FirmwareStatus and LogStatus are what the board has reported last, in OCPP's spelling, empty before.
	FirmwareStatus string `json:"firmware_status,omitempty"`
	LogStatus      string `json:"log_status,omitempty"`
}

// FirmwareJob is a firmware update of the whole station.
type FirmwareJob struct {
	RequestID int64 `json:"request_id"`
	// Status is what the backend was told last.
	Status string `json:"status,omitempty"`
}

// LogJob is an upload of all boards' logs.
type LogJob struct {
	RequestID int64 `json:"request_id"`
	// Type is the log's, empty for the diagnostics of OCPP 1.6.
	Type string `json:"type,omitempty"`
	// Step is what is being done: asking, collecting, packing, uploading or pausing.
	Step string `json:"step"`
	// Boards is the number of boards that send a file, Done how many of them have come to an end.
	Boards int `json:"boards"`
	Done   int `json:"done"`
}
