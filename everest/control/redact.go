package control

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/install"
)

// hidden stands in for what may be a secret.
const hidden = "[hidden]"

// sensitive is the end of a name whose value lets somebody in, or tells who somebody is.
const sensitive = `(?:passw(?:or)?d|passphrase|pwd|secret|tokens?|id_?token|credentials?|api[_-]?key|private[_-]?key|access[_-]?key|authorization|cookie|parent_id_?token|emaid|pin)`

// A private key, whole or cut off, also within JSON.
var privateKeyForm = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`)

// secrets are the forms of secrets in a line, each with what replaces it. A line that has none of the signs, in lower
// case, has no secret of the form: matching costs a thousand times as much as looking for them.
var secrets = []struct {
	signs []string
	form  *regexp.Regexp
	with  string
}{
	// The name and password of a URL, up to the last @ of the word. A quote within JSON has a backslash.
	{[]string{"://"}, regexp.MustCompile(`(\b[A-Za-z][A-Za-z0-9+.-]*://)(?:\\.|[^\s"<>\\])*@`), "${1}" + hidden + "@"},
	// The same without a host behind it: what follows the colon is no port.
	{[]string{"://"}, regexp.MustCompile(`(\b[A-Za-z][A-Za-z0-9+.-]*://)[^\s/":@\[\]]+:(?:\\.|[^\s"\\/0-9]|[0-9]{1,5}[^\s"\\/0-9:,;?#)\]}])(?:\\.|[^\s"\\])*`), "${1}" + hidden},
	{[]string{"basic", "bearer", "digest", "negotiate"}, regexp.MustCompile(`(?i)\b(basic|bearer|digest|negotiate)\s+[A-Za-z0-9+/=._~-]{6,}`), "${1} " + hidden},
	// A JSON web token.
	{[]string{"eyj"}, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?`), hidden},
	// name=value, name: value and "name": value. A value is a text, an object, a list or a word.
	{[]string{"pass", "pwd", "secret", "token", "credential", "key", "authorization", "cookie", "emaid", "pin"},
		regexp.MustCompile(`(?i)((?:\b|_|-)[\w-]*` + sensitive + `\\?["']?\s*[:=]\s*)(?:\\?"(?:\\.|[^"\\])*(?:\\?"|\z)|'[^']*'|\{[^{}]*\}|\[[^\[\]]*\]|[^\s,;&}\]"'{\[]+)`), "${1}" + hidden},
}

var sensitiveName = regexp.MustCompile(`(?i)` + sensitive + `$`)

// Redact returns a text without what has the form of a secret: private keys, the name and password in a URL, basic and
// bearer authorization, web tokens, and the values of names such as password, token and secret. A secret that looks like
// any other word cannot be found.
func Redact(text string) string {
	if strings.Contains(text, "PRIVATE KEY") {
		text = privateKeyForm.ReplaceAllString(text, hidden)
	}
	var safe strings.Builder
	for line := range strings.Lines(text) {
		lower := strings.ToLower(line)
		for _, secret := range secrets {
			if slices.ContainsFunc(secret.signs, func(sign string) bool { return strings.Contains(lower, sign) }) {
				line = secret.form.ReplaceAllString(line, secret.with)
			}
		}
		safe.WriteString(line)
	}
	return safe.String()
}

// RedactJSON redacts each text of a JSON document, and each value whose name is that of a secret. A document that cannot
// be read is redacted as a text, so it may be JSON no more.
func RedactJSON(document []byte) []byte {
	var value any
	if json.Unmarshal(document, &value) != nil {
		return []byte(Redact(string(document)))
	}
	// Values that were decoded can be encoded.
	text, _ := json.MarshalIndent(redactValue(value), "", "  ")
	return append(text, '\n')
}

func redactValue(value any) any {
	switch value := value.(type) {
	case string:
		return Redact(value)
	case []any:
		for i := range value {
			value[i] = redactValue(value[i])
		}
	case map[string]any:
		for name := range value {
			if sensitiveName.MatchString(name) {
				value[name] = hidden
				continue
			}
			value[name] = redactValue(value[name])
		}
	}
	return value
}

// The forms of configuration values that are shown. A word is not among them, because a password may be one.
var (
	pathForm      = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+/?$`)
	interfaceForm = regexp.MustCompile(`^(?:eth|en|wl|br|usb|can|lo|veth|bond|vlan|ww|tun|tap|end|lan)[0-9a-z.@-]{0,11}(?:\s*,\s*(?:eth|en|wl|br|usb|can|lo|veth|bond|vlan|ww|tun|tap|end|lan)[0-9a-z.@-]{0,11})*$`)
	urlForm       = regexp.MustCompile(`^[a-z]+://(?:[A-Za-z0-9.-]+|\{my-ip\}|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._/{}-]*)?$`)
)

// withoutSecrets returns a configuration that may be given away. A value is shown where it cannot be a secret: a number,
// a bool, one of an enumeration, the default, an address, a path, the names of network interfaces, a URL without name and
// password. Of another one its length is told.
func withoutSecrets(parameters map[string]install.Parameter, values map[string]json.RawMessage) map[string]any {
	shown := make(map[string]any, len(values))
	for name, value := range values {
		var text string
		isText := json.Unmarshal(value, &text) == nil
		switch parameter, known := parameters[name]; {
		case known && (string(parameter.Default) == string(value) || slices.ContainsFunc(parameter.Enum, func(one json.RawMessage) bool { return string(one) == string(value) })),
			!isText && isScalar(value):
			shown[name] = value
		case isText && isPlain(text):
			shown[name] = text
		default:
			shown[name] = fmt.Sprintf("[hidden: %d characters]", len(text))
		}
	}
	return shown
}

func isScalar(value json.RawMessage) bool {
	return len(value) > 0 && strings.ContainsRune("-0123456789tfn", rune(value[0]))
}

// isPlain reports whether a text cannot be a secret.
func isPlain(text string) bool {
	if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return true
	}
	return text == "" || pathForm.MatchString(text) || interfaceForm.MatchString(text) || urlForm.MatchString(text)
}
