package family

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// version reads the file in which EVerest's build writes its version: "everest-core 2025.9.0 HEAD@2025.9.0". It is a
// hint only. Other projects that are built with EVerest's rules overwrite the file, and 2024.9.2 calls itself 2024.10.0.
func (l *Looker) version() (Found, error) {
	name := filepath.Join(l.Prefix, "share/everest/version_information.txt")
	file, err := os.Open(name)
	if err != nil {
		return Found{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return Found{}, os.ErrInvalid
	}
	line, err := bufio.NewReader(io.LimitReader(file, 4096)).ReadString('\n')
	if err != nil && err != io.EOF {
		return Found{}, err
	}
	line = strings.TrimSpace(line)
	return Found{Where: strconv.Quote(line) + " in " + name, Families: familiesOfVersion(line), Hint: true}, nil
}

// Version returns the version of the EVerest below the prefix, or nothing where it is not known.
func (l *Looker) Version() string {
	found, err := l.version()
	if err != nil {
		return ""
	}
	fields := strings.Fields(strings.TrimPrefix(found.Where, `"`))
	if len(fields) < 2 || fields[0] != "everest-core" {
		return ""
	}
	return fields[1]
}

// familiesOfVersion returns nothing for another project, and for a version whose releases are of several families that
// nothing tells apart.
func familiesOfVersion(line string) []string {
	fields := strings.Fields(line)
	if len(fields) < 2 || fields[0] != "everest-core" {
		return nil
	}
	version := fields[1]
	year, rest, _ := strings.Cut(version, ".")
	month, _, _ := strings.Cut(rest, ".")
	at, err := strconv.Atoi(year)
	number, err2 := strconv.Atoi(month)
	switch {
	case err != nil || err2 != nil:
		return nil
	case at == 2024 && number == 10: // 2024.9.2 says so as well
		return []string{"A3", "B2"}
	case at*100+number > 202602: // main says 2026.10.0 since long before its messages changed
		return []string{"C", "D"}
	}
	if release, known := wire.FindRelease(version); known {
		return []string{release.Name}
	}
	return nil
}
