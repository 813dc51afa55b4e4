package aggregator

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// ErrTemplate: a configured upload_url_template that gives no URL.
var ErrTemplate = errors.New("aggregator: upload_url_template gives no usable URL; it should read as ftp://{my-ip}:2121/")

const ownAddress = "{my-ip}"

// expandTemplate puts an address in the place of {my-ip}, in any case of its letters. IPv6 addresses get their brackets,
// and lose a zone: it is this board's name for its link, the other end has its own.
func expandTemplate(template, address string) string {
	if parsed, err := netip.ParseAddr(strings.Trim(address, "[]")); err == nil {
		parsed = parsed.Unmap().WithZone("")
		address = parsed.String()
		if parsed.Is6() {
			address = "[" + address + "]"
		}
	}
	var expanded strings.Builder
	for rest := template; ; {
		at := strings.Index(strings.ToLower(rest), ownAddress)
		if at < 0 {
			expanded.WriteString(rest)
			return expanded.String()
		}
		expanded.WriteString(rest[:at])
		expanded.WriteString(address)
		rest = rest[at+len(ownAddress):]
	}
}

// boardTemplate is an upload_url_template taken apart.
type boardTemplate struct {
	text   string
	scheme string
	port   int
	// fixedHost is the host of a template without {my-ip}.
	fixedHost string
}

// parseTemplate checks a template. Its scheme and port say what a receiver has to listen on.
func parseTemplate(text string) (boardTemplate, error) {
	const placeholder = "192.0.2.1"
	parsed, err := url.Parse(expandTemplate(text, placeholder))
	if err != nil {
		return boardTemplate{}, fmt.Errorf("%w: it cannot be read as a URL", ErrTemplate)
	}
	template := boardTemplate{text: text, scheme: strings.ToLower(parsed.Scheme)}
	if parsed.Hostname() == "" {
		return boardTemplate{}, fmt.Errorf("%w: it has no host", ErrTemplate)
	}
	if parsed.Hostname() != placeholder {
		template.fixedHost = parsed.Hostname()
	}
	template.port = map[string]int{"ftp": 21, "http": 80}[template.scheme]
	if port := parsed.Port(); port != "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return boardTemplate{}, fmt.Errorf("%w: port %q", ErrTemplate, port)
		}
		template.port = int(number)
	}
	return template, nil
}

// embeddable says whether the receiver inside the module can stand behind the template.
func (t boardTemplate) embeddable() bool {
	return (t.scheme == "ftp" || t.scheme == "http") && t.port != 0
}

// plain is the location for a receiver outside of the module: the template as it is.
func (t boardTemplate) plain(address string) string { return expandTemplate(t.text, address) }

// withAccess is the location of one board's own directory of one request.
func (t boardTemplate) withAccess(address string, access slotAccess) (string, error) {
	parsed, err := url.Parse(expandTemplate(t.text, address))
	if err != nil {
		return "", fmt.Errorf("%w: address %.60q", ErrTemplate, address)
	}
	parsed.User = url.UserPassword(access.user, access.password)
	parsed.Path = path.Join("/", parsed.Path, access.token) + "/"
	parsed.RawPath, parsed.RawQuery, parsed.Fragment = "", "", ""
	return parsed.String(), nil
}

// slotAccess is what lets one board upload for one request.
type slotAccess struct {
	user     string
	password string
	// token is the directory of the request, below whatever directory the template has.
	token string
}
