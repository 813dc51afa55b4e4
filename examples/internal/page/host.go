package page

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// hosts are the names for which the server accepts requests. It always accepts addresses and localhost. A browser sends
// the name in the URL, so the request of a foreign page whose name resolves to this machine has that foreign name.
type hosts map[string]bool

func newHosts(names []string) hosts {
	h := hosts{"localhost": true}
	for _, name := range names {
		h[strings.ToLower(strings.TrimSuffix(name, "."))] = true
	}
	return h
}

// allows reports whether a request with this Host, with or without a port, is accepted.
func (h hosts) allows(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		return true
	}
	return h[strings.ToLower(strings.TrimSuffix(host, "."))]
}

func (h hosts) restrict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if !h.allows(request.Host) {
			http.Error(w, fmt.Sprintf("this server is not configured for the name %q; start satctl serve with --host for each of its names", request.Host),
				http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, request)
	})
}

// CheckListen returns an error for an address that other machines can reach, unless exposed is true.
func CheckListen(address string, exposed bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("page: listen address %q: %w", address, err)
	}
	if exposed || host == "localhost" {
		return nil
	}
	if parsed, err := netip.ParseAddr(host); err == nil && parsed.IsLoopback() {
		return nil
	}
	return fmt.Errorf("page: other machines can reach %s, and the page has no password: "+
		"listen on 127.0.0.1 and reach it through ssh -L or a proxy that does, or add --expose", address)
}
