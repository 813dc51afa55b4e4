package admission

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// A connection that the satellite resets had no place there. That has nothing to do with TLS, which a connection that
// ends in order has.
func TestTheCauseOfAConnectionThatEnded(t *testing.T) {
	dialer := NewDialer(NewProtection(zap.NewNop()))
	for _, test := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, "too many connections"},
		{fmt.Errorf("%w: %w", rpc.ErrHandshake, &net.OpError{Op: "dial", Err: syscall.ECONNRESET}), "too many connections"},
		{io.EOF, "mutual-tls"},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, ""},
	} {
		text := strings.TrimPrefix(dialer.Explain(test.err).Error(), test.err.Error())
		if !strings.Contains(text, test.want) || test.want != "mutual-tls" && strings.Contains(text, "tls") || test.want == "" && text != "" {
			t.Errorf("%v is explained by %q, want %q", test.err, text, test.want)
		}
	}
}

// Boards that do not trust each other are told what to run. A serial number that a stranger has made up gets into no
// command that a person copies.
func TestAdviceWhereBoardsDoNotTrustEachOther(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "identity")
	own, err := identity.Create(directory, identity.CreateOptions{Serial: "MAIN01"})
	if err != nil {
		t.Fatal(err)
	}
	protection := NewProtection(zap.NewNop())
	if err := protection.Configure(MutualTLS, directory); err != nil {
		t.Fatal(err)
	}
	dialer := NewDialer(protection)
	refused := func(reason identity.Reason, serial string) error {
		return fmt.Errorf("%w: %w", rpc.ErrHandshake, &identity.PeerError{Reason: reason, Serial: serial})
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "remote error", Err: io.EOF}, "satkeys trust DIRECTORY " + own.Fingerprint.String() + " --serial MAIN01"},
		{refused(identity.Untrusted, "SAT01"), "run here: satkeys trust " + directory + " "},
		{refused(identity.Untrusted, "a; reboot"), "no usable serial number"},
		{refused(identity.WrongSerial, "SAT02"), `"SAT02"`},
		{refused(identity.Expired, "SAT01"), "has expired"},
		{fmt.Errorf("%w: %w", rpc.ErrHandshake, io.EOF), "set security to mutual-tls there too"},
		{syscall.ECONNREFUSED, ""},
	} {
		if got := dialer.Advice(test.err); !strings.Contains(got, test.want) || test.want == "" && got != "" || strings.Contains(got, "reboot") {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
}
