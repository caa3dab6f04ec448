package desk

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/pkg/text"
)

//go:embed openapi.yaml
var openAPI []byte

func (c *call) openAPI() error {
	c.w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
	return c.send(http.StatusOK, openAPI)
}

// apiMention is a mention in answers of the API.
type apiMention struct {
	ID          mention.ID          `json:"id"`
	Number      uint64              `json:"number,omitempty"`
	Brand       string              `json:"brand"`
	Platform    string              `json:"platform"`
	Source      string              `json:"source,omitempty"`
	Kind        mention.Kind        `json:"kind"`
	URL         string              `json:"url,omitempty"`
	Author      apiAuthor           `json:"author"`
	Title       string              `json:"title,omitempty"`
	Text        string              `json:"text"`
	Lang        string              `json:"lang"`
	Place       string              `json:"place,omitempty"`
	Rating      int                 `json:"rating,omitempty"`
	PublishedAt time.Time           `json:"published_at"`
	SeenAt      time.Time           `json:"seen_at"`
	Status      string              `json:"status"`
	Open        bool                `json:"open"`
	Disposition mention.Disposition `json:"disposition"`
	Sentiment   mention.Sentiment   `json:"sentiment"`
	Intent      mention.Intent      `json:"intent"`
	Risks       []mention.Category  `json:"risks"`
	Page        bool                `json:"page"`
	Priority    int                 `json:"priority"`
	DueAt       *time.Time          `json:"due_at,omitempty"`
	Holder      string              `json:"holder,omitempty"`
	Story       string              `json:"story,omitempty"`
}

type apiAuthor struct {
	ID        string `json:"id,omitempty"`
	Handle    string `json:"handle,omitempty"`
	Name      string `json:"name,omitempty"`
	URL       string `json:"url,omitempty"`
	Followers *int64 `json:"followers,omitempty"`
}

type apiMedia struct {
	Type mention.MediaType `json:"type"`
	URL  string            `json:"url"`
	Alt  string            `json:"alt,omitempty"`
}

func known(s string) string {
	if s == search.None || s == search.Unassigned {
		return ""
	}
	return s
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func mentionOf(d *search.Document) apiMention {
	m := apiMention{
		ID: d.ID, Number: d.Number, Brand: d.Brand, Platform: d.Platform, Source: known(d.Source), Kind: d.Kind, URL: d.URL,
		Author: apiAuthor{ID: d.AuthorID, Handle: d.AuthorHandle, Name: d.AuthorName, Followers: d.Reach}, Title: text.Mask(d.Title), Text: text.Mask(d.Text),
		Lang: d.Lang, Place: known(d.Place), Rating: d.Rating, PublishedAt: d.PublishedAt, SeenAt: d.SeenAt, Status: d.Status, Open: d.Open,
		Disposition: d.Disposition, Sentiment: d.Sentiment, Intent: d.Intent, Risks: d.Risks, Page: d.Page, Priority: d.Priority,
		DueAt: timeOrNil(d.DueAt), Holder: known(d.Holder), Story: known(d.Story),
	}
	if m.Risks == nil {
		m.Risks = []mention.Category{}
	}
	return m
}

// apiQuery reads the search of GET /api/v1/mentions. Unlike the desk it
// refuses what it does not know: a program should learn of its mistake.
func (c *call) apiQuery() (search.Query, error) {
	values := c.r.URL.Query()
	q := search.Query{Viewer: c.sees(), Text: values.Get("q"), Where: map[search.Field][]string{}, Sort: search.Newest, Cursor: values.Get("cursor")}
	for name, list := range values {
		i := slices.IndexFunc(filters, func(f struct {
			param string
			field search.Field
			shown bool
		}) bool {
			return f.param == name
		})
		if i >= 0 {
			var wanted []string
			for _, v := range list {
				wanted = append(wanted, strings.Split(v, ",")...)
			}
			if err := c.apiFilter(name, wanted); err != nil {
				return q, err
			}
			if name == "tag" {
				for i := range wanted {
					wanted[i] = casework.TagPrefix + wanted[i]
				}
			}
			q.Where[filters[i].field] = wanted
			continue
		}
		switch name {
		case "q", "cursor":
		case "open", "collapse":
			if err := oneOf(name, values.Get(name), []string{"true", "false"}); err != nil {
				return q, err
			}
			yes := values.Get(name) == "true"
			if name == "collapse" {
				q.Collapse = yes
			} else {
				q.Where[search.FieldOpen] = []string{map[bool]string{true: search.Yes, false: search.No}[yes]}
			}
		case "limit":
			if q.Limit = atoi(values.Get(name)); q.Limit < 1 || q.Limit > search.MaxLimit {
				return q, &inputError{fmt.Sprintf("limit: want 1 to %d", search.MaxLimit)}
			}
		case "sort":
			q.Sort = search.Sort(values.Get(name))
			if err := oneOf(name, q.Sort, []search.Sort{search.Queue, search.Newest, search.Oldest, search.Relevance}); err != nil {
				return q, err
			}
		case "published_from", "published_to", "seen_from", "seen_to":
			t, err := time.Parse(time.RFC3339, values.Get(name))
			if err != nil {
				return q, &inputError{name + ": want a time like 2026-01-31T09:30:00+09:00"}
			}
			*map[string]*time.Time{"published_from": &q.Published.From, "published_to": &q.Published.To, "seen_from": &q.Seen.From, "seen_to": &q.Seen.To}[name] = t
		default:
			return q, &inputError{fmt.Sprintf("%s: unknown parameter; the API is described at /api/v1/openapi.yaml", name)}
		}
	}
	return q, nil
}

// apiFilter refuses a value that a filter can't have: nothing would be found,
// and that looks like an answer. What platforms name is not known beforehand.
func (c *call) apiFilter(name string, values []string) error {
	for _, v := range values {
		var err error
		switch name {
		case "risk":
			err = oneOf(name, mention.Category(v), mention.Categories)
		case "status":
			err = oneOf(name, casework.Status(v), casework.Statuses)
		case "intent":
			err = oneOf(name, mention.Intent(v), mention.Intents)
		case "sentiment":
			err = oneOf(name, mention.Sentiment(v), mention.Sentiments)
		case "lang":
			err = oneOf(name, v, []string{"ja", "en", "other"})
		case "brand":
			// One that is gone may still have mentions.
			if settings.Brands.Version(c.Settings, v) == 0 || !c.viewer.Can(identity.View, v) {
				var may []string
				for _, b := range c.brandOptions(identity.View) {
					may = append(may, b.Value)
				}
				err = oneOf(name, v, may)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// oneOf is a mistake that names the parameter and what it takes, or nil.
func oneOf[T ~string](name string, got T, want []T) error {
	if slices.Contains(want, got) {
		return nil
	}
	texts := make([]string, len(want))
	for i, w := range want {
		texts[i] = string(w)
	}
	if len(texts) == 0 {
		return &inputError{fmt.Sprintf("%s: %q is not known, and there is none that could be asked for", name, got)}
	}
	return &inputError{fmt.Sprintf("%s: %q is not known; want one of %s", name, got, strings.Join(texts, ", "))}
}

func (c *call) apiMentions() error {
	q, err := c.apiQuery()
	if err != nil {
		return err
	}
	res, err := c.Index.Search(c.ctx, q)
	if err != nil {
		return err
	}
	out := struct {
		Mentions    []apiMention `json:"mentions"`
		Total       int          `json:"total"`
		TotalCapped bool         `json:"total_capped,omitempty"`
		Next        string       `json:"next,omitempty"`
	}{make([]apiMention, len(res.Hits)), res.Total, res.TotalCapped, res.Next}
	for i := range res.Hits {
		out.Mentions[i] = mentionOf(&res.Hits[i].Document)
	}
	return c.json(http.StatusOK, out)
}

// apiResult is what became of one post of an intake.
type apiResult struct {
	Index    int          `json:"index"`
	Status   string       `json:"status"` // accepted, duplicate, unmatched, refused
	Mentions []mention.ID `json:"mentions,omitempty"`
	Errors   []string     `json:"errors,omitempty"`
}

// apiIntake takes posts in, one or many. It is idempotent by platform and the
// sender's id: sending the same again does nothing. It answers with 202 once the
// bus has them.
func (c *call) apiIntake() error {
	if kind := c.r.Header.Get("Content-Type"); kind != "" && !strings.HasPrefix(kind, "application/json") {
		return &inputError{"Content-Type: want application/json"}
	}
	if coding := c.r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return &inputError{fmt.Sprintf("Content-Encoding: %q is not taken; send the body as it is", coding)}
	}
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		return err
	}
	received, err := source.Intake(body, c.l.now.UTC(), requestID(c.r.Header))
	if err != nil {
		return &inputError{err.Error()}
	}
	if err := c.senders.pace(c.viewer.Actor(), len(received), c.IntakeRate, c.l.now); err != nil {
		return err
	}
	results := make([]apiResult, len(received))
	refused := 0
	for i := range received {
		results[i] = c.take(i, &received[i])
		if results[i].Status == "failed" {
			return bus.ErrFull
		}
		if results[i].Status == "refused" {
			refused++
		}
	}
	status := http.StatusAccepted
	if refused == len(results) && refused > 0 {
		status = http.StatusUnprocessableEntity
	}
	return c.json(status, map[string]any{"results": results})
}

// take brings in one post.
func (c *call) take(i int, r *source.Received) apiResult {
	res := apiResult{Index: i, Status: "refused"}
	if r.Err != nil {
		res.Errors = strings.Split(r.Err.Error(), "\n")
		return res
	}
	r.Post.Source = "intake"
	mentions, err := c.mentionsOf(r)
	if err != nil {
		res.Errors = []string{err.Error()}
		return res
	}
	if len(mentions) == 0 {
		res.Status = "unmatched"
		return res
	}
	fresh, err := bus.Mentions.PublishNew(c.ctx, c.Bus, mentions...)
	if err != nil {
		c.Log.Warn("intake not taken", "error", err)
		return apiResult{Index: i, Status: "failed"}
	}
	res.Status = "duplicate"
	if slices.Contains(fresh, true) {
		res.Status = "accepted"
	}
	for _, m := range mentions {
		res.Mentions = append(res.Mentions, m.ID)
	}
	return res
}

// mentionsOf makes mentions of a received post: of the brands it names, else
// of those whose queries match, and only of brands the sender has the right
// for.
func (c *call) mentionsOf(r *source.Received) ([]*mention.Mention, error) {
	var out []*mention.Mention
	if len(r.Brands) == 0 {
		for _, m := range c.Settings.Mentions(&r.Post) {
			if c.viewer.Can(identity.Intake, m.Brand) {
				out = append(out, m)
			}
		}
		return out, nil
	}
	for _, b := range r.Brands {
		if _, ok := settings.Brands.Get(c.Settings, b); !ok || !c.viewer.Can(identity.Intake, b) {
			return nil, fmt.Errorf("brands: there is no brand %q that this token may write to", b)
		}
		m := mention.Of(b, r.Post)
		out = append(out, &m)
	}
	return out, nil
}

func (c *call) apiCounts() error {
	var queries []search.Query
	for _, view := range standing {
		queries = append(queries, c.standing(view))
	}
	counts, err := c.Index.Counts(c.ctx, queries...)
	if err != nil {
		return err
	}
	out := map[string]int64{}
	for i, view := range standing {
		out[view] = counts[i]
	}
	out["escalations"] = int64(c.live.counts(c.ctx, c.viewer)["escalations"])
	return c.json(http.StatusOK, out)
}

// apiCase is a case in answers of the API.
type apiCase struct {
	ID          mention.ID          `json:"id"`
	Number      uint64              `json:"number,omitempty"`
	Revision    uint64              `json:"revision"`
	Status      casework.Status     `json:"status"`
	Holder      string              `json:"holder,omitempty"`
	Team        string              `json:"team,omitempty"`
	Disposition mention.Disposition `json:"disposition"`
	Priority    int                 `json:"priority"`
	DueAt       *time.Time          `json:"due_at,omitempty"`
	Snoozed     *time.Time          `json:"snoozed_until,omitempty"`
	Outcome     string              `json:"outcome,omitempty"`
	Brand       string              `json:"brand"`
	Platform    string              `json:"platform"`
	URL         string              `json:"url,omitempty"`
	Author      apiAuthor           `json:"author"`
	Title       string              `json:"title,omitempty"`
	Text        string              `json:"text"`
	PublishedAt time.Time           `json:"published_at"`
	SeenAt      time.Time           `json:"seen_at"`
	Deleted     bool                `json:"deleted,omitempty"`
	Thread      *apiThread          `json:"thread,omitempty"`
	Comments    []apiComment        `json:"comments,omitempty"`
	Answering   apiAnswering        `json:"answering"`
	Media       []apiMedia          `json:"media,omitempty"`
	Verdict     apiVerdict          `json:"verdict"`
	Judged      *apiJudged          `json:"judged,omitempty"`
	Draft       *apiDraft           `json:"draft,omitempty"`
	Submitted   string              `json:"submitted,omitempty"`
	ByHand      *apiTaken           `json:"by_hand,omitempty"`
	Replies     []apiReply          `json:"replies"`
	Answers     []apiAnswer         `json:"answers,omitempty"`
	Promise     *time.Time          `json:"promise,omitempty"`
	History     []apiEvent          `json:"history"`
}

type apiVerdict struct {
	Model     string            `json:"model"`
	Lang      string            `json:"lang"`
	Sentiment mention.Sentiment `json:"sentiment"`
	Intent    mention.Intent    `json:"intent"`
	Page      bool              `json:"page"`
	Reason    string            `json:"page_reason,omitempty"`
	Risks     []apiRisk         `json:"risks"`
}

type apiRisk struct {
	Category mention.Category `json:"category"`
	Score    float64          `json:"score"`
	Start    int              `json:"start"`
	End      int              `json:"end"`
	Rule     string           `json:"rule"`
	Rung     mention.Rung     `json:"rung,omitempty"`
	Deadline *time.Time       `json:"deadline,omitempty"`
}

// apiJudged is what a person says of a mention.
type apiJudged struct {
	By          string              `json:"by"`
	At          time.Time           `json:"at"`
	Sentiment   mention.Sentiment   `json:"sentiment"`
	Intent      mention.Intent      `json:"intent"`
	Disposition mention.Disposition `json:"disposition"`
	Page        bool                `json:"page"`
	Risks       []mention.Category  `json:"risks"`
}

type apiDraft struct {
	Version  int                `json:"version"`
	Text     string             `json:"text"`
	Kind     casework.ReplyKind `json:"kind"`
	Account  string             `json:"account,omitempty"`
	Template string             `json:"template,omitempty"`
	Author   string             `json:"author"`
	At       time.Time          `json:"at"`
	Hash     string             `json:"hash"`
}

type apiReply struct {
	Text string             `json:"text"`
	Kind casework.ReplyKind `json:"kind"`
	By   string             `json:"by"`
	At   time.Time          `json:"at"`
	URL  string             `json:"url,omitempty"`

	Account string     `json:"account,omitempty"`
	Native  string     `json:"native,omitempty"`
	ByHand  bool       `json:"by_hand,omitempty"`
	Gone    bool       `json:"gone,omitempty"`
	Reads   string     `json:"reads,omitempty"`
	Metrics apiMetrics `json:"metrics,omitzero"`
}

// apiThread places a mention within its conversation.
type apiThread struct {
	ID           string `json:"id,omitempty"`
	Parent       string `json:"parent,omitempty"`
	ParentAuthor string `json:"parent_author,omitempty"`
	ParentText   string `json:"parent_text,omitempty"`
}

// apiComment is what stood below the post.
type apiComment struct {
	Native string     `json:"native,omitempty"`
	URL    string     `json:"url,omitempty"`
	Author string     `json:"author,omitempty"`
	Text   string     `json:"text"`
	At     *time.Time `json:"at,omitempty"`
	Ours   bool       `json:"ours,omitempty"`
	State  string     `json:"state,omitempty"`
}

// apiAnswering is how a mention can be answered: by these accounts, the usual
// one first, or by hand and why.
type apiAnswering struct {
	Accounts  []apiAccount  `json:"accounts"`
	Why       source.Reason `json:"why,omitempty"`
	OneAnswer bool          `json:"one_answer,omitempty"`
}

type apiAccount struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// apiTaken is a reply that somebody posts by hand.
type apiTaken struct {
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
}

// apiAnswer is a mention that answers our reply.
type apiAnswer struct {
	ID       mention.ID `json:"id"`
	To       string     `json:"to"`
	At       time.Time  `json:"at"`
	ByAuthor bool       `json:"by_author,omitempty"`
}

type apiMetrics struct {
	Likes   *int64 `json:"likes,omitempty"`
	Reposts *int64 `json:"reposts,omitempty"`
	Replies *int64 `json:"replies,omitempty"`
}

type apiEvent struct {
	At     time.Time     `json:"at"`
	Actor  string        `json:"actor"`
	Kind   casework.Kind `json:"kind"`
	Text   string        `json:"text,omitempty"`
	To     string        `json:"to,omitempty"`
	URL    string        `json:"url,omitempty"`
	Reason string        `json:"reason,omitempty"`
	Until  *time.Time    `json:"until,omitempty"`
}

func (c *call) apiCaseOf(s *casework.State) apiCase {
	m, v := &s.Mention, &s.Verdict
	out := apiCase{
		ID: s.ID, Number: s.Number, Revision: s.Last, Status: s.Status, Holder: s.Holder, Team: s.Team, Disposition: s.Triage.Disposition,
		Priority: s.Triage.Priority, DueAt: timeOrNil(s.DueAt()), Snoozed: timeOrNil(s.Snoozed), Outcome: s.Outcome, Brand: m.Brand,
		Platform: m.Platform, URL: m.URL, Author: apiAuthor{m.Author.ID, m.Author.Handle, m.Author.Name, m.Author.URL, m.Author.Followers},
		Title: text.Mask(m.Title), Text: text.Mask(m.Text), PublishedAt: m.PublishedAt, SeenAt: m.SeenAt, Deleted: m.Deleted, Submitted: s.Submitted,
		Verdict: apiVerdict{v.Model, v.Lang, v.Sentiment, v.Intent, v.Page, v.PageReason, []apiRisk{}}, Replies: []apiReply{}, History: []apiEvent{},
	}
	for _, x := range m.Media {
		out.Media = append(out.Media, apiMedia{x.Type, x.URL, x.Alt})
	}
	for _, r := range v.Risks {
		out.Verdict.Risks = append(out.Verdict.Risks, apiRisk{r.Category, r.Score, r.Start, r.End, r.Rule, r.Rung, timeOrNil(r.Deadline)})
	}
	if j := s.Judged(); j != nil {
		l := &j.Labels
		out.Judged = &apiJudged{j.By, j.At, l.Sentiment, l.Intent, l.Disposition, l.Page, []mention.Category{}}
		for _, r := range l.Risks {
			out.Judged.Risks = append(out.Judged.Risks, r.Category)
		}
	}
	if d := s.Draft; d != nil {
		out.Draft = &apiDraft{d.Version, d.Text, d.Kind, d.Account, d.Template, d.Author, d.At, s.Hash(d)}
	}
	for _, r := range s.Replies {
		out.Replies = append(out.Replies, apiReply{
			Text: r.Draft.Text, Kind: r.Draft.Kind, By: r.By, At: r.At, URL: r.URL, Account: r.Draft.Account, Native: r.Native,
			ByHand: r.ByHand, Gone: r.Gone, Reads: r.Reads, Metrics: apiMetrics(r.Metrics),
		})
	}
	if t := m.Thread; t != (mention.Thread{}) {
		out.Thread = &apiThread{t.ID, t.Parent, t.ParentAuthor, t.ParentText}
	}
	for _, x := range m.Comments {
		out.Comments = append(out.Comments, apiComment{x.NativeID, x.URL, x.Author, x.Text, timeOrNil(x.At), x.Ours, string(x.State)})
	}
	answering := c.Settings.Answering(m)
	out.Answering = apiAnswering{[]apiAccount{}, answering.Why, answering.OneAnswer}
	for _, src := range answering.Accounts {
		out.Answering.Accounts = append(out.Answering.Accounts, apiAccount{src.ID, src.Name})
	}
	if h := s.ByHand; h != nil {
		out.ByHand = &apiTaken{h.By, h.At, h.Until}
	}
	for _, a := range s.Answers {
		out.Answers = append(out.Answers, apiAnswer{a.ID, a.To, a.At, a.ByAuthor})
	}
	if s.Promise != nil {
		out.Promise = &s.Promise.Due
	}
	for _, e := range s.History {
		out.History = append(out.History, apiEvent{e.At, e.Actor, e.Kind, e.Text, e.To, e.URL, e.Reason, timeOrNil(e.Until)})
	}
	return out
}

func (c *call) apiCase() error {
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, c.apiCaseOf(&s))
}

// apiArguments are what commands take; each command uses some.
type apiArguments struct {
	Take     bool              `json:"take"`
	Version  int               `json:"version"`
	Text     string            `json:"text"`
	Lang     string            `json:"lang"`
	Kind     string            `json:"kind"`
	Account  string            `json:"account"`
	Template string            `json:"template"`
	Slots    map[string]string `json:"slots"`
	Hash     string            `json:"hash"`
	URL      string            `json:"url"`
	To       string            `json:"to"`
	Why      string            `json:"why"`
	Until    time.Time         `json:"until"`
	Outcome  string            `json:"outcome"`
	Tags     []string          `json:"tags"`
	Untags   []string          `json:"untags"`
	Due      time.Time         `json:"due"`
}

// apiCommands are the commands by the last part of their address. Each wants
// the right of the desk's route of that name; publishing and approving want a
// person who is signed in.
var apiCommands = map[string]func(a *apiArguments) casework.Command{
	"claim":     func(a *apiArguments) casework.Command { return casework.Claim{Take: a.Take} },
	"release":   func(*apiArguments) casework.Command { return casework.Release{} },
	"draft":     func(a *apiArguments) casework.Command { return a.write() },
	"submit":    func(*apiArguments) casework.Command { return casework.Submit{} },
	"approve":   func(a *apiArguments) casework.Command { return casework.Approve{Hash: a.Hash} },
	"send-back": func(a *apiArguments) casework.Command { return casework.SendBack{Why: a.Why} },
	"send":      func(a *apiArguments) casework.Command { return casework.Send{Hash: a.Hash} },
	"stop":      func(*apiArguments) casework.Command { return casework.StopSend{} },
	"by-hand":   func(a *apiArguments) casework.Command { return casework.TakeByHand{Hash: a.Hash} },
	"posted":    func(a *apiArguments) casework.Command { return casework.MarkPosted{Hash: a.Hash, URL: a.URL} },
	"settle":    func(a *apiArguments) casework.Command { return casework.Settle{URL: a.URL} },
	"note":      func(a *apiArguments) casework.Command { return casework.AddNote{Text: a.Text} },
	"hand-over": func(a *apiArguments) casework.Command { return casework.HandOver{To: a.To, Why: a.Why} },
	"return":    func(a *apiArguments) casework.Command { return casework.Return{Why: a.Why} },
	"snooze":    func(a *apiArguments) casework.Command { return casework.Snooze{Until: a.Until} },
	"watch":     func(*apiArguments) casework.Command { return casework.LookOn{} },
	"exclude":   func(a *apiArguments) casework.Command { return casework.Exclude{Why: a.Why} },
	"close":     func(a *apiArguments) casework.Command { return casework.Close{Outcome: a.Outcome, Why: a.Why} },
	"reopen":    func(*apiArguments) casework.Command { return casework.Reopen{} },
	"undo":      func(*apiArguments) casework.Command { return casework.Undo{} },
	"assign":    func(a *apiArguments) casework.Command { return casework.Assign{To: a.To} },
	"pass":      func(*apiArguments) casework.Command { return casework.PassOn{} },
	"tag":       func(a *apiArguments) casework.Command { return casework.Retag{Add: a.Tags, Remove: a.Untags} },
	"escalate":  func(a *apiArguments) casework.Command { return casework.Escalate{Why: a.Why} },
	"promise":   func(a *apiArguments) casework.Command { return casework.MakePromise{Due: a.Due} },
}

func (a *apiArguments) write() casework.Command {
	return casework.Write{
		Version: a.Version, Text: a.Text, Lang: a.Lang, Kind: casework.ReplyKind(a.Kind), Account: a.Account, Template: a.Template, Slots: a.Slots,
	}
}

// apiCommand gives a command and answers with the case after it.
func (c *call) apiCommand(command func(*apiArguments) casework.Command) error {
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		return err
	}
	var a apiArguments
	if len(bytes.TrimSpace(body)) > 0 {
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&a); err != nil {
			return &inputError{"body: " + err.Error()}
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return &inputError{"body: more after the end of the object"}
		}
	}
	s, err := c.Cases.Do(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")), command(&a))
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, c.apiCaseOf(&s))
}
