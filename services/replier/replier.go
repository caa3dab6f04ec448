// Package replier is the service that publishes what people sent. It alone
// holds credentials that can write.
//
// A public reply is posted at most once. Before a platform is called that is
// written down, with the time until which nobody else may call; afterwards the
// result is. Whoever finds a call without a result asks the platform, and a
// person when the platform doesn't know.
package replier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// Service is the replier as a process runs it. Any number may run.
var Service = app.Service{Name: "replier", Run: run, Sealed: true}

// callTime bounds one call of a platform; it is well below SendingTerm, so that
// a call has ended before anybody looks for its result.
const callTime = 45 * time.Second

func run(ctx context.Context, env *app.Env) error {
	r := &replier{
		bus: env.Bus(), cases: env.Cases(nil), settings: env.Settings(), http: env.HTTP(), log: env.Log,
		now: env.Now, data: env.Config().Data, opener: env.Opener(), conns: map[string]opened{},
	}
	if env.Config().Bus.URL == "" {
		// What an embedded server has acknowledged is on disk after its next
		// sync: before that a power cut could forget that we were to call.
		r.settle = env.Config().Bus.Sync + 200*time.Millisecond
	}
	env.Ready()
	g, ctx := errgroup.WithContext(ctx)
	// One at a time and four side by side: a slow platform holds up few. What is
	// only looked at never keeps a reply waiting.
	for durable, handle := range map[string]func(context.Context, *bus.Msg[casework.Event]) error{
		"replier-v1": r.handle, "replier-look-v1": r.look, "replier-hand-v1": r.lookForPosted,
	} {
		g.Go(func() error {
			return casework.Events().Consume(ctx, r.bus, bus.Consumer{
				Durable: durable, Batch: 1, Workers: 4, Timeout: 15 * time.Second,
			}, bus.Each(handle))
		})
	}
	return g.Wait()
}

type replier struct {
	bus      *bus.Conn
	cases    *casework.Store
	settings *settings.Store
	http     *outbound.Client
	log      *slog.Logger
	now      func() time.Time
	data     string
	opener   *settings.Opener
	settle   time.Duration

	mu    sync.Mutex
	conns map[string]opened

	timelines timelines
}

// opened is a connector as its settings had it.
type opened struct {
	of   settings.Source
	conn source.Source
}

// connOf returns the connector of the source called account.
func (r *replier) connOf(account string) (source.Source, error) {
	s, ok := settings.Sources.Get(r.settings, account)
	if !ok {
		return nil, outbound.Absent.Of(fmt.Errorf("there is no source %q any more", account))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	o, ok := r.conns[account]
	if !ok || !reflect.DeepEqual(o.of, s) {
		kind, ok := source.Named(s.Kind)
		if !ok {
			return nil, outbound.Absent.Of(fmt.Errorf("there is no connector %q in this version", s.Kind))
		}
		cfg, err := r.opener.Open(s.Config)
		if err != nil {
			return nil, err
		}
		conn, err := kind.Open(cfg, source.Deps{
			HTTP: r.http, Log: r.log, Now: r.now, Data: r.data, Terms: func() source.Terms { return source.Terms{} },
			Keep: r.opener.Keeper(r.settings, account),
		})
		if err != nil {
			return nil, err
		}
		o = opened{s, conn}
		r.conns[account] = o
	}
	return o.conn, nil
}

// replierOf returns the connector that publishes for a source, or nil when that
// can't.
func (r *replier) replierOf(account string) (source.Replier, error) {
	conn, err := r.connOf(account)
	if err != nil {
		return nil, err
	}
	rep, _ := conn.(source.Replier)
	return rep, nil
}

// handle acts on the events that ask for a reply; all others are done.
func (r *replier) handle(ctx context.Context, m *bus.Msg[casework.Event]) error {
	if m.Value.Kind != casework.SendAsked && m.Value.Kind != casework.SendHastened {
		return nil
	}
	id, attempt := mention.ID(m.Key), m.Value.Attempt
	s, ok, err := r.cases.Touched(ctx, id)
	if err != nil || !ok {
		return err
	}
	out := s.Outgoing
	if s.ReadOnly != "" {
		// It may have been taken back in words this program doesn't know.
		return bus.After(fmt.Errorf("a newer Earshot has worked on case %s (%s)", id, s.ReadOnly), time.Minute)
	}
	if out == nil || out.Attempt != attempt {
		return nil // sent, failed, or taken back
	}
	now := r.now()
	switch {
	case out.Calling && now.Before(out.CallUntil):
		return bus.After(errors.New("another call may be under way"), out.CallUntil.Sub(now)+time.Second)
	case out.Calling, out.Unsure:
		return r.unfinished(ctx, &s)
	case now.Before(out.NotTill):
		return bus.After(errors.New("it can still be taken back"), out.NotTill.Sub(now)+10*time.Millisecond)
	}
	return r.send(ctx, &s)
}

// send writes down that the platform is going to be called, and calls it.
func (r *replier) send(ctx context.Context, s *casework.State) error {
	attempt := s.Outgoing.Attempt
	if why, ok := r.settings.StopFor(s.Mention.Brand, s.Verdict.Story); ok {
		// Nothing of it leaves when the stop is over: a person sends it again.
		return r.record(ctx, s.ID, attempt, casework.Event{Kind: casework.SendStopped, Text: why})
	}
	again := !s.Outgoing.CallSince.IsZero()
	facing, err := r.facing(ctx, s)
	if refused, ok := errors.AsType[*casework.Refused](err); ok && !again {
		return r.record(ctx, s.ID, attempt, casework.Event{Kind: casework.SendStopped, Text: refused.Text, Reason: string(refused.Code)})
	}
	if err != nil {
		return err
	}
	if why, ok := r.settings.StopFor(facing.Mention.Brand, facing.Verdict.Story); ok && !again {
		return r.record(ctx, s.ID, attempt, casework.Event{Kind: casework.SendStopped, Text: why})
	}
	conn, err := r.replierOf(s.Outgoing.Draft.Account)
	failed := casework.Event{Kind: casework.SendFailed}
	switch {
	case err != nil:
		failed.Text, failed.Trouble = err.Error(), outbound.Explain(err, r.now())
		return r.record(ctx, s.ID, attempt, failed)
	case conn == nil:
		failed.Text, failed.Reason = "replies can't be published through this source", string(source.NoReplier)
		return r.record(ctx, s.ID, attempt, failed)
	}
	won := false
	after, err := r.cases.Record(ctx, s.ID, func(st *casework.State) (casework.Event, bool) {
		o := st.Outgoing
		won = o != nil && o.Attempt == attempt && o.CallingSeq == s.Outgoing.CallingSeq
		return casework.Event{Kind: casework.Sending, Attempt: attempt, Until: r.now().Add(casework.SendingTerm)}, won
	})
	if err != nil || !won {
		return err
	}
	time.Sleep(r.settle)
	after = after.Facing(facing)
	return r.call(context.WithoutCancel(ctx), &after, conn, again)
}

// facing is the case s with its face to the post that its reply on the way
// answers. Before the first call that must read as whoever sent the reply saw it:
// the case itself hears of its own post alone.
func (r *replier) facing(ctx context.Context, s *casework.State) (*casework.State, error) {
	o := s.Outgoing
	if o.Draft.To == "" {
		return s, nil
	}
	facing, err := r.cases.Toward(ctx, s, o.Draft.To)
	switch {
	case err != nil:
		return nil, err
	case o.CallSince.IsZero() && (facing.Mention.Deleted || facing.Hash(&o.Draft) != o.Hash):
		return nil, &casework.Refused{Code: casework.CodeStale, Text: "the post that it answers has changed or was deleted; read it again"}
	}
	return &facing, nil
}

// call publishes the reply and records what became of it, also when the process
// is told to stop meanwhile. Again tells that it was called before, so that no
// refusal proves that the reply isn't out.
func (r *replier) call(ctx context.Context, s *casework.State, conn source.Replier, again bool) error {
	calling, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	sent, err := conn.Reply(calling, replyOf(s))
	refusal, refused := source.Refused(err, r.now())
	if pause, ok := bus.RetryAfter(err); ok && refused && pause < callTime/2 {
		time.Sleep(pause)
		sent, err = conn.Reply(calling, replyOf(s))
		refusal, refused = source.Refused(err, r.now())
	}
	attempt := s.Outgoing.Attempt
	switch {
	case err == nil:
		return r.record(ctx, s.ID, attempt, sentEvent(sent, conn))
	case refused && !again:
		r.log.Warn("reply not published", "case", s.ID, "error", err)
		failed := casework.Event{Kind: casework.SendFailed, Text: err.Error(), Reason: string(refusal.Reason), Until: refusal.Until, Trouble: outbound.Explain(err, r.now())}
		if err := r.record(ctx, s.ID, attempt, failed); err != nil {
			return err
		}
		r.lookAtPost(ctx, s, conn, refusal.Reason)
		return nil
	}
	r.log.Warn("no clear answer to a reply; looking for it", "case", s.ID, "error", err)
	return r.find(ctx, s, conn, err)
}

// unfinished is for a call whose result nobody wrote down.
func (r *replier) unfinished(ctx context.Context, s *casework.State) error {
	conn, err := r.replierOf(s.Outgoing.Draft.Account)
	if err == nil && conn == nil {
		err = outbound.Absent.Of(errors.New("the source can't be asked"))
	}
	if err != nil {
		return r.unsure(ctx, s, err)
	}
	facing, err := r.facing(ctx, s)
	if _, ok := errors.AsType[*casework.Refused](err); ok {
		return r.unsure(ctx, s, err) // what it answers is gone from here, and a person looks
	}
	if err != nil {
		return err
	}
	if d := conn.Dedupes(); d > 0 && r.now().Add(callTime).Before(s.Outgoing.CallSince.Add(d)) {
		// The platform itself drops a second one with the same key.
		return r.send(ctx, s)
	}
	return r.find(ctx, facing, conn, outbound.Interrupted.Of(errors.New("the call was cut short")))
}

// askFor is how long a platform that can't be asked is asked again and again.
const askFor = 20 * time.Minute

// find asks the platform for the reply. Not finding it proves nothing.
func (r *replier) find(ctx context.Context, s *casework.State, conn source.Replier, cause error) error {
	asking, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	sent, err := conn.Find(asking, replyOf(s))
	if err == nil {
		return r.record(ctx, s.ID, s.Outgoing.Attempt, sentEvent(sent, conn))
	}
	if errors.Is(err, source.ErrNotFound) {
		return r.unsure(ctx, s, cause)
	}
	if told := r.unsure(ctx, s, err); told != nil || r.now().Sub(s.Outgoing.CallSince) > askFor {
		return told
	}
	return bus.After(err, time.Minute)
}

// unsure puts the reply before a person, unless it is there already.
func (r *replier) unsure(ctx context.Context, s *casework.State, cause error) error {
	if s.Outgoing.Unsure {
		return nil
	}
	e := casework.Event{Kind: casework.SendUnsure, Text: cause.Error(), Trouble: outbound.Explain(cause, r.now())}
	if _, ok := errors.AsType[*casework.Refused](cause); ok {
		e.Reason, e.Trouble = string(source.PostGone), outbound.Trouble{}
	}
	return r.record(ctx, s.ID, s.Outgoing.Attempt, e)
}

// record appends the result of an attempt, if it is still waited for. What was
// given up and is out all the same is noted.
func (r *replier) record(ctx context.Context, id mention.ID, attempt string, e casework.Event) error {
	e.Attempt = attempt
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	decide := func(s *casework.State) (casework.Event, bool) {
		if s.Outgoing != nil && s.Outgoing.Attempt == attempt {
			return e, true
		}
		known := slices.ContainsFunc(s.History, func(h casework.Event) bool { return h.Kind == casework.Sent && h.Attempt == attempt })
		return casework.Event{Kind: casework.Noted, Text: "published after all: " + e.URL}, e.Kind == casework.Sent && !known
	}
	for {
		_, err := r.cases.Record(ctx, id, decide)
		if err == nil || ctx.Err() != nil {
			return err
		}
		r.log.Warn("the result of a reply is not written down; trying again", "case", id, "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(250 * time.Millisecond): // it is too dear to lose to a bus that is away for a moment
		}
	}
}

func sentEvent(s source.Sent, conn source.Replier) casework.Event {
	return casework.Event{Kind: casework.Sent, URL: s.URL, Native: s.NativeID, Follow: s.NativeID != "" && follows(conn)}
}

// replyOf is the reply that is on its way, to the post as whoever sent it has
// seen it: with the answers of ours that stand below it.
func replyOf(s *casework.State) source.Reply {
	to := s.Mention.Post
	to.Comments = slices.Clone(to.Comments)
	for _, rep := range s.RepliesHere() {
		if !rep.Gone {
			to.Comments = append(to.Comments, mention.Comment{
				NativeID: rep.Native, URL: rep.URL, Text: cmp.Or(rep.Reads, rep.Draft.Text), At: rep.At, Ours: true,
			})
		}
	}
	return source.Reply{To: to, Text: s.Outgoing.Draft.Text, Lang: s.Outgoing.Draft.Lang, Key: s.Outgoing.Attempt}
}
