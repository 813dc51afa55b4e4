package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// maxRedirects bounds the redirects of one upload, which fails at the next one.
const maxRedirects = 3

// sendHTTP uploads by PUT, or by POST with the name in Content-Disposition (OCPP 2.0.1 N01.FR.19).
func (a *attempt) sendHTTP(ctx context.Context, source uploadSource) error {
	config := a.uploader.config
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: a.dial, TLSClientConfig: a.tls, DisableKeepAlives: true,
		TLSHandshakeTimeout: config.ConnectTimeout, ExpectContinueTimeout: 2 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
	defer transport.CloseIdleConnections()
	// After a redirect the server's name is another one: the transport sets it.
	transport.TLSClientConfig = a.tls.Clone()
	transport.TLSClientConfig.ServerName = ""
	client := &http.Client{Transport: transport, CheckRedirect: checkRedirect}

	err := a.requestHTTP(ctx, client, source, true)
	// RFC 9110 section 10.1.1: a server that does not know Expect gets the request without it.
	if failure, ok := errors.AsType[*httpError](err); ok && failure.status == http.StatusExpectationFailed {
		err = a.requestHTTP(ctx, client, source, false)
	}
	return err
}

// requestHTTP makes one request. expect has the content wait until the server wants it.
func (a *attempt) requestHTTP(ctx context.Context, client *http.Client, source uploadSource, expect bool) error {
	content, err := source.content()
	if err != nil {
		return err
	}
	method := a.uploader.config.HTTPMethod
	target := a.location.httpTarget(method, source.name)
	request, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		content.Close()
		return &Error{Status: BadMessage, Permanent: true, Err: errMalformed}
	}
	request.ContentLength = source.size
	request.GetBody = func() (io.ReadCloser, error) { return source.content() }
	if source.size == 0 {
		request.Body, request.GetBody = http.NoBody, func() (io.ReadCloser, error) { return http.NoBody, nil }
		content.Close()
	}
	request.Header.Set("Content-Type", "application/gzip")
	if expect {
		request.Header.Set("Expect", "100-continue")
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": source.name}))
	}
	if a.location.hasUser {
		request.SetBasicAuth(a.location.user, a.location.password)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	// The server may process the file while it sends the body, which is not used.
	io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return &httpError{status: response.StatusCode, text: http.StatusText(response.StatusCode)}
	}
	return nil
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

var errRedirect = errors.New("the server's redirect is not followed")

// checkRedirect permits only redirects that upload again (307 and 308), and none from TLS to plain text. The credentials are
// for the location's own server: package http would send them to each port and subdomain of its host. The location is not
// told either, because its query may have a token.
func checkRedirect(request *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d redirects", errRedirect, maxRedirects)
	case request.Method != first.Method:
		return fmt.Errorf("%w: it asks for %s", errRedirect, request.Method)
	case request.URL.Scheme != "https" && request.URL.Scheme != first.URL.Scheme:
		return fmt.Errorf("%w: from %s to %s", errRedirect, first.URL.Scheme, request.URL.Scheme)
	}
	request.Header.Del("Referer")
	if request.URL.Scheme != first.URL.Scheme || serverOf(request.URL) != serverOf(first.URL) {
		request.Header.Del("Authorization")
	}
	return nil
}

// serverOf returns the host and port of a URL.
func serverOf(target *url.URL) string {
	port := target.Port()
	if port == "" {
		port = strconv.Itoa(defaultPorts[target.Scheme])
	}
	return net.JoinHostPort(strings.ToLower(target.Hostname()), port)
}
