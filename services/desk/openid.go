package desk

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
)

const (
	openIDCookie = "earshot-openid"
	openIDPath   = "/sign-in/openid"
	openIDSeal   = "openid"
	// openIDLife is how long the provider's page may be open.
	openIDLife = 15 * time.Minute
)

// provider signs people in who have their accounts elsewhere.
type provider struct {
	id     *identity.OpenID
	cfg    config.OpenID
	grants identity.Grants // by group; none leave roles alone
	usual  identity.Grant  // of an account that comes without an invitation
}

// newProvider is nil without a provider.
func newProvider(o *Options) (*provider, error) {
	cfg := o.SignIn.OpenID
	if cfg.Issuer == "" {
		return nil, nil
	}
	grants, err := identity.ParseGrants(cfg.Roles)
	if err != nil {
		return nil, fmt.Errorf("sign_in.openid.roles: %w", err)
	}
	usual, err := identity.ParseGrant(cfg.DefaultRole)
	if err != nil {
		return nil, fmt.Errorf("sign_in.openid.default_role: %w", err)
	}
	return &provider{
		id: identity.NewOpenID(identity.OpenIDOptions{
			Issuer: cfg.Issuer, Client: cfg.Client, Secret: cfg.Secret.Reveal, Scopes: cfg.Scopes, Groups: cfg.GroupsClaim, TrustEmail: cfg.TrustEmail,
			HTTP: o.HTTP.HTTPClient(), Now: o.Now,
		}),
		cfg: cfg, grants: grants, usual: usual,
	}, nil
}

// providerLabel is what people call the provider.
func (c *call) providerLabel() string {
	if c.provider == nil {
		return ""
	}
	return c.provider.cfg.Label
}

// providerButton is the way to the provider's page; nil without one.
func (c *call) providerButton(next string) *link {
	if c.provider == nil {
		return nil
	}
	to := link{c.l.say("signin.by", c.provider.cfg.Label), openIDPath}
	if next = ownPath(next); next != "/queue" {
		to.Href += "?next=" + url.QueryEscape(next)
	}
	return &to
}

// byPassword tells whether who has this address may sign in by password.
func (c *call) byPassword(email string) bool {
	return c.SignIn.Passwords != "emergency" || c.emergency(email)
}

// emergency tells whether an address is that of an administrator for emergencies.
func (c *call) emergency(email string) bool {
	return slices.ContainsFunc(c.SignIn.Emergency, func(e string) bool { return identity.FoldEmail(e) == identity.FoldEmail(email) })
}

// checkEmergency warns where nobody could come in while the provider is away.
func (d *Desk) checkEmergency() {
	if d.SignIn.Passwords != "emergency" {
		return
	}
	for _, e := range d.SignIn.Emergency {
		s, ok := settings.Directory{Store: d.Settings}.StaffByEmail(identity.FoldEmail(e))
		cred, _ := settings.Credentials.Get(d.Settings, s.ID)
		if ok && administers(&s) && cred.Password != "" {
			return
		}
	}
	d.Log.Warn("none of sign_in.emergency is an administrator with a password: nobody could come in while the provider is away; earshot staff link makes one")
}

// toProvider sends the browser to the provider's page.
func (c *call) toProvider() error {
	if c.provider == nil {
		return errNotFound
	}
	page, flow, err := c.provider.id.Start(c.ctx, c.base(c.r)+openIDPath+"/callback")
	if err != nil {
		return c.notByProvider(err)
	}
	flow.Next = ownPath(c.r.URL.Query().Get("next"))
	sealed, err := c.Signer.Seal(openIDSeal, flow, c.l.now.Add(openIDLife))
	if err != nil {
		return err
	}
	c.setOpenIDCookie(sealed)
	http.Redirect(c.w, c.r, page, http.StatusSeeOther)
	return nil
}

// The cookie has to come along when the provider sends the browser back, so it is
// Lax.
func (c *call) setOpenIDCookie(value string) {
	cookie := &http.Cookie{
		Name: openIDCookie, Value: value, Path: openIDPath, MaxAge: int(openIDLife / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.secure(),
	}
	if value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(c.w, cookie)
}

// notByProvider says why the provider let nobody in.
func (c *call) notByProvider(err error) error {
	told, ok := errors.AsType[*identity.OpenIDError](err)
	if !ok {
		return err
	}
	c.Log.Warn("nobody came in by the provider", "error", err)
	return c.showSignIn(http.StatusUnprocessableEntity, "", c.l.say("openid.failed", c.providerLabel(), told.Text), "")
}

// fromProvider is where the provider sends the browser back to.
func (c *call) fromProvider() error {
	if c.provider == nil {
		return errNotFound
	}
	var flow identity.Flow
	if cookie, err := c.r.Cookie(openIDCookie); err == nil {
		_ = c.Signer.Unseal(openIDSeal, cookie.Value, c.l.now, &flow) // a stray answer has an empty flow, which fits no state
	}
	c.setOpenIDCookie("")
	claims, err := c.provider.id.Finish(c.ctx, flow, c.base(c.r)+openIDPath+"/callback", c.r.URL.Query())
	if err != nil {
		return c.notByProvider(err)
	}
	s, why, err := c.whoIs(&claims)
	if err != nil {
		return err
	}
	if why != "" {
		c.Log.Warn("nobody came in by the provider", "reason", why, "subject", claims.Subject)
		return c.showSignIn(http.StatusForbidden, "", c.l.say(why, claims.Email, c.providerLabel()), "")
	}
	if err := c.followGroups(&s, &claims); err != nil {
		return err
	}
	return c.enter(s.ID, flow.Next, identity.ByOpenID)
}

// whoIs finds whose account claims are: by the provider's own id, else by an
// address that the provider vouches for, of somebody who has an account, was
// invited, or is of a domain whose people get one. Otherwise why is the text that
// says why not.
func (c *call) whoIs(claims *identity.Claims) (s identity.Staff, why string, err error) {
	if s, ok := c.Gate.BySubject(claims.Issuer, claims.Subject); ok {
		if s.Disabled {
			return s, "openid.off", nil
		}
		return s, "", nil
	}
	if claims.Email == "" || !claims.Verified {
		return s, "openid.unverified", nil
	}
	dir := settings.Directory{Store: c.Settings}
	s, known := dir.StaffByEmail(identity.FoldEmail(claims.Email))
	if known && s.Disabled {
		return s, "openid.off", nil
	}
	if !known {
		i, invited := c.invitationTo(claims.Email)
		if !invited && !c.comesByDomain(claims) {
			return s, "openid.nobody", nil
		}
		if !invited {
			i = identity.Invitation{ID: c.freeID(claims.Email), Email: claims.Email, Name: claims.Name, Lang: c.l.lang, Grants: []identity.Grant{c.provider.usual}}
			if claims.HasGroups && len(c.provider.grants) > 0 {
				i.Grants = c.provider.grants.Of(claims.Groups)
			}
		}
		if err := c.welcomeStaff(c.ctx, &i); err != nil {
			return s, "", err
		}
		if invited {
			if err := c.forgetInvitation(c.ctx, i.ID, i.ID); err != nil {
				return s, "", err
			}
		}
		s = i.Staff()
		c.Log.Info("an account was made by the provider's word", "staff", s.ID, "invited", invited)
	}
	err = c.Gate.Link(c.ctx, s.ID, s.ID, *claims)
	if errors.Is(err, identity.ErrLinked) {
		return s, "openid.linked", nil
	}
	return s, "", err
}

// comesByDomain tells whether somebody gets an account for their address alone:
// with groups that decide, one of them has to give a role.
func (c *call) comesByDomain(claims *identity.Claims) bool {
	_, domain, _ := strings.Cut(identity.FoldEmail(claims.Email), "@")
	if !slices.ContainsFunc(c.provider.cfg.Domains, func(d string) bool { return strings.EqualFold(d, domain) }) {
		return false
	}
	return len(c.provider.grants) == 0 || !claims.HasGroups || len(c.provider.grants.Of(claims.Groups)) > 0
}

// followGroups gives somebody the roles of their groups. Administrators for
// emergencies keep theirs, and so does the last one there is.
func (c *call) followGroups(s *identity.Staff, claims *identity.Claims) error {
	if len(c.provider.grants) == 0 || !claims.HasGroups || c.emergency(s.Email) {
		return nil
	}
	grants := c.provider.grants.Of(claims.Groups)
	if administers(s) && !administers(&identity.Staff{Grants: grants}) && c.lastAdmin(s.ID) {
		c.Log.Warn("the last administrator keeps the role though no group gives it", "staff", s.ID)
		grants = append(grants, identity.Grant{Role: identity.Admin, Brands: []string{identity.AllBrands}})
	}
	if reflect.DeepEqual(grants, s.Grants) {
		return nil
	}
	s.Grants = grants
	return settings.Staff.Put(c.ctx, c.Settings, identity.ActorSystem, s.ID, settings.Staff.Version(c.Settings, s.ID), *s)
}

// administers tells whether s runs the whole installation.
func administers(s *identity.Staff) bool {
	return !s.Disabled && slices.ContainsFunc(s.Grants, func(g identity.Grant) bool {
		return g.Role == identity.Admin && slices.Contains(g.Brands, identity.AllBrands)
	})
}

// lastAdmin tells whether nobody but the person of this id runs the installation.
func (c *call) lastAdmin(id string) bool {
	return !slices.ContainsFunc(settings.Staff.List(c.Settings), func(s identity.Staff) bool { return s.ID != id && administers(&s) })
}

// unlinkPerson takes the accounts at providers away from somebody.
func (c *call) unlinkPerson() error {
	s, isNew, err := c.wantedPerson()
	if err != nil {
		return err
	}
	if isNew {
		return errNotFound
	}
	if err := c.Gate.Unlink(c.ctx, c.viewer.Actor(), s.ID); err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say("openid.unlinked", s.Name)})
	if s.ID == c.staff.ID {
		if err := c.renewSession(); err != nil {
			return err
		}
	}
	return c.back("/staff/" + s.ID)
}
