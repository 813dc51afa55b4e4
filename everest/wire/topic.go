package wire

import "strings"

// ValidLevel reports whether the text can be one level of a topic. It rejects wildcards, because a broker disconnects a
// client that publishes to a topic with wildcards.
func ValidLevel(text string) bool {
	return text != "" && len(text) <= 256 && !strings.ContainsAny(text, "/+#\x00")
}

// ValidTopic reports whether the text can be a topic of one or more levels, without wildcards.
func ValidTopic(text string) bool {
	return text != "" && len(text) <= 1024 && !strings.ContainsAny(text, "+#\x00")
}

// Matches reports whether a filter with the wildcards + and # includes the topic.
func Matches(filter, topic string) bool {
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

// ValidFilter reports whether the text is a valid filter. Each wildcard must be alone in its level, and # must be in
// the last level.
func ValidFilter(filter string) bool {
	if filter == "" || len(filter) > 1024 || strings.Contains(filter, "\x00") {
		return false
	}
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		if strings.ContainsAny(level, "+#") && level != "+" && (level != "#" || i != len(levels)-1) {
			return false
		}
	}
	return true
}

// ValidErrorType reports whether the text is of the form "namespace/Name".
func ValidErrorType(text string) bool {
	namespace, name, found := strings.Cut(text, "/")
	return found && ValidLevel(namespace) && ValidLevel(name)
}
