package aggregator

import (
	"errors"
	"strings"
	"testing"
)

func TestSafeName(t *testing.T) {
	for name, want := range map[string]string{
		"log.tar.gz":                             "log.tar.gz",
		"/var/log/log.tar.gz":                    "log.tar.gz",
		"../../etc/passwd":                       "passwd",
		`C:\logs\log.txt`:                        "log.txt",
		"log.txt/":                               "log.txt",
		".hidden":                                "_hidden",
		"a b;c\nd":                               "a_b_c_d",
		"häuser":                                 "h_user",
		"\xff\xfe":                               "__",
		"":                                       "",
		".":                                      "",
		"..":                                     "",
		"/":                                      "",
		"a/..":                                   "",
		"nul\x00byte":                            "",
		"x/" + strings.Repeat("y", 5000) + ".gz": strings.Repeat("y", 60) + strings.Repeat("y", 57) + ".gz",
	} {
		got, err := safeName(name)
		if got != want || (want == "") != errors.Is(err, ErrFileName) {
			t.Errorf("safeName(%.40q) = %q, %v, want %q", name, got, err, want)
		}
	}
}

func FuzzSafeName(f *testing.F) {
	for _, seed := range []string{"log.tar.gz", "../x", "..", ".", "", "a/", "\x00", `..\..`, strings.Repeat("é", 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := safeName(name)
		if err != nil {
			if got != "" {
				t.Errorf("%q with error %v", got, err)
			}
			return
		}
		if got == "" || len(got) > maxNameLength || got[0] == '.' || strings.ContainsAny(got, "/\\\x00\n\r ") {
			t.Errorf("safeName(%q) = %q", name, got)
		}
		if again, err := safeName(got); err != nil || again != got {
			t.Errorf("safeName(%q) = %q, %v", got, again, err)
		}
	})
}

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
	for text, want := range map[string]boardTemplate{
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
		if got, err := parseTemplate(text); !errors.Is(err, ErrTemplate) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	template, err := parseTemplate("ftp://old:secret@{my-ip}:2121/logs?x=1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := template.withAccess("fd00::1", slotAccess{user: "u", password: "p", token: "t"})
	if want := "ftp://u:p@[fd00::1]:2121/logs/t/"; err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}
