package page

import (
	"fmt"
	"strconv"
)

// seconds returns a short time span with a suitable unit.
func seconds(s float64) string {
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

// size returns a number of bytes with a suitable unit.
func size(bytes int) string {
	switch {
	case bytes < 1<<10:
		return fmt.Sprintf("%d bytes", bytes)
	case bytes < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}

func count(n uint64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + more
}

// number returns n with narrow spaces between groups of digits.
func number(n uint64) string {
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
