package driver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// maxLine is the longest request that a driver reads.
const maxLine = 1 << 20

// Main answers requests on standard input until it ends or says stop, and exits.
// It is all that a driver's main function does.
func Main(d Driver) {
	if err := Serve(context.Background(), d, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "driver:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Serve answers the requests in r on w, line by line, until r ends or a request
// says stop.
func Serve(ctx context.Context, d Driver, r io.Reader, w io.Writer) error {
	dispatcher := NewDispatcher(d)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	out := json.NewEncoder(w)
	for lines.Scan() {
		var request Request
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			return fmt.Errorf("a request is not JSON: %w", err)
		}
		if err := out.Encode(dispatcher.Do(ctx, request)); err != nil {
			return err
		}
		if request.Op == OpStop {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return dispatcher.Close()
}
