package source

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
)

// Received is a post that was handed to Earshot: by the HTTP intake or in a
// file.
type Received struct {
	Post mention.Post
	// Brands are named by the sender: the post is about them whatever their
	// queries say. Empty: the queries decide.
	Brands []string
	// Err tells why the post is refused; then the rest is not to be used. It
	// joins a [config.FieldError] for each mistake.
	Err error
}

// MaxBatch is the number of posts taken in one request.
const MaxBatch = 1000

// Intake reads the body of a request: one post as a JSON object, or an array
// of up to [MaxBatch]. Each post is judged on its own. A post without an id is
// known by the sender's id of the request, if there is one, and its place in it.
// The error is about the whole body.
func Intake(body []byte, now time.Time, request string) ([]Received, error) {
	body = bytes.TrimSpace(body)
	var raws []json.RawMessage
	switch {
	case len(body) == 0:
		return nil, config.Invalid("", "the body is empty; send a post as JSON, or an array of posts")
	case body[0] == '[':
		if err := json.Unmarshal(body, &raws); err != nil {
			return nil, config.Invalid("", "not valid JSON: %v", err)
		}
	default:
		if err := json.Unmarshal(body, &json.RawMessage{}); err != nil {
			return nil, config.Invalid("", "not valid JSON: %v", err)
		}
		raws = []json.RawMessage{body}
	}
	if len(raws) > MaxBatch {
		return nil, config.Invalid("", "%d posts; send at most %d at once", len(raws), MaxBatch)
	}
	out := make([]Received, len(raws))
	for i, raw := range raws {
		id := request
		if id != "" && body[0] == '[' {
			id += "." + strconv.Itoa(i)
		}
		out[i] = receive(raw, now, mention.Live, id)
	}
	return out, nil
}

func receive(raw []byte, now time.Time, how mention.Intake, id string) Received {
	if at := badByte(raw); at >= 0 {
		return Received{Err: config.Invalid("", "not UTF-8 at byte %d of the post; send it as UTF-8", at)}
	}
	var in intakePost
	if err := decodeStrict(raw, &in); err != nil {
		return Received{Err: err}
	}
	in.ID = cmp.Or(in.ID, id)
	if how == mention.Bulked && in.ID == "" {
		in.ID = in.contentID()
	}
	if in.PublishedAt.IsZero() && how == mention.Live {
		in.PublishedAt.Time = now
	}
	return in.receive(now, how)
}

// badByte returns where raw is no longer UTF-8, or -1.
func badByte(raw []byte) int {
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

func (in *intakePost) receive(now time.Time, how mention.Intake) Received {
	p, err := in.post()
	if p.PublishedAt.After(now.Add(24 * time.Hour)) {
		err = errors.Join(err, config.Invalid("published_at", "%s lies in the future", p.PublishedAt.Format(time.RFC3339)))
	}
	if err != nil {
		return Received{Err: err}
	}
	p.SeenAt, p.Intake = now, how
	return Received{Post: p, Brands: in.Brands}
}

// intakePost is a post as senders write it.
type intakePost struct {
	ID       string   `json:"id"`
	Platform string   `json:"platform"`
	Kind     string   `json:"kind"`
	Brands   []string `json:"brands"`
	URL      string   `json:"url"`
	Author   struct {
		ID        string `json:"id"`
		Handle    string `json:"handle"`
		Name      string `json:"name"`
		URL       string `json:"url"`
		Avatar    string `json:"avatar"`
		Followers *int64 `json:"followers"`
	} `json:"author"`
	Title  string `json:"title"`
	Text   string `json:"text"`
	Lang   string `json:"lang"`
	Rating int    `json:"rating"`
	Place  struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"place"`
	Media []struct {
		Type string `json:"type"`
		URL  string `json:"url"`
		Alt  string `json:"alt"`
	} `json:"media"`
	Thread struct {
		ID           string `json:"id"`
		Parent       string `json:"parent"`
		ParentAuthor string `json:"parent_author"`
		ParentText   string `json:"parent_text"`
	} `json:"thread"`
	Metrics struct {
		Likes   *int64 `json:"likes"`
		Reposts *int64 `json:"reposts"`
		Replies *int64 `json:"replies"`
	} `json:"metrics"`
	PublishedAt jsonTime `json:"published_at"`
	EditedAt    jsonTime `json:"edited_at"`
	Deleted     bool     `json:"deleted"`
}

var (
	slug = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)
	// epoch is the earliest time taken for real.
	epoch = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
)

// post checks and cleans in. It reports all mistakes, joined.
func (in *intakePost) post() (mention.Post, error) {
	var errs []error
	bad := func(key, format string, args ...any) { errs = append(errs, config.Invalid(key, format, args...)) }
	address := func(key, u string) string {
		if u != "" && webURL(u) == "" {
			bad(key, "must start with http:// or https://")
		}
		return webURL(u)
	}
	short := func(key, s string) string {
		if s = line(s); len(s) > 512 {
			bad(key, "longer than 512 bytes")
		}
		return s
	}
	p := mention.Post{
		Platform: cmp.Or(in.Platform, "web"), NativeID: short("id", in.ID), Kind: mention.Kind(in.Kind), URL: address("url", in.URL),
		Author: mention.Author{
			ID: short("author.id", in.Author.ID), Handle: strings.TrimPrefix(short("author.handle", in.Author.Handle), "@"), Name: short("author.name", in.Author.Name),
			URL: address("author.url", in.Author.URL), Avatar: address("author.avatar", in.Author.Avatar), Followers: in.Author.Followers,
		},
		Title: clip(line(in.Title), 4096), Text: clean(in.Text), Lang: short("lang", in.Lang), Rating: in.Rating,
		Place: mention.Place{ID: short("place.id", in.Place.ID), Name: short("place.name", in.Place.Name)},
		Thread: mention.Thread{
			ID: short("thread.id", in.Thread.ID), Parent: short("thread.parent", in.Thread.Parent),
			ParentAuthor: short("thread.parent_author", in.Thread.ParentAuthor), ParentText: clip(clean(in.Thread.ParentText), 64<<10),
		},
		Metrics:     mention.Metrics{Likes: in.Metrics.Likes, Reposts: in.Metrics.Reposts, Replies: in.Metrics.Replies},
		PublishedAt: in.PublishedAt.UTC(), EditedAt: in.EditedAt.UTC(), Deleted: in.Deleted,
	}
	if p.NativeID == "" {
		bad("id", "required: your own id of the post, the same when you send it again")
	}
	if !slug.MatchString(p.Platform) {
		bad("platform", "%q must be a lower-case word of at most 32 letters, digits, - and _", clip(p.Platform, 40))
	}
	if p.Kind == "" {
		p.Kind = mention.KindPost
		if p.Rating != 0 {
			p.Kind = mention.KindReview
		}
	}
	if !slices.Contains([]mention.Kind{mention.KindPost, mention.KindReview, mention.KindArticle, mention.KindNote}, p.Kind) {
		bad("kind", "%q is not one of post, review, article, note", clip(in.Kind, 40))
	}
	if p.Rating < 0 || p.Rating > 5 {
		bad("rating", "must be 1 to 5, or left out")
	}
	if p.Content() == "" && !p.Deleted {
		bad("text", "required, unless there is a title")
	}
	if p.PublishedAt.Before(epoch) && !(p.Deleted && p.PublishedAt.IsZero()) {
		bad("published_at", "required, as 2026-01-31T09:30:00+09:00 or in seconds since 1970")
	}
	if p.Deleted {
		p.Title, p.Text, p.Author, p.Media = "", "", mention.Author{}, nil
	}
	for i, b := range in.Brands {
		if !slug.MatchString(b) {
			bad(fmt.Sprintf("brands[%d]", i), "%q is not the id of a brand", clip(b, 40))
		}
	}
	if len(in.Media) > maxMedia {
		bad("media", "more than %d", maxMedia)
	}
	for i, m := range in.Media[:min(len(in.Media), maxMedia)] {
		key := fmt.Sprintf("media[%d]", i)
		if m.URL == "" {
			bad(key+".url", "required")
		}
		t := mention.MediaType(cmp.Or(m.Type, "other"))
		if !slices.Contains([]mention.MediaType{mention.Image, mention.Video, mention.Audio, mention.Other}, t) {
			bad(key+".type", "%q is not one of image, video, audio, other", clip(m.Type, 40))
		}
		p.Media = append(p.Media, mention.Media{Type: t, URL: address(key+".url", m.URL), Alt: clip(clean(m.Alt), 2000)})
	}
	for _, c := range []struct {
		key string
		n   *int64
	}{{"author.followers", p.Author.Followers}, {"metrics.likes", p.Metrics.Likes}, {"metrics.reposts", p.Metrics.Reposts}, {"metrics.replies", p.Metrics.Replies}} {
		if c.n != nil && *c.n < 0 {
			bad(c.key, "must not be negative")
		}
	}
	return p, errors.Join(errs...)
}

// contentID is the id of a post in a file that gives none: the same content
// has the same, so that importing a file twice is harmless.
func (in *intakePost) contentID() string {
	return "#" + hash(in.Author.ID, in.Author.Handle, in.Author.Name, in.Title, in.Text, in.PublishedAt.UTC().Format(time.RFC3339Nano), in.Place.ID, in.Place.Name)
}

// jsonTime is a time as RFC 3339, or as a number of seconds or milliseconds
// since 1970.
type jsonTime struct{ time.Time }

func (t *jsonTime) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	if text == "null" || text == "" {
		return nil
	}
	parsed, err := parseTime(text, time.UTC)
	if err != nil || raw[0] == '"' && !strings.Contains(text, "-") {
		return config.Invalid("", "%q is not a time; write it as 2026-01-31T09:30:00+09:00", clip(text, 60))
	}
	t.Time = parsed
	return nil
}

// parseTime reads the forms in which files give times; those without a zone
// are in loc.
func parseTime(text string, loc *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		switch {
		case n >= 1e9 && n < 1e11:
			return time.UnixMilli(int64(n * 1000)).UTC(), nil
		case n >= 1e11 && n < 1e14:
			return time.UnixMilli(int64(n)).UTC(), nil
		}
	}
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02",
		"2006/1/2 15:04:05", "2006/1/2 15:04", "2006/1/2", "2006年1月2日 15時04分", "2006年1月2日 15:04", "2006年1月2日",
	} {
		if t, err := time.ParseInLocation(layout, text, loc); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, config.Invalid("", "%q is not a time; write it as 2026-01-31T09:30:00+09:00", clip(text, 60))
}

// decodeStrict decodes one JSON object. Its errors name the field.
func decodeStrict(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, err := dec.Token(); err != io.EOF {
			return config.Invalid("", "more after the end of the object")
		}
		return nil
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if t.Field == "" {
			return config.Invalid("", "must be an object, not a %s", config.JSONValue(t))
		}
		return config.Invalid(t.Field, "must be %s, not a %s", jsonName(t.Type.String()), config.JSONValue(t))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return config.Invalid(strings.Trim(clip(name, 100), `"`), "unknown field")
	}
	if _, ok := errors.AsType[*config.FieldError](err); ok { // of jsonTime
		return config.At("published_at or edited_at", err)
	}
	return config.Invalid("", "not valid JSON: %v", err)
}

func jsonName(goType string) config.Word {
	switch strings.TrimPrefix(goType, "*") {
	case "string":
		return config.Word("a string")
	case "int", "int64":
		return config.Word("a whole number")
	case "float64":
		return config.Word("a number")
	case "bool":
		return config.Word("true or false")
	}
	if strings.HasPrefix(goType, "[]") {
		return config.Word("an array")
	}
	return config.Word("an object")
}
