package aggregator

import (
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
)

var pipelineSize = flag.Int("aggregator.pipeline", 16, "MiB of each of the 4 boards' files in BenchmarkPipeline")

// BenchmarkPipeline measures what a request for logs does with four boards' files: received by FTP, packed, uploaded by
// HTTP, all over loopback; and in the same run gzip alone and a plain copy of as many bytes, for comparison.
func BenchmarkPipeline(b *testing.B) {
	const boards = 4
	size := int64(*pipelineSize) << 20
	directory := b.TempDir()
	source := filepath.Join(directory, "log")
	writeLog(b, source, size)
	b.Run("pipeline", func(b *testing.B) {
		b.SetBytes(boards * size)
		for b.Loop() {
			runPipeline(b, filepath.Join(directory, "work"), source, boards, size)
		}
		b.ReportMetric(float64(peakMemory(b))/(1<<20), "peak-RSS-MiB")
	})
	b.Run("gzip", func(b *testing.B) {
		b.SetBytes(boards * size)
		for b.Loop() {
			compressed := gzip.NewWriter(io.Discard)
			for range boards {
				copyFile(b, compressed, source)
			}
			if err := compressed.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("copy", func(b *testing.B) {
		b.SetBytes(boards * size)
		for b.Loop() {
			for i := range boards {
				target, err := os.Create(filepath.Join(directory, fmt.Sprint("copy", i)))
				if err != nil {
					b.Fatal(err)
				}
				copyFile(b, struct{ io.Writer }{target}, source)
				if err := target.Close(); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// writeLog makes a file that compresses as logs do: lines of a few kinds with numbers in them.
func writeLog(b *testing.B, path string, size int64) {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	written := int64(0)
	line := make([]byte, 0, 1<<20)
	for written < size {
		line = line[:0]
		for len(line) < 1<<19 {
			line = strconv.AppendUint(line, random.Uint64()%1_000_000_000, 10)
			line = append(line, " evse_manager: session event "...)
			line = strconv.AppendUint(line, random.Uint64(), 36)
			line = append(line, " current "...)
			line = strconv.AppendUint(line, random.Uint64()%32000, 10)
			line = append(line, '\n')
		}
		n, err := file.Write(line[:min(int64(len(line)), size-written)])
		if err != nil {
			b.Fatal(err)
		}
		written += int64(n)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
}

func copyFile(b *testing.B, to io.Writer, path string) {
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	if _, err := io.CopyBuffer(to, struct{ io.Reader }{file}, make([]byte, archiveBuffer)); err != nil {
		b.Fatal(err)
	}
}

func runPipeline(b *testing.B, directory, source string, boards int, size int64) {
	receiver, err := transfer.NewReceiver(transfer.ReceiverConfig{Directory: directory, MaxFile: size, MaxTotal: int64(boards) * size, KeepFree: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer receiver.Close()
	address, err := receiver.Listen(b.Context(), "ftp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	content := &archive{RequestID: 1, Created: time.Now()}
	uploader := transfer.NewUploader(transfer.UploaderConfig{})
	var arriving sync.WaitGroup
	slots := make([]*transfer.Slot, boards)
	for i := range boards {
		slot, err := receiver.Open(fmt.Sprint(i), []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil)
		if err != nil {
			b.Fatal(err)
		}
		slots[i] = slot
		text, err := slot.Location("ftp://" + address.String() + "/")
		if err != nil {
			b.Fatal(err)
		}
		location, err := transfer.ParseLocation(text)
		if err != nil {
			b.Fatal(err)
		}
		arriving.Go(func() {
			if err := uploader.Upload(context.Background(), location, source, "log", nil); err != nil {
				b.Error(err)
			}
		})
	}
	arriving.Wait()
	for i, slot := range slots {
		files, _ := slot.Files()
		content.Boards = append(content.Boards, archiveBoard{Name: fmt.Sprint(i), Files: files})
	}
	packed := filepath.Join(directory, "packed")
	if err := content.writeFile(context.Background(), packed); err != nil {
		b.Fatal(err)
	}
	for _, slot := range slots {
		slot.Close()
	}
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	defer sink.Close()
	location, err := transfer.ParseLocation(sink.URL + "/")
	if err != nil {
		b.Fatal(err)
	}
	if err := uploader.Upload(context.Background(), location, packed, "archive", nil); err != nil {
		b.Fatal(err)
	}
}

// peakMemory is the process's largest resident set so far.
func peakMemory(b *testing.B) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib << 10
		}
	}
	return 0
}
