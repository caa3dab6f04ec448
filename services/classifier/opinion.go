package classifier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/classify"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

const (
	// tooLate is the age, since it was first seen, from which a mention is not
	// asked about any more.
	tooLate = 6 * time.Hour
	// askers is how many questions a process has under way at once.
	askers = 4
	// tries is how often a question is asked that gets no answer.
	tries = 3
	// firstPause is how long nobody is asked after a failure. It doubles with
	// each that follows, up to lastPause.
	firstPause = 5 * time.Second
	lastPause  = time.Hour
)

// What became of a mention in doubt, for the metrics.
const (
	outcomeChanged = "changed" // it was tagged again
	outcomeAgreed  = "agreed"  // the opinion changes nothing
	outcomeInvalid = "invalid" // the answer could not be used
	outcomeFailed  = "failed"  // there was no answer
	outcomeBudget  = "budget"  // too much was asked already
	outcomeLate    = "late"    // it was too old when its turn came
	outcomeGone    = "gone"    // it was erased meanwhile
)

// opinions follows TAGGED, asks about what the classifier is not sure of, and
// tags it again. Nothing waits for it, and what it can't do it leaves out.
type opinions struct {
	judge    *classify.Classifier
	endpoint *endpoint
	bus      *bus.Conn
	log      *slog.Logger
	now      func() time.Time
	brand    func(id string) (names []string, peer bool)
	first    time.Duration // pause after the first failure
	slots    chan struct{} // one for each question under way

	outcomes *prometheus.CounterVec
	tokens   prometheus.Counter

	mu       sync.Mutex
	failures int
	pause    time.Time // nobody is asked until then
	failing  bool      // as [classify.Asked] has it
}

// newOpinions returns what asks as cfg says.
func newOpinions(judge *classify.Classifier, env *app.Env, cfg config.Opinion) (*opinions, error) {
	o := &opinions{
		judge: judge, endpoint: &endpoint{http: env.HTTP().Within(cfg.Timeout, maxAnswer), cfg: cfg},
		bus: env.Bus(), log: env.Log, now: env.Now, brand: brands(env.Settings()), first: firstPause,
		slots: make(chan struct{}, askers),
	}
	o.measure()
	for _, m := range []prometheus.Collector{o.outcomes, o.tokens} {
		if err := env.Metrics().Register(m); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *opinions) measure() {
	o.outcomes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "earshot_opinions_total",
		Help: "Mentions in doubt, by outcome (changed, agreed, invalid, failed, budget, late, gone).",
	}, []string{"outcome"})
	o.tokens = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "earshot_opinion_tokens_total",
		Help: "Tokens spent on second opinions.",
	})
}

// brands returns how brands are called, and whether they are only compared with.
func brands(s *settings.Store) func(id string) ([]string, bool) {
	return func(id string) ([]string, bool) {
		b, ok := settings.Brands.Get(s, id)
		if !ok {
			return []string{id}, false
		}
		names := []string{b.Name}
		for _, n := range b.Names {
			names = append(names, n)
		}
		return names, b.Peer
	}
}

// opinionConsumer begins with what is tagged after it was first switched on. Its
// batches are small and side by side, because each lasts as long as the slowest
// answer to it.
var opinionConsumer = bus.Consumer{Durable: "classifier-opinion-v1", New: true, Batch: 16, Workers: askers}

// run works until ctx ends. An error of the bus, as rights that are missing, is no
// reason to stop the classifier.
func (o *opinions) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := o.begin(ctx)
		if err == nil {
			err = bus.Tagged.Consume(ctx, o.bus, opinionConsumer, o.handle)
		}
		if err != nil && ctx.Err() == nil {
			o.log.Error("no opinions are asked for; trying again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Minute):
			}
		}
	}
}

// begin tells the desk who is asked and how much, and takes up the pause of a
// process before.
func (o *opinions) begin(ctx context.Context) error {
	cfg := o.endpoint.cfg
	return o.change(ctx, func(a *classify.Asked) bool {
		if a.Model != cfg.Model {
			a.Error, a.Trouble, a.Next = "", outbound.Trouble{}, time.Time{}
		}
		a.Model, a.PerHour, a.PerDay = cfg.Model, cfg.PerHour, cfg.TokensPerDay
		o.mu.Lock()
		defer o.mu.Unlock()
		o.failing, o.pause = a.Error != "", a.Next
		return true
	})
}

// forget takes back what the desk shows of opinions, where none are asked for.
func forget(ctx context.Context, c *bus.Conn, log *slog.Logger) {
	var a classify.Asked
	_, err := bus.Cursors.Get(ctx, c, classify.AskedKey, &a)
	if err == nil {
		err = bus.Cursors.Delete(ctx, c, classify.AskedKey)
	}
	if err != nil && !errors.Is(err, bus.ErrNotFound) && ctx.Err() == nil {
		log.Warn("the desk may go on telling of second opinions", "error", err)
	}
}

func (o *opinions) handle(ctx context.Context, batch []*bus.Msg[mention.Tagged]) error {
	var wg sync.WaitGroup
	for _, m := range batch {
		if o.asksAbout(&m.Value) {
			wg.Go(func() { m.Err = o.opine(ctx, m.Seq, &m.Value) })
		}
	}
	wg.Wait()
	return nil
}

// asksAbout tells whether t is one of those about which somebody may be asked: it
// has just come in, it may leave, and nobody is called for it anyway.
func (o *opinions) asksAbout(t *mention.Tagged) bool {
	m, v := &t.Mention, &t.Verdict
	return v.Model == o.judge.Version() && !v.Page && !v.Unread && !m.Deleted && m.Intake == mention.Live &&
		source.DutiesOf(m.Platform).MayLeave && o.now().Sub(m.SeenAt) < tooLate
}

// opine tags t, message seq, again, if there is doubt and an opinion that settles
// it. An error means that the bus did not take it.
func (o *opinions) opine(ctx context.Context, seq uint64, t *mention.Tagged) (err error) {
	defer func() {
		if p := recover(); p != nil {
			o.log.Error("no opinion on a mention", "mention_id", t.Mention.ID, "panic", p, "stack", string(debug.Stack()))
			o.count(outcomeFailed)
			err = nil
		}
	}()
	doubt := o.judge.Doubt(&t.Mention)
	urgent := doubt.Page()
	if !urgent && len(doubt.Risks()) == 0 {
		return nil
	}
	names, peer := o.brand(t.Mention.Brand)
	if peer {
		return nil
	}
	q := newQuestion(&t.Mention, t.Verdict.Lang, names)
	a, outcome, err := o.answer(ctx, t, &q, urgent)
	if err != nil {
		return err
	}
	if outcome != "" {
		o.count(outcome)
		return nil
	}
	opinion := classify.Opinion{
		By: o.endpoint.cfg.Model + "/" + guideVersion, Sentiment: a.Sentiment, Intent: a.Intent, Disposition: a.Disposition,
	}
	for _, r := range a.Risks {
		if start, end, ok := q.text.back(r.Start, r.End); ok {
			opinion.Risks = append(opinion.Risks, classify.OpinionRisk{Category: r.Category, Start: start, End: end, Grave: r.Grave})
		}
	}
	settled, changed := doubt.Settle(t.Verdict, opinion)
	if !changed {
		o.count(outcomeAgreed)
		return nil
	}
	// What was erased while somebody thought about it must not come back.
	if _, err := bus.Tagged.Get(ctx, o.bus, seq); errors.Is(err, bus.ErrNotFound) {
		o.count(outcomeGone)
		return nil
	} else if err != nil {
		return err
	}
	if err := bus.Tagged.Publish(ctx, o.bus, &mention.Tagged{Mention: t.Mention, Verdict: settled}); err != nil {
		return err
	}
	o.count(outcomeChanged)
	return nil
}

func (o *opinions) count(outcome string) { o.outcomes.WithLabelValues(outcome).Inc() }

// answer returns the answer to q, or else what became of it. An error is the end
// of ctx.
func (o *opinions) answer(ctx context.Context, t *mention.Tagged, q *question, urgent bool) (a answer, outcome string, err error) {
	key := q.key(o.endpoint.cfg.Model)
	if _, err := bus.Opinions.Get(ctx, o.bus, key, &a); err == nil {
		return a, "", nil
	} else if !errors.Is(err, bus.ErrNotFound) {
		o.log.Debug("kept answers are not read", "error", err)
	}
	select {
	case o.slots <- struct{}{}:
		defer func() { <-o.slots }()
	case <-ctx.Done():
		return a, "", ctx.Err()
	}
	for n := 1; ; n++ {
		if err := o.wait(ctx, t); err != nil {
			return a, "", err
		}
		if o.now().Sub(t.Mention.SeenAt) >= tooLate {
			return a, outcomeLate, nil
		}
		// What is spent is noted before it is, and put right after: a crash
		// between the two errs on the side of having spent it.
		might := len(o.endpoint.body(q, true))/3 + maxTokens
		within, asked := false, o.now()
		if err := o.change(ctx, func(s *classify.Asked) bool {
			within = s.Spend(asked, might, urgent)
			return within
		}); err != nil {
			if ctx.Err() != nil {
				return a, "", ctx.Err()
			}
			o.log.Warn("no opinion: what was spent is not known", "error", err)
			return a, outcomeFailed, nil
		}
		if !within {
			return a, outcomeBudget, nil
		}
		a, tokens, err := o.endpoint.ask(ctx, q)
		if ctx.Err() != nil {
			return a, "", ctx.Err()
		}
		o.settle(ctx, asked, might, tokens, err)
		if err == nil {
			if err := bus.Opinions.Put(ctx, o.bus, key, a); err != nil {
				o.log.Debug("an answer is not kept", "error", err)
			}
			return a, "", nil
		}
		if isVoid(err) {
			return a, outcomeInvalid, nil
		}
		if n == tries || bus.IsPermanent(err) {
			return a, outcomeFailed, nil
		}
	}
}

// isVoid tells of an error that concerns one question alone: the answer is not as
// asked for, or the endpoint doesn't take this text.
func isVoid(err error) bool {
	if e, ok := errors.AsType[*outbound.Error](err); ok {
		return e.Status == http.StatusBadRequest || e.Status == http.StatusRequestEntityTooLarge || e.Status == http.StatusUnprocessableEntity
	}
	_, ok := errors.AsType[errAnswer](err)
	return ok
}

// wait returns when the endpoint may be asked, or t has become too old, or with
// the end of ctx.
func (o *opinions) wait(ctx context.Context, t *mention.Tagged) error {
	for {
		o.mu.Lock()
		left := min(o.pause.Sub(o.now()), t.Mention.SeenAt.Add(tooLate).Sub(o.now()))
		o.mu.Unlock()
		if left <= 0 {
			return ctx.Err()
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// settle notes what a question cost and how it ended. Might is what was noted
// when it was asked.
func (o *opinions) settle(ctx context.Context, asked time.Time, might, tokens int, err error) {
	now := o.now()
	void := isVoid(err)
	if e, ok := errors.AsType[*outbound.Error](err); ok && e.Reached && e.Status == 0 {
		tokens = might // it may have thought about it all the same
	}
	o.mu.Lock()
	switch {
	case err == nil || void:
		o.failures, o.pause = 0, time.Time{}
	case !now.Before(o.pause): // or another question has met the same
		o.failures++
		wait := min(o.first<<min(o.failures-1, 20), lastPause)
		if bus.IsPermanent(err) {
			wait = lastPause / 4 // a wrong key, a model that isn't there: a person has to mend it
		}
		if after, ok := bus.RetryAfter(err); ok {
			wait = min(after, lastPause)
		}
		o.pause = now.Add(wait)
	}
	pause, said := o.pause, o.failing
	o.failing = err != nil
	o.mu.Unlock()
	if err != nil && !said {
		o.log.Warn("no opinion", "error", err)
	}
	if _, void := errors.AsType[errAnswer](err); (err == nil || void) && tokens == 0 { // it does not tell
		tokens = might - maxTokens*3/4
	}
	o.tokens.Add(float64(tokens))
	kept := o.change(ctx, func(a *classify.Asked) bool {
		a.Turn(now)
		if a.Day.Equal(asked.UTC().Truncate(24 * time.Hour)) { // or it was another day's
			a.Tokens = max(0, a.Tokens-might+tokens)
		}
		if err == nil {
			a.Success, a.Error, a.Trouble, a.Next = now, "", outbound.Trouble{}, time.Time{}
		} else {
			a.Error, a.Trouble, a.Next = err.Error(), outbound.Explain(err, now), pause
		}
		return true
	})
	if kept != nil && ctx.Err() == nil {
		o.log.Warn("what was spent on opinions is not noted", "error", kept)
	}
}

// change changes what is kept of asking for opinions, unless f says that there is
// nothing to change.
func (o *opinions) change(ctx context.Context, f func(*classify.Asked) bool) error {
	for {
		var a classify.Asked
		revision, err := bus.Cursors.Get(ctx, o.bus, classify.AskedKey, &a)
		if err != nil && !errors.Is(err, bus.ErrNotFound) {
			return err
		}
		if a.PerHour == 0 {
			a.Model, a.PerHour, a.PerDay = o.endpoint.cfg.Model, o.endpoint.cfg.PerHour, o.endpoint.cfg.TokensPerDay
		}
		if !f(&a) {
			return nil
		}
		_, err = bus.Cursors.Update(ctx, o.bus, classify.AskedKey, a, revision)
		if !errors.Is(err, bus.ErrConflict) {
			if err != nil {
				err = fmt.Errorf("classifier opinions: %w", err)
			}
			return err
		}
	}
}
