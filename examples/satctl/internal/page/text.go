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

// explain returns why a module does not respond, and what to do.
func explain(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "No process serves its status socket: the module ended without removing it. See its log; its supervisor should start it again."
	case errors.Is(err, fs.ErrNotExist):
		return "Its status socket is gone: the module has ended and was not started again."
	case errors.Is(err, fs.ErrPermission):
		return "This program may not open its status socket: run satctl as the user of the module."
	case errors.Is(err, context.DeadlineExceeded):
		return "The module runs but does not respond within 2 s: it hangs, or its board is overloaded."
	}
	return err.Error()
}

// duration returns a time span in one or two units.
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
