package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"golang.org/x/oauth2"
)

type youTubeConfig struct {
	Channel      string        `yaml:"channel" required:"true" doc:"ID of the channel, UC and 22 characters. The comments on all of its videos are read, and it answers."`
	Videos       []string      `yaml:"videos" doc:"IDs of videos of others whose comments are read as well."`
	ClientID     string        `yaml:"client_id" required:"true" doc:"OAuth client ID of a Google Cloud project with the YouTube Data API."`
	ClientSecret config.Secret `yaml:"client_secret" required:"true" doc:"Secret of that client."`
	Units        int           `yaml:"units" doc:"Quota units of the project a day. A page of comments costs 1, a reply 50."`
	Backfill     time.Duration `yaml:"backfill" doc:"How old comments may be when they are first seen, at most 365d."`
	Server       string        `yaml:"server" doc:"Address of Google's APIs; {api} stands for the name of each."`
	Poll         time.Duration `yaml:"poll" doc:"Pause between two fetches, at least 1m. One that finds nothing new costs one unit, and one for each video."`
}

var (
	channelID = regexp.MustCompile(`^UC[A-Za-z0-9_-]{22}$`)
	videoID   = regexp.MustCompile(`^[A-Za-z0-9_-]{11}$`)
)

func (c *youTubeConfig) Validate() error {
	var errs []error
	if !channelID.MatchString(c.Channel) {
		errs = append(errs, config.Invalid("channel", "must be UC and 22 characters"))
	}
	for i, v := range c.Videos {
		if !videoID.MatchString(v) {
			errs = append(errs, config.Invalid(fmt.Sprintf("videos[%d]", i), "%q is not the 11 characters after v= in a video's address", v))
		}
	}
	if c.Units < 100 {
		errs = append(errs, config.Invalid("units", "must be at least 100"))
	}
	if webURL(strings.Replace(c.Server, "{api}", "api", 1)) == "" || !strings.Contains(c.Server, "{api}") {
		errs = append(errs, config.Invalid("server", "must be like https://{api}.googleapis.com"))
	}
	return errors.Join(append(errs, backfill(c.Backfill), atLeast("poll", c.Poll, time.Minute))...)
}

// youTubeLimit is not documented: the reference of comments.insert has the error
// commentTextTooLong and no number (developers.google.com/youtube/v3/docs/comments/insert).
// 10,000 was seen on YouTube's own page and stands in other clients of the API.
var youTubeLimit = Limit{Max: 10_000, Unit: Characters}

func youTubeKind() Kind {
	return Kind{
		Kind: config.NewKind("youtube", "Comments on the videos of your YouTube channel, and on other videos, with replies.",
			youTubeConfig{Units: 10_000, Backfill: 30 * 24 * time.Hour, Server: "https://{api}.googleapis.com", Poll: 5 * time.Minute},
			func(c youTubeConfig, d Deps) (Source, error) {
				c.Server = strings.TrimSuffix(c.Server, "/")
				s := &youTube{cfg: c, api: api{deps: d, reason: googleReason}}
				s.token = d.token(s.Consent())
				return s, nil
			}),
		Platform: "youtube",
		// YouTube API Services, developer policies, III.E.4: what is stored is
		// refreshed or deleted within 30 days.
		Threads: true,
		Duties: Duties{
			Reread:    7 * 24 * time.Hour,
			Deletions: "Nothing tells: comments are asked for again once a week, 50 for one quota unit, as YouTube demands within 30 days.",
		},
		Consents: true, Limit: youTubeLimit, WriteKeys: []string{"client_secret"},
	}
}

type youTube struct {
	cfg youTubeConfig
	api
}

const (
	youTubePage  = 100 // threads that the API gives at once
	youTubePages = 20  // read of a list per fetch
	// youTubeIDs is how many comments are asked for at once. It is not documented:
	// the reference of comments.list bounds maxResults alone, which can't be set
	// with ids. Others saw the API refuse more (sns-sdks/python-youtube, issue 103).
	youTubeIDs = 50
	// youTubeReply is what comments.insert costs in quota units; each list costs
	// one, of 10,000 a day (developers.google.com/youtube,
	// determine_quota_cost). Searches have a count of their own; we make none.
	youTubeReply = 50
)

func (s *youTube) Poll() time.Duration { return s.cfg.Poll }

// Consent lets us in as the channel.
func (s *youTube) Consent() oauth2.Config {
	secret, _ := s.cfg.ClientSecret.Reveal()
	return oauth2.Config{
		ClientID: s.cfg.ClientID, ClientSecret: secret, Scopes: []string{"https://www.googleapis.com/auth/youtube.force-ssl"},
		Endpoint: oauth2.Endpoint{
			AuthURL:  "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent",
			TokenURL: strings.Replace(s.cfg.Server, "{api}", "oauth2", 1) + "/token",
		},
	}
}

// Account is the channel of the consent.
func (s *youTube) Account(ctx context.Context) (string, error) {
	var answer struct {
		Items []struct {
			ID      string `json:"id"`
			Snippet struct {
				Title  string `json:"title"`
				Handle string `json:"customUrl"` // @acme
			} `json:"snippet"`
		} `json:"items"`
	}
	if err := s.ask(ctx, http.MethodGet, "/channels?part=snippet&mine=true", 1, nil, &answer); err != nil {
		return "", fmt.Errorf("youtube: whose consent is it: %w", err)
	}
	if len(answer.Items) == 0 {
		return "", WrongAccount.refuse("youtube: the Google account that consented has no channel; choose the channel %s on Google's page", s.cfg.Channel)
	}
	c := answer.Items[0]
	name := cmp.Or(line(c.Snippet.Title), c.ID)
	if h := line(c.Snippet.Handle); strings.HasPrefix(h, "@") {
		name += " (" + h + ")"
	}
	if c.ID != s.cfg.Channel {
		return name, WrongAccount.refuse("youtube: the consent is that of the channel %s, %s, but the channel is %s", name, clip(line(c.ID), 60), s.cfg.Channel)
	}
	return name, nil
}

func (s *youTube) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	r := reviewReader{kind: "youtube", of: s.cfg.Channel, deps: s.deps, back: s.cfg.Backfill, lists: func(context.Context) ([]reviewList, error) {
		list := func(name, key, id string) reviewList {
			return reviewList{name: name, pages: youTubePages, page: func(ctx context.Context, token string) ([]mention.Post, string, error) {
				return s.page(ctx, key, id, token)
			}}
		}
		out := []reviewList{list("channel", "allThreadsRelatedToChannelId", s.cfg.Channel)}
		for _, v := range s.cfg.Videos {
			out = append(out, list("video "+v, "videoId", v))
		}
		return out, nil
	}}
	return r.fetch(ctx, cursor)
}

type youTubeComment struct {
	ID      string `json:"id"`
	Snippet struct {
		Author  string `json:"authorDisplayName"`
		Picture string `json:"authorProfileImageUrl"`
		Page    string `json:"authorChannelUrl"`
		Channel struct {
			Value string `json:"value"`
		} `json:"authorChannelId"`
		Text      string    `json:"textDisplay"` // plain, as we ask for it; the original is only for its author
		Video     string    `json:"videoId"`
		Parent    string    `json:"parentId"`
		Likes     *int64    `json:"likeCount"`
		Published time.Time `json:"publishedAt"`
		Updated   time.Time `json:"updatedAt"`
	} `json:"snippet"`
}

type youTubeThread struct {
	Snippet struct {
		Video    string         `json:"videoId"`
		Top      youTubeComment `json:"topLevelComment"`
		CanReply bool           `json:"canReply"`
		Replies  *int64         `json:"totalReplyCount"`
	} `json:"snippet"`
	Replies struct {
		Comments []youTubeComment `json:"comments"`
	} `json:"replies"`
}

// page reads threads, newest first: of each the comment, and the replies that
// come with it before it.
func (s *youTube) page(ctx context.Context, key, id, token string) (posts []mention.Post, next string, err error) {
	q := url.Values{"part": {"snippet,replies"}, key: {id}, "order": {"time"}, "maxResults": {fmt.Sprint(youTubePage)}, "textFormat": {"plainText"}}
	if token != "" {
		q.Set("pageToken", token)
	}
	var answer struct {
		Items []json.RawMessage `json:"items"`
		Next  string            `json:"nextPageToken"`
	}
	if err := s.ask(ctx, http.MethodGet, "/commentThreads?"+q.Encode(), 1, nil, &answer); err != nil {
		return nil, "", err
	}
	if answer.Items == nil {
		return nil, "", without("items")
	}
	for _, raw := range answer.Items {
		var t youTubeThread
		if err := json.Unmarshal(raw, &t); err != nil {
			s.deps.skip("youtube", t.Snippet.Top.ID, err)
			continue
		}
		posts = append(posts, s.thread(t)...)
	}
	return posts, answer.Next, nil
}

// thread returns the posts of a thread that are not ours.
func (s *youTube) thread(t youTubeThread) []mention.Post {
	top, err := s.post(t.Snippet.Top, t.Snippet.Video)
	if err != nil {
		s.deps.skip("youtube", t.Snippet.Top.ID, err)
		return nil
	}
	top.Metrics.Replies = t.Snippet.Replies
	if !t.Snippet.CanReply {
		top.NoReply = mention.Closed
	}
	var out []mention.Post
	for _, c := range t.Replies.Comments {
		p, err := s.post(c, t.Snippet.Video)
		if err != nil {
			s.deps.skip("youtube", c.ID, err)
			continue
		}
		p.Thread = mention.Thread{ID: top.NativeID, Parent: top.NativeID, ParentAuthor: top.Author.Name, ParentText: top.Text}
		p.NoReply = top.NoReply
		if p.Author.ID == s.cfg.Channel {
			top.Comments = append(top.Comments, s.comment(p))
			continue
		}
		out = append(out, p)
	}
	if top.Author.ID != s.cfg.Channel {
		out = append(out, top)
	}
	return out
}

func (s *youTube) comment(p mention.Post) mention.Comment {
	return mention.Comment{NativeID: p.NativeID, URL: p.URL, Author: p.Author.Name, Text: p.Text, At: p.PublishedAt, Ours: p.Author.ID == s.cfg.Channel}
}

func (s *youTube) post(c youTubeComment, video string) (mention.Post, error) {
	n := c.Snippet
	p := mention.Post{
		Platform: "youtube", NativeID: c.ID, Kind: mention.KindPost, Intake: mention.Live,
		Author: mention.Author{
			ID: cmp.Or(n.Channel.Value, n.Author), Handle: line(strings.TrimPrefix(n.Author, "@")), Name: line(n.Author),
			URL: webURL(strings.Replace(n.Page, "http://", "https://", 1)), Avatar: webURL(n.Picture),
		},
		Text: clean(n.Text), Metrics: mention.Metrics{Likes: n.Likes}, PublishedAt: n.Published.UTC(), SeenAt: s.deps.Now(),
	}
	// Replies go below the first comment of a thread, whichever one they answer.
	p.ReplyRef = cmp.Or(n.Parent, c.ID)
	p.URL = "https://www.youtube.com/watch?" + url.Values{"v": {cmp.Or(video, n.Video)}, "lc": {c.ID}}.Encode()
	if n.Updated.After(n.Published) {
		p.EditedAt = n.Updated.UTC()
	}
	if c.ID == "" || p.PublishedAt.IsZero() || p.Text == "" {
		return p, errors.New("no id, time or text")
	}
	return p, nil
}

// budget is that of the project, of which spare must be left.
func (s *youTube) budget(spare int) budget {
	return budget{"units", "quota units", s.cfg.Units, 24 * time.Hour, spare}
}

// ask spends units and asks the API.
func (s *youTube) ask(ctx context.Context, method, path string, units int, in, out any) error {
	if err := s.deps.spend(ctx, s.budget(0), units); err != nil {
		return err
	}
	address := strings.Replace(s.cfg.Server, "{api}", "youtube", 1) + "/youtube/v3" + path
	return googleRefused(s.do(ctx, method, address, in, out), "the channel may not do that")
}

// Reply answers a comment, below the first one of its thread.
func (s *youTube) Reply(ctx context.Context, r Reply) (Sent, error) {
	switch {
	case r.To.ReplyRef == "":
		return Sent{}, refuse("youtube: the post does not say how to answer it")
	case r.To.NoReply != "":
		return Sent{}, Reason(r.To.NoReply).refuse("youtube: the thread takes no replies")
	case !youTubeLimit.Fits(r.Text):
		return Sent{}, TooLong.refuse("youtube: the reply has %d characters, YouTube takes %d", youTubeLimit.Count(r.Text), youTubeLimit.Max)
	}
	in := map[string]any{"snippet": map[string]string{"parentId": r.To.ReplyRef, "textOriginal": r.Text}}
	var out youTubeComment
	if err := s.ask(ctx, http.MethodPost, "/comments?part=snippet", youTubeReply, in, &out); err != nil {
		return Sent{}, fmt.Errorf("youtube: reply: %w", err)
	}
	if out.ID == "" {
		return Sent{}, errors.New("youtube: reply: YouTube took it but names no comment")
	}
	return s.sent(out, r), nil
}

func (s *youTube) sent(c youTubeComment, r Reply) Sent {
	u, err := url.Parse(r.To.URL)
	if err != nil {
		return Sent{NativeID: c.ID, At: c.Snippet.Published.UTC()}
	}
	q := u.Query()
	q.Set("lc", c.ID)
	u.RawQuery = q.Encode()
	return Sent{URL: u.String(), NativeID: c.ID, At: c.Snippet.Published.UTC()}
}

// Find looks for r among the replies of the thread.
func (s *youTube) Find(ctx context.Context, r Reply) (Sent, error) {
	q := url.Values{"part": {"snippet"}, "parentId": {r.To.ReplyRef}, "maxResults": {"100"}, "textFormat": {"plainText"}}
	for range youTubePages {
		var answer struct {
			Items []youTubeComment `json:"items"`
			Next  string           `json:"nextPageToken"`
		}
		if err := s.ask(ctx, http.MethodGet, "/comments?"+q.Encode(), 1, nil, &answer); err != nil {
			return Sent{}, fmt.Errorf("youtube: find reply: %w", err)
		}
		for _, c := range answer.Items {
			if c.Snippet.Channel.Value == s.cfg.Channel && sameText(c.Snippet.Text, r.Text) {
				return s.sent(c, r), nil
			}
		}
		if answer.Next == "" {
			return Sent{}, ErrNotFound
		}
		q.Set("pageToken", answer.Next)
	}
	return Sent{}, errors.New("youtube: find reply: too many replies to tell")
}

// Below reads a page of the replies to a comment, for one quota unit, while half
// of what may be spent at once is left for fetching and replying. Replies to a
// reply stand below the comment.
func (s *youTube) Below(ctx context.Context, p mention.Post) ([]mention.Comment, error) {
	if p.Thread.Parent != "" {
		return nil, nil
	}
	q := url.Values{"part": {"snippet"}, "parentId": {p.NativeID}, "maxResults": {"100"}, "textFormat": {"plainText"}}
	var answer struct {
		Items []youTubeComment `json:"items"`
	}
	if err := s.deps.spend(ctx, s.budget(s.cfg.Units/4+1), 0); err != nil {
		return nil, fmt.Errorf("youtube: replies: %w", err)
	}
	if err := s.ask(ctx, http.MethodGet, "/comments?"+q.Encode(), 1, nil, &answer); err != nil {
		return nil, fmt.Errorf("youtube: replies: %w", err)
	}
	var below []mention.Post
	for _, c := range answer.Items {
		if a, err := s.post(c, ""); err == nil {
			below = append(below, a)
		}
	}
	return commentsOf(below, func(p *mention.Post) bool { return p.Author.ID == s.cfg.Channel }), nil
}

func (s *youTube) Dedupes() time.Duration { return 0 }

func (s *youTube) Limit(context.Context) (Limit, error) { return youTubeLimit, nil }

// Reread asks for comments by their ids. One that is missing is gone, if the
// channel's own comments can be read all the same.
func (s *youTube) Reread(ctx context.Context, posts []mention.Post) ([]mention.Post, error) {
	var out []mention.Post
	proven := false
	for len(posts) > 0 {
		some := posts[:min(len(posts), youTubeIDs)]
		posts = posts[len(some):]
		ids := make([]string, len(some))
		for i, p := range some {
			ids[i] = p.NativeID
		}
		var answer struct {
			Items []youTubeComment `json:"items"`
		}
		q := url.Values{"part": {"snippet"}, "id": {strings.Join(ids, ",")}, "textFormat": {"plainText"}}
		if err := s.ask(ctx, http.MethodGet, "/comments?"+q.Encode(), 1, nil, &answer); err != nil {
			return out, fmt.Errorf("youtube: %w", err)
		}
		now := map[string]youTubeComment{}
		for _, c := range answer.Items {
			now[c.ID] = c
		}
		for _, p := range some {
			c, ok := now[p.NativeID]
			if ok {
				if again, err := s.post(c, ""); err == nil {
					again.URL, again.Thread, again.Comments, again.NoReply = p.URL, p.Thread, p.Comments, p.NoReply
					again.Metrics.Replies = p.Metrics.Replies
					out = append(out, again)
				}
				continue
			}
			if !proven && len(now) == 0 {
				if _, _, err := s.page(ctx, "allThreadsRelatedToChannelId", s.cfg.Channel, ""); err != nil {
					return out, fmt.Errorf("youtube: comments are missing, but so may be our access: %w", err)
				}
			}
			proven = true
			out = append(out, withdrawn(p, s.deps.Now()))
		}
	}
	return out, nil
}
