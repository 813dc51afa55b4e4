package transfer

import (
	"errors"
	"strings"
	"testing"
)

func TestParseLocation(t *testing.T) {
	for text, want := range map[string]Location{
		"ftp://host/dir/":               {scheme: "ftp", host: "host", port: 21, path: "/dir/", escaped: "/dir/"},
		"FTPS://host":                   {scheme: "ftps", host: "host", port: 990},
		"sftp://u:p@host:2222/a%20b":    {scheme: "sftp", host: "host", port: 2222, path: "/a b", escaped: "/a%20b", user: "u", password: "p", hasUser: true},
		"https://host/x?sig=a%2Fb":      {scheme: "https", host: "host", port: 443, path: "/x", escaped: "/x", query: "sig=a%2Fb"},
		"ftp://u:p%40s%3As%2F@host/":    {scheme: "ftp", host: "host", port: 21, path: "/", escaped: "/", user: "u", password: "p@s:s/", hasUser: true},
		"ftp://u:p@ss:w^\"{}|%zz@host/": {scheme: "ftp", host: "host", port: 21, path: "/", escaped: "/", user: "u", password: "p@ss:w^\"{}|%zz", hasUser: true},
		"ftp://u@host":                  {scheme: "ftp", host: "host", port: 21, user: "u", hasUser: true},
		"ftp://[2001:db8::1]:2121/logs": {scheme: "ftp", host: "2001:db8::1", port: 2121, path: "/logs", escaped: "/logs"},
		"http://u:p@[::1]/":             {scheme: "http", host: "::1", port: 80, path: "/", escaped: "/", user: "u", password: "p", hasUser: true},
	} {
		got, err := ParseLocation(text)
		if err != nil || got != want {
			t.Errorf("%s:\n got %+v %v\nwant %+v", text, got, err, want)
		}
		if shown := got.String(); strings.Contains(shown, "@") || strings.Contains(shown, "sig=") {
			t.Errorf("%s is shown as %s", text, shown)
		}
	}
	for text, want := range map[string]Status{
		"":                             BadMessage,
		"host/dir":                     BadMessage,
		"/dir":                         BadMessage,
		"ftp:host":                     BadMessage,
		"ftp://":                       BadMessage,
		"ftp:///dir":                   BadMessage,
		"ftp://secret:secret@/dir":     BadMessage,
		"ftp://host:0/":                BadMessage,
		"ftp://host:99999/":            BadMessage,
		"ftp://host:port/":             BadMessage,
		"ftp://ho st/":                 BadMessage,
		"ftp://host/\nDELE x":          BadMessage,
		"ftp://host/%0d%0aDELE%20x":    BadMessage,
		"ftp://secret%0a:secret@host/": BadMessage,
		"ftp://u:secret%00@host/":      BadMessage,
		"ftp://[::1/":                  BadMessage,
		"http://host/%zz":              BadMessage,
		"gopher://host/":               NotSupportedOperation,
		"file:///etc/passwd":           NotSupportedOperation,
		"scp://u:secret@host/":         NotSupportedOperation,
		"javascript://secret":          NotSupportedOperation,
	} {
		_, err := ParseLocation(text)
		var failure *Error
		if !errors.As(err, &failure) || failure.Status != want || !failure.Permanent {
			t.Errorf("%q: %v, want %s", text, err, want)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows it: %v", text, err)
		}
	}
}

func FuzzParseLocation(f *testing.F) {
	for _, seed := range []string{"ftp://u:p@host:21/a?b#c", "http://[::1]/%2f", "sftp://@@:/", "://", "ftps://u:%zz@h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		location, err := ParseLocation(text)
		if err != nil {
			return
		}
		if location.host == "" || location.port < 1 || location.port > 65535 || defaultPorts[location.scheme] == 0 {
			t.Errorf("%q: %+v", text, location)
		}
		if strings.ContainsAny(location.user+location.password+location.path, "\r\n\x00") {
			t.Errorf("%q lets control characters through: %+v", text, location)
		}
		if again, err := ParseLocation(location.String()); err != nil || again.host != location.host || again.port != location.port {
			t.Errorf("%q shows itself as %q, which is %+v %v", text, location.String(), again, err)
		}
	})
}
