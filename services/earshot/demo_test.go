package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

// What staff did in the demonstration is done by the commands that people give:
// each must still be allowed.
func TestE2ETheDemosHistoryFits(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, logged syncBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--demo", "--data", t.TempDir(), "--listen", "127.0.0.1:0"}, nil, &out, &logged)
	}()
	for patience := time.Now().Add(4 * time.Minute); !strings.Contains(logged.String(), "the demo's history is told"); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatalf("the history was not told in time\n%s", logged.String())
		}
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit status %d", code)
	}
	for line := range strings.Lines(logged.String()) {
		if strings.Contains(line, "does not fit") {
			t.Error(line)
		}
	}
}
