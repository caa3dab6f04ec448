package desk

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/pkg/text"
)

// A person lets a source in on the platform's own page: the desk sends the
// browser there with a state and a challenge, the platform sends it back with a
// code, and the fetcher trades the code for a token. What the browser has to
// bring back lies in a cookie, bound to the session that set out.

const (
	consentCookie = "earshot-consent"
	consentPath   = "/sources/consent/callback"
	// consentLife is how long the platform's page may be open.
	consentLife = 15 * time.Minute
	// consentTime bounds what the fetcher does in between.
	consentTime = 40 * time.Second
)

// consenting is what the cookie holds.
type consenting struct {
	Source, State, Verifier, Session string
}

func (c *call) sessionMark() string {
	sum := sha256.Sum256([]byte("consent " + c.session))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// askConsent prepares the way to the platform's page and shows it.
func (c *call) askConsent() error {
	v, kind, err := c.wantedConnection(sourceFamily().called(c.l))
	if err != nil {
		return err
	}
	if v.id == "" || kind == nil {
		return errNotFound
	}
	out := consenting{v.id, rand.Text(), oauth2.GenerateVerifier(), c.sessionMark()}
	ctx, cancel := c.within(consentTime)
	defer cancel()
	page, err := bus.Ask[source.Consenting, string](ctx, c.Bus, "fetcher", "consent", source.Consenting{
		Source: v.id, Redirect: c.base(c.r) + consentPath, State: out.State, Verifier: out.Verifier,
	})
	if err != nil {
		return c.showSource(http.StatusUnprocessableEntity, v, kind, nil, func(p *sourceView) { p.Notice = c.askedInVain(err) })
	}
	to, err := url.Parse(page)
	if err != nil || to.Scheme != "https" && to.Scheme != "http" {
		return &inputError{c.l.say("consent.no_page")}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return err
	}
	c.setConsentCookie(base64.RawURLEncoding.EncodeToString(raw), consentLife)
	return c.showSource(http.StatusOK, v, kind, nil, func(p *sourceView) {
		if p.Consent != nil {
			p.Consent.Go, p.Consent.Host = page, to.Host
		}
	})
}

// The cookie has to come along when the platform sends the browser back, so it
// is Lax.
func (c *call) setConsentCookie(value string, life time.Duration) {
	cookie := &http.Cookie{
		Name: consentCookie, Value: value, Path: consentPath, MaxAge: int(life / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.secure(),
	}
	if value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(c.w, cookie)
}

// consented is where the platform sends the browser back to.
func (c *call) consented() error {
	if err := c.configures(); err != nil {
		return err
	}
	var was consenting
	if cookie, err := c.r.Cookie(consentCookie); err == nil {
		if raw, err := base64.RawURLEncoding.DecodeString(cookie.Value); err == nil {
			_ = json.Unmarshal(raw, &was)
		}
	}
	q := c.r.URL.Query()
	same := func(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	if was.State == "" || !same(was.State, q.Get("state")) || !same(was.Session, c.sessionMark()) {
		return &inputError{c.l.say("consent.stray")}
	}
	c.setConsentCookie("", 0)
	c.r.SetPathValue("id", was.Source)
	v, kind, err := c.wantedConnection(sourceFamily().called(c.l))
	if err != nil {
		return err
	}
	if kind == nil {
		return errNotFound
	}
	vain := func(n *notice) error {
		return c.showSource(http.StatusUnprocessableEntity, v, kind, nil, func(p *sourceView) { p.Notice = n })
	}
	if q.Get("code") == "" {
		why := q.Get("error_description")
		if why == "" {
			why = q.Get("error")
		}
		return vain(&notice{Kind: "error", Title: c.l.say("consent.refused"), Text: text.Cut(why, 300), Kept: c.l.say("consent.refused_text")})
	}
	ctx, cancel := c.within(consentTime)
	defer cancel()
	if _, err := bus.Ask[source.Consenting, struct{}](ctx, c.Bus, "fetcher", "consented", source.Consenting{
		Source: was.Source, Redirect: c.base(c.r) + consentPath, Verifier: was.Verifier, Code: q.Get("code"), By: c.viewer.Actor(),
	}); err != nil {
		return vain(c.askedInVain(err))
	}
	c.Log.Info("a source was connected", "source", was.Source, "by", c.viewer.Actor())
	return c.back("/sources/" + was.Source + "?connected=yes")
}

// consentOf is the consent of a source in words.
func (c *call) consentOf(id string, a source.Abilities) *consentView {
	if !a.Consents {
		return nil
	}
	v := &consentView{Action: "/sources/" + id + "/consent", Redirect: c.base(c.r) + consentPath, Error: a.Error, Guessed: c.Public == ""}
	if !a.Since.IsZero() {
		v.Since = c.l.at(a.Since)
		if s, ok := settings.Staff.Get(c.Settings, a.By); ok {
			v.By = s.Name
		}
	}
	return v
}
