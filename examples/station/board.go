package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"

	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
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

// errOrdersEnded is the end of a board that the station asked for.
var errOrdersEnded = errors.New("the orders have ended")

// runBoard is the life of one board's process. Its first order is its
// configuration. It returns nil when the orders end; any other end of any part ends
// the board, as with a real manager.
func runBoard(ctx context.Context, input io.Reader, output, log io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Reading the standard input cannot be ended; the process ends over it.
	orders := readOrders(ctx, input)
	first, ok := <-orders
	if !ok || first.Board == nil {
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
		Broker: first.Board.Broker, EverestPrefix: first.Board.EverestPrefix, Definitions: known, Logger: logger,
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
	if err := board.Run(ctx, config); !errors.Is(err, errOrdersEnded) {
		return err
	}
	return nil
}

// obey lets the role carry out orders until they end, all at once.
func obey(ctx context.Context, role role, orders <-chan Order) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var obeying sync.WaitGroup
	defer obeying.Wait()
	defer cancel(nil)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case order, ok := <-orders:
			if !ok {
				return errOrdersEnded
			}
			obeying.Go(func() {
				if err := role.obey(ctx, order.Do); err != nil {
					cancel(err)
				}
			})
		}
	}
}

// readOrders reads the station's orders until they end.
func readOrders(ctx context.Context, from io.Reader) <-chan Order {
	orders := make(chan Order)
	go func() {
		defer close(orders)
		decoder := json.NewDecoder(from)
		for {
			var order Order
			if decoder.Decode(&order) != nil {
				return
			}
			select {
			case orders <- order:
			case <-ctx.Done():
				return
			}
		}
	}()
	return orders
}
