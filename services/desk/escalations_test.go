package desk

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/search"
)

// record puts an event on the board, a moment after the one before.
func (b *bench) record(id string, e escalation.Event) {
	b.t.Helper()
	_, err := b.Board.Record(b.t.Context(), id, escalation.System, time.Now(), func(*escalation.State) (escalation.Event, bool) { return e, true })
	b.put(err)
}

func TestASilentSourceIsForThoseWhoRunIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := escalation.ID(identity.AllBrands, escalation.SourceSubject("news"), 1)
	b.record(id, escalation.Event{
		Kind: escalation.Opened, Brand: identity.AllBrands, Subjects: []string{escalation.SourceSubject("news")}, Urgency: escalation.Notify,
		Origin: escalation.BySilence, Title: "Our news", Rule: "last post 2026-11-02 03:00 UTC", URL: "/sources",
	})
	admin, part := b.as("ada", everywhere, identity.Admin), b.as("rin", []string{"kumo"}, identity.PRLead)
	admin.want(admin.get("/escalations"), 200, "A source has fallen silent", "Our news", "All")
	admin.want(admin.get("/escalations/"+id), 200, "<h2>Our news</h2>", `href="/sources">Sources</a>`, "last post 2026-11-02", "!1 post")
	part.want(part.get("/escalations"), 200, "!Our news")
	part.want(part.get("/escalations/"+id), 404)
	b.record(id, escalation.Event{Kind: escalation.Resolved})
	admin.want(admin.get("/escalations/"+id), 200, "the source is heard again", "Closed")
}

func TestWhatIsBehindAnEscalationIsSaidInTheViewersLanguage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := escalation.ID(identity.AllBrands, escalation.SourceSubject("news"), 1)
	b.record(id, escalation.Event{
		Kind: escalation.Opened, Brand: identity.AllBrands, Subjects: []string{escalation.SourceSubject("news")}, Urgency: escalation.Notify,
		Origin: escalation.BySilence, Title: "Our news", Rule: "last post 2026-11-02 03:00 UTC, usually every 3h0m0s; 401", URL: "/sources",
		Ground:  escalation.Ground{Last: time.Now().Add(-9 * time.Hour), Usual: 3 * 3600},
		Trouble: outbound.Trouble{Reason: outbound.Credentials, Host: "news.example", Status: 401},
	})
	b.record(id, escalation.Event{
		Kind: escalation.PageFailed, Page: "one", Action: escalation.Trigger, Channel: "mail", Rung: 1, Attempt: 1, Outcome: escalation.Failed,
		Error: "dial tcp: connection refused", Trouble: outbound.Trouble{Reason: outbound.Unreachable, Host: "mail.example"},
	})
	en, ja := b.as("ada", everywhere, identity.Admin), b.as("rin", everywhere, identity.Admin)
	ja.want(ja.post("/me", "name", "Rin", "lang", "ja", "theme", "dark", "density", "compact", "keys", "on", "zone", "Asia/Tokyo"), 303)
	en.want(en.get("/escalations/"+id), 200, "usually one every 3 h", "news.example does not let us in. (HTTP 401)", "mail.example cannot be reached.", "!connection refused", "!3h0m0s")
	ja.want(ja.get("/escalations/"+id), 200, "普段は約3時間ごと", "news.example", "認証", "mail.exampleに接続できません", "!connection refused", "!usually", "!last post")
}

func TestManyEscalationsComePageByPage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.angry()
	for i := range shownEscalations + 1 {
		open := escalation.Open(&mention.Tagged{Mention: m, Verdict: mention.Verdict{Lang: "en", Page: true}}, escalation.ByVerdict, escalation.Notify)
		if i == shownEscalations {
			open = escalation.Open(&mention.Tagged{Mention: m, Verdict: mention.Verdict{Lang: "en", Page: true}}, escalation.ByVerdict, escalation.Wake)
		}
		open.Subjects = nil
		b.record(fmt.Sprintf("e%03d", i), open)
	}
	v := b.as("mio", everywhere, identity.PRLead)
	first := v.want(v.get("/escalations"), 200, `id="esc-e050"`, `href="/escalations?after=50"`).body // who is needed stands on the first page
	rest := v.want(v.get("/escalations?after=50"), 200, "!after=100").body
	if a, b := strings.Count(first, `id="esc-`), strings.Count(rest, `id="esc-`); a != shownEscalations || b != 1 {
		t.Errorf("%d and %d of %d", a, b, shownEscalations+1)
	}
	v.want(v.get("/escalations?after=-1"), 200, `id="esc-e050"`)
	v.want(v.get("/escalations?after=1000&view=all"), 200)
}

func TestWhoIsNeededComesFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.angry()
	tagged := mention.Tagged{Mention: m, Verdict: mention.Verdict{Lang: "en", Page: true}}
	for id, e := range map[string]struct {
		urgency escalation.Urgency
		title   string
		taken   bool
	}{
		"aaa": {escalation.Wake, "wakes", false}, "bbb": {escalation.Opening, "waits", false},
		"ccc": {escalation.Notify, "told", false}, "ddd": {escalation.Wake, "taken", true},
	} {
		open := escalation.Open(&tagged, escalation.ByVerdict, e.urgency)
		open.Excerpt, open.Subjects = e.title, nil
		b.record(id, open)
		if e.taken {
			b.record(id, escalation.Event{Kind: escalation.Acknowledged, Via: "desk"})
		}
	}
	v := b.as("mio", everywhere, identity.PRLead)
	page := v.want(v.get("/escalations"), 200).body
	last := -1
	for _, id := range []string{"aaa", "bbb", "ccc", "ddd"} {
		at := strings.Index(page, `id="esc-`+id+`"`)
		if at < last {
			t.Errorf("%s comes too early", id)
		}
		last = at
	}
	// What waits for opening says when that is.
	row := page[strings.Index(page, `id="esc-bbb"`):strings.Index(page, `id="esc-ccc"`)]
	if policy := escalation.DefaultPolicy(); !policy.IsOpen("kumo", time.Now()) && !strings.Contains(row, `class="due`) {
		t.Errorf("no time in %s", row)
	}
}

// An incident that many tell of has them all on its page.
func TestAnIncidentShowsWhoJoined(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first, second := b.angry(), b.praise()
	tagged := mention.Tagged{Mention: first, Verdict: mention.Verdict{
		Lang: "en", Page: true, PageReason: "safety_hazard: fire", Risks: []mention.Risk{{Category: mention.SafetyHazard}},
	}}
	b.record("aaa", escalation.Open(&tagged, escalation.ByVerdict, escalation.Wake))
	b.record("aaa", escalation.Event{Kind: escalation.Joined, Mention: second.ID, Count: 2})
	v := b.as("mio", everywhere, identity.PRLead)
	v.want(v.get("/escalations/aaa"), 200, "2 posts", "Joined it", `<a href="/cases/`+string(second.ID)+`">`, "risk=safety_hazard", "brand=kumo")
	v.want(v.get("/cases/"+string(second.ID)), 200, `/escalations/aaa"`)
}

// One's own load is for one's own eyes.
func TestWhoeverWorksSeesTheirLoad(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.angry()
	v := b.as("aya", everywhere, identity.Agent)
	v.want(v.get("/me"), 200, "you hold 0, of which 0 are harsh; 0 of yours are open")
	docs, err := b.Index.Get(t.Context(), search.SeesAll(), m.ID)
	b.put(err)
	docs[0].Holder, docs[0].Risks = "aya", []mention.Category{mention.StaffAbuse}
	b.put(b.Index.Write(t.Context(), search.Batch{Upserts: docs}))
	v.want(v.get("/me"), 200, "you hold 1, of which 1 are harsh; 1 of yours are open")
}
