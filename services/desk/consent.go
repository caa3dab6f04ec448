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
	On                               bool // the source is switched on afterwards
}

func (c *call) sessionMark() string {
	sum := sha256.Sum256([]byte("consent " + c.session))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// askConsent sends the browser to the platform's page.
func (c *call) askConsent() error {
	v, kind, err := c.wantedConnection(sourceFamily().called(c.l))
	if err != nil {
		return err
	}
	if v.id == "" || kind == nil {
		return errNotFound
	}
	return c.goToPlatform(v, kind, v.off && c.form("on") == "yes")
}

// goToPlatform prepares the way to the page on which a person lets v in, and
// sends the browser there; v is switched on when it comes back with a yes, if on
// says so. Where the settings want no consent that is done at once.
func (c *call) goToPlatform(v connected, kind *kindView, on bool) error {
	out := consenting{v.id, rand.Text(), oauth2.GenerateVerifier(), c.sessionMark(), on}
	ctx, cancel := c.within(consentTime)
	defer cancel()
	page, err := bus.Ask[source.Consenting, string](ctx, c.Bus, "fetcher", "consent", source.Consenting{
		Source: v.id, Version: settings.Sources.Version(c.Settings, v.id), Redirect: c.base(c.r) + consentPath, State: out.State, Verifier: out.Verifier,
	})
	if err != nil {
		return c.notConnected(v, kind, c.askedInVain(err))
	}
	if page == "" {
		if on {
			if err := c.switchOn(v.id); err != nil {
				return err
			}
		}
		c.flash(&flash{Text: c.l.say("consent.unneeded")})
		return c.back("/sources/" + v.id)
	}
	to, err := url.Parse(page)
	if err != nil || to.Scheme != "https" && to.Scheme != "http" {
		return c.notConnected(v, kind, &notice{Kind: "error", Title: c.l.say("source.in_vain"), Text: c.l.say("consent.no_page")})
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return err
	}
	c.setConsentCookie(base64.RawURLEncoding.EncodeToString(raw), consentLife)
	// Answering a form with a redirect to another site is what our policy
	// forbids; a page that goes on by itself is not.
	c.w.Header().Set("Refresh", "0; url="+to.String())
	return c.showSource(http.StatusOK, v, kind, nil, func(p *sourceView) {
		if p.Consent != nil {
			p.Consent.Go, p.Consent.Host = page, to.Host
		}
	})
}

// notConnected shows a source and why nobody has let it in, and what is so all
// the same.
func (c *call) notConnected(v connected, kind *kindView, why *notice) error {
	if why.Kept = c.l.say("consent.refused_text"); v.off {
		why.Kept = c.l.say("consent.kept_off")
	}
	return c.showSource(http.StatusUnprocessableEntity, v, kind, nil, func(p *sourceView) { p.Notice = why })
}

// switchOn has a source fetch. It is read again: it may have been edited while the
// platform was asked.
func (c *call) switchOn(id string) error {
	s := sourceFamily()
	version := s.version(c.Settings, id)
	v, ok := s.get(c.Settings, id)
	if !ok {
		return errNotFound
	}
	v.off = false
	return s.put(c, v, version)
}

// connectedNotice says who has just let a source in.
func (c *call) connectedNotice(page *sourceView) *notice {
	say := c.l.say
	n := &notice{Kind: "info", Title: say("consent.done"), Text: say("consent.done_text")}
	if page.Consent.Account != "" {
		n.Title = say("consent.done_as", page.Consent.Account)
	}
	if page.State != nil && page.State.State == "off" {
		n.Text = say("consent.done_off")
	}
	return n
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
	if q.Get("code") == "" {
		why := q.Get("error_description")
		if why == "" {
			why = q.Get("error")
		}
		return c.notConnected(v, kind, &notice{Kind: "error", Title: c.l.say("consent.refused"), Text: text.Cut(why, 300)})
	}
	ctx, cancel := c.within(consentTime)
	defer cancel()
	g, err := bus.Ask[source.Consenting, source.Granted](ctx, c.Bus, "fetcher", "consented", source.Consenting{
		Source: was.Source, Version: settings.Sources.Version(c.Settings, was.Source),
		Redirect: c.base(c.r) + consentPath, Verifier: was.Verifier, Code: q.Get("code"), By: c.viewer.Actor(),
	})
	switch {
	case err != nil:
		return c.notConnected(v, kind, c.askedInVain(err))
	case g.Other:
		c.Log.Warn("another account has consented than is wanted", "source", was.Source, "account", g.Account, "by", c.viewer.Actor())
		n := &notice{Kind: "error", Title: c.l.say("consent.other", g.Account), Text: c.l.say("consent.other_text"), Trouble: c.l.trouble(g.Trouble, g.Error, time.Time{})}
		if g.Account == "" {
			n.Title = c.l.say("source.in_vain")
		}
		return c.notConnected(v, kind, n)
	case g.Error != "":
		return c.notConnected(v, kind, &notice{Kind: "error", Title: c.l.say("source.in_vain"), Trouble: c.l.trouble(g.Trouble, g.Error, time.Time{})})
	}
	c.Log.Info("a source was connected", "source", was.Source, "account", g.Account, "by", c.viewer.Actor())
	if was.On && v.off {
		if err := c.switchOn(v.id); err != nil {
			return err
		}
	}
	return c.back("/sources/" + was.Source + "?connected=yes")
}

// consentFirst is what the platform must know before anybody can be asked.
func (c *call) consentFirst() *consentView {
	return &consentView{Redirect: c.base(c.r) + consentPath, Guessed: c.Public == ""}
}

// consentOf is the consent of a source in words.
func (c *call) consentOf(id string, a source.Abilities) *consentView {
	if !a.Consents {
		return nil
	}
	v := c.consentFirst()
	v.Action, v.Trouble = "/sources/"+id+"/consent", c.l.trouble(a.Trouble, a.Error, time.Time{})
	if s, ok := settings.Sources.Get(c.Settings, id); ok {
		v.On = s.Off && a.Since.IsZero()
	}
	if !a.Since.IsZero() {
		v.Since, v.Account = c.l.at(a.Since), a.Account
		if s, ok := settings.Staff.Get(c.Settings, a.By); ok {
			v.By = s.Name
		}
	}
	return v
}
