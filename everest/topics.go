package everest

import "strings"

// topics builds the framework's topics below one prefix.
type topics struct{ prefix string }

func (t topics) module(id string) string         { return t.prefix + "modules/" + id }
func (t topics) configRequest() string           { return t.prefix + "config/request" }
func (t topics) configResponse(id string) string { return t.module(id) + "/response" }
func (t topics) metadata(id string) string       { return t.module(id) + "/metadata" }
func (t topics) moduleReady(id string) string    { return t.module(id) + "/ready" }
func (t topics) globalReady() string             { return t.prefix + "ready" }
func (t topics) shutdown() string                { return t.prefix + "shutdown" }
func (t topics) settings() string                { return t.prefix + "settings" }
func (t topics) moduleNames() string             { return t.prefix + "module_names" }
func (t topics) manifests() string               { return t.prefix + "manifests/" }

// implementation is what the topics of one provided implementation start with.
func (t topics) implementation(module, implementation string) string {
	return t.module(module) + "/impl/" + implementation
}

// split takes a topic and what of it follows the prefix, and returns what the topics of its implementation start with and
// the level behind that: "cmd", "var" or "error". Both are empty for other topics.
func (t topics) split(topic, rest string) (implementation, kind string) {
	module, ok := strings.CutPrefix(rest, "modules/")
	if !ok {
		return "", ""
	}
	_, behind, ok := strings.Cut(module, "/impl/")
	if !ok {
		return "", ""
	}
	_, behind, ok = strings.Cut(behind, "/")
	if !ok {
		return "", ""
	}
	kind, content, ok := strings.Cut(behind, "/")
	if !ok || content == "" {
		return "", ""
	}
	return topic[:len(topic)-len(behind)-1], kind
}

func commandTopic(implementation, command string) string {
	return implementation + "/cmd/" + command
}

func responseTopic(command, caller string) string { return command + "/response/" + caller }

func variableTopic(implementation, variable string) string {
	return implementation + "/var/" + variable
}

// errorTopic takes the type as "namespace/Name", which makes two levels.
func errorTopic(implementation, errorType string) string {
	return implementation + "/error/" + errorType
}

// NormalPrefix makes the framework's prefix end in a slash.
func NormalPrefix(prefix string) string {
	if prefix == "" {
		return "everest/"
	}
	if !strings.HasSuffix(prefix, "/") {
		return prefix + "/"
	}
	return prefix
}

// validTopicLevel reports whether the text can stand between two slashes of a topic. A broker ends the connection of a
// client that publishes to a topic with wildcards.
func validTopicLevel(text string) bool {
	return text != "" && len(text) <= 256 && !strings.ContainsAny(text, "/+#\x00")
}

// validTopic is validTopicLevel for several levels.
func validTopic(text string) bool {
	return text != "" && len(text) <= 1024 && !strings.ContainsAny(text, "+#\x00")
}

// topicMatches reports whether a topic belongs to a filter with the wildcards + and #.
func topicMatches(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		if filter == "#" {
			return true
		}
		level, filterRest, filterMore := strings.Cut(filter, "/")
		part, topicRest, topicMore := strings.Cut(topic, "/")
		if level != "+" && level != part {
			return false
		}
		if !topicMore {
			return !filterMore || filterRest == "#"
		}
		if !filterMore {
			return false
		}
		filter, topic = filterRest, topicRest
	}
}

// packetSize is the size in bytes of the MQTT packet that carries the message.
func packetSize(topic string, payload []byte, delivery Delivery) int {
	length := 2 + len(topic) + len(payload)
	if delivery == ExactlyOnce {
		length += 2 // the packet identifier
	}
	header := 2
	for rest := length >> 7; rest > 0; rest >>= 7 {
		header++
	}
	return header + length
}
