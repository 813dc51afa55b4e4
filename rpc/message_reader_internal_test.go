package rpc

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// TestMessageReaderGrowsWithUnannouncedLengths reads an array, which announces how many elements it has, not how long
// it is. The buffer must not be copied for every few bytes.
func TestMessageReaderGrowsWithUnannouncedLengths(t *testing.T) {
	const elements = 6000
	message := msgpack.AppendArrayHead(nil, elements)
	message = append(message, bytes.Repeat(msgpack.AppendString(nil, strings.Repeat("x", 1024)), elements)...)
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		// A failure ends the reading below, which reports it.
		_, _ = far.Write(message)
		far.Close()
	}()
	var in messageReader
	in.init(near, Limits{}.withDefaults())
	grown := 0
	for size := 0; ; {
		frame, err := in.next()
		if err != nil {
			t.Fatal(err)
		}
		if frame != nil {
			if !bytes.Equal(frame, message) {
				t.Errorf("read %d bytes, want the %d that were sent", len(frame), len(message))
			}
			break
		}
		if err := in.fill(); err != nil {
			t.Fatal(err)
		}
		if len(in.buffer) != size {
			size = len(in.buffer)
			grown++
		}
	}
	if grown > 30 {
		t.Errorf("the buffer was made anew %d times for %d bytes", grown, len(message))
	}
	t.Logf("%d buffers", grown)
}
