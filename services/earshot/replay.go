package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/services/earshot/demo"
)

const (
	// demoPassword opens every account of the demo; they lead nowhere else.
	demoPassword = "earshot-demo"
	demoSignIn   = "sakuma@earshot-demo.example (agent), kurose@… (PR lead), nolan@… (admin); password " + demoPassword
	// demoLead is how much of the day is still to come when the demo starts.
	demoLead = 2 * time.Hour
	// demoSource is the id of the source that replays the day.
	demoSource = "sandbox"
)

// seedDemo sets the demo up, once: brands, staff, the day's posts, and what
// staff did with the older ones.
func seedDemo(ctx context.Context, env *app.Env, speed float64) error {
	s := env.Settings()
	if !(speed > 0 && speed <= 1e5) {
		return usageError("--speed: want more than 0, at most 100000")
	}
	config := json.RawMessage(fmt.Sprintf(`{"dir":"sandbox","speed":%g}`, speed))
	source := settings.Source{ID: demoSource, Name: "Demo", Kind: "sandbox", Config: config}
	if version := settings.Sources.Version(s, demoSource); version > 0 {
		// Started again: only the speed may be another.
		if old, _ := settings.Sources.Get(s, demoSource); string(old.Config) == string(config) {
			return nil
		}
		return settings.Sources.Put(ctx, s, identity.ActorConsole, demoSource, version, source)
	}
	if err := writePosts(filepath.Join(env.Config().Data, "sandbox")); err != nil {
		return err
	}
	if err := seedPeople(ctx, env); err != nil {
		return err
	}
	brands, err := demo.Brands()
	if err != nil {
		return err
	}
	for _, b := range brands {
		v := settings.Brand{ID: b.ID, Name: b.Name, Names: b.Names, Query: b.Query, Lang: b.Lang, TimeZone: b.TimeZone, Voice: b.Voice[b.Lang]}
		if err := create(ctx, s, settings.Brands, b.ID, v); err != nil {
			return err
		}
	}
	notifier := settings.Notifier{ID: "drill", Name: "Drill", Kind: "sandbox"}
	if err := create(ctx, s, settings.Notifiers, notifier.ID, notifier); err != nil {
		return err
	}
	// Last: whoever finds it finds everything.
	if err := create(ctx, s, settings.Sources, demoSource, source); err != nil {
		return err
	}
	start := env.Now()
	go func() {
		if err := replayHistory(ctx, env, start); err != nil && ctx.Err() == nil {
			env.Log.Error("the demo's history is not complete", "error", err)
		}
	}()
	return nil
}

func seedPeople(ctx context.Context, env *app.Env) error {
	staff, err := demo.Staff()
	if err != nil {
		return err
	}
	gate := env.Gate()
	for _, p := range staff {
		account := p.Account()
		if err := create(ctx, env.Settings(), settings.Staff, p.ID, account); err != nil {
			return err
		}
		if err := gate.SetPassword(ctx, identity.ActorConsole, account, demoPassword); err != nil {
			return err
		}
	}
	answers, err := demo.Answers()
	if err != nil {
		return err
	}
	for _, a := range answers {
		if err := create(ctx, env.Settings(), settings.Answers, a.ID, a); err != nil {
			return err
		}
	}
	teams, err := demo.Teams()
	if err != nil {
		return err
	}
	for _, t := range teams {
		if err := create(ctx, env.Settings(), settings.Teams, t.ID, settings.Team{ID: t.ID, Name: t.Names["ja"], Members: t.Members}); err != nil {
			return err
		}
	}
	return nil
}

// writePosts lays the day out for the sandbox to replay: what is older than
// demoLead lies in the past already.
func writePosts(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(dir, "media"), demo.Media()); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "posts.jsonl"))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for p, err := range demo.Posts() {
		if err == nil {
			err = enc.Encode(sandboxLine(&p))
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(w.Flush(), f.Close())
}

// sandboxLine is a post in the form of the intake, with its place in the day.
func sandboxLine(p *demo.Post) map[string]any {
	post := &p.Post
	line := map[string]any{
		"offset_s": (p.Offset - demoLead).Seconds(), "id": post.NativeID, "platform": post.Platform, "kind": post.Kind,
		"url": post.URL, "title": post.Title, "text": post.Text, "lang": post.Lang, "rating": post.Rating,
		"author": lower{"id": post.Author.ID, "handle": post.Author.Handle, "name": post.Author.Name, "url": post.Author.URL, "followers": post.Author.Followers},
		"place":  lower{"id": post.Place.ID, "name": post.Place.Name},
		"thread": lower{
			"id": post.Thread.ID, "parent": post.Thread.Parent,
			"parent_author": post.Thread.ParentAuthor, "parent_text": post.Thread.ParentText,
		},
		"metrics": lower{"likes": post.Metrics.Likes, "reposts": post.Metrics.Reposts, "replies": post.Metrics.Replies},
	}
	var media []lower
	for _, m := range post.Media {
		media = append(media, lower{"type": m.Type, "url": m.URL, "alt": m.Alt})
	}
	line["media"] = media
	if p.Brand != "" {
		line["brands"] = []string{p.Brand}
	}
	return line
}

type lower = map[string]any

// replayHistory gives the commands that staff gave, each at its time, as soon
// as the post it is about is there.
func replayHistory(ctx context.Context, env *app.Env, start time.Time) error {
	index, err := env.Index(ctx)
	if err != nil {
		return err
	}
	board, err := escalation.OpenBoard(ctx, env.Bus(), env.Log)
	if err != nil {
		return err
	}
	cases, err := demo.History()
	if err != nil {
		return err
	}
	for _, c := range cases {
		id := mention.NewID(c.Brand, c.Post.Platform, c.Post.NativeID)
		if err := await(ctx, index, id); err != nil {
			return err
		}
		r := historian{env: env, index: index, board: board, id: id, start: start}
		for _, a := range c.Actions {
			if a.At(start).After(start) {
				break // still to come; the desk is theirs
			}
			if err := r.act(ctx, &a); err != nil {
				env.Log.Warn("a step of the demo's history does not fit", "post", c.Post.NativeID, "do", a.Do, "error", err)
				break
			}
		}
	}
	if err := replayWishes(ctx, env, index, start); err != nil {
		return err
	}
	env.Log.Info("the demo's history is told", "cases", len(cases))
	return nil
}

// replayWishes sets up what customers wish for, and counts the posts that ask for
// it: those of the day, and older ones, which are done with.
func replayWishes(ctx context.Context, env *app.Env, index search.Engine, start time.Time) error {
	const counts, closes = "miyoshi", "sakuma"
	wishes, err := demo.Wishes()
	if err != nil {
		return err
	}
	as := func(staff string, id mention.ID, cmd casework.Command) error {
		person, _ := settings.Staff.Get(env.Settings(), staff)
		if err := await(ctx, index, id); err != nil {
			return err
		}
		_, err := env.Cases(index).Do(ctx, person.Viewer(), id, cmd)
		return err
	}
	for _, w := range wishes {
		if err := settings.Wishes.Put(ctx, env.Settings(), counts, w.ID, settings.Wishes.Version(env.Settings(), w.ID), w.Card()); err != nil {
			return err
		}
		var errs []error
		for _, p := range w.Posts {
			errs = append(errs, as(counts, mention.NewID(w.Brand, p.Platform, p.NativeID), casework.AddWish{Wish: w.ID, Words: p.Words}))
		}
		for i := range w.Earlier {
			m := mention.Of(w.Brand, w.Earlier[i].Post(w.ID, i, start))
			errs = append(errs, bus.Mentions.Publish(ctx, env.Bus(), &m), as(counts, m.ID, casework.AddWish{Wish: w.ID}), as(closes, m.ID, casework.Close{Outcome: "no_answer_needed"}))
		}
		if err := errors.Join(errs...); err != nil {
			env.Log.Warn("a step of the demo's wishes does not fit", "wish", w.ID, "error", err)
		}
	}
	return nil
}

func await(ctx context.Context, index search.Engine, id mention.ID) error {
	for {
		docs, err := index.Get(ctx, search.SeesAll(), id)
		if err == nil && len(docs) > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// historian acts on one case in the past.
type historian struct {
	env   *app.Env
	index search.Engine
	board *escalation.Board
	id    mention.ID
	start time.Time
}

func (h *historian) act(ctx context.Context, a *demo.Action) error {
	s := h.env.Settings()
	person, ok := settings.Staff.Get(s, a.By)
	if !ok {
		return fmt.Errorf("nobody is called %q", a.By)
	}
	at := a.At(h.start)
	store := h.env.CasesAt(h.index, func() time.Time { return at })
	state, err := store.Get(ctx, person.Viewer(), h.id)
	if err != nil {
		return err
	}
	hash := ""
	if state.Draft != nil {
		hash = state.Hash(state.Draft)
	}
	var cmd casework.Command
	switch a.Do {
	case demo.Claim:
		cmd = casework.Claim{}
	case demo.Draft:
		cmd, err = h.draft(&state, person, a)
	case demo.Submit:
		cmd = casework.Submit{}
	case demo.Approve:
		cmd = casework.Approve{Hash: hash}
	case demo.SendBack:
		cmd = casework.SendBack{Why: a.Text}
	case demo.Send:
		cmd = casework.Send{Hash: hash}
	case demo.Note:
		cmd = casework.AddNote{Text: a.Text}
	case demo.Watch:
		cmd = casework.LookOn{}
	case demo.NotForUs:
		cmd = casework.Exclude{Why: a.Text}
	case demo.HandOver:
		cmd = casework.HandOver{To: a.To, Why: a.Text}
	case demo.Promise:
		cmd = casework.MakePromise{Due: a.Due(h.start), Every: time.Duration(a.EveryS) * time.Second}
	case demo.Measure:
		cmd = casework.TakeMeasure{Measure: casework.Measure{Cause: a.Cause, Text: a.Measure, Owner: a.To, Due: a.Due(h.start)}}
	case demo.Assign:
		cmd = casework.Assign{To: a.To}
	case demo.Escalate:
		cmd = casework.Escalate{Why: a.Text}
	case demo.Facts:
		cmd = casework.ConfirmFacts{Text: a.Text}
	case demo.Close:
		done := casework.Close{Outcome: a.Outcome, Why: a.Text}
		if a.Cause != "" {
			done.Measure = &casework.Measure{Cause: a.Cause, Text: a.Measure, Owner: a.By, Due: a.Due(h.start)}
		}
		cmd = done
	default:
		err = fmt.Errorf("no such deed: %q", a.Do)
	}
	if err != nil {
		return err
	}
	if state, err = store.Do(ctx, person.Viewer(), h.id, cmd); err != nil {
		return err
	}
	switch a.Do {
	case demo.Send:
		return h.sent(ctx, store)
	case demo.Escalate:
		return h.acknowledged(ctx)
	case demo.Submit:
		approvers := h.env.Settings().WhoCan(identity.Approve, state.Mention.Brand, a.By, at)
		return casework.Notify(ctx, h.env.Bus(), casework.Notice{Staff: approvers, Case: h.id, What: "approval", By: a.By}, at)
	case demo.Assign:
		return casework.Notify(ctx, h.env.Bus(), casework.Notice{Staff: []string{a.To}, Case: h.id, What: "assigned", By: a.By}, at)
	}
	return nil
}

// acknowledged has the PR lead take what was escalated, so that the day begins
// with nobody being paged for it.
func (h *historian) acknowledged(ctx context.Context) error {
	const lead = "kurose"
	for range 100 {
		found := h.board.All(func(s *escalation.State) bool { return s.Mention == h.id })
		if len(found) > 0 {
			_, err := h.board.Record(ctx, found[0].Key, lead, h.env.Now(), func(s *escalation.State) (escalation.Event, bool) {
				return escalation.Event{Kind: escalation.Acknowledged, Via: "desk"}, s.Acked == nil
			})
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.New("nobody was paged")
}

// draft fills a template as a person would.
func (h *historian) draft(state *casework.State, by identity.Staff, a *demo.Action) (casework.Command, error) {
	s := h.env.Settings()
	t, ok := settings.Templates.Get(s, a.Template)
	if !ok || t.InForce() == nil {
		return nil, fmt.Errorf("template %q is not there", a.Template)
	}
	brand, _ := settings.Brands.Get(s, state.Mention.Brand)
	author := state.Mention.Author.Name
	if author == "" {
		author = state.Mention.Author.Handle
	}
	values := map[string]string{"author": author, "brand": brand.Called(t.Lang), "staff": by.PublicName, "case": fmt.Sprint(state.Number)}
	for k, v := range a.Slots {
		values[k] = v
	}
	text, missing := t.InForce().Render(values)
	if len(missing) > 0 {
		return nil, fmt.Errorf("template %s: slots %v are not filled", t.ID, missing)
	}
	version := 0
	if state.Draft != nil {
		version = state.Draft.Version
	}
	return casework.Write{
		Version: version, Text: text, Lang: t.Lang, Kind: t.InForce().Kind, Account: demoSource, Template: t.ID, Slots: values,
	}, nil
}

// sent waits until the reply is out, so that the next step finds it there.
func (h *historian) sent(ctx context.Context, store *casework.Store) error {
	for range 300 {
		state, err := store.Get(ctx, identity.System(), h.id)
		if err != nil {
			return err
		}
		if state.Outgoing == nil || slices.Contains([]casework.Status{casework.Done, casework.WaitingCustomer}, state.Status) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.New("the reply did not leave")
}
