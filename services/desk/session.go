package desk

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
)

func (c *call) home() error { return c.back("/queue") }

// decides is a right that the caller has when rules are theirs to edit.
func decides(c *call) identity.Action {
	if c.viewer.Can(identity.Playbook, identity.AllBrands) {
		return identity.Playbook
	}
	return identity.Rule
}

// nav is the rail: the pages the caller has a right to.
func (c *call) nav(path string) []navGroup {
	counts := c.counts()
	item := func(name, key string, a identity.Action, urgent bool) []navItem {
		if a != "" && !c.viewer.CanSomewhere(a) {
			return nil
		}
		href := "/" + name
		return []navItem{{
			Name: name, Label: c.l.say("nav." + name), Href: href, Key: key, Count: counts[name], Urgent: urgent,
			On: path == href || strings.HasPrefix(path, href+"/"), Bar: slices.Contains(barred, name),
		}}
	}
	var groups []navGroup
	add := func(label string, lists ...[]navItem) {
		g := navGroup{Label: c.l.say(label)}
		for _, l := range lists {
			g.Items = append(g.Items, l...)
		}
		if len(g.Items) > 0 {
			groups = append(groups, g)
		}
	}
	add("nav.work", item("queue", "q", identity.View, false), item("escalations", "e", identity.View, true), item("board", "l", identity.View, false), item("shift", "h", identity.View, false), item("figures", "k", identity.View, false), item("outbox", "u", identity.View, true), item("notices", "i", identity.View, false), item("note", "n", identity.Comment, false))
	add("nav.library", item("templates", "t", identity.View, false), item("wishes", "w", identity.View, false), item("brands", "b", identity.View, false))
	var sandbox []navItem
	if c.Sandbox {
		sandbox = item("sandbox", "x", identity.View, false)
	}
	add("nav.operate", item("sources", "s", identity.View, true), item("notifiers", "o", identity.Configure, false), item("dead", "d", identity.Configure, true), item("rules", "r", decides(c), false), item("quality", "f", identity.Quality, false), item("staff", "p", identity.Manage, false), sandbox)
	return groups
}

func (c *call) signIn() error {
	if c.viewer.Actor() != "" {
		return c.back(c.r.URL.Query().Get("next"))
	}
	return c.showSignIn(http.StatusOK, "", "", c.r.URL.Query().Get("next"))
}

func (c *call) showSignIn(status int, email, wrong, next string) error {
	v := &signInView{
		frame: c.frame(c.l.say("signin.title"), "/sign-in"), Action: "/sign-in", Button: c.l.say("signin.button"), Error: wrong, Next: next,
		Provider: c.providerButton(next), Folded: c.SignIn.Passwords == "emergency" && email == "",
		Fields: []field{
			{Name: "email", Label: c.l.say("signin.email"), Type: "email", Value: email, Required: true, Auto: "username"},
			{Name: "password", Label: c.l.say("signin.password"), Type: "password", Required: true, Auto: "current-password"},
		},
	}
	if c.r.URL.Query().Get("out") != "" && c.provider != nil {
		v.Lead = c.l.say("signin.out")
		if page := c.provider.id.SignOutPage(); page != "" {
			v.Links = []link{{c.l.say("signin.out_too", c.providerLabel()), page}}
		}
	}
	return c.show(status, "signin", "page", v)
}

func (c *call) doSignIn() error {
	email, next := c.form("email"), c.form("next")
	account := email
	if !c.byPassword(email) {
		account = "not by password " + email // takes as long, and is nobody's
	}
	secret, pending, err := c.Gate.SignIn(c.ctx, account, c.r.PostFormValue("password"), c.from(), c.entry(identity.ByPassword))
	if _, slow := errors.AsType[*identity.ThrottledError](err); slow {
		return c.showSignIn(http.StatusTooManyRequests, email, c.l.say("signin.slow"), next)
	}
	if errors.Is(err, identity.ErrRefused) {
		return c.showSignIn(http.StatusUnprocessableEntity, email, c.l.say("signin.wrong"), next)
	}
	if err != nil {
		return err
	}
	if pending != nil {
		return c.askCode(pending, next)
	}
	c.learnZone()
	c.setSession(secret)
	return c.back(next)
}

// entry is how the caller comes in.
func (c *call) entry(via identity.Via) identity.Entry {
	return identity.Entry{Agent: c.r.UserAgent(), Via: via}
}

// learnZone keeps the time zone that the browser told while signing in, unless
// the person has chosen one.
func (c *call) learnZone() {
	zone := c.form("zone")
	if c.look.Zone != "" || zone == "" || len(zone) > 64 {
		return
	}
	if _, err := time.LoadLocation(zone); err == nil {
		c.look.Zone = zone
		c.look.write(c.w, c.secure())
	}
}

func (c *call) setSession(secret string) {
	cookie := &http.Cookie{
		Name: sessionCookie, Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: c.secure(), MaxAge: int(identity.SessionLife / time.Second),
	}
	if secret == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(c.w, cookie)
}

func (c *call) signOut() error {
	if c.session != "" {
		if err := c.Gate.SignOut(c.ctx, c.session); err != nil {
			return err
		}
	}
	c.setSession("")
	if c.place.Via == identity.ByOpenID {
		return c.back("/sign-in?out=yes") // which offers to sign out there too
	}
	return c.back("/sign-in")
}

func (c *call) signOutEverywhere() error {
	if err := c.Gate.EndSessions(c.ctx, c.viewer.Actor(), c.staff.ID); err != nil {
		return err
	}
	c.setSession("")
	return c.back("/sign-in")
}

// setup makes the first administrator.
func (c *call) setup() error {
	if err := c.Gate.CheckLink(c.ctx, identity.Setup, identity.SetupSubject, c.r.PathValue("secret")); err != nil {
		return c.deadLink(err, "setup.used", "setup.used_text")
	}
	return c.showSetup(http.StatusOK, nil)
}

// deadLink says that a one-time link is no longer good.
func (c *call) deadLink(err error, title, text string) error {
	if !errors.Is(err, identity.ErrLink) {
		return err
	}
	return c.show(http.StatusGone, "error", "page", &errorView{
		frame: c.frame(c.l.say(title), c.r.URL.Path), Code: http.StatusGone,
		Notice: notice{Title: c.l.say(title), Text: c.l.say(text), Links: []link{{c.l.say("signin.title"), "/sign-in"}}},
	})
}

func (c *call) showSetup(status int, wrong map[string]string) error {
	f := func(name, label, kind, auto, hint string) field {
		v := field{Name: name, Label: c.l.say(label), Type: kind, Required: true, Auto: auto, Error: wrong[name]}
		if kind != "password" {
			v.Value = c.form(name)
		}
		if hint != "" {
			v.Hint = c.l.say(hint)
		}
		return v
	}
	return c.show(status, "signin", "page", &signInView{
		frame: c.frame(c.l.say("setup.title"), "/setup"), Lead: c.l.say("setup.lead"), Action: c.r.URL.Path, Button: c.l.say("setup.button"),
		Fields: []field{
			f("name", "me.name", "text", "name", ""), f("email", "signin.email", "email", "username", ""),
			f("password", "me.password_new", "password", "new-password", "me.password_hint"),
		},
	})
}

func (c *call) doSetup() error {
	name, email, password := c.form("name"), c.form("email"), c.r.PostFormValue("password")
	wrong := map[string]string{}
	for k, v := range map[string]string{"name": name, "email": email} {
		if v == "" {
			wrong[k] = c.l.say("form.required")
		}
	}
	if !strings.Contains(email, "@") {
		wrong["email"] = c.l.say("form.email")
	}
	if err := identity.CheckPassword(password, email); err != nil {
		wrong["password"] = c.l.say("form.password", identity.MinPassword)
	}
	if len(wrong) > 0 {
		return c.showSetup(http.StatusUnprocessableEntity, wrong)
	}
	everywhere := []string{identity.AllBrands}
	s := identity.Staff{
		ID: staffID(email), Email: email, Name: name, Lang: c.l.lang,
		Grants: []identity.Grant{{Role: identity.Admin, Brands: everywhere}, {Role: identity.PRLead, Brands: everywhere}},
	}
	err := c.Gate.Redeem(c.ctx, identity.Setup, identity.SetupSubject, c.r.PathValue("secret"), func(ctx context.Context) error {
		if err := settings.Staff.Put(ctx, c.Settings, identity.ActorSystem, s.ID, settings.Staff.Version(c.Settings, s.ID), s); err != nil {
			return err
		}
		return c.Gate.SetPassword(ctx, s.ID, s, password)
	})
	if err != nil {
		return c.deadLink(err, "setup.used", "setup.used_text")
	}
	return c.enter(s.ID, "/queue", identity.ByPassword)
}

// enter signs in somebody who has just proved who they are.
func (c *call) enter(staff, next string, via identity.Via) error {
	secret, err := c.Gate.Begin(c.ctx, staff, c.entry(via))
	if err != nil {
		return err
	}
	c.learnZone()
	c.setSession(secret)
	return c.back(next)
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// staffID makes an id from the part of an e-mail address before the @.
func staffID(email string) string {
	local, _, _ := strings.Cut(strings.ToLower(email), "@")
	id := strings.Trim(notSlug.ReplaceAllString(local, "-"), "-")
	if id == "" {
		id = "staff-" + newID()[:6]
	}
	return id[:min(len(id), 40)]
}

// welcome is where a forgotten password leads: one chooses another and is in,
// after the second factor where there is one.
func (c *call) welcome() error {
	id := c.r.PathValue("staff")
	if err := c.Gate.CheckLink(c.ctx, identity.Reset, id, c.r.PathValue("secret")); err != nil {
		return c.deadLink(err, "invite.used", "invite.used_text")
	}
	return c.showWelcome(http.StatusOK, "")
}

func (c *call) showWelcome(status int, wrong string) error {
	return c.show(status, "signin", "page", &signInView{
		frame: c.frame(c.l.say("welcome.title"), "/welcome"), Lead: c.l.say("invite.lead"), Action: c.r.URL.Path, Button: c.l.say("invite.button"),
		Fields: []field{{Name: "password", Label: c.l.say("me.password_new"), Type: "password", Hint: c.l.say("me.password_hint"), Required: true, Auto: "new-password", Error: wrong}},
	})
}

func (c *call) doWelcome() error {
	s, ok := settings.Staff.Get(c.Settings, c.r.PathValue("staff"))
	if !ok || s.Disabled {
		return errNotFound
	}
	if !c.byPassword(s.Email) {
		return errForbidden
	}
	password := c.r.PostFormValue("password")
	if err := identity.CheckPassword(password, s.Email); err != nil {
		return c.showWelcome(http.StatusUnprocessableEntity, c.l.say("form.password", identity.MinPassword))
	}
	err := c.Gate.Redeem(c.ctx, identity.Reset, s.ID, c.r.PathValue("secret"), func(ctx context.Context) error {
		return c.Gate.SetPassword(ctx, s.ID, s, password)
	})
	if err != nil {
		return c.deadLink(err, "invite.used", "invite.used_text")
	}
	if cred, _ := settings.Credentials.Get(c.Settings, s.ID); cred.Second != nil {
		// The link stands for the password alone.
		return c.askCode(&identity.Pending{Account: identity.FoldEmail(s.Email), Staff: s.ID, At: c.Now()}, "/queue")
	}
	return c.enter(s.ID, "/queue", identity.ByPassword)
}
