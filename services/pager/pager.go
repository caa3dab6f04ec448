// Package pager is the service that calls people: it decides what PR must see,
// opens escalations, climbs their ladders until somebody acknowledges, and
// never pages for what is old, imported or indexed anew.
package pager

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
)

// Service is the pager as a process runs it. Of several, one works: storms are
// only seen by whoever sees everything.
var Service = app.Service{Name: "pager", Run: run, Sealed: true}

func run(ctx context.Context, env *app.Env) error {
	board, err := escalation.OpenBoard(ctx, env.Bus(), env.Log)
	if err != nil {
		return err
	}
	signer, err := env.Signer(ctx)
	if err != nil {
		return err
	}
	p := &pager{
		bus: env.Bus(), board: board, settings: env.Settings(), cases: env.Cases(nil), http: env.HTTP().Pausing(maxPause),
		signer: signer, log: env.Log, now: env.Now, url: env.URL(), data: env.Config().Data, opener: env.Opener(),
		notifiers: map[string]opened{},
	}
	// What is published from here on is not missed, whoever handles it.
	if _, err := bus.Tagged.Subscribe(ctx, p.bus, taggedConsumer); err != nil {
		return err
	}
	if _, err := casework.Events().Subscribe(ctx, p.bus, casesConsumer); err != nil {
		return err
	}
	env.Ready()
	return p.bus.RunOnce(ctx, "pager", env.Instance(), p.lead)
}

// maxPause is the longest that a page waits because its far side asks for it: a
// day of silence by one answer is for sources, not for who must be woken.
const maxPause = 5 * time.Minute

// The pager starts with what is new: it never pages for an archive.
var (
	taggedConsumer = bus.Consumer{Durable: "pager-tagged-v1", New: true, Timeout: 10 * time.Second}
	casesConsumer  = bus.Consumer{Durable: "pager-cases-v1", New: true, Timeout: 10 * time.Second}
)

type pager struct {
	bus      *bus.Conn
	board    *escalation.Board
	settings *settings.Store
	cases    *casework.Store
	http     *outbound.Client
	signer   *identity.Signer
	log      *slog.Logger
	now      func() time.Time
	url      string
	data     string
	opener   *settings.Opener

	mu        sync.Mutex
	notifiers map[string]opened
	silent    map[string]bool          // escalations of which it was said that nobody can be paged
	lanes     map[string]chan struct{} // closed when the last that was sent along it has its outcome

	// Only the one consumer of TAGGED touches these.
	volume  escalation.Volume
	stories escalation.Stories
	joined  map[string]map[mention.ID]bool // by escalation
}

// memory is how far back the usual volume is learned from.
const memory = 7 * 24 * time.Hour

func (p *pager) lead(ctx context.Context) error {
	p.volume, p.stories, p.joined = escalation.Volume{}, escalation.Stories{}, map[string]map[mention.ID]bool{}
	err := bus.Tagged.Since(ctx, p.bus, p.now().Add(-memory), 1000, func(_ context.Context, batch []bus.Entry[mention.Tagged]) error {
		for i := range batch {
			t := &batch[i].Value
			if t.Mention.Brand == mention.CanaryBrand {
				continue
			}
			p.volume.Add(t)
			if p.now().Sub(t.Mention.SeenAt) < 24*time.Hour {
				p.stories.Add(t, t.Mention.SeenAt)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("learn what is usual: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return bus.Tagged.Consume(ctx, p.bus, taggedConsumer, bus.Each(p.tagged))
	})
	g.Go(func() error {
		return casework.Events().Consume(ctx, p.bus, casesConsumer, bus.Each(p.happened))
	})
	g.Go(func() error { return p.climb(ctx) })
	g.Go(func() error { return bus.Answer(ctx, p.bus, "pager", "mail", p.mail) })
	g.Go(func() error { return bus.Answer(ctx, p.bus, "pager", "test", p.test) })
	g.Go(func() error { return p.listen(ctx) })
	return g.Wait()
}

// tagged opens or joins an escalation where a mention wants one.
func (p *pager) tagged(ctx context.Context, m *bus.Msg[mention.Tagged]) error {
	t, now := &m.Value, p.now()
	if t.Mention.Brand == mention.CanaryBrand {
		return nil
	}
	p.volume.Add(t)
	size := p.stories.Add(t, now)
	if t.Verdict.Pass == 0 { // one that is judged again is late for another reason
		p.bus.Age("paged", m.Seen, now)
	}
	if !escalation.Admit(t, now) {
		return nil
	}
	policy := p.settings.Policy()
	limits := policy.LimitsOf(t.Mention.Brand)
	origin, wanted := escalation.ByVerdict, t.Verdict.Page
	if !wanted {
		if origin, wanted = limits.Exceeds(t, size); wanted && p.escalated(t, origin) {
			wanted = false
		}
	}
	if err := p.subject(ctx, t, m.Seq, origin, wanted, size.Reach, &policy); err != nil {
		return err
	}
	if spike, ok := p.volume.Spike(t.Mention.Brand, now, limits); ok {
		return p.storm(ctx, t, m.Seq, spike, &policy)
	}
	return nil
}

// subject joins t to the escalation about its story or author, or about the
// same incident, or opens one if it is wanted.
func (p *pager) subject(ctx context.Context, t *mention.Tagged, seq uint64, origin escalation.Origin, wanted bool, reach int64, policy *escalation.Policy) error {
	subjects := escalation.Subjects(t)
	match := subjects
	if !wanted {
		match = story(t)
	}
	category, rule := escalation.Cause(&t.Verdict)
	urgency := policy.Urgency(escalation.Reason{Brand: t.Mention.Brand, Category: category, Origin: origin, Reach: reach}, p.now())
	if open, ok := p.about(t.Mention.Brand, match); ok {
		return p.join(ctx, open, t, urgency, wanted, reach)
	}
	if !wanted || urgency == escalation.Ignore || p.tail(t.Mention.Brand, story(t), urgency) {
		return nil
	}
	if origin == escalation.ByVerdict {
		if open, ok := p.incident(t.Mention.Brand, category, *policy); ok {
			return p.join(ctx, open, t, urgency, true, reach)
		}
	}
	e := escalation.Open(t, origin, urgency)
	e.URL = "/cases/" + string(t.Mention.ID)
	e.Reach = max(e.Reach, reach)
	if rule != "" && e.Rule == "" {
		e.Rule = rule
	}
	return p.open(ctx, escalation.ID(t.Mention.Brand, subjects[0], seq), e)
}

// escalated tells whether the story of t was escalated for this figure before:
// it stays over the limit, and pages once.
func (p *pager) escalated(t *mention.Tagged, origin escalation.Origin) bool {
	return len(p.board.About(t.Mention.Brand, story(t), func(s *escalation.State) bool {
		return s.Origin == origin && !s.Open()
	})) > 0
}

// story is what a mention shares with its reposts and near-copies, if any.
func story(t *mention.Tagged) []string {
	return slices.DeleteFunc(escalation.Subjects(t), func(s string) bool { return !strings.HasPrefix(s, "story:") })
}

// tail tells whether somebody has just resolved what one of subjects was about,
// at no lower urgency: what still drips in opens nothing anew.
func (p *pager) tail(brand string, subjects []string, urgency escalation.Urgency) bool {
	return len(p.board.About(brand, subjects, func(s *escalation.State) bool {
		return s.Resolved != nil && p.now().Sub(s.Resolved.At) < time.Hour && !urgency.Stronger(s.Urgency)
	})) > 0
}

func (p *pager) open(ctx context.Context, id string, e escalation.Event) error {
	_, err := p.board.Record(ctx, id, escalation.System, p.now(), func(s *escalation.State) (escalation.Event, bool) {
		return e, s.OpenedAt.IsZero()
	})
	if err != nil {
		return err
	}
	p.log.Info("escalation opened", "escalation", id, "brand", e.Brand, "category", e.Category, "urgency", e.Urgency, "origin", e.Origin)
	return p.step(ctx, id)
}

// about finds the open escalation about any of subjects.
func (p *pager) about(brand string, subjects []string) (escalation.State, bool) {
	found := p.board.About(brand, subjects, (*escalation.State).Open)
	if len(found) == 0 {
		return escalation.State{}, false
	}
	return found[0], true
}

// incident finds the open escalation of brand that takes in what others say of
// the same kind.
func (p *pager) incident(brand string, category mention.Category, policy escalation.Policy) (escalation.State, bool) {
	now := p.now()
	policy.Roster = p.roster(brand, p.channels())
	found := p.board.Open(brand, func(s *escalation.State) bool { return s.Takes(category, policy, now) })
	if len(found) == 0 {
		return escalation.State{}, false
	}
	return found[0], true
}

func (p *pager) join(ctx context.Context, s escalation.State, t *mention.Tagged, urgency escalation.Urgency, wanted bool, reach int64) error {
	members := p.joined[s.Key]
	if members == nil {
		members = map[mention.ID]bool{s.Mention: true}
		for _, id := range s.Mentions {
			members[id] = true
		}
		p.joined[s.Key] = members
	}
	graver := wanted && urgency.Stronger(s.Urgency)
	n := max(s.Count, len(members))
	if !members[t.Mention.ID] {
		n++
	} else if !graver {
		return nil
	}
	if !escalation.Milestone(n) && !graver {
		members[t.Mention.ID] = true
		return nil
	}
	category, rule := escalation.Cause(&t.Verdict)
	_, err := p.board.Record(ctx, s.Key, escalation.System, p.now(), func(s *escalation.State) (escalation.Event, bool) {
		e := escalation.Event{Kind: escalation.Joined, Mention: t.Mention.ID, Count: n, Reach: reach}
		if wanted {
			e.Category, e.Rule, e.Subjects = category, rule, escalation.Subjects(t)
			if s.Acked == nil {
				e.Urgency = urgency
			}
		}
		return e, s.Open() && (s.Count < n || graver)
	})
	if err != nil {
		return err
	}
	// Somebody has it, and it has become graver: that is news to them.
	_, err = p.board.Record(ctx, s.Key, escalation.System, p.now(), func(s *escalation.State) (escalation.Event, bool) {
		return escalation.Event{Kind: escalation.Reopened, Category: category, Rule: rule, Urgency: urgency},
			graver && s.Acked != nil && s.Resolved == nil && urgency.Stronger(s.Urgency)
	})
	if err != nil {
		return err
	}
	members[t.Mention.ID] = true
	return p.step(ctx, s.Key)
}

// storm opens an escalation about a brand's volume, once per storm.
func (p *pager) storm(ctx context.Context, t *mention.Tagged, seq uint64, spike escalation.Spike, policy *escalation.Policy) error {
	brand := t.Mention.Brand
	volume := []string{escalation.VolumeSubject}
	urgency := policy.Urgency(escalation.Reason{Brand: brand, Origin: escalation.ByVolume}, p.now())
	if _, ok := p.about(brand, volume); ok || urgency == escalation.Ignore || p.tail(brand, volume, urgency) {
		return nil
	}
	return p.open(ctx, escalation.ID(brand, escalation.VolumeSubject, seq), escalation.Event{
		Kind: escalation.Opened, Brand: brand, Subjects: volume, Urgency: urgency,
		Origin: escalation.ByVolume, Rule: fmt.Sprintf("%d negative in 10 min, usual %.1f", spike.Count, spike.Usual),
		Ground: escalation.Ground{Count: int64(spike.Count), Usual: spike.Usual},
		Count:  spike.Count, Lang: t.Verdict.Lang, URL: "/queue?brand=" + brand + "&sentiment=negative&sort=newest",
	})
}

// happened pages for what people ask for, and for promises about to break.
func (p *pager) happened(ctx context.Context, m *bus.Msg[casework.Event]) error {
	e := &m.Value
	var origin escalation.Origin
	switch {
	case e.Kind == casework.Escalated:
		origin = escalation.ByHand
	case e.Kind == casework.PromiseDue && e.Level == "due":
		origin = escalation.ByPromise
	default:
		return nil
	}
	s, ok, err := p.cases.Touched(ctx, mention.ID(m.Key))
	if err != nil || !ok || s.Redacted {
		return err
	}
	t := &mention.Tagged{Mention: s.Mention, Verdict: s.InForce()}
	policy := p.settings.Policy()
	category, rule := escalation.Cause(&t.Verdict)
	urgency := policy.Urgency(escalation.Reason{Brand: s.Mention.Brand, Category: category, Origin: origin}, p.now())
	if urgency == escalation.Ignore {
		return nil
	}
	if have, ok := p.about(s.Mention.Brand, escalation.Subjects(t)); ok {
		return p.added(ctx, have.Key, e, escalation.Event{Kind: escalation.Joined, Category: category, Rule: rule, Urgency: urgency})
	}
	open := escalation.Open(t, origin, urgency)
	open.URL, open.Rule = "/cases/"+string(s.ID), e.Text
	return p.open(ctx, escalation.ID(s.Mention.Brand, string(origin)+":"+string(s.ID), m.Seq), open)
}

// added brings what a person asks, or a promise that is due, to an escalation
// that is there: as a note, and as more urgent if it is. Whoever has it already
// is not paged for the same again.
func (p *pager) added(ctx context.Context, id string, e *casework.Event, joined escalation.Event) error {
	text := cmp.Or(e.Text, "a promise to the customer is due")
	_, err := p.board.Record(ctx, id, e.Actor, e.At, func(s *escalation.State) (escalation.Event, bool) {
		noted := slices.ContainsFunc(s.Notes, func(m escalation.Mark) bool { return m.By == e.Actor && m.At.Equal(e.At) && m.Text == text })
		return escalation.Event{Kind: escalation.Noted, Text: text}, s.Open() && !noted
	})
	if err != nil {
		return err
	}
	_, err = p.board.Record(ctx, id, escalation.System, p.now(), func(s *escalation.State) (escalation.Event, bool) {
		joined.Count = s.Count
		return joined, s.Open() && s.Acked == nil && joined.Urgency.Stronger(s.Urgency)
	})
	if err != nil {
		return err
	}
	return p.step(ctx, id)
}
