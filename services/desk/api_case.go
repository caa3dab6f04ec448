package desk

import (
	"net/http"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/pkg/text"
)

// apiCase is a case in answers of the API.
type apiCase struct {
	ID           mention.ID          `json:"id"`
	Number       uint64              `json:"number,omitempty"`
	Revision     uint64              `json:"revision"`
	Status       casework.Status     `json:"status"`
	Holder       string              `json:"holder,omitempty"`
	Team         string              `json:"team,omitempty"`
	Disposition  mention.Disposition `json:"disposition"`
	Priority     int                 `json:"priority"`
	DueAt        *time.Time          `json:"due_at,omitempty"`
	Snoozed      *time.Time          `json:"snoozed_until,omitempty"`
	Outcome      string              `json:"outcome,omitempty"`
	Brand        string              `json:"brand"`
	Platform     string              `json:"platform"`
	URL          string              `json:"url,omitempty"`
	Author       apiAuthor           `json:"author"`
	Title        string              `json:"title,omitempty"`
	Text         string              `json:"text"`
	PublishedAt  time.Time           `json:"published_at"`
	SeenAt       time.Time           `json:"seen_at"`
	Deleted      bool                `json:"deleted,omitempty"`
	Thread       *apiThread          `json:"thread,omitempty"`
	Comments     []apiComment        `json:"comments,omitempty"`
	Answering    apiAnswering        `json:"answering"`
	Media        []apiMedia          `json:"media,omitempty"`
	Verdict      apiVerdict          `json:"verdict"`
	Judged       *apiJudged          `json:"judged,omitempty"`
	Draft        *apiDraft           `json:"draft,omitempty"`
	Submitted    string              `json:"submitted,omitempty"`
	ByHand       *apiTaken           `json:"by_hand,omitempty"`
	Replies      []apiReply          `json:"replies"`
	Answers      []apiAnswer         `json:"answers,omitempty"`
	Promise      *time.Time          `json:"promise,omitempty"`
	PromiseEvery int                 `json:"promise_every_hours,omitempty"`
	Tags         []string            `json:"tags,omitempty"`
	Measures     []apiMeasureState   `json:"measures,omitempty"`
	Wishes       []string            `json:"wishes,omitempty"`
	History      []apiEvent          `json:"history"`
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
	Case     mention.ID         `json:"case,omitempty"` // that it answers, if not this one
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
	Case    mention.ID `json:"case,omitempty"` // that it answers, if not this one
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

// apiMeasureState is a countermeasure, and when it was in place.
type apiMeasureState struct {
	apiMeasure
	Done *time.Time `json:"done_at,omitempty"`
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
		ID: s.ID, Number: s.Number, Revision: s.Last, Status: s.Stands(), Holder: s.Holder, Team: s.Team, Disposition: s.Triage.Disposition,
		Priority: s.Triage.Priority, DueAt: timeOrNil(s.DueAt()), Snoozed: timeOrNil(s.Snoozed), Outcome: s.Outcome, Brand: m.Brand,
		Platform: m.Platform, URL: m.URL, Author: apiAuthor{m.Author.ID, m.Author.Handle, m.Author.Name, m.Author.URL, m.Author.Followers},
		Title: text.Mask(m.Title), Text: text.Mask(m.Text), PublishedAt: m.PublishedAt, SeenAt: m.SeenAt, Deleted: m.Deleted, Submitted: s.Asks(),
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
		out.Draft = &apiDraft{d.Version, d.Text, d.Kind, d.Account, d.Template, d.To, d.Author, d.At, c.facing(s, &reply{to: d.To}).Hash(d)}
	}
	for _, r := range s.Replies {
		out.Replies = append(out.Replies, apiReply{
			Text: r.Draft.Text, Kind: r.Draft.Kind, By: r.By, At: r.At, URL: r.URL, Account: r.Draft.Account, Case: r.Draft.To, Native: r.Native,
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
		out.Promise, out.PromiseEvery = &s.Promise.Due, int(s.Promise.Every/time.Hour)
	}
	out.Tags = s.Tags
	for _, m := range s.Care.Measures {
		x := apiMeasureState{apiMeasure{m.ID, m.Cause, m.Text, m.NoneWhy, m.Owner, timeOrNil(m.Due)}, nil}
		if m.Done != nil {
			x.Done = &m.Done.At
		}
		out.Measures = append(out.Measures, x)
	}
	for _, w := range s.Care.Wishes {
		out.Wishes = append(out.Wishes, w.ID)
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
