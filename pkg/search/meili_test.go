package search

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// TestMeiliConforms runs on a real server: EARSHOT_TEST_MEILI_URL and, if it
// wants one, EARSHOT_TEST_MEILI_KEY.
func TestMeiliConforms(t *testing.T) {
	address := os.Getenv("EARSHOT_TEST_MEILI_URL")
	if address == "" {
		if os.Getenv("EARSHOT_TEST_REQUIRE") != "" {
			t.Fatal("EARSHOT_TEST_REQUIRE is set, but EARSHOT_TEST_MEILI_URL is not")
		}
		t.Skip("EARSHOT_TEST_MEILI_URL is not set")
	}
	var n atomic.Int32
	conform(t, func(t *testing.T) Engine {
		e, err := OpenMeili(MeiliConfig{
			URL: address, Key: os.Getenv("EARSHOT_TEST_MEILI_KEY"),
			Index: fmt.Sprintf("earshot-test-%d-%d", time.Now().UnixNano(), n.Add(1)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			e.server.DeleteIndex(e.name)
			e.Close()
		})
		if fresh, err := e.Ensure(t.Context()); err != nil || !fresh {
			t.Fatal(fresh, err)
		}
		return e
	})
}
