package scenario

import (
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest/systemtest"
)

// speed is how many times as fast as on a real board everything goes.
const speed = 10

// boards returns the board of a number, of which 0 is the main board.
type boards func(number int) systemtest.Board

// everestBoard is a board with EVerest's System, which has a store. It resets its board long enough after the end of an
// update for the report to leave, also on a busy machine.
func everestBoard(int) systemtest.Board {
	return systemtest.Board{Store: true, ResetDelay: 15 * time.Second, Boot: 20 * time.Second}
}

func politeBoard(int) systemtest.Board {
	return systemtest.Board{Kind: systemtest.Polite, Boot: 20 * time.Second}
}

func vendorBoard(int) systemtest.Board {
	return systemtest.Board{Kind: systemtest.Vendor, Boot: 20 * time.Second}
}

// quickBoard is away for more than 1 s: the backend gets full seconds.
func quickBoard(number int) systemtest.Board {
	b := everestBoard(number)
	b.Boot = speed * 1200 * time.Millisecond
	return b
}

// resetDelay0 is a board that goes down before its report of the end has left. Its boot reason tells it after a minute.
func resetDelay0(int) systemtest.Board { return systemtest.Board{Store: true, Boot: 20 * time.Second} }

// with returns boards of which one is different.
func with(board boards, number int, change func(*systemtest.Board)) boards {
	return func(n int) systemtest.Board {
		b := board(n)
		if n == number {
			change(&b)
		}
		return b
	}
}

// each returns boards that are all changed.
func each(board boards, change func(*systemtest.Board)) boards {
	return func(n int) systemtest.Board {
		b := board(n)
		change(&b)
		return b
	}
}

// What may be different of a board.
func mute(b *systemtest.Board)         { b.Mute = true }
func fallsBack(b *systemtest.Board)    { b.FallsBack = true }
func refuses(b *systemtest.Board)      { b.Refusal = "InvalidCertificate" }
func failsOnce(b *systemtest.Board)    { b.FailingDownloads = 1 }
func failsTwice(b *systemtest.Board)   { b.FailingDownloads = 2 }
func takesAMinute(b *systemtest.Board) { b.Installation = time.Minute }

// awayFor are boards of which satellite1 takes 10 s to boot.
func awayFor(board boards) boards {
	return with(board, 1, func(b *systemtest.Board) { b.Boot = speed * 10 * time.Second })
}

func everyBoard(int) bool { return true }
func noBoard(int) bool    { return false }

// allBut holds for any board but one.
func allBut(number int) func(int) bool { return func(n int) bool { return n != number } }
