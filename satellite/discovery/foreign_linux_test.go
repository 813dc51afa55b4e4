package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brutella/dnssd"
)

// runForeign announces or browses with another implementation. It leaves
// goroutines behind, so it has its process for itself.
func runForeign(line string) error {
	what, _, _ := strings.Cut(line, " ")
	switch what {
	case "announce":
		service, err := dnssd.NewService(dnssd.Config{
			Name: "Board no. 7", Type: serviceType, Port: 4133, Ifaces: []string{"eth1"},
			Text: map[string]string{"serial": serial, "module": "foreign", "dialects": "legacy"},
		})
		if err != nil {
			return err
		}
		responder, err := dnssd.NewResponder()
		if err != nil {
			return err
		}
		if _, err := responder.Add(service); err != nil {
			return err
		}
		go responder.Respond(context.Background()) // to the end of the process
		return nil
	case "browse":
		found := make(chan dnssd.BrowseEntry, 100)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go dnssd.LookupType(ctx, serviceName, func(e dnssd.BrowseEntry) { found <- e }, func(dnssd.BrowseEntry) {})
		limit := time.After(patience)
		select {
		case e := <-found:
			if e.Text["serial"] == serial && e.Port == 4129 && len(e.IPs) > 0 && e.IPs[0].String() == "10.0.1.1" {
				return nil
			}
			return fmt.Errorf("found %+v", e)
		case <-limit:
			return errors.New("nothing found")
		}
	}
	return errors.New("unknown")
}

// Other implementations of DNS-SD find a board that is announced here, and boards
// that they announce are found.
func TestAnotherImplementation(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	b := startBoard(t)
	b.connect("m1", "eth1", "10.0.1.2/24")
	run(t, "addr add 10.0.1.1/24 dev m1")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Announce(ctx, Announcement{Serial: serial, Port: 4129, Interfaces: []string{"m1"}, Address: netip.MustParseAddr("10.0.1.1")})
	}()
	b.tell("foreign browse")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	b.tell("foreign announce")
	found := await(t, watch(t, "m1"), "found", at("10.0.1.2")).Boards[0]
	if found.Port != 4133 || found.ModuleID != "foreign" || found.Host == "" || found.ID != found.Host+"." {
		t.Errorf("found %+v", found)
	}
}

// A board whose agent is announced by avahi, as a C++ agent may be; here both
// have the port of multicast DNS, as on a board with avahi.
func TestAvahi(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	daemon, err := exec.LookPath("avahi-daemon")
	if err != nil {
		t.Skip("avahi-daemon is not installed")
	}
	b := startBoard(t)
	b.connect("m1", "eth1", "10.0.1.2/24")
	run(t, "addr add 10.0.1.1/24 dev m1")
	directory := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("avahi.conf", "[server]\nhost-name=main\nallow-interfaces=m1\nenable-dbus=no\n[wide-area]\nenable-wide-area=no\n[rlimits]\n")
	services := filepath.Join(directory, "services")
	if err := os.Mkdir(services, 0o755); err != nil {
		t.Fatal(err)
	}
	write("services/agent.service", `<?xml version="1.0"?><!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<service-group><name>Satellite 2</name><service><type>_evsatellite._tcp</type><port>4129</port>
<txt-record>serial=ABC123</txt-record><txt-record>dialects=legacy</txt-record></service></service-group>`)
	// It has fixed places for its files.
	command := exec.Command("/bin/sh", "-c", `mount -t tmpfs none /run && mkdir -p /run/avahi-daemon && mount --bind "$1" /etc/avahi/services &&
		exec "$2" --no-drop-root --no-chroot -f "$3"`, "sh", services, daemon, filepath.Join(directory, "avahi.conf"))
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	var output strings.Builder
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Signal(syscall.SIGTERM)
		command.Wait()
		t.Logf("avahi: %s", output.String())
	})
	w := watch(t, "m1")
	found := await(t, w, "avahi's board found", at("10.0.1.1")).Boards[0]
	if found.Host != "main.local" || found.Port != 4129 {
		t.Errorf("found %+v", found)
	}
	// A board elsewhere is heard beside avahi.
	b.tell("announce %s 4130 eth1", serial)
	await(t, w, "the other board is heard too", ambiguous)
	command.Process.Signal(syscall.SIGTERM)
	await(t, w, "avahi said good-bye", at("10.0.1.2"))
}
