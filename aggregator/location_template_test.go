package aggregator

import (
	"errors"
	"testing"
)

func TestExpandTemplate(t *testing.T) {
	for _, test := range []struct{ template, address, want string }{
		{"ftp://{my-ip}:2121/", "192.168.1.1", "ftp://192.168.1.1:2121/"},
		{"ftp://{MY-IP}:2121/{My-Ip}", "192.168.1.1", "ftp://192.168.1.1:2121/192.168.1.1"},
		{"ftp://{my-ip}:2121/", "fd00::1", "ftp://[fd00::1]:2121/"},
		{"ftp://{my-ip}:2121/", "[fd00::1]", "ftp://[fd00::1]:2121/"},
		{"ftp://{my-ip}:2121/", "fe80::1%eth0", "ftp://[fe80::1]:2121/"},
		{"ftp://{my-ip}:2121/", "::ffff:10.0.0.1", "ftp://10.0.0.1:2121/"},
		{"ftp://logs.local/", "10.0.0.1", "ftp://logs.local/"},
	} {
		if got := expandTemplate(test.template, test.address); got != test.want {
			t.Errorf("%s with %s: %s, want %s", test.template, test.address, got, test.want)
		}
	}
}

func TestParseTemplate(t *testing.T) {
	for text, want := range map[string]locationTemplate{
		"ftp://{my-ip}:2121/":    {scheme: "ftp", port: 2121},
		"HTTP://{my-ip}/up":      {scheme: "http", port: 80},
		"ftp://{my-ip}/":         {scheme: "ftp", port: 21},
		"ftp://10.1.1.1:2121/x/": {scheme: "ftp", port: 2121, fixedHost: "10.1.1.1"},
		"sftp://{my-ip}:22/":     {scheme: "sftp", port: 22},
	} {
		want.text = text
		if got, err := parseTemplate(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "{my-ip}", "ftp://:2121/", "ftp://{my-ip}:0/", "ftp://{my-ip}:99999/", "ftp://a b/", "ftp://{my-ip}:x/"} {
		if got, err := parseTemplate(text); !errors.Is(err, errTemplate) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}
