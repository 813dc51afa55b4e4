package aggregator

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/firmware"
	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
)

// parameters has the configuration keys of the manifest.
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
	DataTransfer                string `everest:"data_transfer,optional"`
	ControlSocket               string `everest:"control_socket,optional"`
}

// templates returns the templates of all boards.
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
			return nil, fmt.Errorf("%w: board_upload_url_templates: %q is not an index below %d", errTemplate, index, boards)
		}
		if templates[board], err = parseTemplate(text); err != nil {
			return nil, fmt.Errorf("board_upload_url_templates: %w", err)
		}
	}
	return templates, nil
}

// hidden returns the directory that the module owns below another one.
func hidden(directory, moduleID string) string { return filepath.Join(directory, "."+moduleID) }

func (p *parameters) receiverConfig(moduleID string, logger *zap.Logger) transfer.ReceiverConfig {
	return transfer.ReceiverConfig{
		Directory: filepath.Join(hidden(p.IncomingUploadsDir, moduleID), "received"),
		MaxFile:   int64(p.IncomingMaxFileSize) << 20, MaxTotal: int64(p.IncomingMaxTotalSize) << 20,
		AnyPeer: !p.CheckBoardAddress, Logger: logger,
	}
}

// outgoing returns the directory of the archives, which the module owns.
func (p *parameters) outgoing(moduleID string) string {
	if p.OutgoingDir != "" {
		return hidden(p.OutgoingDir, moduleID)
	}
	return filepath.Join(hidden(p.IncomingUploadsDir, moduleID), "packed")
}

func (p *parameters) uploaderConfig(unit time.Duration) transfer.UploaderConfig {
	return transfer.UploaderConfig{
		ConnectTimeout: time.Duration(p.UploadConnectTimeout) * unit, StallTimeout: time.Duration(p.UploadStallTimeout) * unit,
		AttemptTimeout: time.Duration(p.UploadTimeout) * unit, TrustBundle: p.UploadTrustBundle,
		SFTPKnownHosts: p.SFTPKnownHosts, SFTPPrivateKey: p.SFTPPrivateKey, HTTPMethod: p.HTTPUploadMethod,
	}
}

// phaseTimeout returns how long boards may be silent in a phase of a firmware update.
func (p *parameters) phaseTimeout(phase firmware.Phase) int {
	switch phase {
	case firmware.PhaseDownload:
		return p.FirmwareDownloadTimeout
	case firmware.PhaseVerify:
		return p.FirmwareVerificationTimeout
	}
	return p.FirmwareInstallationTimeout
}
