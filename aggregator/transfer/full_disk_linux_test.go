package transfer

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/testenv"
)

// TestSlotOnAFullDisk: the kernel's own refusal becomes the receiver's, and nothing of the file is left or counted.
func TestSlotOnAFullDisk(t *testing.T) {
	// 80 MiB are more than the receiver leaves free: only with that does a file begin to arrive.
	disk := testenv.SmallDisk(t, 80)
	receiver, err := NewReceiver(ReceiverConfig{Directory: filepath.Join(disk, "received")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { receiver.Close() })
	slot, err := receiver.Open("board 1", loopback, nil)
	if err != nil {
		t.Fatal(err)
	}
	write := func(size int, between func()) error {
		writer, err := slot.create("/"+slot.token+"/logs.txt", nil)
		if err != nil {
			return err
		}
		_, first := writer.Write([]byte("begin"))
		between()
		_, rest := writer.Write(make([]byte, size))
		end := writer.Close()
		slot.confirmed(writer.file)
		return errors.Join(first, rest, end)
	}
	var free func()
	err = write(1<<20, func() { free = testenv.Fill(t, disk) })
	if !errors.Is(err, files.ErrDiskFull) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the disk was filled meanwhile: %v", err)
	}
	if err := write(1, func() {}); !errors.Is(err, files.ErrDiskFull) {
		t.Errorf("the disk is full from the beginning: %v", err)
	}
	free()
	if err := write(1<<20, func() {}); err != nil {
		t.Errorf("the disk has space again: %v", err)
	}
	if complete, incomplete := names(slot); len(complete) != 1 || len(incomplete) != 0 {
		t.Errorf("complete %v, incomplete %v", complete, incomplete)
	}
	if want := int64(1<<20 + len("begin")); slot.received() != want || receiver.stored != want {
		t.Errorf("%d bytes are in the slot and %d are counted, want %d", slot.received(), receiver.stored, want)
	}
}
