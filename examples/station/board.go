package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
	"github.com/remotechargeport/remotechargeport/examples/internal/supervisor"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// partFunc is the life of a process that is a part of a station. It ends with its
// input.
type partFunc func(ctx context.Context, input io.Reader, output, log io.Writer) error

// role is what a board does: it has modules, and obeys orders.
type role interface {
	modules() []board.Module
	// obey carries out an order, while the board goes on.
	obey(ctx context.Context, do Do) error
	// beside runs beside the modules. Its error ends the board.
	beside(ctx context.Context) error
}

// runBoard is the life of one board's process. Its first order is its
// configuration. It returns nil when the orders end; any other end of any part ends
// the board, as with a real manager.
func runBoard(ctx context.Context, input io.Reader, output, log io.Writer) error {
	var first Order
	ctx, orders, err := supervisor.ReadInput(ctx, input, &first)
	if err != nil || first.Board == nil {
		return errors.New("a board gets its configuration from the station that starts it: start the program without " + boardArgument)
	}
	logger, err := board.NewLogger(log, first.Board.LogLevel)
	if err != nil {
		return err
	}
	known, err := satellite.Definitions()
	if err != nil {
		return err
	}
	report := NewReporter(output)
	account := standin.Account{
		Record: func(entry ledger.Entry) { report.Record(entry) },
		Problem: func(satellite int, text string) {
			report.Report(Report{Kind: KindProblem, Satellite: satellite, Text: text})
		},
	}
	config := board.Config{
		Broker: first.Board.Broker, EverestPrefix: first.Board.EverestPrefix, Family: first.Board.Family, Definitions: known, Logger: logger,
		Ready: func() { report.Report(Report{Kind: KindReady}) },
	}
	var role role
	if first.Board.Satellite > 0 {
		role, err = newSatelliteBoard(*first.Board, known, report, account)
	} else {
		role, err = newMainBoard(*first.Board, known, report, account)
	}
	if err != nil {
		return err
	}
	config.Modules = role.modules()
	config.Beside = append(config.Beside, role.beside, func(ctx context.Context) error { return obey(ctx, role, orders) })
	return board.Run(ctx, config)
}

// obey lets the role carry out orders, each at once.
func obey(ctx context.Context, role role, orders <-chan Order) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var obeying sync.WaitGroup
	defer obeying.Wait()
	defer cancel(nil)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case order := <-orders:
			obeying.Go(func() {
				if err := role.obey(ctx, order.Do); err != nil {
					cancel(err)
				}
			})
		}
	}
}
