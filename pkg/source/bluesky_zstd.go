package source

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/klauspost/compress/zstd"

	"github.com/earshot/earshot/pkg/outbound"
)

// JetstreamDictionary is what Jetstream's v1 protocol compresses with, zstd's
// dictionary 1612007021; see LICENSE-jetstream. It must not be changed.
//
//go:embed jetstream.zdict
var JetstreamDictionary []byte

// inflater opens events. It refuses what would be larger than an event may be,
// before it has unpacked it.
var inflater = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderDicts(JetstreamDictionary), zstd.WithDecoderMaxMemory(maxJetstreamEvent),
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
})

// errZstd is in the error of an event that can't be unpacked.
var errZstd = outbound.Unreadable.Of(errors.New("the compressed stream can't be read; from now on it is read uncompressed"))

// inflate unpacks an event.
func inflate(raw []byte) ([]byte, error) {
	z, err := inflater()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errZstd, err)
	}
	out, err := z.DecodeAll(raw, make([]byte, 0, min(4*len(raw)+256, maxJetstreamEvent)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errZstd, err)
	}
	return out, nil
}

// readPlain reads server without compression from now on.
func (b *bluesky) readPlain(server string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.plain[server] = true
}

// dial opens the stream, compressed if that is wanted and the server does it.
func (b *bluesky) dial(ctx context.Context, server string, q url.Values) (*websocket.Conn, error) {
	b.mu.Lock()
	packed := b.cfg.Zstd && !b.plain[server]
	b.mu.Unlock()
	if packed {
		q.Set("compress", "true")
	}
	within, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, resp, err := websocket.Dial(within, strings.TrimSuffix(server, "/")+"/subscribe?"+q.Encode(), &websocket.DialOptions{HTTPClient: b.deps.HTTP.HTTPClient()})
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case packed && resp != nil && resp.StatusCode == http.StatusBadRequest:
		b.deps.Log.Info("the server does not compress its stream; it is read without", "server", host(server))
		b.readPlain(server)
		q.Del("compress")
		return b.dial(ctx, server, q)
	}
	return nil, outbound.Judge(resp, err)
}
