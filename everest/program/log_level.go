package program

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strings"

	"go.uber.org/zap/zapcore"
)

var severityFilter = regexp.MustCompile(`^Filter\s*=\s*"?\s*%Severity%\s*>=\s*([A-Za-z]+)\s*"?\s*$`)

// logLevel reads the level from the log configuration that a manager passes with --log_config. The level is in this
// line of the section [Core]:
//
//	Filter="%Severity% >= INFO"
//
// The level is info for an empty path, and for a configuration without such a line or with a more complex filter. A
// file that cannot be read is an error; the level is info then too.
func logLevel(path string) (zapcore.Level, error) {
	if path == "" {
		return zapcore.InfoLevel, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return zapcore.InfoLevel, fmt.Errorf("everest: log configuration: %w", err)
	}
	defer file.Close()
	section := ""
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		if match := severityFilter.FindStringSubmatch(line); match != nil && section == "[Core]" {
			return severityLevel(match[1]), nil
		}
	}
	if err := lines.Err(); err != nil {
		return zapcore.InfoLevel, fmt.Errorf("everest: log configuration %s: %w", path, err)
	}
	return zapcore.InfoLevel, nil
}

func severityLevel(name string) zapcore.Level {
	switch strings.ToUpper(name) {
	case "VERB", "DEBG":
		return zapcore.DebugLevel
	case "WARN":
		return zapcore.WarnLevel
	case "ERRO":
		return zapcore.ErrorLevel
	case "CRIT":
		return zapcore.DPanicLevel // the level above error that does not end the process
	}
	return zapcore.InfoLevel
}
