package transfer

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// maxRedirects bounds the redirects of one upload, which fails at the next one.
const maxRedirects = 3

// sendHTTP uploads by PUT, or by POST with the name in Content-Disposition (OCPP 2.0.1 N01.FR.19). It follows redirects
// itself, because each server may understand Expect or not.
func (a *attempt) sendHTTP(ctx context.Context, source uploadSource) error {
	method := a.uploader.config.HTTPMethod
	target, err := url.Parse(a.location.httpTarget(method, source.name))
	if err != nil {
		return &Error{Status: BadMessage, Permanent: true, Err: errMalformed}
	}
	hop := httpHop{method: method, first: target, target: target, credentials: a.location.hasUser, expect: source.size > 0}
	for {
		response, sent, err := a.exchange(ctx, hop, source)
		if err != nil {
			return err
		}
		failure := &httpError{status: response.StatusCode, text: http.StatusText(response.StatusCode)}
		switch {
		case response.StatusCode >= 200 && response.StatusCode <= 299:
			if !sent {
				return fmt.Errorf("%w before it had the whole file", failure)
			}
			return nil
		case response.StatusCode == http.StatusExpectationFailed && hop.expect:
			// RFC 9110 section 10.1.1: a server that does not know Expect gets the request without it.
			hop.expect = false
		default:
			location := response.Header.Get("Location")
			if location == "" || !isRedirect(response.StatusCode) {
				return failure
			}
			if hop, err = hop.next(response.StatusCode, location); err != nil {
				return err
			}
			hop.expect = source.size > 0
		}
	}
}

// httpHop is what one request of an upload depends on.
type httpHop struct {
	method        string
	first, target *url.URL
	redirects     int
	// credentials are the location's. They are for its own server alone.
	credentials bool
	// expect has the content wait until the server wants it.
	expect bool
}

var errRedirect = errors.New("the server's redirect is not followed")

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// next returns the hop that a redirect leads to. It permits only redirects that upload again (307 and 308), and none from
// TLS to plain text. The credentials do not go to another port or subdomain, nor back from there. The target is not told
// the URL it was reached from, because the location's query may have a token.
func (h httpHop) next(status int, location string) (httpHop, error) {
	target, err := h.target.Parse(location)
	switch {
	case err != nil:
		return h, fmt.Errorf("%w: it leads to no URL", errRedirect)
	case h.redirects == maxRedirects:
		return h, fmt.Errorf("%w: more than %d redirects", errRedirect, maxRedirects)
	case status != http.StatusTemporaryRedirect && status != http.StatusPermanentRedirect:
		return h, fmt.Errorf("%w: it asks for %s", errRedirect, http.MethodGet)
	case target.Scheme != "https" && target.Scheme != h.first.Scheme:
		return h, fmt.Errorf("%w: from %s to %s", errRedirect, h.first.Scheme, target.Scheme)
	}
	h.redirects++
	h.target = target
	if target.Scheme != h.first.Scheme || serverOf(target) != serverOf(h.first) {
		h.credentials = false
	}
	return h, nil
}

// request returns the hop's request without content.
func (a *attempt) request(ctx context.Context, hop httpHop, source uploadSource) *http.Request {
	request := (&http.Request{
		Method: hop.method, URL: hop.target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/gzip"}}, Body: http.NoBody,
	}).WithContext(ctx)
	if hop.expect {
		request.Header.Set("Expect", "100-continue")
	}
	if hop.method == http.MethodPost {
		request.Header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": source.name}))
	}
	if hop.credentials {
		request.SetBasicAuth(a.location.user, a.location.password)
	} else if user := hop.target.User; user != nil {
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
	}
	return request
}

// httpTarget returns the URL without its credentials, which go into a header. A PUT to a directory gets the file's
// name; every other URL stays as it is.
func (l Location) httpTarget(method, name string) string {
	target := url.URL{Scheme: l.scheme, Host: l.host, Path: l.path, RawPath: l.escaped, RawQuery: l.query}
	if strings.ContainsRune(l.host, ':') {
		target.Host = "[" + l.host + "]"
	}
	if l.port != defaultPorts[l.scheme] {
		target.Host = l.address()
	}
	if method == http.MethodPut && (l.path == "" || strings.HasSuffix(l.path, "/")) {
		target.Path, target.RawPath = path.Join("/", l.path, name), ""
	}
	return target.String()
}

// serverOf returns the host and port of a URL.
func serverOf(target *url.URL) string {
	port := target.Port()
	if port == "" {
		port = strconv.Itoa(defaultPorts[target.Scheme])
	}
	return net.JoinHostPort(strings.ToLower(target.Hostname()), port)
}
