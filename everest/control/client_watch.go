package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// mostEvent bounds one event, in bytes.
const mostEvent = 4 << 20

// Watch calls fn for every event until the context ends, whose error it returns then, or the module does, which is
// ErrUnreachable. An fn that takes long makes the module lose events of this watcher, which an Event of KindLost tells.
func (c *Client) Watch(ctx context.Context, fn func(Event)) error {
	response, err := c.do(ctx, http.MethodGet, "/watch")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(make([]byte, 0, 16<<10), mostEvent)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		var event Event
		if err := json.Unmarshal(data, &event); err != nil {
			return fmt.Errorf("control: an event of %s cannot be read: %w", c.path, err)
		}
		fn(event)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err = lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("control: an event of %s is longer than %d bytes", c.path, mostEvent)
	}
	return fmt.Errorf("%w: the module has ended: %w", ErrUnreachable, err)
}
