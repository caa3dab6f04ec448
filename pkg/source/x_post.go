package source

import (
	"cmp"
	"encoding/json"
	"errors"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// xTweet is the part we read of a post of API v2. X is renaming what has "tweet"
// in its name; both names are read.
type xTweet struct {
	ID             string       `json:"id"`
	Text           string       `json:"text"`
	AuthorID       string       `json:"author_id"`
	CreatedAt      looseTime    `json:"created_at"`
	ConversationID string       `json:"conversation_id"`
	ReplyToUser    string       `json:"in_reply_to_user_id"`
	Lang           string       `json:"lang"`
	ReplySettings  string       `json:"reply_settings"`
	History        []string     `json:"edit_history_tweet_ids"`
	HistoryPosts   []string     `json:"edit_history_post_ids"`
	Note           *xNote       `json:"note_tweet"`
	NotePost       *xNote       `json:"note_post"`
	Refs           []xReference `json:"referenced_tweets"`
	RefPosts       []xReference `json:"referenced_posts"`
	Entities       xEntities    `json:"entities"`
	Withheld       *xWithheld   `json:"withheld"`
	Attachments    struct {
		MediaKeys []string `json:"media_keys"`
	} `json:"attachments"`
	Metrics struct {
		Likes   *int64 `json:"like_count"`
		Reposts *int64 `json:"retweet_count"`
		Replies *int64 `json:"reply_count"`
	} `json:"public_metrics"`
}

// xNote is the whole of a long post.
type xNote struct {
	Text     string    `json:"text"`
	Entities xEntities `json:"entities"`
}

type xReference struct {
	Type string `json:"type"` // replied_to, quoted, retweeted
	ID   string `json:"id"`
}

type xEntities struct {
	URLs []struct {
		URL      string `json:"url"`
		Expanded string `json:"expanded_url"`
		MediaKey string `json:"media_key"`
	} `json:"urls"`
	Mentions []struct {
		Username string `json:"username"`
		ID       string `json:"id"`
	} `json:"mentions"`
}

type xWithheld struct {
	Copyright bool     `json:"copyright"`
	Countries []string `json:"country_codes"`
}

type xUser struct {
	ID        string `json:"id"`
	Username  string `json:"username"`
	Name      string `json:"name"`
	Picture   string `json:"profile_image_url"`
	Protected bool   `json:"protected"`
	Metrics   struct {
		Followers *int64 `json:"followers_count"`
	} `json:"public_metrics"`
}

type xMedia struct {
	Key     string `json:"media_key"`
	Type    string `json:"type"` // photo, video, animated_gif
	URL     string `json:"url"`
	Preview string `json:"preview_image_url"`
	Alt     string `json:"alt_text"`
}

// xIncludes is what the posts of an answer refer to. What can't be read is
// missing.
type xIncludes struct {
	Users  []json.RawMessage `json:"users"`
	Tweets []json.RawMessage `json:"tweets"`
	Posts  []json.RawMessage `json:"posts"`
	Media  []json.RawMessage `json:"media"`
}

type xRelated struct {
	users  map[string]xUser
	tweets map[string]xTweet
	media  map[string]xMedia
}

func (in xIncludes) related() xRelated {
	r := xRelated{map[string]xUser{}, map[string]xTweet{}, map[string]xMedia{}}
	for _, raw := range in.Users {
		var u struct {
			xUser
			Data *xUser `json:"data"` // as some events have it
		}
		if json.Unmarshal(raw, &u) == nil {
			if u.Data != nil {
				u.xUser = *u.Data
			}
			r.users[u.ID] = u.xUser
		}
	}
	for _, raw := range slices.Concat(in.Tweets, in.Posts) {
		var t xTweet
		if json.Unmarshal(raw, &t) == nil {
			r.tweets[t.ID] = t
		}
	}
	for _, raw := range in.Media {
		var m xMedia
		if json.Unmarshal(raw, &m) == nil {
			r.media[m.Key] = m
		}
	}
	return r
}

// xIDs are numbers made of the time in milliseconds and a counter.
const xEpoch = 1288834974657 // ms since 1970; the first id of this kind

// xIDAt is the least id of a post made at t.
func xIDAt(t time.Time) uint64 { return uint64(max(t.UnixMilli()-xEpoch, 0)) << 22 }

// xTime is when the post with id was made, to the millisecond.
func xTime(id uint64) time.Time { return time.UnixMilli(int64(id>>22) + xEpoch).UTC() }

// xNumber reads an id; 0 is none.
func xNumber(id string) uint64 {
	n, err := strconv.ParseUint(id, 10, 63)
	if err != nil {
		return 0
	}
	return n
}

var (
	errWithheld  = errors.New("withheld")
	errProtected = errors.New("the account is protected")
)

// withheld tells whether X shows t to nobody, or to nobody in country.
func (t *xTweet) withheld(country string) bool {
	return t.Withheld != nil && (t.Withheld.Copyright || withheldIn(t.Withheld.Countries, country))
}

// withheldIn knows XX, everywhere, and XY, for copyright.
func withheldIn(countries []string, country string) bool {
	return slices.ContainsFunc(countries, func(c string) bool {
		return c == "XX" || c == "XY" || country != "" && strings.EqualFold(c, country)
	})
}

// first is the id of the post before all its edits: its identity. Every edit
// has an id of its own.
func (t *xTweet) first() string {
	if h := slices.Concat(t.History, t.HistoryPosts); len(h) > 0 && xNumber(h[0]) > 0 {
		return h[0]
	}
	return t.ID
}

// last is the id of the newest edit that X speaks of.
func (t *xTweet) last() string {
	if h := slices.Concat(t.History, t.HistoryPosts); len(h) > 0 && xNumber(h[len(h)-1]) > 0 {
		return h[len(h)-1]
	}
	return t.ID
}

func (t *xTweet) refers(kind string) string {
	for _, r := range slices.Concat(t.Refs, t.RefPosts) {
		if r.Type == kind {
			return r.ID
		}
	}
	return ""
}

// content is the text as it is written out: whole, its links as where they lead,
// without those that stand for pictures.
func (t *xTweet) content() string {
	text, entities := t.Text, t.Entities
	if n := cmp.Or(t.Note, t.NotePost); n != nil && n.Text != "" {
		text, entities = n.Text, n.Entities
		// Pictures are among the links of the short text alone.
		for _, l := range t.Entities.URLs {
			if l.MediaKey != "" {
				text = unpictured(text, l.URL)
			}
		}
	}
	for _, l := range entities.URLs {
		switch {
		case l.URL == "":
		case l.MediaKey != "" || xPicture.MatchString(l.Expanded):
			text = unpictured(text, l.URL)
		case webURL(l.Expanded) != "":
			text = strings.ReplaceAll(text, l.URL, l.Expanded)
		}
	}
	return clean(html.UnescapeString(text))
}

// unpictured is text without the link that X adds for a picture.
func unpictured(text, link string) string {
	if link == "" {
		return text
	}
	return strings.TrimRight(strings.ReplaceAll(text, link, ""), " ")
}

var (
	xPicture = regexp.MustCompile(`^https://(x|twitter)\.com/[A-Za-z0-9_]+/status/\d+/(photo|video)/\d+$`)
	xStatus  = regexp.MustCompile(`^https?://(?:www\.|mobile\.)?(?:x|twitter)\.com/([A-Za-z0-9_]+)/status/\d+`)
	xHandle  = regexp.MustCompile(`^[A-Za-z0-9_]{1,15}$`)
)

// xLang is the language that X claims; it has codes of its own for posts without
// any, and old ones for some.
func xLang(lang string) string {
	switch lang {
	case "in":
		return "id"
	case "iw":
		return "he"
	case "ji":
		return "yi"
	case "und", "zxx", "art", "qam", "qct", "qht", "qme", "qst":
		return ""
	}
	return line(lang)
}

// post is t as it is handed on.
func (x *xSource) post(t *xTweet, in xRelated) (mention.Post, error) {
	id := xNumber(t.ID)
	if id == 0 {
		return mention.Post{}, errors.New("no id")
	}
	if t.withheld(x.cfg.Country) {
		return mention.Post{}, errWithheld
	}
	u := in.users[t.AuthorID]
	if u.Protected {
		return mention.Post{}, errProtected
	}
	p := mention.Post{
		Platform: "x", NativeID: t.first(), Kind: mention.KindPost, Intake: mention.Live,
		URL: "https://x.com/i/status/" + t.ID, Author: mention.Author{ID: line(t.AuthorID)},
		Lang: xLang(t.Lang), ReplyRef: t.last(),
		Metrics:     mention.Metrics{Likes: t.Metrics.Likes, Reposts: t.Metrics.Reposts, Replies: t.Metrics.Replies},
		PublishedAt: t.CreatedAt.UTC(), SeenAt: x.deps.Now(),
	}
	if xHandle.MatchString(u.Username) {
		p.URL = "https://x.com/" + u.Username + "/status/" + t.ID
		p.Author = mention.Author{
			ID: u.ID, Handle: u.Username, Name: line(u.Name), URL: "https://x.com/" + u.Username,
			Avatar: webURL(u.Picture), Followers: u.Metrics.Followers,
		}
	}
	if t.ID != p.NativeID {
		p.EditedAt = xTime(id)
		p.PublishedAt = xTime(xNumber(p.NativeID))
	}
	if p.PublishedAt.IsZero() {
		p.PublishedAt = xTime(id)
	}
	body := t
	if o := t.refers("retweeted"); o != "" { // the text of a repost is cut short
		p.Thread.ID = o
		if orig, ok := in.tweets[o]; ok {
			body, p.Thread.ID = &orig, orig.first()
		}
	} else {
		if t.ConversationID != "" && t.ConversationID != p.NativeID {
			p.Thread.ID = line(t.ConversationID)
		}
		if p.Thread.Parent = t.refers("replied_to"); p.Thread.Parent != "" {
			if o, ok := in.tweets[p.Thread.Parent]; ok {
				p.Thread.Parent, p.Thread.ParentText = o.first(), o.content()
				p.Thread.ParentAuthor = line(in.users[o.AuthorID].Username)
			}
		}
	}
	p.Text = body.content()
	for _, key := range body.Attachments.MediaKeys[:min(len(body.Attachments.MediaKeys), maxMedia)] {
		m := in.media[key]
		kind, address := mention.Video, webURL(cmp.Or(m.Preview, m.URL))
		if m.Type == "photo" {
			kind, address = mention.Image, webURL(m.URL)
		}
		if address != "" {
			p.Media = append(p.Media, mention.Media{Type: kind, URL: address, Alt: clip(line(m.Alt), 2000)})
		}
	}
	if p.Text == "" && len(p.Media) == 0 {
		return p, errors.New("empty")
	}
	var named, quoted []string
	for _, m := range body.Entities.Mentions {
		named = append(named, m.Username)
	}
	for _, n := range []*xNote{body.Note, body.NotePost} {
		for i := 0; n != nil && i < len(n.Entities.Mentions); i++ {
			named = append(named, n.Entities.Mentions[i].Username)
		}
	}
	if o := t.refers("quoted"); o != "" {
		quoted = append(quoted, in.users[in.tweets[o].AuthorID].Username)
	}
	for _, l := range body.Entities.URLs {
		if m := xStatus.FindStringSubmatch(l.Expanded); m != nil && t.refers("quoted") != "" {
			quoted = append(quoted, m[1])
		}
	}
	p.NoReply = x.noReply(t.ReplySettings, slices.Concat(named, quoted))
	return p, nil
}

// noReply says why X takes no answer from our account: since 23 February 2026
// only of those whom the author mentions or quotes, enterprise access apart.
func (x *xSource) noReply(settings string, summoned []string) mention.NoReply {
	called := slices.ContainsFunc(summoned, func(name string) bool { return strings.EqualFold(name, x.cfg.Account) })
	switch {
	case x.cfg.Account == "" || called:
		return ""
	case settings == "mentionedUsers":
		return mention.Gated
	case !x.cfg.Enterprise:
		return mention.NotSummoned
	}
	return ""
}
