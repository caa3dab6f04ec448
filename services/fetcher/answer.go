package fetcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// answer serves what the desk asks, until ctx ends.
func (f *fetcher) answer(ctx context.Context) error {
	return errors.Join(
		bus.Answer(ctx, f.bus, "fetcher", "push", f.push),
		bus.Answer(ctx, f.bus, "fetcher", "abilities", f.abilities),
		bus.Answer(ctx, f.bus, "fetcher", "consent", f.consent),
		bus.Answer(ctx, f.bus, "fetcher", "consented", f.consented),
		bus.Answer(ctx, f.bus, "fetcher", "try", f.try),
		bus.Answer(ctx, f.bus, "fetcher", "below", f.below),
	)
}

// pushTime bounds how long a push is worked on: platforms give up after ten
// seconds (X), and some call a hook dead that is often late.
const pushTime = 8 * time.Second

// push takes what a platform pushed to a source: it answers once that is
// stored.
func (f *fetcher) push(ctx context.Context, q source.Pushing) (source.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, pushTime)
	defer cancel()
	later := source.Answer{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"30"}}}
	r := f.runner(q.Source)
	if r == nil {
		if s, ok := settings.Sources.Get(f.settings, q.Source); ok && !s.Off {
			return later, nil // it has just been set
		}
		return source.Answer{Status: http.StatusNotFound}, nil
	}
	r.mu.Lock()
	conn := r.conn
	r.mu.Unlock()
	if conn == nil {
		return later, nil
	}
	receiver, ok := conn.(source.Receiver)
	if !ok {
		return source.Answer{Status: http.StatusNotFound}, nil
	}
	pushed, err := receiver.Receive(ctx, q.Push)
	if err == nil && len(pushed.Items) > 0 {
		err = r.take(ctx, pushed.Items)
	}
	switch {
	case err == nil:
		return source.Answer{Status: cmp.Or(pushed.Status, http.StatusOK), Header: pushed.Header, Body: pushed.Body}, nil
	case bus.IsPermanent(err):
		r.log.Warn("a push was refused", "error", err)
		return source.Answer{Status: http.StatusBadRequest}, nil
	}
	r.log.Warn("a push was not taken; the platform should send it again", "error", err)
	return later, nil
}

// take stores what was pushed. The cursor moves only if an item says so.
func (r *runner) take(ctx context.Context, items []source.Item) error {
	if err := r.publish(ctx, items); err != nil {
		return err
	}
	r.save(ctx)
	return nil
}

// settleTime bounds the wait for settings that the desk has just put: they come
// to each process by themselves.
const settleTime = 5 * time.Second

// settled returns a source as its settings have it, in that version at least.
func (f *fetcher) settled(ctx context.Context, id string, version uint64) (settings.Source, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		changed := f.settings.Changed()
		if s, ok := settings.Sources.Get(f.settings, id); ok && settings.Sources.Version(f.settings, id) >= version {
			return s, nil
		}
		select {
		case <-changed:
			continue
		case <-ctx.Done():
		}
		if version == 0 {
			return settings.Source{}, fmt.Errorf("there is no source %q", id)
		}
		return settings.Source{}, errors.New("the source's settings have not come to the fetcher yet: try again")
	}
}

func (f *fetcher) abilities(ctx context.Context, id string) (source.Abilities, error) {
	s, ok := settings.Sources.Get(f.settings, id)
	if !ok {
		return source.Abilities{Error: fmt.Sprintf("there is no source %q", id)}, nil
	}
	conn, deps, err := f.open(id, s)
	if err != nil {
		return source.Abilities{Error: err.Error(), Trouble: outbound.Explain(err, f.now())}, nil
	}
	return source.AbilitiesOf(ctx, conn, deps), nil
}

// consent gives the address of the platform's page; empty where the settings
// want no consent.
func (f *fetcher) consent(ctx context.Context, q source.Consenting) (string, error) {
	s, err := f.settled(ctx, q.Source, q.Version)
	if err != nil {
		return "", err
	}
	conn, _, err := f.open(q.Source, s)
	if err != nil {
		return "", err
	}
	page, err := q.Page(conn)
	if errors.Is(err, source.ErrNoConsent) {
		return "", nil
	}
	return page, err
}

// consented keeps what the platform gave, and fetches with it.
func (f *fetcher) consented(ctx context.Context, q source.Consenting) (source.Granted, error) {
	s, err := f.settled(ctx, q.Source, q.Version)
	if err != nil {
		return source.Granted{}, err
	}
	conn, deps, err := f.open(q.Source, s)
	if err != nil {
		return source.Granted{}, err
	}
	g := q.Grant(ctx, conn, deps, func(d source.Deps) (source.Source, error) { return f.openWith(s, d) })
	if r := f.runner(q.Source); r != nil && g.Error == "" {
		r.actsFor(g.Account)
		r.wake()
	}
	return g, nil
}

const (
	// tryTime bounds a look at what a source would bring, and tryPosts what is
	// read for it where posts may cost something.
	tryTime  = 15 * time.Second
	tryPosts = 200
	// tryShown is how many posts a look shows.
	tryShown = 3
)

// try fetches with a configuration that may not be set yet. Nothing of it is
// stored, and no cursor moves.
func (f *fetcher) try(ctx context.Context, q source.Trying) (source.Tried, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	keep := source.Memory()
	if q.Source != "" {
		keep = f.opener.Keeper(f.settings, q.Source) // what a look spends is spent
	}
	conn, err := f.openWith(settings.Source{Kind: q.Kind, Config: q.Config}, f.deps(q.Source, keep))
	if err != nil {
		return source.Tried{Error: err.Error(), Trouble: outbound.Explain(err, f.now())}, nil
	}
	return f.look(ctx, conn, q.Brand), nil
}

// look reads from conn until it has enough to show.
func (f *fetcher) look(ctx context.Context, conn source.Source, brand string) source.Tried {
	var (
		t     source.Tried
		other []source.Found
	)
	for item, err := range conn.Fetch(ctx, "") {
		if err != nil {
			if ctx.Err() != nil {
				t.Cut = true
			} else {
				t.Error, t.Trouble = err.Error(), outbound.Explain(err, f.now())
			}
			break
		}
		p := item.Post
		if p.NativeID == "" || p.Deleted {
			continue
		}
		t.Read++
		if found := (source.Found{Post: p, Brands: f.brandsOf(&p, item.Brands, brand)}); len(found.Brands) > 0 {
			t.Matched++
			t.Posts = append(t.Posts, found)
		} else if len(other) < tryShown {
			other = append(other, found)
		}
		if len(t.Posts) >= tryShown || conn.Poll() > 0 && t.Read >= tryPosts {
			break
		}
	}
	t.Cut = t.Cut || ctx.Err() != nil
	t.Posts = append(t.Posts, other[:min(len(other), tryShown-len(t.Posts))]...)
	return t
}

// brandsOf are the brands that p is about.
func (f *fetcher) brandsOf(p *mention.Post, named []string, bound string) []string {
	if bound != "" {
		named = []string{bound}
	}
	var brands []string
	for _, m := range f.settings.Mentions(p, named...) {
		brands = append(brands, m.Brand)
	}
	return brands
}
