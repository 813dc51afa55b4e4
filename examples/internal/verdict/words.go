package verdict

import (
	"cmp"
	"fmt"
	"strconv"
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

// Seconds returns a short time span with a suitable unit.
func Seconds(s float64) string {
	switch {
	case s < 0.001:
		return fmt.Sprintf("%.0f µs", s*1e6)
	case s < 0.01:
		return fmt.Sprintf("%.1f ms", s*1e3)
	case s < 1:
		return fmt.Sprintf("%.0f ms", s*1e3)
	}
	return fmt.Sprintf("%.1f s", s)
}

// Size returns a number of bytes with a suitable unit.
func Size(bytes int) string {
	switch {
	case bytes < 1<<10:
		return fmt.Sprintf("%d bytes", bytes)
	case bytes < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}

// Count returns a number with its noun.
func Count(n uint64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + more
}

// Number returns n with narrow spaces between groups of digits.
func Number(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	if len(digits) < 5 {
		return digits
	}
	grouped := ""
	for len(digits) > 3 {
		grouped = "\u202f" + digits[len(digits)-3:] + grouped
		digits = digits[:len(digits)-3]
	}
	return digits + grouped
}
