package control

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/install"
)

const privateKey = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIHunter2Hunter2\nHunter2\n-----END EC PRIVATE KEY-----\n"

// Each text has the word Hunter2 as its secret, and the word seen, which stays.
var secretTexts = []string{
	"seen " + privateKey + "seen",
	"seen " + strings.ReplaceAll(privateKey, "\n", `\n`),
	"seen -----BEGIN PRIVATE KEY-----\nHunter2 that is cut off",
	"ftp://user:Hunter2@seen:2121/logs",
	"sftp://user:Hun@ter/Hunter2@seen",
	`{"error":"no answer of ftp://user:a\"Hunter2@seen/","retry":3}`,
	"https://Hunter2@seen/path",
	"seen: ftp://user:Hunter2",
	"seen: ftp://user:1Hunter2",
	"seen Authorization: Basic SHunter2SGVsbG8=",
	"seen {Authorization:[Bearer aHunter2-b.c_d]}",
	"seen eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJIdW50ZXIyHunter2.Hunter2",
	"seen password=Hunter2",
	"seen PASSWORD: 'Hunter2 and more'",
	`seen {"password":"Hunter2 \"quoted Hunter2\"","x":1}`,
	`seen {\"password\":\"Hunter2\"}`,
	"seen ftp_passwd=Hunter2&more=seen",
	"seen client_secret: Hunter2,",
	`seen {"id_token":{"value":"Hunter2","type":"ISO14443"},"connectors":[1]}`,
	`seen {"id_token":"Hunter2"}`,
	"seen IdToken:{Value:Hunter2 Type:RFID}",
	"seen sftp_private_key=Hunter2",
	"seen api-key: Hunter2",
	"seen token Token=Hunter2",
	"seen Set-Cookie: Hunter2; Path=/",
}

func TestSecretsAreRedacted(t *testing.T) {
	for _, text := range secretTexts {
		got := Redact(text)
		if strings.Contains(got, "Hunter2") || !strings.Contains(got, "seen") || !strings.Contains(got, hidden) {
			t.Errorf("%q becomes %q", text, got)
		}
		document, err := json.Marshal(map[string]any{"list": []any{text}, "seen": map[string]any{"x": text}})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(RedactJSON(document)); strings.Contains(got, "Hunter2") || !strings.Contains(got, "seen") || !json.Valid([]byte(got)) {
			t.Errorf("%s becomes %s", document, got)
		}
	}
	got := string(RedactJSON([]byte(`{"id_token":{"value":"Hunter2"},"tokens":["Hunter2"],"token_kind":"RFID","seen":[true,12.5,null]}`)))
	if strings.Contains(got, "Hunter2") || !strings.Contains(got, "RFID") || !strings.Contains(got, "12.5") {
		t.Errorf("redacted: %s", got)
	}
	if got := string(RedactJSON([]byte(`{"password":"Hunter2`))); strings.Contains(got, "Hunter2") {
		t.Errorf("a document that is cut off: %s", got)
	}
}

func TestOrdinaryTextIsNotRedacted(t *testing.T) {
	for _, text := range []string{
		"tcp://127.0.0.1:1883: connection refused",
		"http://[fe80::1%eth0]:9477/ answered",
		"http://station:9477, then http://station:80/",
		"unix:///run/mosquitto.sock",
		"2026-03-01T12:00:00.000Z\tINFO\tconnector_2\tthe link works\t{\"satellite\": \"sat01:4129\", \"dialect\": \"v2\"}",
		"fingerprint E5MM-V54A-E5HR-VDZM-6PW4-XJOQ-62UA-SQ6U-CGRS",
		"run satkeys trust with the other board's fingerprint",
		"a name that begins with serial: SAT01",
	} {
		if got := Redact(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestConfigurationIsToldWithoutSecrets(t *testing.T) {
	parameters := map[string]install.Parameter{
		"mode": {Type: "string", Enum: []json.RawMessage{json.RawMessage(`"auto"`), json.RawMessage(`"v2"`)}},
		"name": {Type: "string", Default: json.RawMessage(`"usual"`)},
	}
	for _, test := range []struct{ name, value, want string }{
		{"mode", `"v2"`, `"v2"`}, {"mode", `"Hunter2"`, `"[hidden: 7 characters]"`},
		{"name", `"usual"`, `"usual"`}, {"name", `"Hunter2"`, `"[hidden: 7 characters]"`},
		{"port", `4129`, `4129`}, {"check", `true`, `true`}, {"rate", `-1.50`, `-1.50`},
		{"host", `"192.0.2.7"`, `"192.0.2.7"`}, {"host", `"[fe80::1%eth0]"`, `"[fe80::1%eth0]"`},
		{"on", `"eth0, br-lan.2"`, `""`}, {"on", `"eth0,enp3s0"`, `"eth0,enp3s0"`},
		{"directory", `"/etc/everest/identity"`, `"/etc/everest/identity"`}, {"directory", `""`, `""`},
		{"url", `"ftp://{my-ip}:2121/"`, `"ftp://{my-ip}:2121/"`}, {"url", `"ftp://user:Hunter2@host/"`, `"[hidden: 24 characters]"`},
		{"url", `"https://host/?sig=Hunter2"`, `"[hidden: 25 characters]"`},
		{"list", `["Hunter2"]`, `"[hidden: 0 characters]"`},
	} {
		shown, err := json.Marshal(withoutSecrets(parameters, map[string]json.RawMessage{test.name: json.RawMessage(test.value)})[test.name])
		if test.want == `""` && test.value != `""` {
			test.want = test.value // shown as it is
		}
		if err != nil || string(shown) != test.want {
			t.Errorf("%s: %s is told as %s, want %s", test.name, test.value, shown, test.want)
		}
	}
}
