package files

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
		got, err := SafeName(name)
		if got != want || (want == "") != errors.Is(err, ErrName) {
			t.Errorf("SafeName(%.40q) = %q, %v, want %q", name, got, err, want)
		}
	}
}

func FuzzSafeName(f *testing.F) {
	for _, seed := range []string{"log.tar.gz", "../x", "..", ".", "", "a/", "\x00", `..\..`, strings.Repeat("é", 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := SafeName(name)
		if err != nil {
			if got != "" {
				t.Errorf("%q with error %v", got, err)
			}
			return
		}
		if got == "" || len(got) > maxNameLength || got[0] == '.' || strings.ContainsAny(got, "/\\\x00\n\r ") {
			t.Errorf("SafeName(%q) = %q", name, got)
		}
		if again, err := SafeName(got); err != nil || again != got {
			t.Errorf("SafeName(%q) = %q, %v", got, again, err)
		}
	})
}
