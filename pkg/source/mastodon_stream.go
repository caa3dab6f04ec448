package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/mattn/go-mastodon"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// The stream is a doorbell: what it announces is read from the lists, with
// their cursors, so that nothing is lost or told twice when it breaks. Edits
// and deletions, which the lists don't show, are taken from it.

const (
	mastodonDeaf  = time.Hour        // how long a server without a stream is polled
	mastodonShut  = 10 * time.Minute // how long one is whose stream can't be opened
	mastodonPing  = 30 * time.Second // a stream that answers no ping is dead
	mastodonQuiet = time.Second      // bells within it are one
	// mastodonSettles is how long a server may take to hear a subscription.
	mastodonSettles = 5 * time.Second
	// maxGiven bounds what is remembered of posts for their deletion.
	maxGiven         = 10_000
	maxMastodonEvent = 1 << 20
)

// mastodonEvent is a message of the streaming API.
type mastodonEvent struct {
	Event   string `json:"event"`
	Payload string `json:"payload"` // JSON, or an id
}

type givenPost struct{ native, url string }

func (m *mastodonSource) remember(id string, p mention.Post) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.given == nil || len(m.given) >= maxGiven {
		m.given = map[string]givenPost{}
	}
	m.given[id] = givenPost{p.NativeID, p.URL}
}

// streams tells whether the source listens to the server's stream.
func (m *mastodonSource) streams() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cfg.Stream && !m.cfg.Token.IsZero() && !m.deps.Now().Before(m.deaf)
}

// follow listens until ctx ends, the stream breaks, or other hashtags are
// wanted.
func (m *mastodonSource) follow(ctx context.Context, cur mastodonCursor, yield func(Item, error) bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tags := m.tags()
	events, broken, err := m.listen(ctx, tags)
	if err != nil && ctx.Err() == nil {
		pause := mastodonShut
		if e, ok := errors.AsType[*outbound.Error](err); ok && e.Status == http.StatusNotFound {
			pause = mastodonDeaf
		}
		m.deps.Log.Warn("the server's stream can't be opened; it is polled meanwhile", "kind", "mastodon", "server", host(m.cfg.Server), "again_in", pause, "error", err)
		m.mu.Lock()
		m.deaf = m.deps.Now().Add(pause)
		m.mu.Unlock()
		m.catchUp(ctx, cur, yield)
		return
	}
	if err != nil {
		yield(Item{}, fmt.Errorf("mastodon: stream: %w", err))
		return
	}
	bell, settled := time.NewTimer(0), false
	for {
		select {
		case <-ctx.Done():
			yield(Item{}, ctx.Err())
			return
		case err := <-broken:
			yield(Item{}, fmt.Errorf("mastodon: stream: %w", ended(host(m.cfg.Server), err)))
			return
		case <-bell.C:
			var ok bool
			if cur, ok = m.catchUp(ctx, cur, yield); !ok || !slices.Equal(tags, m.tags()) {
				return
			}
			if settled {
				bell.Reset(m.cfg.Poll)
			} else { // what came before the server had heard what we want
				bell.Reset(mastodonSettles)
			}
			settled = true
		case e := <-events:
			switch e.Event {
			case "update", "notification":
				bell.Reset(mastodonQuiet)
			case "status.update":
				var s mastodon.Status
				if err := json.Unmarshal([]byte(e.Payload), &s); err != nil {
					m.deps.skip("mastodon", "", err)
				} else if !m.give(mastodonStatus{s, string(s.ID)}, cur, yield) {
					return
				}
			case "delete":
				if !m.withdraw(e.Payload, cur, yield) {
					return
				}
			}
		}
	}
}

// withdraw yields the deletion of a post that was given before.
func (m *mastodonSource) withdraw(id string, cur mastodonCursor, yield func(Item, error) bool) bool {
	m.mu.Lock()
	was, ok := m.given[id]
	delete(m.given, id)
	m.mu.Unlock()
	if !ok {
		return true
	}
	now := m.deps.Now()
	return yield(Item{Cursor: cur.String(), Post: mention.Post{
		Platform: "mastodon", NativeID: was.native, URL: was.url, Kind: mention.KindPost, Intake: mention.Live,
		Deleted: true, EditedAt: now, SeenAt: now, PublishedAt: now,
	}}, nil)
}

// listen opens the stream of the account's notifications and of tags. broken
// gives why it ended.
func (m *mastodonSource) listen(ctx context.Context, tags []string) (events chan mastodonEvent, broken chan error, err error) {
	in, err := m.server(ctx)
	if err != nil {
		return nil, nil, err
	}
	address := strings.Replace(cmp.Or(in.Configuration.URLs.Streaming, m.cfg.Server), "http", "ws", 1)
	token, err := m.cfg.Token.Reveal()
	if err != nil {
		return nil, nil, err
	}
	dial, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, resp, err := websocket.Dial(dial, strings.TrimSuffix(address, "/")+"/api/v1/streaming", &websocket.DialOptions{
		HTTPClient: m.deps.HTTP.HTTPClient(), HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, withReason(outbound.Judge(resp, err), token)
	}
	conn.SetReadLimit(maxMastodonEvent)
	wanted := []map[string]string{{"type": "subscribe", "stream": "user:notification"}}
	for _, t := range tags {
		wanted = append(wanted, map[string]string{"type": "subscribe", "stream": "hashtag", "tag": t})
	}
	for _, w := range wanted {
		raw, _ := json.Marshal(w)
		if err := conn.Write(dial, websocket.MessageText, raw); err != nil {
			conn.CloseNow()
			return nil, nil, err
		}
	}
	events, broken = make(chan mastodonEvent), make(chan error, 2)
	go func() {
		defer conn.CloseNow()
		for {
			_, raw, err := conn.Read(ctx)
			if err != nil {
				broken <- err
				return
			}
			var e mastodonEvent
			if json.Unmarshal(raw, &e) != nil || e.Event == "" {
				continue
			}
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	go func() {
		tick := time.NewTicker(mastodonPing)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			alive, cancel := context.WithTimeout(ctx, mastodonPing)
			err := conn.Ping(alive)
			cancel()
			if err != nil {
				broken <- fmt.Errorf("no answer to a ping: %w", err)
				return
			}
		}
	}()
	return events, broken, nil
}
