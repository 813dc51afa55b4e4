package main

import (
	"go/token"
	"strconv"
	"strings"
	"unicode"
)

// initialisms are written in capitals, as Go does.
var initialisms = map[string]string{"id": "ID", "uuid": "UUID", "url": "URL", "uri": "URI", "ip": "IP", "json": "JSON"}

// exported makes an exported Go name of a name on the wire: "energy_Wh_import" becomes EnergyWhImport.
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

// part is the exported name as the rest of a longer one, which may begin with a digit.
func part(name string) string {
	if text := exported(name); text != "X"+strings.TrimPrefix(text, "X") || !unicode.IsDigit([]rune(text + "-")[1]) {
		return text
	} else {
		return strings.TrimPrefix(text, "X")
	}
}

// parameter makes the name of a function's parameter.
func parameter(name string) string {
	text := exported(name)
	runes := []rune(text)
	// Of capitals in a row all become small but the one that begins the next word.
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

// packageName makes a package of an interface's name: "evse_manager" becomes evsemanager.
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

// names gives every wire name a Go name of its own within one scope.
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
