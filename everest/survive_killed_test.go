package everest_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// A broker that saves its sessions is killed while messages are exchanged, and falls back to what it had saved. What is lost
// it had taken with a PUBREC, and not sent after its restart. It repeats what it had under way at that save: nothing of that comes twice,
// and of the rest only what was under way when it was killed.
func TestKilledBrokerThatSaves(t *testing.T) {
	const first, stalled, saved, killed, count = 20, 50, 100, 110, 200
	for name, when := range map[string][]string{
		"at each change": {"autosave_on_changes true", "autosave_interval 1"},
		"once":           {"autosave_interval 0"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			broker := startMosquitto(t, append([]string{"persistence true", "persistence_location " + folder + "/"}, when...))
			s := newSurvivors(t, broker.Address())
			publish := func(from, to int) {
				for number := from; number < to; number++ {
					if err := s.publisher.Provides("main").Publish(patient(t), "rung", number); err != nil {
						t.Error(err)
						return
					}
				}
			}
			heard := func(count int) {
				t.Helper()
				eventually(t, "they have arrived", func() bool { return len(s.heard.get()) >= count })
			}
			publish(0, first)
			heard(first)
			s.ringer.Stall(true)
			publish(first, first+stalled)
			acknowledged := make(chan struct{})
			s.publisher.Acknowledged(func() { close(acknowledged) })
			receive(t, acknowledged)
			if err := broker.Signal(syscall.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the broker has saved", func() bool { _, err := os.Stat(folder + "/mosquitto.db"); return err == nil })
			s.ringer.Stall(false)
			publish(first+stalled, saved)
			heard(saved)
			published := make(chan struct{})
			go func() {
				defer close(published)
				publish(saved, count)
			}()
			heard(killed)
			if err := broker.End(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if err := broker.Start(patient(t)); err != nil {
				t.Fatal(err)
			}
			s.manage(t, broker.Address())
			everesttest.WaitReady(t, s.manager)
			receive(t, published)
			eventually(t, "the last arrives", func() bool { return slices.Contains(s.heard.get(), upTo(count)[count-1]) })
			times := map[string]int{}
			for _, number := range s.heard.get() {
				times[number]++
			}
			taken := answered("PUBREC", true, s.tower.Packets())
			first := func(packet everesttest.Packet) bool { return packet.Connection == 1 }
			later := func(packet everesttest.Packet) bool { return !first(packet) }
			completed := answered("PUBCOMP", true, slices.DeleteFunc(s.tower.Packets(), later))
			sent := answered("PUBLISH", false, slices.DeleteFunc(s.ringer.Packets(), first))
			for _, number := range upTo(count) {
				switch {
				case times[number] > 1 && completed[number]:
					t.Errorf("%s came %d times, and its exchange was completed before the kill", number, times[number])
				case times[number] == 0 && (sent[number] || !taken[number]):
					t.Errorf("%s is lost: the broker had taken it: %v, and sent it after its restart: %v", number, taken[number], sent[number])
				}
			}
		})
	}
}

// answered returns the numbers for which the broker has sent a packet. published tells whether the client published them, or
// the broker.
func answered(kind string, published bool, packets []everesttest.Packet) map[string]bool {
	numbers, ids := map[string]bool{}, map[uint16]string{}
	for _, packet := range packets {
		if packet.Type == "PUBLISH" && packet.FromClient == published {
			delete(ids, packet.MessageID)
			var message struct {
				Data struct{ Data json.RawMessage }
			}
			if strings.HasSuffix(packet.Topic, "/var/rung") && json.Unmarshal(packet.Payload, &message) == nil {
				ids[packet.MessageID] = string(message.Data.Data)
			}
		}
		if number := ids[packet.MessageID]; packet.Type == kind && !packet.FromClient && number != "" {
			numbers[number] = true
		}
	}
	return numbers
}
