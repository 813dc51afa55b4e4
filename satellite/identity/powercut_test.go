package identity

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/durable/durabletest"
)

// TestFilesSurviveCuts pairs a board, gives it a new key and withdraws the trust again.
func TestFilesSurviveCuts(t *testing.T) {
	board := func(directory string) string { return filepath.Join(directory, "board") }
	durabletest.Cut(t, durabletest.Program{
		Steps: []func(string) error{
			func(directory string) error {
				_, err := Create(board(directory), CreateOptions{Serial: "SAT01"})
				return err
			},
			func(directory string) error {
				trust := Trust{Peers: []Pin{{Serial: "MAIN", Fingerprint: Fingerprint{1}, Added: time.Unix(0, 0)}}}
				return trust.Save(board(directory))
			},
			func(directory string) error {
				_, err := Rotate(board(directory), CreateOptions{})
				return err
			},
			func(directory string) error {
				_, err := Activate(board(directory))
				return err
			},
			func(directory string) error { return Trust{}.Save(board(directory)) },
		},
		Read: func(directory string) (string, error) {
			present, err := Load(board(directory))
			if errors.Is(err, ErrMissing) {
				return "no identity", nil
			}
			if err != nil {
				return "", err
			}
			trust, err := LoadTrust(board(directory))
			if err != nil {
				return "", err
			}
			next, err := LoadNext(board(directory))
			if err != nil && !errors.Is(err, ErrMissing) {
				return "", err
			}
			return fmt.Sprintf("%s, %d peers, next %q", present.Serial, len(trust.Peers), next.Serial), nil
		},
	})
}
