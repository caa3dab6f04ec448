package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"strings"

	//lint:ignore SA1019 dead as a client, but its types are still the shape of API v1.1
	"github.com/dghubble/go-twitter/twitter"
	"github.com/earshot/earshot/pkg/mention"
)

// xTweetV1 is a Tweet of API v1.1: in exports, and in pushes of Account
// Activity.
type xTweetV1 struct {
	twitter.Tweet
	User            *xUserV1  `json:"user"`
	RetweetedStatus *xTweetV1 `json:"retweeted_status"`
	// Counts that may be missing, which the library reads as 0: most files have
	// no replies.
	Likes       *int64 `json:"favorite_count"`
	Reposts     *int64 `json:"retweet_count"`
	Replies     *int64 `json:"reply_count"`
	EditHistory struct {
		Initial string   `json:"initial_tweet_id"`
		IDs     []string `json:"edit_tweet_ids"`
	} `json:"edit_history"`
}

type xUserV1 struct {
	twitter.User
	Followers *int64 `json:"followers_count"` // missing where users were trimmed
}

// tweet reads a Tweet of X's API v1.1, or a notice that one was deleted.
func (im Import) tweet(raw []byte) Received {
	var t struct {
		xTweetV1
		Delete *struct {
			Status struct {
				IDStr string `json:"id_str"`
			} `json:"status"`
		} `json:"delete"`
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return Received{Err: fmt.Errorf("not a Tweet: %w", err)}
	}
	if t.Delete != nil {
		if t.Delete.Status.IDStr == "" {
			return Received{Err: errors.New("delete.status.id_str: required")}
		}
		return Received{Post: mention.Post{
			Platform: "x", NativeID: t.Delete.Status.IDStr, Kind: mention.KindPost, Intake: mention.Bulked, Deleted: true,
			PublishedAt: im.Now, EditedAt: im.Now, SeenAt: im.Now,
		}}
	}
	p, err := t.post()
	if err != nil {
		return Received{Err: err}
	}
	p.SeenAt, p.Intake = im.Now, mention.Bulked
	return Received{Post: p}
}

// first and last are the ids before and after all edits that X speaks of.
func (t *xTweetV1) first() string {
	if t.EditHistory.Initial != "" {
		return t.EditHistory.Initial
	}
	if ids := t.EditHistory.IDs; len(ids) > 0 {
		return ids[0]
	}
	return t.IDStr
}

func (t *xTweetV1) last() string {
	if ids := t.EditHistory.IDs; len(ids) > 0 {
		return ids[len(ids)-1]
	}
	return t.IDStr
}

// post is the post in t, as API v2 would have it. Identifiers are the strings:
// the numbers are too large for some who wrote the files.
func (t *xTweetV1) post() (mention.Post, error) {
	at, err := t.CreatedAtTime()
	switch {
	case t.IDStr == "":
		return mention.Post{}, errors.New("id_str: required")
	case err != nil:
		return mention.Post{}, fmt.Errorf("created_at: %q is not like Wed Oct 10 20:19:24 +0000 2018", clip(t.CreatedAt, 60))
	case t.User == nil || t.User.IDStr == "":
		return mention.Post{}, errors.New("user.id_str: required")
	}
	u := t.User
	p := mention.Post{
		Platform: "x", NativeID: t.first(), Kind: mention.KindPost, ReplyRef: t.last(),
		URL: "https://x.com/" + u.ScreenName + "/status/" + t.IDStr,
		Author: mention.Author{
			ID: u.IDStr, Handle: line(u.ScreenName), Name: line(u.Name), URL: "https://x.com/" + u.ScreenName,
			Avatar: webURL(u.ProfileImageURLHttps), Followers: u.Followers,
		},
		Lang:        xLang(t.Lang),
		Metrics:     mention.Metrics{Likes: t.Likes, Reposts: t.Reposts, Replies: t.Replies},
		Thread:      mention.Thread{Parent: t.InReplyToStatusIDStr, ParentAuthor: line(t.InReplyToScreenName)},
		PublishedAt: at.UTC(),
	}
	if first, this := xNumber(p.NativeID), xNumber(t.IDStr); first != this && first > 0 && this > 0 {
		p.PublishedAt, p.EditedAt = xTime(first), xTime(this)
	}
	if o := t.RetweetedStatus; o != nil { // the text of a repost is cut short
		if orig, err := o.post(); err == nil {
			p.Text, p.Media, p.Thread.ID = orig.Text, orig.Media, orig.NativeID
			return p, nil
		}
	}
	text, entities, media := t.Text, t.Entities, t.ExtendedEntities
	if t.FullText != "" {
		text = t.FullText
	}
	if x := t.ExtendedTweet; x != nil && x.FullText != "" {
		text, entities, media = x.FullText, x.Entities, x.ExtendedEntities
	}
	if entities != nil {
		for _, m := range entities.Media {
			text = unpictured(text, m.URLEntity.URL)
		}
		for _, l := range entities.Urls {
			if l.URL != "" && webURL(l.ExpandedURL) != "" {
				text = strings.ReplaceAll(text, l.URL, l.ExpandedURL)
			}
		}
	}
	p.Text = clean(html.UnescapeString(text))
	if media != nil {
		for _, m := range media.Media[:min(len(media.Media), maxMedia)] {
			kind := mention.Video
			if m.Type == "photo" {
				kind = mention.Image
			}
			if a := webURL(m.MediaURLHttps); a != "" {
				p.Media = append(p.Media, mention.Media{Type: kind, URL: a})
			}
		}
	}
	if p.Text == "" && len(p.Media) == 0 {
		return p, errors.New("full_text: required")
	}
	return p, nil
}
