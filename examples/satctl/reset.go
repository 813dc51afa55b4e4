package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

// resetCommand resets one satellite of the station.
type resetCommand struct {
	Board  string `arg:"" help:"Board to reset: its number, its name in the archive of logs, or the id of its controller."`
	Hard   bool   `help:"Ask for a hard reset. Default: a soft one."`
	Module string `short:"m" placeholder:"MODULE" help:"Aggregator to ask. Default: the only one."`
}

// Run asks the aggregator to reset the board. It fails where the board is away, does not allow it, or installs firmware,
// and returns as soon as the board has the command.
func (c *resetCommand) Run(ctx context.Context, s *invocation) error {
	m, err := s.one(ctx, c.Module, isAggregator)
	if err != nil {
		return err
	}
	board, err := m.client.Reset(ctx, c.Board, c.Hard)
	if err != nil {
		return err
	}
	if s.JSON {
		return json.NewEncoder(s.out).Encode(control.ResetBoard{Board: board})
	}
	_, err = fmt.Fprintf(s.out, "%s: is being reset\n", terminal.Text(board))
	return err
}

// Help is the rest of the command's help. kong shows it below the summary.
func (c *resetCommand) Help() string {
	return "The main board and the other satellites go on. A backend's Reset is one of the whole station. " +
		"A board that is away, says no, or installs firmware is not reset. " +
		"Who may open the aggregator's socket may reset a board."
}
