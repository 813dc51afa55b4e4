package main

import (
	"go/token"
	"strconv"
	"strings"
	"unicode"
)

// initialisms are written in capitals, as is usual in Go.
var initialisms = map[string]string{"id": "ID", "uuid": "UUID", "url": "URL", "uri": "URI", "ip": "IP", "json": "JSON"}

// exported returns the exported Go name for a name on the wire: EnergyWhImport for "energy_Wh_import".
func exported(name string) string {
	var out strings.Builder
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if initialism, ok := initialisms[strings.ToLower(word)]; ok {
			out.WriteString(initialism)
			continue
		}
		runes := []rune(word)
		runes[0] = unicode.ToUpper(runes[0])
		out.WriteString(string(runes))
	}
	text := out.String()
	if text == "" {
		return "Empty"
	}
	if first := []rune(text)[0]; !unicode.IsUpper(first) {
		return "X" + text
	}
	return text
}

// part returns the exported name as the end of a longer name. Unlike a whole name, a part may begin with a digit.
func part(name string) string {
	if text := exported(name); text != "X"+strings.TrimPrefix(text, "X") || !unicode.IsDigit([]rune(text + "-")[1]) {
		return text
	} else {
		return strings.TrimPrefix(text, "X")
	}
}

// joined returns two exported names as one, with the words in which the first ends and the second begins said once:
// AuthorizationType for Authorization and AuthorizationType, TextMessageContent for TextMessage and MessageContent.
func joined(first, second string) string {
	for i, r := range first {
		rest := first[i:]
		if !unicode.IsUpper(r) || !strings.HasPrefix(second, rest) {
			continue
		}
		// The words must end together: "Type" is not the beginning of "Typed".
		if after := []rune(second[len(rest):] + "X")[0]; !unicode.IsLower(after) && !unicode.IsDigit(after) {
			return first + second[len(rest):]
		}
	}
	return first + second
}

// parameter returns the Go name of a function's parameter.
func parameter(name string) string {
	text := exported(name)
	runes := []rune(text)
	// In "URLPath" the capitals become lower case up to the one that begins the next word: "urlPath".
	for i := range runes {
		if i > 0 && i+1 < len(runes) && unicode.IsLower(runes[i+1]) || !unicode.IsUpper(runes[i]) {
			break
		}
		runes[i] = unicode.ToLower(runes[i])
	}
	text = string(runes)
	switch text {
	case "ctx", "c", "p", "everest", "types", "bindings", "json", "context", "provider", "implementation", "nil", "string", "bool", "int", "float64", "error", "map", "any":
		return text + "Argument"
	}
	if token.IsKeyword(text) {
		return text + "Argument"
	}
	return text
}

// packageName returns the package name for an interface: evsemanager for "evse_manager".
func packageName(interfaceName string) string {
	var out strings.Builder
	for _, r := range strings.ToLower(interfaceName) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			out.WriteRune(r)
		}
	}
	text := out.String()
	if token.IsKeyword(text) || text == "types" || text == "main" || text == "internal" || text == "" || unicode.IsDigit([]rune(text)[0]) {
		return "interface" + text
	}
	return text
}

// names is the set of Go names that are taken in one scope.
type names map[string]bool

func namesBesides(taken ...string) names {
	scope := names{}
	for _, name := range taken {
		scope[name] = true
	}
	return scope
}

func (n names) unique(name string) string {
	candidate := name
	for i := 2; n[candidate]; i++ {
		candidate = name + "_" + strconv.Itoa(i)
	}
	n[candidate] = true
	return candidate
}
