package transfer

import (
	"bytes"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzHTTPHead sends a receiver whatever a board may send as the head of an upload: the receiver answers or ends the connection,
// needs bounded memory, and stores nothing outside of the slot.
func FuzzHTTPHead(f *testing.F) {
	for _, seed := range []string{
		"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "PUT /../../x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n", "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999999999\r\n\r\n", "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
		"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Range: bytes 0-2/3\r\nContent-Length: 3\r\n\r\nabc", "PUT %2e%2e/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
		"PUT /x HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", 5000) + "\r\n", "PUT /" + strings.Repeat("a/", 5000) + " HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "\x00\x16\x03\x01\xff",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	directory := filepath.Join(f.TempDir(), "received")
	receiver, err := NewReceiver(ReceiverConfig{Directory: directory, StallTimeout: 30 * time.Second})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { receiver.Close() })
	address, err := receiver.Listen(f.Context(), "http", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sent []byte, knows bool) {
		slot, err := receiver.Open("board", loopback, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer slot.Close()
		if head, rest, found := bytes.Cut(sent, []byte("\r\n")); found && knows {
			credentials := base64.StdEncoding.EncodeToString([]byte(slot.user + ":" + slot.password))
			sent = slices.Concat(head, []byte("\r\nAuthorization: Basic "+credentials+"\r\n"), rest)
		}
		used := allocated(func() {
			conn := dialTCP(t, address.String())
			defer conn.Close()
			conn.Write(sent) // the receiver may close a connection while it is sent more
			conn.CloseWrite()
			if _, err := io.Copy(io.Discard, conn); err != nil && !isReset(err) {
				t.Error(err)
			}
		})
		if most := uint64(2<<20 + 20*len(sent)); used > most {
			t.Errorf("%d bytes took %d bytes of memory, want %d at most", len(sent), used, most)
		}
		entries, err := os.ReadDir(filepath.Dir(directory))
		if err != nil || len(entries) != 1 {
			t.Errorf("beside the receiver's directory: %v, %v", entries, err)
		}
	})
}
