package verdict

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Span returns a time span in one or two units.
func Span(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// Compare compares two names as people count: connector_9 comes before connector_10.
func Compare(one, other string) int {
	for one != "" && other != "" {
		a, b := digits(one), digits(other)
		if a == "" || b == "" {
			if one[0] != other[0] {
				return cmp.Compare(one[0], other[0])
			}
			one, other = one[1:], other[1:]
			continue
		}
		one, other = one[len(a):], other[len(b):]
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if order := cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)); order != 0 {
			return order
		}
	}
	return cmp.Compare(len(one), len(other))
}

// digits returns the digits with which a text begins.
func digits(text string) string {
	return text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
}
