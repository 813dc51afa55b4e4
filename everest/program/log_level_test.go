package program

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"
)

func TestLogLevel(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		want    zapcore.Level
	}{
		"info":          {"[Core]\nDisableLogging=false\nFilter=\"%Severity% >= INFO\"\n", zapcore.InfoLevel},
		"verbose":       {"[Core]\nFilter=\"%Severity% >= VERB\"\n", zapcore.DebugLevel},
		"debug":         {"[Core]\r\nFilter = %Severity%>=DEBG\r\n", zapcore.DebugLevel},
		"warning":       {"[Core]\nFilter=\"%Severity% >= WARN\"", zapcore.WarnLevel},
		"error":         {"[Core]\nFilter=\"%Severity% >= ERRO\"\n", zapcore.ErrorLevel},
		"critical":      {"[Core]\nFilter=\"%Severity% >= CRIT\"\n", zapcore.DPanicLevel},
		"unknown":       {"[Core]\nFilter=\"%Severity% >= LOUD\"\n", zapcore.InfoLevel},
		"by process":    {"[Core]\nFilter=\"(%Process% contains Auth and %Severity% >= DEBG)\"\n", zapcore.InfoLevel},
		"commented out": {"[Core]\n# Filter=\"%Severity% >= DEBG\"\n", zapcore.InfoLevel},
		"of a sink":     {"[Core]\n[Sinks.Console]\nFilter=\"%Severity% >= ERRO\"\n", zapcore.InfoLevel},
		"empty":         {"", zapcore.InfoLevel},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "logging.cfg")
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := logLevel(path); got != test.want || err != nil {
				t.Errorf("level %v, error %v, want %v", got, err, test.want)
			}
		})
	}
	if got, err := logLevel(""); got != zapcore.InfoLevel || err != nil {
		t.Errorf("without a file: level %v, error %v", got, err)
	}
	if got, err := logLevel("no-such-file"); got != zapcore.InfoLevel || err == nil || !strings.Contains(err.Error(), "no-such-file") {
		t.Errorf("file that is not there: level %v, error %v", got, err)
	}
}
