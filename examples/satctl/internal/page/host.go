package page

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// hosts are the names under which the server answers. An address is always
// answered, as is localhost: a browser sends the name that the user or a link
// gave it, so a foreign page that lets its own name point to this machine shows
// up by that name.
type hosts map[string]bool

func newHosts(names []string) hosts {
	h := hosts{"localhost": true}
	for _, name := range names {
		h[strings.ToLower(strings.TrimSuffix(name, "."))] = true
	}
	return h
}

// allows says whether a request's Host, with or without a port, is one of ours.
func (h hosts) allows(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		return true
	}
	return h[strings.ToLower(strings.TrimSuffix(host, "."))]
}

func (h hosts) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if !h.allows(request.Host) {
			http.Error(w, fmt.Sprintf("this server does not answer as %q; start satctl serve with --host for each of its names", request.Host),
				http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, request)
	})
}

// CheckListen returns an error where the address would be reached from other
// machines and the user did not ask for that.
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
	return fmt.Errorf("page: %s can be reached from other machines, and the page asks nobody for a password: "+
		"listen on 127.0.0.1 and reach it through ssh -L or a proxy that does, or add --expose", address)
}
