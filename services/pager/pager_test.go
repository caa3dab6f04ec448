package pager

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/settings"
)

// bench is a pager on a bus and by a clock of the test's own, with a webhook
// that somebody listens to.
type bench struct {
	*pager
	t *testing.T

	clock *bustest.Clock

	mu     sync.Mutex
	pages  []page
	status int // what the webhook answers; 0 for 200
	posts  int
	seq    uint64
}

type page struct {
	Type, Key, Escalation, Reason, By string
	AckURL                            string `json:"ack_url"`
	Count                             int
}

// monday is within business hours.
var monday = time.Date(2026, 11, 2, 3, 0, 0, 0, time.UTC)

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, clock: bustest.NewClock(monday)}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p page
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
			t.Error(err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.pages = append(b.pages, p)
		if b.status != 0 {
			w.WriteHeader(b.status)
		}
	}))
	t.Cleanup(hook.Close)
	c, _ := bustest.Open(t)
	ctx, log := t.Context(), bustest.Log(t)
	set, err := settings.Open(ctx, c, log)
	must(t, err)
	board, err := escalation.OpenBoard(ctx, c, log)
	must(t, err)
	signer, err := identity.NewSigner(make([]byte, 32))
	must(t, err)
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}, Rate: 1000, Burst: 1000})
	must(t, err)
	b.pager = &pager{
		bus: c, board: board, settings: set, http: client, signer: signer, log: log, now: b.clock.Now, url: "https://desk.example",
		notifiers: map[string]opened{}, joined: map[string]map[mention.ID]bool{},
	}
	b.cases = casework.NewStore(c, casework.Source{
		Tagged:   func(context.Context, mention.ID) ([]uint64, error) { return []uint64{1}, nil },
		Triage:   func(*mention.Mention, *mention.Verdict) casework.Triage { return casework.Triage{} },
		Template: func(string) (casework.Template, bool) { return casework.Template{}, false },
		Rules:    casework.DefaultRules,
		Check:    func(*casework.State, *casework.Draft) error { return nil },
		Hold:     func(string, string) time.Duration { return 0 },
	}, b.clock.Now, log)
	// The key is sealed to the pager, which then has to open it.
	b.opener, err = set.OpenKey(ctx, t.TempDir(), "pager")
	must(t, err)
	must(t, settings.Notifiers.Put(ctx, set, "ada", "hook", 0, settings.Notifier{
		ID: "hook", Name: "Hook", Kind: "webhook", Config: fmt.Appendf(nil, `{"url":%q,"secret":"s3cret"}`, hook.URL),
	}))
	lea := identity.Staff{
		ID: "lea", Name: "Lea", Email: "lea@example.com", Grants: []identity.Grant{{Role: identity.PRLead, Brands: []string{"acme"}}},
	}
	must(t, settings.Staff.Put(ctx, set, "ada", "lea", 0, lea))
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pass lets time go by and looks at every ladder.
func (b *bench) pass(d time.Duration) {
	b.t.Helper()
	b.clock.Pass(d)
	b.settled()
	for _, s := range b.board.All(nil) {
		must(b.t, b.step(b.t.Context(), s.Key))
	}
}

// settled waits until every attempt has its outcome.
func (b *bench) settled() {
	b.t.Helper()
	limit := time.Now().Add(10 * time.Second)
	for {
		changed := b.board.Changed()
		open := b.board.All(func(s *escalation.State) bool {
			return slices.ContainsFunc(s.Pages, func(p escalation.Page) bool { return p.Outcome == escalation.Sending })
		})
		if len(open) == 0 {
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Until(limit)):
			b.t.Fatalf("no outcome: %+v", open)
		}
	}
}

// got waits for the pages on their way and says which came, in order.
func (b *bench) got() string {
	b.t.Helper()
	b.settled()
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, p := range b.pages {
		out = append(out, strings.TrimPrefix(p.Type, "page."))
	}
	return strings.Join(out, " ")
}

func (b *bench) page(n int) page {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pages[n]
}

// hazard is a post that PR must see.
func (b *bench) hazard(with ...func(*mention.Tagged)) *mention.Tagged {
	b.posts++
	now := b.clock.Now()
	t := &mention.Tagged{
		Mention: mention.Of("acme", mention.Post{
			Platform: "sandbox", NativeID: fmt.Sprint("p", b.posts), Kind: mention.KindPost, Intake: mention.Live, Text: "ケトルから火が出た",
			Author: mention.Author{ID: fmt.Sprint("u", b.posts)}, SeenAt: now, PublishedAt: now,
		}),
		Verdict: mention.Verdict{
			Lang: "ja", Sentiment: mention.Negative, Intent: mention.Complaint, Disposition: mention.Answer, Story: fmt.Sprint("s", b.posts),
			Risks: []mention.Risk{{Category: mention.SafetyHazard, Score: 1, Rule: "fire"}}, Page: true, PageReason: "safety_hazard: fire",
		},
	}
	for _, w := range with {
		w(t)
	}
	return t
}

func like(key string) func(*mention.Tagged) { return func(t *mention.Tagged) { t.Verdict.Story = key } }

// mild is a post that wants no page by itself.
func mild(t *mention.Tagged) {
	t.Verdict.Page, t.Verdict.PageReason, t.Verdict.Risks = false, "", nil
}

// hears has the pager handle t as the bus does, and once more, as the bus may.
func (b *bench) hears(all ...*mention.Tagged) {
	b.t.Helper()
	for _, t := range all {
		b.seq++
		for range 2 {
			must(b.t, b.tagged(b.t.Context(), &bus.Msg[mention.Tagged]{Value: *t, Seq: b.seq}))
		}
	}
}

func (b *bench) all() []escalation.State { return b.board.All(nil) }

func (b *bench) says(e escalation.Event) {
	b.t.Helper()
	_, err := b.board.Record(b.t.Context(), b.all()[0].Key, "lea", b.clock.Now(), func(*escalation.State) (escalation.Event, bool) { return e, true })
	must(b.t, err)
	b.pass(0)
}

func TestAVerdictPagesOnceUntilAcknowledged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.hears(b.hazard())
	if got := b.got(); got != "trigger" || len(b.all()) != 1 {
		t.Fatalf("pages %q, %d escalations", got, len(b.all()))
	}
	first := b.page(0)
	if first.Escalation != b.all()[0].Key || first.Reason != "fire" || !strings.HasPrefix(first.AckURL, "https://desk.example/ack/") {
		t.Errorf("page %+v", first)
	}
	b.hears(b.hazard(like("s1")), b.hazard(like("s1"), mild))
	if got, s := b.got(), b.all(); got != "trigger" || len(s) != 1 || s[0].Count < 2 {
		t.Errorf("a repost: pages %q, %d escalations, %d mentions", got, len(s), s[0].Count)
	}
	b.pass(9 * time.Minute)
	if got := b.got(); got != "trigger" {
		t.Errorf("before the second rung is due: %q", got)
	}
	b.pass(time.Minute)
	if got := b.got(); got != "trigger trigger" || b.page(1).Key == first.Key {
		t.Errorf("the second rung: %q", got)
	}
	b.says(escalation.Event{Kind: escalation.Acknowledged, Via: "link"})
	if got := b.got(); got != "trigger trigger acknowledge" || b.page(2).By != "Lea" {
		t.Errorf("acknowledged: %q by %q", got, b.page(2).By)
	}
	b.pass(3 * time.Hour)
	if got := b.got(); got != "trigger trigger acknowledge" {
		t.Errorf("hours later: %q", got)
	}
	b.says(escalation.Event{Kind: escalation.Resolved})
	if got := b.got(); got != "trigger trigger acknowledge resolve" || b.page(3).By != "Lea" {
		t.Errorf("resolved: %q by %q", got, b.page(3).By)
	}
	b.hears(b.hazard(like("s1")))
	if len(b.all()) != 1 {
		t.Error("the tail of what was resolved opened another")
	}
	b.pass(2 * time.Hour)
	b.hears(b.hazard(like("s1")))
	if len(b.all()) != 2 {
		t.Error("hours later it is nobody's tail any more")
	}
}

// Many who tell of one incident ring once.
func TestOneIncidentToldByMany(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 12 {
		b.hears(b.hazard())
		b.pass(10 * time.Second)
	}
	s := b.all()
	if got := b.got(); got != "trigger" || len(s) != 1 || s[0].Count != 8 || len(s[0].Mentions) != 4 {
		t.Fatalf("pages %q, %d escalations, %+v", got, len(s), s)
	}
	b.says(escalation.Event{Kind: escalation.Acknowledged, Via: "link"})
	b.pass(30 * time.Minute)
	b.hears(b.hazard())
	if got := b.got(); got != "trigger acknowledge" || len(b.all()) != 1 {
		t.Errorf("whoever has it is rung for more of it: %q, %d escalations", got, len(b.all()))
	}
	violent := func(t *mention.Tagged) {
		t.Verdict.Risks, t.Verdict.PageReason = []mention.Risk{{Category: mention.ViolentThreat}}, "violent_threat: knife"
	}
	b.hears(b.hazard(violent), b.hazard(violent))
	if got := b.got(); got != "trigger acknowledge trigger trigger" || len(b.all()) != 3 {
		t.Errorf("threats of violence hide in another: %q, %d escalations", got, len(b.all()))
	}
	b.pass(time.Hour)
	before := len(b.all())
	b.hears(b.hazard())
	if len(b.all()) != before+1 {
		t.Error("an hour after it was taken on, more of it is news")
	}
}

// What is graver than the incident it joins rings whoever has that.
func TestAnIncidentBecomesGraver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	threat := func(t *mention.Tagged) {
		t.Verdict.Risks, t.Verdict.PageReason = []mention.Risk{{Category: mention.LegalThreat}}, "legal_threat: court"
	}
	many := int64(50_000)
	b.hears(b.hazard(threat))
	b.says(escalation.Event{Kind: escalation.Acknowledged, Via: "link"})
	b.hears(b.hazard(threat))
	if got := b.got(); got != "trigger acknowledge" {
		t.Fatalf("pages %q", got)
	}
	b.hears(b.hazard(threat, func(t *mention.Tagged) { t.Mention.Author.Followers = &many }))
	if got, s := b.got(), b.all(); got != "trigger acknowledge trigger" || len(s) != 1 || s[0].Urgency != escalation.Wake {
		t.Errorf("pages %q, %+v", got, s)
	}
}

// A mention that is judged again, and is graver than it was thought, pages: once,
// also where it belongs to an escalation already.
func TestASecondVerdict(t *testing.T) {
	t.Parallel()
	violent := func(m *mention.Tagged) *mention.Tagged {
		again := *m
		v := &again.Verdict
		v.Pass, v.Model = 1, "1+other"
		v.Risks, v.Page, v.PageReason = []mention.Risk{{Category: mention.ViolentThreat, Rule: "opinion"}}, true, "violent_threat: opinion"
		return &again
	}
	b := newBench(t)
	alone := b.hazard(mild)
	b.hears(alone, violent(alone), violent(alone))
	if got, s := b.got(), b.all(); got != "trigger" || len(s) != 1 || s[0].Rule != "opinion" {
		t.Errorf("by itself: pages %q, %+v", got, s)
	}
	for name, more := range map[string][]func(*mention.Tagged){"the opener": nil, "a member": {mild}} {
		b := newBench(t)
		threat := func(t *mention.Tagged) {
			t.Verdict.Risks, t.Verdict.PageReason = []mention.Risk{{Category: mention.LegalThreat}}, "legal_threat: court"
		}
		m := b.hazard(threat, like("s1"))
		b.hears(m)
		if more != nil {
			m = b.hazard(append(more, like("s1"))...)
			b.hears(m)
		}
		count := b.all()[0].Count
		b.says(escalation.Event{Kind: escalation.Acknowledged, Via: "link"})
		b.hears(violent(m))
		if got, s := b.got(), b.all(); got != "trigger acknowledge trigger" || len(s) != 1 || s[0].Urgency != escalation.Wake || s[0].Count != count {
			t.Errorf("%s: pages %q, %d mentions before, %+v", name, got, count, s)
		}
	}
}

func TestWhatNeverPages(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]func(*mention.Tagged){
		"an import":    func(t *mention.Tagged) { t.Mention.Intake = mention.Bulked },
		"what is old":  func(t *mention.Tagged) { t.Mention.PublishedAt = monday.Add(-25 * time.Hour) },
		"a deletion":   func(t *mention.Tagged) { t.Mention.Deleted = true },
		"what is mild": mild,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.hears(b.hazard(with))
			if got := b.got(); got != "" || len(b.all()) != 0 {
				t.Errorf("pages %q, %d escalations", got, len(b.all()))
			}
		})
	}
}

func TestAPageThatFailsIsSentAgainWithItsKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.status = http.StatusBadGateway
	b.hears(b.hazard())
	if got := b.got(); got != "trigger" {
		t.Fatalf("pages %q", got)
	}
	b.mu.Lock()
	b.status = 0
	b.mu.Unlock()
	b.pass(time.Minute)
	if got := b.got(); got != "trigger trigger" || b.page(0).Key != b.page(1).Key {
		t.Errorf("pages %q with keys %s, %s", got, b.page(0).Key, b.page(1).Key)
	}
	if p := b.all()[0].Pages; len(p) != 1 || p[0].Outcome != escalation.Sent || p[0].Attempt != 2 {
		t.Errorf("pages %+v", p)
	}
}

func TestThreatsByNightWaitForTheMorning(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.clock.Pass(12 * time.Hour) // midnight in Tokyo
	b.hears(b.hazard(func(t *mention.Tagged) {
		t.Verdict.Risks, t.Verdict.PageReason = []mention.Risk{{Category: mention.LegalThreat}}, "legal_threat: court"
	}))
	b.pass(8 * time.Hour)
	if got := b.got(); got != "" || len(b.all()) != 1 {
		t.Fatalf("by night: %q, %d escalations", got, len(b.all()))
	}
	// Danger in the same story can't wait.
	b.hears(b.hazard(like("s1")))
	if got := b.got(); got != "trigger" || len(b.all()) != 1 || b.all()[0].Urgency != escalation.Wake {
		t.Errorf("graver: %q, %+v", got, b.all()[0].Urgency)
	}
}

func TestAStorm(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for n := range 24 { // a quiet day
		calm := b.hazard(mild)
		calm.Mention.SeenAt = monday.Add(-time.Duration(n+1) * time.Hour)
		calm.Mention.PublishedAt = calm.Mention.SeenAt
		b.volume.Add(calm)
	}
	for range 12 {
		b.hears(b.hazard(mild))
		b.pass(10 * time.Second)
	}
	s := b.all()
	if got := b.got(); got != "trigger" || len(s) != 1 || s[0].Origin != escalation.ByVolume {
		t.Fatalf("pages %q, %+v", got, s)
	}
	b.says(escalation.Event{Kind: escalation.Resolved})
	b.hears(b.hazard(mild))
	if len(b.all()) != 1 {
		t.Error("its tail opened another")
	}
}

// touch opens a case on a mention and returns its events for the pager.
func (b *bench) touch(of *mention.Tagged, cmds ...casework.Command) []*bus.Msg[casework.Event] {
	b.t.Helper()
	ctx := b.t.Context()
	must(b.t, bus.Tagged.Publish(ctx, b.bus, of))
	lea, _ := settings.Staff.Get(b.settings, "lea")
	var out []*bus.Msg[casework.Event]
	for _, c := range cmds {
		s, err := b.cases.Do(ctx, lea.Viewer(), of.Mention.ID, c)
		must(b.t, err)
		e := s.History[len(s.History)-1]
		out = append(out, &bus.Msg[casework.Event]{Key: string(s.ID), Seq: e.Seq, Value: e})
	}
	return out
}

func TestByHand(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	of := b.hazard(mild)
	for _, m := range b.touch(of, casework.AddNote{Text: "nothing"}, casework.Escalate{Why: "TV has called"}) {
		must(t, b.happened(t.Context(), m))
		must(t, b.happened(t.Context(), m)) // once more, as the bus may
	}
	s := b.all()
	if got := b.got(); got != "trigger" || len(s) != 1 || s[0].Origin != escalation.ByHand || s[0].Rule != "TV has called" {
		t.Fatalf("pages %q, %+v", got, s)
	}
}

// What is escalated already gets the words, and nobody is paged twice.
func TestByHandOnWhatIsEscalated(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	of := b.hazard()
	b.hears(of)
	for _, m := range b.touch(of, casework.Escalate{Why: "TV has called"}, casework.Escalate{Why: "and radio"}) {
		must(t, b.happened(t.Context(), m))
		must(t, b.happened(t.Context(), m))
	}
	s := b.all()
	if got := b.got(); got != "trigger" || len(s) != 1 || len(s[0].Notes) != 2 || s[0].Notes[0].Text != "TV has called" || s[0].Notes[0].By != "lea" {
		t.Errorf("pages %q, %d escalations, notes %+v", got, len(s), s[0].Notes)
	}
}

func TestNobodyGoneIsPaged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	must(t, settings.Staff.Put(ctx, b.settings, "ada", "gone", 0, identity.Staff{
		ID: "gone", Name: "Gone", Email: "gone@example.com", Disabled: true, Grants: []identity.Grant{{Role: identity.PRLead, Brands: []string{"*"}}},
	}))
	must(t, settings.Teams.Put(ctx, b.settings, "ada", "red", 0, settings.Team{ID: "red", Name: "Red", Members: []string{"gone", "lea", "never"}}))
	r := b.roster("acme", b.channels())
	if got := fmt.Sprint(r.Groups["role:pr_lead"], r.Groups["team:red"]); got != "[lea] [lea]" {
		t.Errorf("roster %s", got)
	}
	if to := b.pager.page(&escalation.State{}, escalation.Send{Target: "gone"}).To; to.Email != "" {
		t.Errorf("a page to %s", to.Email)
	}
}

// TestLead runs the service's own loop, by the real clock.
func TestLead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.now = time.Now
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	_, err := bus.Tagged.Subscribe(ctx, b.bus, taggedConsumer)
	must(t, err)
	go func() { done <- b.lead(ctx) }()
	b.clock.Pass(time.Since(b.clock.Now()))
	must(t, bus.Tagged.Publish(ctx, b.bus, b.hazard()))
	limit := time.Now().Add(10 * time.Second)
	for len(b.all()) == 0 || b.got() == "" {
		if time.Now().After(limit) {
			t.Fatal("no page")
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	must(t, <-done)
}
