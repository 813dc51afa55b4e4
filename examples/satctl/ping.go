package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

// pingCommand measures round trips.
type pingCommand struct {
	Module   string        `arg:"" optional:"" help:"Controller of the satellite. Default: the only one."`
	Count    int           `short:"c" placeholder:"N" help:"Number of pings. Default: until interrupted."`
	Interval time.Duration `short:"i" default:"1s" help:"Pause between pings."`
	Size     int           `placeholder:"BYTES" help:"Payload of a ping, in both directions. Default: none."`
	Timeout  time.Duration `short:"W" default:"5s" help:"How long to wait for an answer."`
}

// pingLine is the JSON of one round trip.
type pingLine struct {
	Sequence int `json:"sequence"`
	*control.Pong
	Error string `json:"error,omitempty"`
}

// pingSummary is the JSON of the last line.
type pingSummary struct {
	Sent     int     `json:"sent"`
	Answered int     `json:"answered"`
	Minimum  float64 `json:"min_s"`
	Average  float64 `json:"avg_s"`
	Maximum  float64 `json:"max_s"`
	Spread   float64 `json:"stddev_s"`
}

// Run sends Count pings, or pings until it is interrupted. It fails where a response is missing.
func (c *pingCommand) Run(ctx context.Context, s *invocation) error {
	if c.Count < 0 || c.Interval < 0 || c.Timeout <= 0 {
		return usage("count and interval must not be negative, and timeout must be above 0")
	}
	if c.Size < 0 {
		return usage("size must not be negative")
	}
	m, err := s.one(ctx, c.Module, isController)
	if err != nil {
		return err
	}
	var times []float64
	sent := 0
	for c.Count == 0 || sent < c.Count {
		if sent > 0 && !pause(ctx, c.Interval) {
			break
		}
		pong, err := c.ping(ctx, m.client)
		if ctx.Err() != nil {
			break // an interrupted ping does not count as lost
		}
		sent++
		switch {
		case errors.Is(err, control.ErrUnsupported), errors.Is(err, control.ErrUnreachable):
			return err
		case err == nil:
			times = append(times, pong.Seconds)
		}
		if err := c.show(s, m, sent, pong, err); err != nil {
			return err
		}
	}
	summary := summarise(sent, times)
	if s.JSON {
		err = json.NewEncoder(s.out).Encode(summary)
	} else {
		_, err = fmt.Fprintf(s.out, "\n--- %s ping statistics ---\n%s\n", terminal.Text(m.name), summary)
	}
	if err == nil && summary.Answered < summary.Sent {
		return &failure{status: exitNotWorking}
	}
	return err
}

func (c *pingCommand) ping(ctx context.Context, client *control.Client) (*control.Pong, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	return client.PingSize(ctx, c.Size)
}

func (c *pingCommand) show(s *invocation, m *module, sequence int, pong *control.Pong, failed error) error {
	if s.JSON {
		line := pingLine{Sequence: sequence, Pong: pong}
		if failed != nil {
			line.Pong, line.Error = nil, failed.Error()
		}
		return json.NewEncoder(s.out).Encode(line)
	}
	if failed != nil {
		_, err := fmt.Fprintf(s.out, "%s: seq=%d no answer: %s\n", terminal.Text(m.name), sequence, terminal.Text(failed.Error()))
		return err
	}
	size := ""
	if pong.Size > 0 {
		size = fmt.Sprintf("size=%d ", pong.Size)
	}
	line := fmt.Sprintf("%s at %s: seq=%d %stime=%s (%s, %s)", m.name, pong.Peer, sequence, size, seconds(pong.Seconds), pong.Dialect, pong.Function)
	_, err := fmt.Fprintln(s.out, terminal.Text(line))
	return err
}

// pause waits, and reports whether ctx has not ended.
func pause(ctx context.Context, length time.Duration) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func summarise(sent int, times []float64) pingSummary {
	summary := pingSummary{Sent: sent, Answered: len(times)}
	if len(times) == 0 {
		return summary
	}
	summary.Minimum = math.Inf(1)
	var sum, squares float64
	for _, t := range times {
		summary.Minimum, summary.Maximum = min(summary.Minimum, t), max(summary.Maximum, t)
		sum += t
	}
	summary.Average = sum / float64(len(times))
	for _, t := range times {
		squares += (t - summary.Average) * (t - summary.Average)
	}
	summary.Spread = math.Sqrt(squares / float64(len(times)))
	return summary
}

// String returns the summary for people.
func (p pingSummary) String() string {
	lost := 0.0
	if p.Sent > 0 {
		lost = 100 * float64(p.Sent-p.Answered) / float64(p.Sent)
	}
	text := fmt.Sprintf("%d sent, %d answered, %.0f%% lost", p.Sent, p.Answered, lost)
	if p.Answered > 0 {
		text += fmt.Sprintf("\nround trip min/avg/max/stddev = %s/%s/%s/%s",
			seconds(p.Minimum), seconds(p.Average), seconds(p.Maximum), seconds(p.Spread))
	}
	return text
}
