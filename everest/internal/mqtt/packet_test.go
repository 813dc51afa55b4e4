package mqtt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// allocated returns how many bytes do allocates, but for small ones of the last moments.
func allocated(do func()) int {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	do()
	metrics.Read(sample)
	return int(sample[0].Value.Uint64() - before)
}

// Whatever a broker sends, reading it ends, takes memory in proportion to what has arrived, and gives what paho reads of a
// packet that is well formed.
func FuzzReadPacket(f *testing.F) {
	for _, seed := range []string{
		"\x20\x02\x00\x00", "\x20\x02\x01\x05", "\x34\x07\x00\x01t\x00\x09{}", "\x3c\x06\x00\x01t\x00\x09a", "\x31\x03\x00\x01t", "\x32\x06\x00\x01t\x00\x01x",
		"\x50\x02\x00\x01", "\x62\x02\x00\x01", "\x70\x02\x00\x01", "\x40\x02\x00\x01", "\x90\x04\x00\x01\x02\x80", "\xb0\x02\x00\x01", "\xd0\x00",
		"\x30\xff\xff\xff\x7f\x00\x01t", "\x30\xff\xff\xff\xff\x01", "\x36\x05\x00\x01t\x00\x01", "\x34\x03\x00\x09t", "\x90\xff\x07", "\x50\x01\x00", "\xe0\x00", "\xf0\x00",
		"\x30\x80\x10" + strings.Repeat("t", 2048),
	} {
		f.Add([]byte(seed))
	}
	const (
		most  = 3         // the bytes made for each that has arrived: the last part, and the ones before that were copied
		noise = 512 << 10 // which others make, and the statistics
	)
	f.Fuzz(func(t *testing.T, sent []byte) {
		var got packet
		var err error
		used := allocated(func() { got, err = readPacket(bytes.NewReader(sent)) })
		if used > firstPart+noise+most*len(sent) {
			t.Errorf("%d bytes are made for %d", used, len(sent))
		}
		if err != nil {
			return
		}
		raw, err := packets.ReadPacket(bytes.NewReader(sent))
		if err != nil {
			t.Fatalf("%+v was read, and paho says %v", got, err)
		}
		if id := raw.Details().MessageID; id != got.id {
			t.Errorf("id %d, paho has %d", got.id, id)
		}
		switch raw := raw.(type) {
		case *packets.PublishPacket:
			if raw.TopicName != got.topic || raw.Qos != got.qos || raw.Dup != got.repeats || raw.Retain != got.retains || !bytes.Equal(raw.Payload, got.payload) {
				t.Errorf("%+v, paho has %v", got, raw)
			}
		case *packets.SubackPacket:
			if !bytes.Equal(raw.ReturnCodes, got.codes) {
				t.Errorf("%+v, paho has %v", got, raw)
			}
		case *packets.ConnackPacket:
			if raw.SessionPresent != (got.codes[0]&1 != 0) || raw.ReturnCode != got.codes[1] {
				t.Errorf("%+v, paho has %v", got, raw)
			}
		}
	})
}

// A packet that claims to be long costs nothing before its bytes are there, and one that is too long never does.
func TestLongPacketsCostWhatHasArrived(t *testing.T) {
	head := func(length int) []byte {
		return append(binary.AppendUvarint([]byte{publish | 4}, uint64(length)), 0, 1, 't', 0, 9)
	}
	t.Run("claimed", func(t *testing.T) {
		used := allocated(func() {
			if _, err := readPacket(bytes.NewReader(head(200 << 20))); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		})
		if used > 1<<20 {
			t.Errorf("%d bytes", used)
		}
	})
	t.Run("too long", func(t *testing.T) {
		const length = MaxPacket + 1
		sent := io.MultiReader(bytes.NewReader(head(length)), io.LimitReader(zeros{}, length-5), bytes.NewReader([]byte{pubcomp, 2, 0, 7}))
		used := allocated(func() {
			got, err := readPacket(sent)
			if err != nil || got.id != 9 || got.topic != "t" || got.size != length || got.payload != nil {
				t.Errorf("%v: id %d, topic %q, %d bytes", err, got.id, got.topic, got.size)
			}
		})
		if used > 1<<20 {
			t.Errorf("%d bytes", used)
		}
		if next, err := readPacket(sent); err != nil || next.id != 7 {
			t.Errorf("the next packet: %+v, %v", next, err)
		}
	})
	t.Run("the longest", func(t *testing.T) {
		const length = MaxPacket
		used := allocated(func() {
			got, err := readPacket(io.MultiReader(bytes.NewReader(head(length)), io.LimitReader(zeros{}, length-5)))
			if err != nil || len(got.payload) != length-5 {
				t.Errorf("%v: %d bytes", err, len(got.payload))
			}
		})
		if used > 3*length {
			t.Errorf("%d bytes", used)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A message that is too long ends its exchange, and the ones after it arrive.
func TestTooLongMessageIsDropped(t *testing.T) {
	p := connect(t, NewSession(), false)
	p.send(binary.AppendUvarint([]byte{publish | 4}, MaxPacket+1)...)
	p.send(0, 1, 't', 0, 9)
	if _, err := io.CopyN(p.conn, zeros{}, MaxPacket-4); err != nil {
		t.Fatal(err)
	}
	p.want("PUBREC 9")
	p.send(publish|4, 6, 0, 1, 't', 0, 10, 'a')
	p.want("PUBREC 10")
	if got := p.heard.get(); len(got) != 2 || got[0] != "t is too long" || got[1] != "a" {
		t.Errorf("heard %q", got)
	}
}

// A broker that sends what is no packet of a broker is left.
func TestMalformedPacketEndsTheConnection(t *testing.T) {
	for _, sent := range []string{"\x36\x05\x00\x01t\x00\x01", "\x34\x03\x00\x09t", "\x50\x01\x00", "\x10\x00", "\x30\xff\xff\xff\xff\x01", "\x90\xff\xff\x01"} {
		p := connect(t, NewSession(), false)
		p.send([]byte(sent)...)
		<-p.client.Done()
		if err := p.client.Err(); !errors.Is(err, errMalformed) {
			t.Errorf("%q: %v", sent, err)
		}
	}
}
