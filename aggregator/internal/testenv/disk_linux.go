package testenv

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
)

// SmallDisk mounts a file system of the given size and returns its directory. The test unmounts it after everything
// that it starts later has ended.
func SmallDisk(t testing.TB, mebibytes int) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may mount the small file system that this test fills")
	}
	directory := t.TempDir()
	if err := syscall.Mount("tmpfs", directory, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", mebibytes)); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the small file system that this test fills cannot be mounted; CI's root needs CAP_SYS_ADMIN: %v", err)
		}
		t.Skipf("the small file system that this test fills cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(directory, 0); err != nil {
			t.Errorf("unmount %s: %v", directory, errors.Join(err, syscall.Unmount(directory, syscall.MNT_DETACH)))
		}
	})
	return directory
}

// Fill takes all space that a file system has left. free gives it back.
func Fill(t testing.TB, disk string) (free func()) {
	t.Helper()
	ballast, err := os.CreateTemp(disk, "ballast")
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	piece := make([]byte, 1<<20)
	for len(piece) > 0 {
		if _, err := ballast.Write(piece); errors.Is(err, syscall.ENOSPC) {
			piece = piece[:len(piece)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(ballast.Name()); err != nil {
			t.Error(err)
		}
	}
}
