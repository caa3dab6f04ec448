package source

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/outbound"
)

const (
	// xTag marks the rules that are ours; an app may have others.
	xRuleTag = "earshot"
	// xRulesAtOnce is how many rules are added in one request.
	xRulesAtOnce = 25
	// xLook is how often a stream looks whether the brands' words have changed.
	xLook = 15 * time.Second
	// xStreamLate is how much later than its id a post may come over a stream.
	xStreamLate = 30 * time.Second
	// xHealthy is how long a connection must have lasted for its end to be no
	// failure.
	xHealthy     = 30 * time.Second
	maxXMessage  = 1 << 20
	xKeepCharges = 50 // posts
)

// xFailures counts what failed in a row, for the pauses that X asks for.
type xFailures struct{ network, http, limited int }

// pausedError is an error with the time to wait before the next attempt.
type pausedError struct {
	error
	after time.Duration
}

func (e pausedError) Unwrap() error             { return e.error }
func (e pausedError) RetryAfter() time.Duration { return e.after }

// Trouble is what broke: the pause is ours, not asked for by a limit.
func (e pausedError) Trouble() outbound.Trouble { return outbound.Explain(e.error, time.Time{}) }

// pause is how long X wants to be left alone after err: at once after a
// connection that worked, linearly longer after trouble of the network,
// exponentially after a refusal.
func (f *xFailures) pause(err error) error {
	e, ok := errors.AsType[*outbound.Error](err)
	var after time.Duration
	switch {
	case ok && e.Status == http.StatusTooManyRequests:
		after = max(min(time.Minute<<min(f.limited, 5), 15*time.Minute), e.RetryAfter())
		f.limited++
	case ok && e.Status > 0:
		after = min(5*time.Second<<min(f.http, 7), 320*time.Second)
		f.http++
	default:
		f.network++
		after = min(time.Duration(f.network)*250*time.Millisecond, 16*time.Second)
	}
	return pausedError{err, after}
}

// follow reads the filtered stream until it can't be connected to.
func (x *xSource) follow(ctx context.Context, cur *xCursor, yield func(Item, error) bool) error {
	for ctx.Err() == nil {
		if err := x.afford(ctx, cur, yield); err != nil {
			return err
		}
		some, err := x.syncRules(ctx)
		if err != nil {
			return x.paused(err)
		}
		if !some {
			if err := wait(ctx, x.look); err != nil {
				return err
			}
			continue
		}
		begun := time.Now()
		err = x.connection(ctx, cur, yield)
		_, spent := errors.AsType[*budgetError](err)
		switch {
		case errors.Is(err, errStopped) || ctx.Err() != nil || spent:
			return err
		case time.Since(begun) < xHealthy:
			return x.paused(err)
		}
		x.mu.Lock()
		x.failures = xFailures{}
		x.mu.Unlock()
		x.deps.Log.Info("the stream was cut; connecting again", "error", err)
	}
	return ctx.Err()
}

func (x *xSource) paused(err error) error {
	if _, ok := errors.AsType[*budgetError](err); ok {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.failures.pause(err)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// connection reads one connection to its end.
func (x *xSource) connection(ctx context.Context, cur *xCursor, yield func(Item, error) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := x.fields()
	missed := x.deps.Now().Sub(xTime(cur.Since))
	if x.cfg.Enterprise && cur.Since > 0 && missed < 5*time.Minute {
		q.Set("backfill_minutes", strconv.Itoa(int(missed/time.Minute)+1))
	}
	req, err := x.request(ctx, http.MethodGet, "/2/tweets/search/stream?"+q.Encode(), nil, asApp)
	if err != nil {
		return err
	}
	// A server that says nothing at all is no better than a stream that falls silent.
	mute := time.AfterFunc(x.cfg.Silence, cancel)
	resp, err := x.deps.HTTP.HTTPClient().Do(req)
	if !mute.Stop() {
		if resp != nil {
			resp.Body.Close()
		}
		return x.silent()
	}
	if err := outbound.Judge(resp, err); err != nil {
		if resp != nil {
			resp.Body.Close()
		}
		return x.explain(err)
	}
	defer resp.Body.Close()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return outbound.Unreadable.At(resp.Request.URL.Host, errors.New("x: a web page, not a stream"))
	}
	s := xStream{xSource: x, cur: cur, yield: yield, begun: x.deps.Now(), caught: q.Has("backfill_minutes")}
	s.heard = s.begun
	lines := make(chan []byte, 1024)
	broken := make(chan error, 1)
	go func() {
		broken <- readLines(ctx, resp.Body, lines)
		close(lines)
	}()
	// What was missed before is asked for at once, and what X's search did not
	// know yet a little later: see tick.
	if !s.caught && (cur.Since == 0 || cur.Since < xIDAt(s.begun.Add(-xLate))) {
		if err := s.recover(ctx); err != nil {
			return err
		}
	}
	return s.read(ctx, lines, broken)
}

func (x *xSource) silent() error {
	return outbound.TimedOut.At(host(x.cfg.API), fmt.Errorf("x: no sign of life for %s", x.cfg.Silence))
}

// readLines sends what r holds, line by line; an empty line is a sign of life.
func readLines(ctx context.Context, r io.Reader, to chan<- []byte) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 64<<10), maxXMessage)
	for sc.Scan() {
		select {
		case to <- slices.Clone(sc.Bytes()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := sc.Err(); err != nil {
		return err
	}
	return errors.New("x: the stream has ended")
}

// xStream is one connection.
type xStream struct {
	*xSource
	cur    *xCursor
	yield  func(Item, error) bool
	begun  time.Time
	heard  time.Time // the last sign of life
	caught bool      // what was posted before begun has been given
}

func (s *xStream) read(ctx context.Context, lines <-chan []byte, broken <-chan error) error {
	silence := time.NewTimer(s.cfg.Silence)
	defer silence.Stop()
	look := time.NewTicker(s.look)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-silence.C:
			return s.silent()
		case <-look.C:
			if err := s.tick(ctx); err != nil {
				return err
			}
		case raw, ok := <-lines:
			if !ok {
				return ended(host(s.cfg.API), <-broken)
			}
			silence.Reset(s.cfg.Silence)
			s.heard = s.deps.Now()
			if raw = []byte(strings.TrimSpace(string(raw))); len(raw) == 0 {
				continue
			}
			if err := s.message(ctx, raw); err != nil {
				return err
			}
		}
	}
}

// message gives the post in a message.
func (s *xStream) message(ctx context.Context, raw []byte) error {
	var m struct {
		Data     json.RawMessage `json:"data"`
		Includes xIncludes       `json:"includes"`
		Errors   []xProblem      `json:"errors"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		s.deps.skip("x", "", err)
		return nil
	}
	if len(m.Data) == 0 {
		if len(m.Errors) > 0 {
			e := m.Errors[0]
			return outbound.ServerError.At(host(s.cfg.API), fmt.Errorf("x: %s", clip(line(e.Title+": "+e.Detail), 200)))
		}
		return nil // of a kind that is not known yet
	}
	t, err := parseXTweet(m.Data)
	if err != nil {
		s.deps.skip("x", t.ID, err)
		return nil
	}
	in := m.Includes.related()
	if s.charge(in, []uint64{xNumber(t.ID)}, false) >= xKeepCharges {
		if err := s.ledger.keep(ctx); err != nil {
			return err
		}
		if err := s.afford(ctx, s.cur, s.yield); err != nil {
			return err
		}
	}
	if t.refers("retweeted") != "" && !s.cfg.Reposts {
		return nil
	}
	p, err := s.post(&t, in)
	if err != nil {
		s.deps.skip("x", t.ID, err)
		return nil
	}
	if !s.cur.news(xNumber(t.ID)) {
		return nil
	}
	if !s.yield(Item{Post: p, Cursor: s.cur.String()}, nil) {
		return errStopped
	}
	return nil
}

// tick does what time asks for: what X's search knows late, new words, the
// budget, and the cursor's place.
func (s *xStream) tick(ctx context.Context) error {
	if err := s.ledger.keep(ctx); err != nil {
		return err
	}
	if err := s.afford(ctx, s.cur, s.yield); err != nil {
		return err
	}
	if !s.caught && s.deps.Now().Sub(s.begun) >= xLate {
		if err := s.recover(ctx); err != nil {
			return err
		}
		s.caught = true
	}
	if s.caught {
		s.cur.done(xIDAt(s.heard.Add(-xStreamLate)))
		if !s.yield(Item{Cursor: s.cur.String()}, nil) {
			return errStopped
		}
	}
	some, err := s.syncRules(ctx)
	if err == nil && !some {
		err = errors.New("x: no words are left to listen for")
	}
	return err
}

// recover searches for what was missed. Where X doesn't let us, there is a gap.
func (s *xStream) recover(ctx context.Context) error {
	err := s.catchUp(ctx, s.cur, s.yield)
	e, ok := errors.AsType[*outbound.Error](err)
	if !ok || !e.Permanent() {
		return err
	}
	gap := &Gap{From: xTime(s.cur.Since), To: s.begun.UTC(), Why: fmt.Errorf("the stream was cut, and X does not let us search for what it held: %w", err)}
	s.cur.done(xIDAt(s.begun))
	s.caught = true
	if !s.yield(Item{Cursor: s.cur.String(), Gap: gap}, nil) {
		return errStopped
	}
	return nil
}

// xRule is a rule of the filtered stream.
type xRule struct {
	ID    string `json:"id,omitempty"`
	Value string `json:"value"`
	Tag   string `json:"tag,omitempty"`
}

// syncRules makes the rules of the stream those of the brands' words, and tells
// whether there are any. New ones are in force before old ones go.
func (x *xSource) syncRules(ctx context.Context) (some bool, err error) {
	most, suffix, count := 1024, " -is:retweet", 1000
	if x.cfg.Enterprise {
		most, count = 2048, 25_000
	}
	if x.cfg.Reposts {
		suffix = ""
	}
	want := x.queries(most, true, suffix)
	if len(want) > count {
		return false, refuse("x: the brands' words need %d rules, X takes %d", len(want), count)
	}
	x.mu.Lock()
	same := x.rules != "" && x.rules == strings.Join(want, "\n")
	x.mu.Unlock()
	if same {
		return true, nil
	}
	have, err := x.currentRules(ctx)
	if err != nil {
		return false, err
	}
	var add []xRule
	for _, v := range want {
		if !slices.ContainsFunc(have, func(r xRule) bool { return r.Value == v }) {
			add = append(add, xRule{Value: v, Tag: xRuleTag})
		}
	}
	for part := range slices.Chunk(add, xRulesAtOnce) {
		if err := x.changeRules(ctx, map[string]any{"add": part}); err != nil {
			return false, err
		}
	}
	var gone []string
	for _, r := range have {
		if r.Tag == xRuleTag && !slices.Contains(want, r.Value) {
			gone = append(gone, r.ID)
		}
	}
	if len(gone) > 0 {
		if err := x.changeRules(ctx, map[string]any{"delete": map[string][]string{"ids": gone}}); err != nil {
			return false, err
		}
	}
	x.mu.Lock()
	x.rules = strings.Join(want, "\n")
	x.mu.Unlock()
	return len(want) > 0, nil
}

func (x *xSource) currentRules(ctx context.Context) ([]xRule, error) {
	var out []xRule
	q := url.Values{}
	for {
		var a struct {
			Data []xRule `json:"data"`
			Meta struct {
				Next string `json:"next_token"`
			} `json:"meta"`
		}
		if err := x.get(ctx, "/2/tweets/search/stream/rules", q, asApp, &a); err != nil {
			return nil, err
		}
		if out = append(out, a.Data...); a.Meta.Next == "" || len(a.Data) == 0 {
			return out, nil
		}
		q.Set("pagination_token", a.Meta.Next)
	}
}

// changeRules adds or deletes rules. A rule that is there already is no error.
func (x *xSource) changeRules(ctx context.Context, change map[string]any) error {
	var a struct {
		Errors []xProblem `json:"errors"`
	}
	err := x.do(ctx, http.MethodPost, "/2/tweets/search/stream/rules", change, asApp, &a)
	if err != nil && !xProblemOf(err).is("duplicate-rules") {
		return err
	}
	for _, p := range a.Errors {
		if !p.is("duplicate-rules") && p.Title != "DuplicateRule" {
			return refuse("x: X does not take the rule %q: %s", clip(line(p.Value), 200), clip(line(p.Title+" "+p.Detail), 200))
		}
	}
	return nil
}
