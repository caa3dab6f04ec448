package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

const (
	// gather is how long changes are gathered before they are told: a storm
	// must not become a storm of events.
	gather = 500 * time.Millisecond
	// heartbeat keeps idle connections from being cut, and finds dead ones.
	heartbeat = 20 * time.Second
	// countsLife is how long counts are good enough.
	countsLife = 2 * time.Second
	// mostIDs is how many changed mentions are named one by one.
	mostIDs = 50
)

// hub hands on what changes to everybody who has a page open.
type hub struct {
	desk    *Desk
	present presence

	mu      sync.Mutex
	clients map[*client]struct{}

	countsMu sync.Mutex
	counted  map[string]*countsAt
}

// client is one open page.
type client struct {
	wake chan struct{}

	mu      sync.Mutex
	ids     about
	present about
	told    []casework.Notice
	changed bool

	staff string // who has it open
}

// about are mentions, each with its brand: whether somebody may hear of one is
// known without asking the index for everybody anew.
type about map[mention.ID]string

// add adds what o has, up to mostIDs.
func (a about) add(o about) {
	for id, brand := range o {
		if len(a) < mostIDs {
			a[id] = brand
		}
	}
}

// countsAt are the numbers of those who share them. Whoever finds them too old
// counts, and the others wait for that.
type countsAt struct {
	mu sync.Mutex
	at time.Time
	of map[string]int
}

func newHub(d *Desk) *hub {
	return &hub{desk: d, clients: map[*client]struct{}{}, counted: map[string]*countsAt{}}
}

// indexed is what the indexer tells after every write.
type indexed struct {
	IDs []mention.ID `json:"ids"`
}

// listen follows the indexer and the escalations until ctx ends.
func (h *hub) listen(ctx context.Context) error {
	err := bus.Hear(ctx, h.desk.Bus, "indexed", func(_ string, n indexed) { h.tell(ctx, n.IDs) })
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	if err := h.hearSigns(ctx); err != nil {
		return err
	}
	if err := bus.Hear(ctx, h.desk.Bus, "told", func(_ string, n casework.Notice) { h.tellStaff(n) }); err != nil {
		return fmt.Errorf("live: %w", err)
	}
	go func() {
		for {
			changed := h.desk.Board.Changed()
			select {
			case <-ctx.Done():
				return
			case <-changed:
				h.tell(ctx, nil)
			}
		}
	}()
	return nil
}

// tellPresent notes for every client that somebody came to a case or left it.
func (h *hub) tellPresent(ctx context.Context, id mention.ID) {
	of := h.brands(ctx, id)
	h.each(func(c *client) { c.present.add(of) })
}

// tell notes for every client that mentions changed; of very many only some are
// named.
func (h *hub) tell(ctx context.Context, ids []mention.ID) {
	of := h.brands(ctx, ids[:min(len(ids), mostIDs)]...)
	h.each(func(c *client) {
		c.changed = true
		c.ids.add(of)
	})
}

// brands looks up the mentions that the index has, once for all who listen.
func (h *hub) brands(ctx context.Context, ids ...mention.ID) about {
	h.mu.Lock()
	nobody := len(h.clients) == 0
	h.mu.Unlock()
	if nobody || len(ids) == 0 {
		return nil
	}
	docs, err := h.desk.Index.Get(ctx, search.SeesAll(), ids...)
	if err != nil {
		h.desk.Log.Debug("changes not looked up", "error", err) // what is missed here shows with the next list
	}
	of := make(about, len(docs))
	for i := range docs {
		of[docs[i].ID] = docs[i].Brand
	}
	return of
}

// each changes what every client has to hear, and wakes its stream.
func (h *hub) each(note func(*client)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		c.mu.Lock()
		note(c)
		c.mu.Unlock()
		c.ring()
	}
}

// ring wakes the client's stream.
func (c *client) ring() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take returns what changed since the last time.
func (c *client) take() (ids, present about, words []casework.Notice, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids, present, words, changed = c.ids, c.present, c.told, c.changed
	c.ids, c.present, c.told, c.changed = about{}, about{}, nil, false
	return ids, present, words, changed
}

func (h *hub) join(staff string) (*client, func()) {
	c := &client{staff: staff, wake: make(chan struct{}, 1), ids: about{}, present: about{}}
	h.mu.Lock()
	h.clients[c] = struct{}{}
	h.mu.Unlock()
	return c, func() {
		h.mu.Lock()
		delete(h.clients, c)
		h.mu.Unlock()
	}
}

// events is the stream of what changes, as server-sent events:
//
//	event: changed   data: {"ids": ["…"]}        mentions the viewer may see
//	event: present   data: {"ids": ["…"]}        cases that somebody came to or left
//	event: told      data: {"id": …, "text": …}  something for the viewer alone
//	event: new       data: {}                    lists may have grown
//	event: counts    data: {"queue": 12, …}      the numbers in the rail
func (c *call) events() error {
	flusher := http.NewResponseController(c.w)
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	me, leave := c.live.join(c.viewer.Actor())
	defer leave()
	if _, err := fmt.Fprint(c.w, "retry: 2000\n\n"); err != nil {
		return nil
	}
	if err := c.push("counts", c.counts()); err != nil {
		return nil
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		if err := flusher.Flush(); err != nil {
			return nil
		}
		select {
		case <-c.ctx.Done():
			return nil
		case <-beat.C:
			if c.ended() {
				return nil
			}
			if _, err := fmt.Fprint(c.w, ": still here\n\n"); err != nil {
				return nil
			}
		case <-me.wake:
			select {
			case <-c.ctx.Done():
				return nil
			case <-time.After(gather):
			}
			if err := c.tellChanges(me); err != nil {
				return nil
			}
		}
	}
}

// ended tells whether the session behind a stream is over: what was allowed at
// its start must not go on for ever.
func (c *call) ended() bool {
	if c.session == "" {
		return false
	}
	s, _, err := c.Gate.Session(c.ctx, c.session)
	if err != nil {
		return true
	}
	c.viewer = c.Settings.ViewerOf(&s, c.Now())
	return !c.viewer.CanSomewhere(identity.View)
}

func (c *call) tellChanges(me *client) error {
	ids, present, words, changed := me.take()
	if err := c.pushIDs("present", present); err != nil {
		return err
	}
	for i := range words {
		if err := c.pushTold(&words[i]); err != nil {
			return err
		}
	}
	if !changed && len(words) > 0 {
		return c.push("counts", c.counts())
	}
	if !changed {
		return nil
	}
	if err := c.pushIDs("changed", ids); err != nil {
		return err
	}
	if err := c.push("new", struct{}{}); err != nil {
		return err
	}
	return c.push("counts", c.counts())
}

// pushIDs names those of the mentions that the viewer may see, so that nobody
// learns of what they may not.
func (c *call) pushIDs(event string, of about) error {
	var seen []mention.ID
	for id, brand := range of {
		if v := c.sees(); v.Sees(brand) {
			seen = append(seen, id)
		}
	}
	if len(seen) == 0 {
		return nil
	}
	slices.Sort(seen)
	return c.push(event, map[string]any{"ids": seen})
}

func (c *call) push(event string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.w, "event: %s\ndata: %s\n\n", event, data)
	return err
}

// counts are the numbers in the rail. People with the same brands share them
// for a moment.
func (h *hub) counts(ctx context.Context, v identity.Viewer) map[string]int {
	brands, all := v.Brands(identity.View)
	if !all && len(brands) == 0 {
		return nil
	}
	key := fmt.Sprint(all, strings.Join(brands, " "), v.Can(identity.Configure, identity.AllBrands))
	h.countsMu.Lock()
	c := h.counted[key]
	if c == nil {
		c = &countsAt{}
		h.counted[key] = c
	}
	h.countsMu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil || time.Since(c.at) >= countsLife {
		// For all who wait, also if the one who counts goes away.
		c.at, c.of = time.Now(), h.count(context.WithoutCancel(ctx), v)
	}
	return c.of
}

func (h *hub) count(ctx context.Context, v identity.Viewer) map[string]int {
	d, of := h.desk, map[string]int{}
	open := map[search.Field][]string{search.FieldOpen: {search.Yes}}
	stuck := map[search.Field][]string{search.FieldTag: {casework.TagFailed, casework.TagUnsure}}
	if n, err := d.Index.Counts(ctx, search.Query{Viewer: seesOf(v), Where: open}, search.Query{Viewer: seesOf(v), Where: stuck}); err == nil {
		of["queue"], of["outbox"] = int(n[0]), int(n[1])
	}
	of["escalations"] = len(d.Board.All(func(s *escalation.State) bool { return s.Open() && s.Acked == nil && v.Can(identity.View, s.Brand) }))
	of["sources"] = 0
	for _, s := range settings.Sources.List(d.Settings) {
		var p source.Progress
		if _, err := bus.Cursors.Get(ctx, d.Bus, source.ProgressKey(s.ID), &p); err == nil && !s.Off && (p.Error != "" || p.Silent) {
			of["sources"]++
		}
	}
	if v.Can(identity.Configure, identity.AllBrands) {
		if letters, err := d.Bus.DeadLetters(ctx); err == nil {
			of["dead"] = len(letters)
		}
	}
	return of
}
