package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/earshot/earshot/pkg/outbound"
	"github.com/mattn/go-mastodon"
)

// mastodonInstance is what a server tells of itself.
type mastodonInstance struct {
	SourceURL     string `json:"source_url"`
	Configuration struct {
		URLs struct {
			Streaming string `json:"streaming"`
		} `json:"urls"`
		Statuses struct {
			Max int `json:"max_characters"`
			URL int `json:"characters_reserved_per_url"`
		} `json:"statuses"`
	} `json:"configuration"`
}

// Reply publishes r.Text as an answer that mentions the author.
func (m *mastodonSource) Reply(ctx context.Context, r Reply) (Sent, error) {
	ref, err := m.ref(r)
	if err != nil {
		return Sent{}, err
	}
	if _, err := m.signedIn(ctx, r.Account); err != nil {
		return Sent{}, err
	}
	text := addressed(r.Text, ref.Acct)
	limit, err := m.Limit(ctx)
	if err != nil {
		return Sent{}, err
	}
	if !limit.Fits(shortMention(text, ref.Acct)) {
		return Sent{}, TooLong.refuse("mastodon: the reply has %d characters, the server takes %d", limit.Count(shortMention(text, ref.Acct)), limit.Max)
	}
	req, err := m.request(http.MethodPost, "/api/v1/statuses", url.Values{
		"status": {text}, "in_reply_to_id": {ref.ID}, "visibility": {narrower(m.cfg.Visibility, ref.Visibility)},
	})
	if err != nil {
		return Sent{}, fmt.Errorf("mastodon: %w", err)
	}
	req.Header.Set("Idempotency-Key", r.Key)
	var s mastodon.Status
	if err := m.do(ctx, req, &s); err != nil {
		return Sent{}, fmt.Errorf("mastodon: reply: %w", err)
	}
	return sentStatus(s)
}

func sentStatus(s mastodon.Status) (Sent, error) {
	if s.ID == "" {
		return Sent{}, errors.New("mastodon: reply: the server took it but names no status")
	}
	return Sent{URL: webURL(cmp.Or(s.URL, s.URI)), NativeID: cmp.Or(s.URI, string(s.ID)), At: s.CreatedAt.UTC()}, nil
}

// ref reads what the post says about answering it.
func (m *mastodonSource) ref(r Reply) (mastodonRef, error) {
	var ref mastodonRef
	if err := json.Unmarshal([]byte(r.To.ReplyRef), &ref); err != nil || ref.ID == "" || ref.Acct == "" {
		return ref, refuse("mastodon: the post does not say how to answer it")
	}
	if ref.Server != m.cfg.Server {
		return ref, refuse("mastodon: the post was read through %s, this account is on %s", host(ref.Server), host(m.cfg.Server))
	}
	return ref, nil
}

// signedIn returns the account of the token, which must be the one called
// handle unless that is empty.
func (m *mastodonSource) signedIn(ctx context.Context, handle string) (*mastodon.Account, error) {
	if m.cfg.Token.IsZero() {
		return nil, NotGranted.refuse("mastodon: replying needs a token")
	}
	m.mu.Lock()
	self := m.self
	m.mu.Unlock()
	if self == nil {
		self = &mastodon.Account{}
		if err := m.get(ctx, "/api/v1/accounts/verify_credentials", self); err != nil {
			return nil, fmt.Errorf("mastodon: whose token is it: %w", err)
		}
		m.mu.Lock()
		m.self = self
		m.mu.Unlock()
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(handle, "@"), "@")
	if handle != "" && !strings.EqualFold(name, self.Username) {
		return nil, WrongAccount.refuse("mastodon: the reply is for @%s, but the token belongs to @%s", name, self.Username)
	}
	return self, nil
}

// Account is that of the token, on its server.
func (m *mastodonSource) Account(ctx context.Context) (string, error) {
	if m.cfg.Token.IsZero() {
		return "", nil
	}
	self, err := m.signedIn(ctx, "")
	if err != nil || self.Username == "" {
		return "", err
	}
	return "@" + self.Username + "@" + host(m.cfg.Server), nil
}

// Find looks for r among the newest statuses of the account, back to the post
// it answers.
func (m *mastodonSource) Find(ctx context.Context, r Reply) (Sent, error) {
	ref, err := m.ref(r)
	if err != nil {
		return Sent{}, err
	}
	self, err := m.signedIn(ctx, r.Account)
	if err != nil {
		return Sent{}, err
	}
	want := bare(addressed(r.Text, ref.Acct))
	q := url.Values{"limit": {fmt.Sprint(mastodonPage)}, "exclude_reblogs": {"true"}}
	for range mastodonPages {
		var list []mastodon.Status
		if err := m.get(ctx, "/api/v1/accounts/"+url.PathEscape(string(self.ID))+"/statuses?"+q.Encode(), &list); err != nil {
			return Sent{}, fmt.Errorf("mastodon: find reply: %w", err)
		}
		if len(list) == 0 {
			return Sent{}, ErrNotFound
		}
		for _, s := range list {
			text, _ := htmlText(s.Content)
			if id, _ := s.InReplyToID.(string); id == ref.ID && bare(text) == want {
				return sentStatus(s)
			}
		}
		last := list[len(list)-1]
		if last.CreatedAt.Before(r.To.PublishedAt) {
			return Sent{}, ErrNotFound
		}
		q.Set("max_id", string(last.ID))
	}
	return Sent{}, errors.New("mastodon: find reply: too many newer statuses to tell")
}

// Dedupes is an hour on Mastodon itself, which keeps idempotency keys that
// long; other servers ignore them. It is 0 until the server has been asked by
// Limit or Reply.
func (m *mastodonSource) Dedupes() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.instance != nil && strings.Contains(strings.ToLower(m.instance.SourceURL), "/mastodon") {
		return time.Hour
	}
	return 0
}

// Limit asks the server once.
func (m *mastodonSource) Limit(ctx context.Context) (Limit, error) {
	in, err := m.server(ctx)
	if err != nil {
		return Limit{}, fmt.Errorf("mastodon: limits of the server: %w", err)
	}
	s := in.Configuration.Statuses
	return Limit{Max: cmp.Or(s.Max, 500), Unit: Characters, URL: cmp.Or(s.URL, 23)}, nil
}

// server is what the server tells of itself, asked once.
func (m *mastodonSource) server(ctx context.Context) (*mastodonInstance, error) {
	m.mu.Lock()
	in := m.instance
	m.mu.Unlock()
	if in != nil {
		return in, nil
	}
	in = &mastodonInstance{}
	err := m.get(ctx, "/api/v2/instance", in)
	if e, ok := errors.AsType[*outbound.Error](err); ok && e.Status == http.StatusNotFound {
		err = m.get(ctx, "/api/v1/instance", in)
	}
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.instance = in
	return in, nil
}

// addressed returns text with the mention of acct that makes the server notify
// the author.
func addressed(text, acct string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("、。,!?！？:：()（）", r) })
	if slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, "@"+acct) }) {
		return text
	}
	return "@" + acct + " " + text
}

// shortMention is text as the server counts it: of a mention only the name.
func shortMention(text, acct string) string {
	name, _, _ := strings.Cut(acct, "@")
	return strings.Replace(text, "@"+acct, "@"+name, 1)
}

// bare is text as it can be compared after the server has rendered it: its
// letters and digits, without mentions.
func bare(text string) string {
	words := slices.DeleteFunc(strings.Fields(text), func(w string) bool { return strings.HasPrefix(w, "@") })
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, strings.Join(words, ""))
}

// narrower returns the one of two visibilities that fewer people see.
func narrower(a, b string) string {
	order := []string{"public", "unlisted", "private", "direct"}
	i, j := slices.Index(order, a), slices.Index(order, b)
	if j < 0 {
		return "direct"
	}
	return order[max(i, j)]
}
