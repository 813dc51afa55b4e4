package transfer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

var (
	errScheme    = errors.New("the location's scheme must be ftp, ftps, sftp, http or https")
	errMalformed = errors.New("the location is not a URL")
)

// Location is the URL to which the backend wants a file uploaded: the parsed location of an upload_logs request.
type Location struct {
	scheme string
	host   string // without brackets
	port   int
	// path is decoded. escaped is the path as it came; HTTP needs it, and the query.
	path     string
	escaped  string
	query    string
	user     string
	password string
	hasUser  bool
}

var defaultPorts = map[string]int{"ftp": 21, "ftps": 990, "sftp": 22, "http": 80, "https": 443}

// ParseLocation parses a URL. Backends may send a user and password without percent-encoding, so ParseLocation accepts
// both forms. An error is an *Error. Its text never shows the URL, because the URL may have credentials.
func ParseLocation(text string) (Location, error) {
	location, err := parseLocation(text)
	switch {
	case errors.Is(err, errScheme):
		return Location{}, &Error{Status: NotSupportedOperation, Permanent: true, Err: err}
	case err != nil:
		return Location{}, &Error{Status: BadMessage, Permanent: true, Err: err}
	}
	return location, nil
}

func parseLocation(text string) (Location, error) {
	for _, r := range text {
		if r <= ' ' || r == 0x7f {
			return Location{}, fmt.Errorf("%w: no spaces or control characters are permitted", errMalformed)
		}
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme == "" || strings.ContainsAny(scheme, "/?#@:") {
		return Location{}, fmt.Errorf("%w: the scheme is missing", errMalformed)
	}
	location := Location{scheme: strings.ToLower(scheme)}
	if defaultPorts[location.scheme] == 0 {
		return Location{}, errScheme
	}
	authority, tail := rest, ""
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority, tail = rest[:end], rest[end:]
	}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, password, _ := strings.Cut(authority[:at], ":")
		location.user, location.password, location.hasUser = unescape(user), unescape(password), true
		authority = authority[at+1:]
	}
	// The rest has no credentials. The parser's errors, which quote it, are not shown all the same.
	parsed, err := url.Parse(location.scheme + "://" + authority + tail)
	if err != nil || parsed.Hostname() == "" {
		return Location{}, fmt.Errorf("%w: host, port or path", errMalformed)
	}
	location.host, location.port = parsed.Hostname(), defaultPorts[location.scheme]
	if _, err := netip.ParseAddr(location.host); err != nil && strings.ContainsAny(location.host, ":[]%\\@\"<>^`{|}") {
		return Location{}, fmt.Errorf("%w: host", errMalformed)
	}
	if port := parsed.Port(); port != "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return Location{}, fmt.Errorf("%w: the port must be from 1 to 65535", errMalformed)
		}
		location.port = int(number)
	}
	location.path, location.escaped, location.query = parsed.Path, parsed.EscapedPath(), parsed.RawQuery
	if strings.ContainsAny(location.user+location.password+location.path, "\r\n\x00") {
		return Location{}, fmt.Errorf("%w: no escaped control characters are permitted", errMalformed)
	}
	return location, nil
}

func unescape(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

func (l Location) address() string { return net.JoinHostPort(l.host, strconv.Itoa(l.port)) }

// String returns the location without user, password and query: each of them can be a credential.
func (l Location) String() string {
	host := l.host
	if strings.ContainsRune(host, ':') {
		host = "[" + strings.Replace(host, "%", "%25", 1) + "]"
	}
	if l.port != defaultPorts[l.scheme] {
		host += ":" + strconv.Itoa(l.port)
	}
	return l.scheme + "://" + host + l.escaped
}
