package page

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"syscall"
	"time"
)

// explain says why a module does not answer, and what to do.
func explain(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Nobody answers at its control socket: the module ended without tidying up. Its log says why; what supervises it should start it again."
	case errors.Is(err, fs.ErrNotExist):
		return "Its control socket is gone: the module has ended, and nothing has started it again."
	case errors.Is(err, fs.ErrPermission):
		return "This program may not open its control socket: run satctl as the user of the module."
	case errors.Is(err, context.DeadlineExceeded):
		return "The module runs and does not answer within 2 s: it hangs, or its board has more to do than it can."
	}
	return err.Error()
}

// duration is a time span in the two largest units that a person wants to hear.
func duration(d time.Duration) string {
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

// seconds is a short time span with a fitting unit.
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

// size is a number of bytes with a fitting unit.
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

// number groups the digits of large numbers with narrow spaces.
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
