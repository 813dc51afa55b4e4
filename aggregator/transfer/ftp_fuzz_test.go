package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// allocated returns how many bytes fn allocates, with what runs beside it.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzFTPReply: what a backend's server replies is read in bounded memory, and a reply is one of RFC 959's.
func FuzzFTPReply(f *testing.F) {
	for _, seed := range []string{
		"220 ready\r\n", "220-a\r\n b\r\n220 c\r\n", "211-Features:\r\n UTF8\r\n211 End\r\n", "226", "999 x\r\n", "226-\r\n226-\r\n", "\r\n",
		"227 Entering Passive Mode (127,0,0,1,4,5)\r\n", "229 (|||4096|)\r\n", strings.Repeat("220-x\r\n", 100), "200\n", "2000 x\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		var code int
		var text string
		var err error
		if used := allocated(func() { code, text, err = readReply(bufio.NewReader(bytes.NewReader(sent))) }); used > uint64(64<<10+64*len(sent)) {
			t.Errorf("%d bytes are allocated for %d", used, len(sent))
		}
		if err != nil {
			return
		}
		if code < 100 || code > 599 || len(text) > maxReply {
			t.Errorf("%d %q", code, text)
		}
		for _, read := range []func(string) (int, error){extendedPort, passivePort} {
			if port, err := read(text); err == nil && (port < 1 || port > 65535) {
				t.Errorf("port %d of %q", port, text)
			}
		}
	})
}

// FuzzFTPLines: the commands and what is passed on do not depend on the pieces in which they arrive, of a long word only the
// beginning is kept, and the library gets no command that the receiver does not know.
func FuzzFTPLines(f *testing.F) {
	f.Add([]byte("USER a\r\nPASS b\r\n"), 3, 5)
	f.Add([]byte("\xff\xf4\xff\xf2abor\r\n\nNOOP\nXYZZY x\nSTAT\n"), 1, 0)
	f.Add(bytes.Repeat([]byte("x"), 100), 1, 1)
	f.Fuzz(func(t *testing.T, sent []byte, size, early int) {
		size, early = max(1, size), min(max(0, early), len(sent))
		var commands []string
		var passed []byte
		at := 0
		for line := range bytes.Lines(sent) {
			isWhole := bytes.HasSuffix(line, []byte("\n"))
			end := bytes.IndexAny(line, " \r\n")
			if end > maxWord || end < 0 && len(line) > maxWord {
				end = maxWord
			}
			if end >= 0 {
				command := knownCommand(line[:end])
				passed = append(passed, command...)
				if command != ftpUnknown {
					passed = append(passed, line[end:]...)
				} else if isWhole {
					passed = append(passed, '\n')
				}
				if at >= early && isWhole {
					commands = append(commands, command)
				}
			}
			at += len(line)
		}
		var lines ftpLines
		gotPassed, _ := lines.add(nil, sent[:early], true)
		var got []string
		for piece := range slices.Chunk(sent[early:], size) {
			var more []string
			gotPassed, more = lines.add(gotPassed, piece, false)
			got = append(got, more...)
			if cap(lines.word) > 64 {
				t.Errorf("%d bytes of a line are kept", cap(lines.word))
			}
		}
		if !slices.Equal(got, commands) || !bytes.Equal(gotPassed, passed) {
			t.Errorf("%q and %q, want %q and %q", got, gotPassed, commands, passed)
		}
	})
}

// FuzzFTPCommands sends a receiver whatever a client may send after its login: the receiver replies in lines, ends the
// connection, needs bounded memory, and stores nothing outside of the slot.
func FuzzFTPCommands(f *testing.F) {
	for _, seed := range []string{
		"NOOP\r\nQUIT\r\n", "CWD /\r\nPWD\r\nCDUP\r\n", "EPSV\r\nPASV\r\nEPSV ALL\r\nABOR\r\n", "RNFR x\r\nRNTO y\r\n", "STOR x\r\n", "PORT 1,2,3,4,5,6\r\n",
		"SITE CHMOD 777 x\r\nSIZE x\r\nMDTM x\r\nHASH x\r\nALLO 99999999999999999999\r\n", "USER x\r\nPASS y\r\nREIN\r\n", "TYPE\r\nMODE Z\r\nSTRU R\r\nREST -1\r\nOPTS MLST x\r\n",
		"COMB a b\r\nXSHA256 \"x\" 1 2\r\nAVBL\r\nMLST\r\nSTAT x\r\nLIST\r\n", "\x00\xff\xf4\r\n", strings.Repeat("A", 5000), strings.Repeat("\r\n", 3000), "RETR\r\nAPPE\r\nMKD\r\nDELE\r\nRMD\r\n",
	} {
		f.Add([]byte(seed))
	}
	receiver, err := NewReceiver(ReceiverConfig{Directory: filepath.Join(f.TempDir(), "received"), StallTimeout: 30 * time.Second})
	if err != nil {
		f.Fatal(err)
	}
	receiver.dataTimeout = 10 * time.Millisecond
	f.Cleanup(func() { receiver.Close() })
	address, err := receiver.Listen(f.Context(), "ftp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		slot, err := receiver.Open("board", loopback, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer slot.Close()
		var replies []byte
		used := allocated(func() {
			conn := dialTCP(t, address.String())
			defer conn.Close()
			say(conn, "USER "+slot.user)
			say(conn, "PASS "+slot.password)
			conn.Write(sent) // the receiver may close a connection while it is sent more
			conn.CloseWrite()
			if replies, err = io.ReadAll(conn); err != nil && !isReset(err) {
				t.Error(err)
			}
		})
		// A line has a reply: the library takes 4 KiB for it, and some more for a listener.
		if most := uint64(256<<10 + 64*len(sent) + (16<<10)*bytes.Count(sent, []byte("\n"))); used > most {
			t.Errorf("%d bytes are allocated for %d, want at most %d", used, len(sent), most)
		}
		if len(replies) > 0 && (!bytes.HasPrefix(replies, []byte("220 ")) || !bytes.HasSuffix(replies, []byte("\r\n"))) {
			t.Errorf("%.200q", replies)
		}
		if complete, incomplete := slot.Files(); len(complete)+len(incomplete) != 0 {
			t.Errorf("stored: %v %v", complete, incomplete)
		}
	})
}

func isReset(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && !network.Timeout()
}
