package transfer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jlaffaye/ftp"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/testenv"
)

var loopback = []netip.Addr{netip.MustParseAddr("127.0.0.1")}

type testReceiver struct {
	*Receiver
	protocol string
	port     int
	// arrived gets a value when bytes of a file have arrived.
	arrived chan struct{}
}

func newTestReceiver(t *testing.T, protocol, host string, config ReceiverConfig) testReceiver {
	t.Helper()
	config.Directory = filepath.Join(t.TempDir(), "received")
	receiver, err := NewReceiver(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { receiver.Close() })
	address, err := receiver.Listen(t.Context(), protocol, net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	return testReceiver{Receiver: receiver, protocol: protocol, port: address.(*net.TCPAddr).Port, arrived: make(chan struct{}, 1)}
}

func (r testReceiver) open(t *testing.T, host string, peers []netip.Addr) (*Slot, string) {
	t.Helper()
	slot, err := r.Open("board 1", peers, func(string, int64) {
		select {
		case r.arrived <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	location, err := slot.Location(fmt.Sprintf("%s://%s/logs/", r.protocol, net.JoinHostPort(host, fmt.Sprint(r.port))))
	if err != nil {
		t.Fatal(err)
	}
	return slot, location
}

// names are the complete files of a slot and the others.
func names(slot *Slot) (complete, incomplete []string) {
	files, incomplete := slot.Files()
	for _, file := range files {
		complete = append(complete, file.Name)
	}
	return complete, incomplete
}

// TestReceiverTakesWhatCurlSends runs the very command of the boards' system modules.
func TestReceiverTakesWhatCurlSends(t *testing.T) {
	curl := findTool(t, "curl")
	for _, test := range []struct{ protocol, host string }{{"ftp", "127.0.0.1"}, {"ftp", "::1"}, {"http", "127.0.0.1"}} {
		t.Run(test.protocol+" "+test.host, func(t *testing.T) {
			receiver := newTestReceiver(t, test.protocol, test.host, ReceiverConfig{})
			slot, location := receiver.open(t, test.host, []netip.Addr{netip.MustParseAddr(test.host)})
			content := bytes.Repeat([]byte("a line of a log\r\n"), 200_000)
			file := filepath.Join(t.TempDir(), "diagnostics.tar.gz")
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			output, err := exec.CommandContext(t.Context(), curl, "--silent", "--show-error", "--fail", "--ssl", "-T", file, location).CombinedOutput()
			if err != nil {
				t.Fatalf("curl: %v\n%s", err, output)
			}
			testenv.Eventually(t, "the file is complete", func() bool {
				complete, _ := names(slot)
				return cmp.Equal(complete, []string{"diagnostics.tar.gz"})
			})
			files, _ := slot.Files()
			got, err := os.ReadFile(files[0].Path)
			if err != nil || !bytes.Equal(got, content) || files[0].Size != int64(len(content)) {
				t.Errorf("%d of %d bytes are the same file: %v", len(got), len(content), err)
			}
		})
	}
}

func dialFTP(t *testing.T, location string) (*ftp.ServerConn, *url.URL) {
	t.Helper()
	parsed, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	client, err := ftp.Dial(parsed.Host, ftp.DialWithTimeout(20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Quit() })
	return client, parsed
}

func loginFTP(t *testing.T, location string) (*ftp.ServerConn, *url.URL) {
	t.Helper()
	client, parsed := dialFTP(t, location)
	password, _ := parsed.User.Password()
	if err := client.Login(parsed.User.Username(), password); err != nil {
		t.Fatal(err)
	}
	return client, parsed
}

func TestReceiverPermitsNothingButNewFiles(t *testing.T) {
	receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{})
	slot, location := receiver.open(t, "127.0.0.1", loopback)
	client, parsed := loginFTP(t, location)
	directory := parsed.Path
	if err := client.Stor(directory+"first.txt", strings.NewReader("first")); err != nil {
		t.Fatal(err)
	}
	refused := map[string]func() error{
		"list":           func() error { _, err := client.List(directory); return err },
		"list names":     func() error { _, err := client.NameList(directory); return err },
		"read":           func() error { r, err := client.Retr(directory + "first.txt"); closeIfOpen(r); return err },
		"overwrite":      func() error { return client.Stor(directory+"first.txt", strings.NewReader("second")) },
		"append":         func() error { return client.Append(directory+"first.txt", strings.NewReader("more")) },
		"resume":         func() error { return client.StorFrom(directory+"other.txt", strings.NewReader("more"), 3) },
		"delete":         func() error { return client.Delete(directory + "first.txt") },
		"make directory": func() error { return client.MakeDir(directory + "new") },
		"remove":         func() error { return client.RemoveDir(strings.TrimSuffix(directory, "/")) },
		"size":           func() error { _, err := client.FileSize(directory + "first.txt"); return err },
		"other place":    func() error { return client.Stor("/etc/passwd", strings.NewReader("x")) },
		"root":           func() error { return client.Stor("/passwd", strings.NewReader("x")) },
		"up":             func() error { return client.Stor(directory+"../../../../etc/passwd", strings.NewReader("x")) },
		"below":          func() error { return client.Stor(directory+"sub/passwd", strings.NewReader("x")) },
		"no name":        func() error { return client.Stor(directory+"..", strings.NewReader("x")) },
	}
	for name, attempt := range refused {
		if err := attempt(); err == nil {
			t.Errorf("%s was permitted", name)
		}
	}
	if err := client.Stor(directory+"we ird\x01näme;rm -rf.txt", strings.NewReader("x")); err != nil {
		t.Error(err)
	}
	if err := client.Quit(); err != nil {
		t.Error(err)
	}
	testenv.Eventually(t, "the files are complete", func() bool { complete, _ := names(slot); return len(complete) == 2 })
	complete, incomplete := names(slot)
	if diff := cmp.Diff([]string{"first.txt", "we_ird_n_me_rm_-rf.txt"}, complete); diff != "" || len(incomplete) != 0 {
		t.Errorf("%s\nincomplete: %v", diff, incomplete)
	}
	files, _ := slot.Files()
	if content, _ := os.ReadFile(files[0].Path); string(content) != "first" {
		t.Errorf("the first file is now %q", content)
	}
}

func closeIfOpen(r *ftp.Response) {
	if r != nil {
		r.Close()
	}
}

func TestReceiverRefusesWhoIsNotTheBoard(t *testing.T) {
	receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{})
	elsewhere, elsewhereLocation := receiver.open(t, "127.0.0.1", []netip.Addr{netip.MustParseAddr("192.0.2.7")})
	slot, location := receiver.open(t, "127.0.0.1", loopback)
	_, otherLocation := receiver.open(t, "127.0.0.1", loopback)
	parsed, _ := url.Parse(location)
	other, _ := url.Parse(otherLocation)
	password, _ := parsed.User.Password()
	otherPassword, _ := other.User.Password()
	elsewhereParsed, _ := url.Parse(elsewhereLocation)
	elsewherePassword, _ := elsewhereParsed.User.Password()

	for name, try := range map[string][2]string{
		"anonymous":       {"anonymous", "anonymous"},
		"no password":     {parsed.User.Username(), ""},
		"another's":       {parsed.User.Username(), otherPassword},
		"another address": {elsewhereParsed.User.Username(), elsewherePassword},
	} {
		client, _ := dialFTP(t, location)
		if err := client.Login(try[0], try[1]); err == nil {
			t.Errorf("%s: let in", name)
		}
	}
	// Credentials of one request do not open another's directory.
	client, _ := dialFTP(t, location)
	if err := client.Login(parsed.User.Username(), password); err != nil {
		t.Fatal(err)
	}
	if err := client.Stor(other.Path+"file", strings.NewReader("x")); err == nil {
		t.Error("stored into another request's directory")
	}
	elsewhere.Close()
	slot.Close()
	if err := client.Stor(parsed.Path+"file", strings.NewReader("x")); err == nil {
		t.Error("stored after the request was over")
	}
	late, _ := dialFTP(t, location)
	if err := late.Login(parsed.User.Username(), password); err == nil {
		t.Error("let in after the request was over")
	}
}

func TestReceiverGreetsOnlyWhoIsExpected(t *testing.T) {
	receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{})
	greeted := func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", receiver.port))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		line, _ := bufio.NewReader(conn).ReadString('\n')
		return strings.HasPrefix(line, "220")
	}
	if greeted() {
		t.Error("greeted without any request")
	}
	slot, _ := receiver.open(t, "127.0.0.1", []netip.Addr{netip.MustParseAddr("192.0.2.7")})
	if greeted() {
		t.Error("greeted although another address is expected")
	}
	slot.Close()
	receiver.open(t, "127.0.0.1", nil)
	if !greeted() {
		t.Error("not greeted although the board's address is not known")
	}
}

// TestReceiverWithoutTheBoardsAddress: the first address with the credentials becomes the board's.
func TestReceiverWithoutTheBoardsAddress(t *testing.T) {
	receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{})
	slot, location := receiver.open(t, "127.0.0.1", nil)
	loginFTP(t, location)
	if slot.accepts(netip.MustParseAddr("192.0.2.9")) || !slot.accepts(loopback[0]) {
		t.Errorf("the slot accepts %v", slot.peers)
	}
}

func TestReceiverLimits(t *testing.T) {
	t.Run("one file", func(t *testing.T) {
		receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{MaxFile: 1 << 20})
		slot, location := receiver.open(t, "127.0.0.1", loopback)
		client, parsed := loginFTP(t, location)
		err := client.Stor(parsed.Path+"terabyte", endless{})
		if err == nil || !strings.Contains(err.Error(), "552") {
			t.Errorf("a file without end: %v", err)
		}
		if err := client.Stor(parsed.Path+"terabyte", strings.NewReader("small")); err != nil {
			t.Errorf("the next try: %v", err)
		}
		client.NoOp()
		if complete, incomplete := names(slot); len(complete) != 1 || len(incomplete) != 0 {
			t.Errorf("complete %v, incomplete %v", complete, incomplete)
		}
	})
	t.Run("all files", func(t *testing.T) {
		receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{MaxFile: 1 << 20, MaxTotal: 3 << 19})
		slot, location := receiver.open(t, "127.0.0.1", loopback)
		client, parsed := loginFTP(t, location)
		if err := client.Stor(parsed.Path+"1", io.LimitReader(endless{}, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if err := client.Stor(parsed.Path+"2", io.LimitReader(endless{}, 1<<20)); err == nil {
			t.Error("more than all files together may have")
		}
		slot.Close()
		again, location := receiver.open(t, "127.0.0.1", loopback)
		client, parsed = loginFTP(t, location)
		if err := client.Stor(parsed.Path+"2", io.LimitReader(endless{}, 1<<20)); err != nil {
			t.Errorf("after the first request was over: %v", err)
		}
		again.Close()
		if receiver.stored != 0 {
			t.Errorf("%d bytes are still counted", receiver.stored)
		}
	})
	t.Run("number of files", func(t *testing.T) {
		receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{MaxFiles: 3})
		slot, location := receiver.open(t, "127.0.0.1", loopback)
		client, parsed := loginFTP(t, location)
		stored := 0
		for i := range 50 {
			if client.Stor(fmt.Sprintf("%sname%d", parsed.Path, i), strings.NewReader("")) == nil {
				stored++
			}
		}
		if complete, _ := names(slot); stored != 3 || len(complete) != 3 {
			t.Errorf("%d were stored, %v are there", stored, complete)
		}
	})
	t.Run("free space", func(t *testing.T) {
		receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{KeepFree: 1 << 60})
		_, location := receiver.open(t, "127.0.0.1", loopback)
		client, parsed := loginFTP(t, location)
		if err := client.Stor(parsed.Path+"file", strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "552") {
			t.Errorf("a disk that is full: %v", err)
		}
	})
	t.Run("stalled", func(t *testing.T) {
		receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{StallTimeout: time.Second})
		slot, location := receiver.open(t, "127.0.0.1", loopback)
		client, parsed := loginFTP(t, location)
		reader, writer := io.Pipe()
		defer writer.Close()
		go client.Stor(parsed.Path+"file", reader)
		writer.Write([]byte("some"))
		testenv.Eventually(t, "the file is given up", func() bool { _, incomplete := names(slot); return len(incomplete) == 0 })
	})
}

// endless is a file that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestReceiverKnowsIncompleteFiles speaks FTP by hand, to end it at every place. A cut file is never complete, whatever
// its board reports: a client that was killed ends its data connection as cleanly as one that is done.
func TestReceiverKnowsIncompleteFiles(t *testing.T) {
	for name, test := range map[string]struct {
		end      func(control, data *net.TCPConn)
		complete bool
	}{
		"data reset":             {func(_, data *net.TCPConn) { data.SetLinger(0); data.Close() }, false},
		"killed":                 {func(control, data *net.TCPConn) { data.Close(); control.Close() }, false},
		"control first":          {func(control, data *net.TCPConn) { control.Close(); data.Close() }, false},
		"half closed":            {func(control, data *net.TCPConn) { data.Close(); control.CloseWrite() }, false},
		"killed after the reply": {func(control, data *net.TCPConn) { data.Close(); expect(t, control, "226"); control.Close() }, false},
		"half a command": {func(control, data *net.TCPConn) {
			data.Close()
			expect(t, control, "226")
			fmt.Fprint(control, "QUI")
			control.Close()
		}, false},
		"a command before the end": {func(control, data *net.TCPConn) { say(control, "NOOP"); data.Close(); control.CloseWrite() }, false},
		"goodbye before the end":   {func(control, data *net.TCPConn) { say(control, "QUIT"); data.Close() }, false},
		"given up":                 {func(control, data *net.TCPConn) { data.Close(); expect(t, control, "226"); say(control, "ABOR") }, false},
		"given up as Telnet does it": {func(control, data *net.TCPConn) {
			data.Close()
			expect(t, control, "226")
			say(control, "\xff\xf4\xff\xf2ABOR")
		}, false},
		"goodbye":                     {func(control, data *net.TCPConn) { data.Close(); expect(t, control, "226"); say(control, "QUIT") }, true},
		"another command":             {func(control, data *net.TCPConn) { data.Close(); expect(t, control, "226"); say(control, "NOOP") }, true},
		"a command that nobody knows": {func(control, data *net.TCPConn) { data.Close(); expect(t, control, "226"); say(control, "XYZZY LABOR") }, true},
		"goodbye without reading replies": {func(control, data *net.TCPConn) {
			data.Close()
			expect(t, control, "226")
			say(control, "QUIT")
			control.Close()
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{})
			slot, location := receiver.open(t, "127.0.0.1", loopback)
			control, data := storeByHand(t, location)
			<-receiver.arrived
			if complete, _ := names(slot); complete != nil {
				t.Fatalf("%v before its end", complete)
			}
			test.end(control, data)
			control.CloseWrite()
			slot.Settle(t.Context())
			complete, incomplete := names(slot)
			if test.complete != (strings.Join(complete, " ") == "file") || len(complete)+len(incomplete) > 1 {
				t.Errorf("complete is %v, incomplete %v", complete, incomplete)
			}
		})
	}
}

// TestANewUploadReplacesOneThatIsNotComplete: the first attempt's connection may hang, and nothing tells the receiver that
// its client is gone.
func TestANewUploadReplacesOneThatIsNotComplete(t *testing.T) {
	begin := map[string]func(t *testing.T, location string) net.Conn{
		"ftp": func(t *testing.T, location string) net.Conn {
			control, _ := storeByHand(t, location)
			return control
		},
		"ftp, stored": func(t *testing.T, location string) net.Conn {
			control, data := storeByHand(t, location)
			data.Close()
			expect(t, control, "226")
			return control
		},
		"http": func(t *testing.T, location string) net.Conn { return putByHand(t, location, "file", "half of it") },
	}
	for name, first := range begin {
		t.Run(name, func(t *testing.T) {
			receiver := newTestReceiver(t, name[:min(4, len(strings.Split(name, ",")[0]))], "127.0.0.1", ReceiverConfig{StallTimeout: time.Hour})
			slot, location := receiver.open(t, "127.0.0.1", loopback)
			hanging := first(t, location)
			<-receiver.arrived
			if _, incomplete := names(slot); len(incomplete) != 1 {
				t.Fatalf("incomplete is %v", incomplete)
			}
			if err := uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), location+"file", []byte("the whole")); err != nil {
				t.Fatal(err)
			}
			// The old connection is closed.
			if content, err := io.ReadAll(hanging); err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%q, %v", content, err)
			}
			slot.Settle(t.Context())
			files, incomplete := slot.Files()
			if len(files) != 1 || len(incomplete) != 0 {
				t.Fatalf("complete is %v, incomplete %v", files, incomplete)
			}
			if content, err := os.ReadFile(files[0].Path); err != nil || string(content) != "the whole" {
				t.Errorf("%q, %v", content, err)
			}
			// Nothing of the first attempt is left or counted.
			testenv.Eventually(t, "one file is on the disk", func() bool {
				entries, err := os.ReadDir(slot.directory)
				receiver.mu.Lock()
				defer receiver.mu.Unlock()
				return err == nil && len(entries) == 1 && receiver.stored == int64(len("the whole"))
			})
			// A complete one stays.
			if err := uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), location+"file", []byte("another")); err == nil {
				t.Error("a complete file was replaced")
			}
		})
	}
}

// Nobody ends another's upload: the credentials of another slot do not do it.
func TestAnotherBoardReplacesNothing(t *testing.T) {
	receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{})
	slot, location := receiver.open(t, "127.0.0.1", loopback)
	_, otherLocation := receiver.open(t, "127.0.0.1", loopback)
	control, data := storeByHand(t, location)
	<-receiver.arrived
	client, _ := loginFTP(t, otherLocation)
	parsed, _ := url.Parse(location)
	if err := client.Stor(parsed.Path+"file", strings.NewReader("x")); err == nil {
		t.Error("stored into another request's directory")
	}
	if err := uploadFile(t, t.Context(), NewUploader(UploaderConfig{}), otherLocation+"file", []byte("x")); err != nil {
		t.Error(err)
	}
	data.Close()
	expect(t, control, "226")
	say(control, "NOOP")
	expect(t, control, "200")
	if complete, _ := names(slot); len(complete) != 1 {
		t.Errorf("complete is %v", complete)
	}
}

// TestRename: some clients upload under a temporary name.
func TestRename(t *testing.T) {
	receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{})
	slot, location := receiver.open(t, "127.0.0.1", loopback)
	_, otherLocation := receiver.open(t, "127.0.0.1", loopback)
	client, parsed := loginFTP(t, location)
	other, _ := url.Parse(otherLocation)
	directory := parsed.Path
	for _, name := range []string{"log.tmp", "complete"} {
		if err := client.Stor(directory+name, strings.NewReader(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.NoOp(); err != nil {
		t.Fatal(err)
	}
	hanging, _ := storeByHand(t, location) // its name is file
	testenv.Eventually(t, "the other upload begins", func() bool { _, incomplete := names(slot); return len(incomplete) == 1 })
	for name, pair := range map[string][2]string{
		"onto a complete file":   {"log.tmp", directory + "complete"},
		"into another slot":      {"log.tmp", other.Path + "log"},
		"upwards":                {"log.tmp", directory + "../log"},
		"to the root":            {"log.tmp", "/log"},
		"below":                  {"log.tmp", directory + "sub/log"},
		"to no name":             {"log.tmp", directory + ".."},
		"what is not there":      {"nothing", directory + "log"},
		"what is still arriving": {"file", directory + "log"},
		"the directory":          {"", directory + "log"},
	} {
		if err := client.Rename(directory+pair[0], pair[1]); err == nil {
			t.Errorf("%s: permitted", name)
		}
	}
	for _, to := range []string{"log.tmp", "log.gz", "file"} {
		if err := client.Rename(directory+"log.tmp", directory+to); to != "file" && err != nil {
			t.Errorf("to %s: %v", to, err)
		}
		if to == "log.gz" {
			if err := client.Rename(directory+to, directory+"log.tmp"); err != nil {
				t.Error(err)
			}
		}
	}
	// What a file replaces by its new name is not complete, and its sender is gone.
	io.Copy(io.Discard, hanging)
	slot.Settle(t.Context())
	files, incomplete := slot.Files()
	if len(files) != 2 || files[1].Name != "file" || len(incomplete) != 0 {
		t.Fatalf("complete is %v, incomplete %v", files, incomplete)
	}
	if content, err := os.ReadFile(files[1].Path); err != nil || string(content) != "log.tmp" {
		t.Errorf("%q, %v", content, err)
	}
	slot.Close()
	if entries, err := os.ReadDir(receiver.config.Directory); err != nil || len(entries) != 1 {
		t.Errorf("left over: %v %v", entries, err)
	}
}

// TestActiveModeIsRefused: RFC 959 section 5.4 and RFC 2428 section 2 have 500 for a server without PORT and EPRT. The
// connection stays open.
func TestActiveModeIsRefused(t *testing.T) {
	receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{})
	_, location := receiver.open(t, "127.0.0.1", loopback)
	parsed, _ := url.Parse(location)
	password, _ := parsed.User.Password()
	control := dialTCP(t, parsed.Host)
	expect(t, control, "220")
	for _, line := range [][2]string{
		{"USER " + parsed.User.Username(), "331"}, {"PASS " + password, "230"}, {"PORT 127,0,0,1,0,22", "500"}, {"EPRT |1|127.0.0.1|22|", "500"},
		{"eprt", "500"}, {"LPRT 4,4,127,0,0,1,2,0,22", "502"}, {"XYZZY", "502"}, {"STAT", "502"}, {"NOOP", "200"},
	} {
		say(control, line[0])
		expect(t, control, line[1])
	}
}

// storeByHand speaks FTP as far as the middle of a file.
func storeByHand(t *testing.T, location string) (control, data *net.TCPConn) {
	t.Helper()
	parsed, _ := url.Parse(location)
	password, _ := parsed.User.Password()
	control = dialTCP(t, parsed.Host)
	expect(t, control, "220")
	for _, line := range [][2]string{{"USER " + parsed.User.Username(), "331"}, {"PASS " + password, "230"}, {"TYPE I", "200"}} {
		say(control, line[0])
		expect(t, control, line[1])
	}
	say(control, "EPSV")
	var port int
	reply := expect(t, control, "229")
	if _, err := fmt.Sscanf(reply[strings.Index(reply, "("):], "(|||%d|)", &port); err != nil {
		t.Fatal(reply, err)
	}
	say(control, "STOR "+parsed.Path+"file")
	data = dialTCP(t, fmt.Sprintf("127.0.0.1:%d", port))
	expect(t, control, "150")
	if _, err := data.Write([]byte("half of it")); err != nil {
		t.Fatal(err)
	}
	return control, data
}

// putByHand sends the head of a PUT that has 100 bytes, and the beginning of them.
func putByHand(t *testing.T, location, name, beginning string) net.Conn {
	t.Helper()
	parsed, _ := url.Parse(location)
	conn := dialTCP(t, parsed.Host)
	password, _ := parsed.User.Password()
	request, _ := http.NewRequest("PUT", location+name, nil)
	request.SetBasicAuth(parsed.User.Username(), password)
	fmt.Fprintf(conn, "PUT %s%s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 100\r\n\r\n%s",
		parsed.Path, name, request.Header.Get("Authorization"), beginning)
	return conn
}

// TestClosingWaitsForNoClient closes while a client sends nothing more. One that has already asked for something else
// keeps the library from looking at its control connection.
func TestClosingWaitsForNoClient(t *testing.T) {
	for name, end := range map[string]func(receiver testReceiver, slot *Slot) error{
		"slot":     func(_ testReceiver, slot *Slot) error { return slot.Close() },
		"receiver": func(receiver testReceiver, _ *Slot) error { return receiver.Close() },
	} {
		for _, waiting := range []string{"", "NOOP", "QUIT"} {
			t.Run(name+" "+waiting, func(t *testing.T) {
				receiver := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{StallTimeout: time.Hour})
				slot, location := receiver.open(t, "127.0.0.1", loopback)
				control, data := storeByHand(t, location)
				<-receiver.arrived
				if waiting != "" {
					say(control, waiting)
				}
				closed := make(chan error, 1)
				go func() { closed <- end(receiver, slot) }()
				select {
				case err := <-closed:
					if err != nil {
						t.Error(err)
					}
				case <-time.After(20 * time.Second):
					t.Error("it waits for the client")
					data.Close()
					<-closed
				}
			})
		}
	}
}

func dialTCP(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

func say(conn net.Conn, line string) { fmt.Fprintf(conn, "%s\r\n", line) }

// expect reads one reply of one line, byte by byte: nothing of the next one may be swallowed.
func expect(t *testing.T, conn net.Conn, code string) string {
	t.Helper()
	var line []byte
	for one := make([]byte, 1); ; {
		if _, err := conn.Read(one); err != nil {
			t.Fatalf("waiting for %s: %v after %q", code, err, line)
		}
		if one[0] == '\n' {
			break
		}
		line = append(line, one[0])
	}
	if !bytes.HasPrefix(line, []byte(code)) {
		t.Fatalf("%q where %s was expected", line, code)
	}
	return string(line)
}

func TestHTTPReceiver(t *testing.T) {
	receiver := newTestReceiver(t, "http", "127.0.0.1", ReceiverConfig{MaxFile: 1 << 20})
	slot, location := receiver.open(t, "127.0.0.1", loopback)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	send := func(method, target string, body io.Reader, length int64, header ...string) int {
		request, err := http.NewRequestWithContext(t.Context(), method, target, body)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		request.ContentLength = length
		response, err := client.Do(request)
		if err != nil {
			return 0
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	wrongUser := strings.Replace(location, "://b", "://c", 1)
	noUser := location[:strings.Index(location, "//")+2] + location[strings.Index(location, "@")+1:]
	for name, test := range map[string]struct{ got, want int }{
		"new":          {send("PUT", location+"file", strings.NewReader("content"), 7), 201},
		"again":        {send("PUT", location+"file", strings.NewReader("content"), 7), 409},
		"read":         {send("GET", location+"file", nil, 0), 405},
		"delete":       {send("DELETE", location+"file", nil, 0), 405},
		"post":         {send("POST", location+"file", nil, 0), 405},
		"wrong user":   {send("PUT", wrongUser+"file", nil, 0), 401},
		"no user":      {send("PUT", noUser+"file", nil, 0), 401},
		"elsewhere":    {send("PUT", location+"../file", nil, 0), 403},
		"below":        {send("PUT", location+"sub/file", nil, 0), 403},
		"too large":    {send("PUT", location+"large", io.LimitReader(endless{}, 2<<20), 2<<20), 413},
		"without end":  {send("PUT", location+"endless", endless{}, -1), 413},
		"a part":       {send("PUT", location+"part", strings.NewReader("content"), 7, "Content-Range", "bytes 0-6/14"), 400},
		"any part":     {send("PUT", location+"part", strings.NewReader("content"), 7, "Content-Range", ""), 400},
		"chunked good": {send("PUT", location+"chunked", io.LimitReader(endless{}, 1000), -1), 201},
	} {
		// A server that refuses while the client still sends may end the connection first.
		if test.got != test.want && !(test.want == 413 && test.got == 0) {
			t.Errorf("%s: %d, want %d", name, test.got, test.want)
		}
	}
	conn := putByHand(t, location, "cut", "only this")
	testenv.Eventually(t, "the cut file arrives", func() bool { _, incomplete := names(slot); return len(incomplete) == 1 })
	conn.Close()
	testenv.Eventually(t, "the cut file is given up", func() bool { _, incomplete := names(slot); return len(incomplete) == 0 })
	if complete, _ := names(slot); !cmp.Equal(complete, []string{"chunked", "file"}) {
		t.Errorf("complete: %v", complete)
	}
}

// TestSlotCloseDoesNotWaitForTheBoard: an upload that is under way ends with its request.
func TestSlotCloseDoesNotWaitForTheBoard(t *testing.T) {
	for _, protocol := range []string{"ftp", "http"} {
		t.Run(protocol, func(t *testing.T) {
			receiver := newTestReceiver(t, protocol, "127.0.0.1", ReceiverConfig{})
			slot, location := receiver.open(t, "127.0.0.1", loopback)
			reader, writer := io.Pipe()
			done := make(chan error, 1)
			go func() {
				uploader := NewUploader(UploaderConfig{})
				parsed, err := ParseLocation(location + "file")
				if err != nil {
					done <- err
					return
				}
				done <- uploader.send(context.Background(), parsed, uploadSource{name: "file", size: 256 << 20, open: func() (io.ReadCloser, error) { return reader, nil }})
			}()
			writer.Write(make([]byte, 1<<20))
			<-receiver.arrived
			closed := make(chan error, 1)
			go func() { closed <- slot.Close() }()
			select {
			case err := <-closed:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("the slot waits for the board")
			}
			writer.CloseWithError(errors.New("over"))
			if err := <-done; err == nil {
				t.Error("the board's upload came to a good end")
			}
			entries, err := os.ReadDir(receiver.config.Directory)
			if err != nil || len(entries) != 0 {
				t.Errorf("left over: %v %v", entries, err)
			}
		})
	}
}

func TestReceiverCleansUpAtItsStart(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "received")
	if err := os.MkdirAll(filepath.Join(directory, "old", "older"), 0o755); err != nil {
		t.Fatal(err)
	}
	receiver, err := NewReceiver(ReceiverConfig{Directory: directory})
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	info, err := os.Stat(directory)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info, err)
	}
	if entries, _ := os.ReadDir(directory); len(entries) != 0 {
		t.Errorf("left over: %v", entries)
	}
	if err := receiver.Close(); err != nil {
		t.Error(err)
	}
	if _, err := receiver.Open("board", nil, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a slot of a closed receiver: %v", err)
	}
	if _, err := receiver.Listen(t.Context(), "ftp", "127.0.0.1:0"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a listener of a closed receiver: %v", err)
	}
}

func TestSlotLocation(t *testing.T) {
	slot := &Slot{user: "u", password: "p", token: "t"}
	got, err := slot.Location("ftp://old:secret@[fd00::1]:2121/logs?x=1")
	if want := "ftp://u:p@[fd00::1]:2121/logs/t/"; err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}
