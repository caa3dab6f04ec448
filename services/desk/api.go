package desk

import (
	_ "embed"
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
