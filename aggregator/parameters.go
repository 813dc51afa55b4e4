package aggregator

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
)

// parameters are the configuration keys of the manifest.
type parameters struct {
	DefaultRetries        int    `everest:"default_retries"`
	DefaultRetryInterval  int    `everest:"default_retry_interval"`
	UploadURLTemplate     string `everest:"upload_url_template"`
	IncomingUploadsDir    string `everest:"incoming_uploads_dir"`
	IncomingUploadTimeout int    `everest:"incoming_upload_timeout"`

	Receiver                    string `everest:"receiver"`
	BoardUploadURLTemplates     string `everest:"board_upload_url_templates"`
	CheckBoardAddress           bool   `everest:"check_board_address"`
	IncomingMaxFileSize         int    `everest:"incoming_max_file_size"`
	IncomingMaxTotalSize        int    `everest:"incoming_max_total_size"`
	OutgoingDir                 string `everest:"outgoing_dir"`
	StateDir                    string `everest:"state_dir"`
	BoardTimeout                int    `everest:"board_timeout"`
	FirmwareDownloadTimeout     int    `everest:"firmware_download_timeout"`
	FirmwareVerificationTimeout int    `everest:"firmware_verification_timeout"`
	FirmwareInstallationTimeout int    `everest:"firmware_installation_timeout"`
	UploadTrustBundle           string `everest:"upload_trust_bundle"`
	SFTPKnownHosts              string `everest:"sftp_known_hosts"`
	SFTPPrivateKey              string `everest:"sftp_private_key"`
	HTTPUploadMethod            string `everest:"http_upload_method"`
	UploadConnectTimeout        int    `everest:"upload_connect_timeout"`
	UploadStallTimeout          int    `everest:"upload_stall_timeout"`
	UploadTimeout               int    `everest:"upload_timeout"`
	ControlSocket               string `everest:"control_socket,optional"`
}

// seconds is a key's value as a duration, in the unit of the module: a second, but in tests.
func seconds(value int, unit time.Duration) time.Duration { return time.Duration(value) * unit }

// templates are the templates of all boards.
func (p *parameters) templates(boards int) ([]locationTemplate, error) {
	common, err := parseTemplate(p.UploadURLTemplate)
	if err != nil {
		return nil, err
	}
	templates := make([]locationTemplate, boards)
	for i := range templates {
		templates[i] = common
	}
	for _, entry := range strings.Fields(p.BoardUploadURLTemplates) {
		index, text, _ := strings.Cut(entry, "=")
		board, err := strconv.Atoi(index)
		if err != nil || board < 0 || board >= boards {
			return nil, fmt.Errorf("%w: board_upload_url_templates: %q is not the index of one of %d boards", errTemplate, index, boards)
		}
		if templates[board], err = parseTemplate(text); err != nil {
			return nil, fmt.Errorf("board_upload_url_templates: %w", err)
		}
	}
	return templates, nil
}

// hidden is the directory that a module of that id owns below another one.
func hidden(directory, moduleID string) string { return filepath.Join(directory, "."+moduleID) }

func (p *parameters) receiverConfig(moduleID string, logger *zap.Logger) transfer.ReceiverConfig {
	return transfer.ReceiverConfig{
		Directory: filepath.Join(hidden(p.IncomingUploadsDir, moduleID), "received"),
		MaxFile:   int64(p.IncomingMaxFileSize) << 20, MaxTotal: int64(p.IncomingMaxTotalSize) << 20,
		AnyPeer: !p.CheckBoardAddress, Logger: logger,
	}
}

// outgoing is the directory of the archives, which the module owns.
func (p *parameters) outgoing(moduleID string) string {
	if p.OutgoingDir != "" {
		return hidden(p.OutgoingDir, moduleID)
	}
	return filepath.Join(hidden(p.IncomingUploadsDir, moduleID), "packed")
}

func (p *parameters) uploaderConfig(unit time.Duration) transfer.UploaderConfig {
	return transfer.UploaderConfig{
		ConnectTimeout: seconds(p.UploadConnectTimeout, unit), StallTimeout: seconds(p.UploadStallTimeout, unit),
		AttemptTimeout: seconds(p.UploadTimeout, unit), TrustBundle: p.UploadTrustBundle,
		SFTPKnownHosts: p.SFTPKnownHosts, SFTPPrivateKey: p.SFTPPrivateKey, HTTPMethod: p.HTTPUploadMethod,
	}
}

// limit is how long boards may be silent in a phase.
func (p *parameters) limit(phase FirmwarePhase, unit time.Duration) time.Duration {
	switch phase {
	case PhaseDownload:
		return seconds(p.FirmwareDownloadTimeout, unit)
	case PhaseVerify:
		return seconds(p.FirmwareVerificationTimeout, unit)
	}
	return seconds(p.FirmwareInstallationTimeout, unit)
}
