package aggregator

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// errTemplate: a configured upload_url_template that gives no URL.
var errTemplate = errors.New("aggregator: upload_url_template gives no usable URL; use one such as ftp://{my-ip}:2121/")

var ownAddress = regexp.MustCompile(`(?i)\{my-ip\}`)

// expandTemplate replaces {my-ip}, in upper or lower case, by an address. An IPv6 address gets brackets and loses its
// zone, which is valid on this board alone.
func expandTemplate(template, address string) string {
	if parsed, err := netip.ParseAddr(strings.Trim(address, "[]")); err == nil {
		parsed = parsed.Unmap().WithZone("")
		address = parsed.String()
		if parsed.Is6() {
			address = "[" + address + "]"
		}
	}
	return ownAddress.ReplaceAllLiteralString(template, address)
}

// locationTemplate is a parsed upload_url_template: the URL to which a board uploads.
type locationTemplate struct {
	text   string
	scheme string
	port   int
	// fixedHost is the host of a template without {my-ip}.
	fixedHost string
}

// parseTemplate parses and checks a template. A receiver listens for its scheme on its port.
func parseTemplate(text string) (locationTemplate, error) {
	const placeholder = "192.0.2.1"
	parsed, err := url.Parse(expandTemplate(text, placeholder))
	if err != nil {
		return locationTemplate{}, fmt.Errorf("%w: it is not a URL", errTemplate)
	}
	template := locationTemplate{text: text, scheme: strings.ToLower(parsed.Scheme)}
	if parsed.Hostname() == "" {
		return locationTemplate{}, fmt.Errorf("%w: it has no host", errTemplate)
	}
	if parsed.Hostname() != placeholder {
		template.fixedHost = parsed.Hostname()
	}
	template.port = map[string]int{"ftp": 21, "http": 80}[template.scheme]
	if port := parsed.Port(); port != "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return locationTemplate{}, fmt.Errorf("%w: port %q", errTemplate, port)
		}
		template.port = int(number)
	}
	return template, nil
}

// embeddable reports whether the receiver inside the module can serve the template.
func (t locationTemplate) embeddable() bool {
	return (t.scheme == "ftp" || t.scheme == "http") && t.port != 0
}

// address returns the address on which a receiver listens for the template.
func (t locationTemplate) address(host string) string {
	return net.JoinHostPort(host, strconv.Itoa(t.port))
}

// expand returns the template's URL for an address of this board.
func (t locationTemplate) expand(address string) string { return expandTemplate(t.text, address) }
