package desk

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
)

// resetLife is how long the link for another password is good.
const resetLife = 7 * 24 * time.Hour

// manages wants the right over the whole installation: who may make people
// could give themselves every brand.
func (c *call) manages() error { return c.may(identity.Manage, identity.AllBrands) }

func (c *call) people() error {
	if err := c.manages(); err != nil {
		return err
	}
	return c.showPeople(nil)
}

func (c *call) showPeople(secret *secretView) error {
	say := c.l.say
	v := &staffView{frame: c.frame(say("nav.staff"), "/staff"), May: true, Invited: secret, Notice: c.gapNotice(ofPeople)}
	for _, s := range settings.Staff.List(c.Settings) {
		row := staffRow{Href: "/staff/" + s.ID, Login: s.Email, Name: s.Name, Public: s.PublicName, Off: s.Disabled}
		for _, g := range s.Grants {
			row.Roles = append(row.Roles, string(g.Role))
			for _, b := range g.Brands {
				if name := c.brandName(b); b != identity.AllBrands && !slices.Contains(row.Brands, name) {
					row.Brands = append(row.Brands, name)
				}
			}
		}
		v.Rows = append(v.Rows, row)
	}
	for _, i := range settings.Invitations.List(c.Settings) {
		row := invitedRow{
			Name: i.Name, Email: i.Email, By: c.who(i.By), At: c.l.at(i.At), Ends: c.l.at(i.Ends), Sent: i.Sent, Late: !i.Open(c.l.now),
			Resend: "/invitations/" + i.ID + "/resend", Revoke: "/invitations/" + i.ID + "/revoke",
		}
		for _, g := range i.Grants {
			row.Roles = append(row.Roles, string(g.Role))
		}
		v.Open = append(v.Open, row)
	}
	for _, t := range settings.Tokens.List(c.Settings) {
		row := tokenRow{ID: t.ID, Name: t.Name, Scopes: []string{string(t.Scope)}, Created: c.l.at(t.Created), Action: "/tokens/" + t.ID + "/revoke"}
		if used, err := c.Gate.LastUsed(c.ctx, t.ID); err == nil {
			row.Used = c.l.at(used)
		}
		if t.Scope == identity.ScopeIntake {
			row.Key, row.Signs = "/tokens/"+t.ID+"/key", len(t.Keys) > 0
		}
		if !t.Expires.IsZero() {
			row.Expires = c.l.at(t.Expires)
		}
		v.Tokens = append(v.Tokens, row)
	}
	return c.show(http.StatusOK, "staff", "page", v)
}

// wantedPerson is the member of staff of the address; nobody for "new".
func (c *call) wantedPerson() (identity.Staff, bool, error) {
	if err := c.manages(); err != nil {
		return identity.Staff{}, false, err
	}
	id := c.r.PathValue("id")
	if id == "new" {
		return identity.Staff{}, true, nil
	}
	s, ok := settings.Staff.Get(c.Settings, id)
	if !ok {
		return s, false, errNotFound
	}
	return s, false, nil
}

func (c *call) person() error {
	s, isNew, err := c.wantedPerson()
	if err != nil {
		return err
	}
	return c.showPerson(http.StatusOK, s, isNew, nil)
}

func (c *call) showPerson(status int, s identity.Staff, isNew bool, wrong map[string]string) error {
	say := c.l.say
	title := s.Name
	if isNew {
		title = say("staff.invite")
	}
	is, _ := settings.Staff.Get(c.Settings, s.ID)
	gone := is
	gone.Disabled = true
	roles := field{Name: "roles", Label: say("staff.roles"), Type: "check", Error: wrong["roles"]}
	var brands []string
	for _, r := range identity.Roles {
		i := slices.IndexFunc(s.Grants, func(g identity.Grant) bool { return g.Role == r })
		hint := say("role." + string(r) + "_hint")
		if !isNew {
			without := is
			without.Grants = slices.DeleteFunc(slices.Clone(is.Grants), func(g identity.Grant) bool { return g.Role == r })
			hint = sentence(hint, c.wouldTear(settings.Staff.If(c.Settings, s.ID, without)))
		}
		roles.Options = append(roles.Options, option{Value: string(r), Label: say("role." + string(r)), Hint: hint, On: i >= 0})
		if i >= 0 {
			brands = append(brands, s.Grants[i].Brands...)
		}
	}
	v := &formView{
		frame: c.frame(title, "/staff"), Action: "/staff/" + c.r.PathValue("id"), Button: say("me.save"), Back: link{say("nav.staff"), "/staff"},
		Groups: []fieldGroup{{Fields: []field{
			{Name: "name", Label: say("staff.name"), Value: s.Name, Required: true, Error: wrong["name"]},
			{Name: "email", Label: say("signin.email"), Type: "email", Value: s.Email, Required: true, Error: wrong["email"]},
			{Name: "public", Label: say("staff.public"), Value: s.PublicName, Hint: say("staff.public_hint"), Error: wrong["public"]},
			roles,
			{Name: "trained", Label: say("staff.training"), Type: "check", Options: []option{{Value: "on", Label: say("staff.trained"), On: s.Trained}}},
		}}},
	}
	if options := c.brandOptions(identity.Manage, brands...); len(options) > 0 {
		brands := field{Name: "brands", Label: say("staff.brands") + " (" + say("staff.all_brands_hint") + ")", Type: "check", Options: options, Error: wrong["brands"]}
		if !isNew {
			if texts := c.gapTexts(c.Settings.Torn(settings.Staff.If(c.Settings, s.ID, gone))); len(texts) > 0 {
				brands.Hint = sentence(append([]string{say("gap.brand")}, texts...)...)
			}
		}
		v.Groups[0].Fields = append(v.Groups[0].Fields, brands)
	}
	if status == http.StatusConflict {
		v.Notice = c.overtakenNotice()
	}
	if isNew {
		v.Button, v.Lead = say("staff.make_link"), say("staff.invite_lead", int(c.SignIn.Invitation.Hours()/24))
		teams := field{Name: "teams", Label: say("staff.teams"), Type: "check"}
		for _, t := range settings.Teams.List(c.Settings) {
			teams.Options = append(teams.Options, option{Value: t.ID, Label: t.Name, On: slices.Contains(c.r.PostForm["teams"], t.ID)})
		}
		if len(teams.Options) > 0 {
			v.Groups[0].Fields = append(v.Groups[0].Fields, teams)
		}
		lang := field{Name: "lang", Label: say("me.lang"), Type: "select", Required: true}
		for _, l := range langs {
			lang.Options = append(lang.Options, option{Value: l, Label: c.pages.words[l].say("lang.own"), On: l == cmp.Or(c.form("lang"), c.l.lang)})
		}
		v.Groups[0].Fields = append(v.Groups[0].Fields, lang)
	} else {
		v.Hidden = []pair{{"version", itoa(c.based(settings.Staff.Version(c.Settings, s.ID)))}}
		v.Groups[0].Fields = append(v.Groups[0].Fields, field{Name: "off", Label: say("staff.account"), Type: "check", Error: wrong["off"], Options: []option{{Value: "on", Label: say("staff.disable"), Hint: sentence(say("staff.disable_hint"), c.wouldTear(settings.Staff.If(c.Settings, s.ID, gone))), On: s.Disabled}}})
		v.Lead = say("staff.no_password")
		cred, _ := settings.Credentials.Get(c.Settings, s.ID)
		if len(cred.Set) > 0 {
			last := cred.Set[len(cred.Set)-1]
			v.Lead = say("staff.password_set", c.l.at(last.At).Exact(), c.who(last.By))
		} else if cred.Password != "" {
			v.Lead = ""
		}
		if len(cred.Subjects) > 0 {
			v.Lead = say("staff.linked", c.issuerName(cred.Subjects[0].Issuer), c.l.at(cred.Subjects[0].At).Exact())
		}
		if len(cred.Subjects) > 0 {
			v.Sure = append(v.Sure, sureView{say("openid.unlink", c.issuerName(cred.Subjects[0].Issuer)), "/staff/" + s.ID + "/unlink", say("openid.unlink_sure")})
		}
		if cred.Second != nil {
			v.Lead = sentence(v.Lead, say("staff.second", c.l.at(cred.Second.Since).Exact()))
			v.Sure = append(v.Sure, sureView{say("second.reset"), "/staff/" + s.ID + "/second", say("second.reset_sure", s.Name)})
		}
		if c.byPassword(s.Email) {
			v.Danger = &actionView{Label: say("staff.new_link"), Action: "/staff/" + s.ID + "/link"}
		}
	}
	return c.show(status, "form", "page", v)
}

func (c *call) savePerson() error {
	s, isNew, err := c.wantedPerson()
	if err != nil {
		return err
	}
	if err := c.r.ParseForm(); err != nil {
		return err
	}
	s.Name, s.Email, s.PublicName, s.Disabled = c.form("name"), c.form("email"), c.form("public"), c.form("off") == "on"
	s.Trained = c.form("trained") == "on"
	brands := c.r.PostForm["brands"]
	if len(brands) == 0 {
		brands = []string{identity.AllBrands}
	}
	s.Grants = nil
	for _, r := range c.r.PostForm["roles"] {
		g := identity.Grant{Role: identity.Role(r), Brands: brands}
		if g.Role == identity.Admin {
			g.Brands = []string{identity.AllBrands}
		}
		s.Grants = append(s.Grants, g)
	}
	wrong := c.personWrong(&s, isNew)
	if !c.knowsBrands(brands) {
		wrong["brands"] = c.l.say("form.unknown")
	}
	if had, ok := settings.Staff.Get(c.Settings, s.ID); ok && s.Disabled && !had.Disabled {
		why, err := c.inUse(settings.Staff.Kind(), s.ID)
		if err != nil {
			return err
		}
		if why != "" {
			wrong["off"] = why
		}
	}
	if len(wrong) > 0 {
		return c.showPerson(http.StatusUnprocessableEntity, s, isNew, wrong)
	}
	if isNew {
		s.ID = c.freeID(s.Email)
		if c.pages.words[c.form("lang")] != nil {
			s.Lang = c.form("lang")
		}
	}
	if err := s.Validate(); err != nil { // roles and brands, which are chosen
		return &inputError{c.l.say("form.chosen")}
	}
	if isNew {
		teams := slices.DeleteFunc(slices.Clone(c.r.PostForm["teams"]), func(id string) bool {
			_, ok := settings.Teams.Get(c.Settings, id)
			return !ok
		})
		return c.invite(s, teams)
	}
	err = settings.Staff.Put(c.ctx, c.Settings, c.viewer.Actor(), s.ID, c.based(settings.Staff.Version(c.Settings, s.ID)), s)
	if c.overtaken(err) {
		return c.showPerson(http.StatusConflict, s, false, nil)
	}
	if err != nil {
		return err
	}
	done := c.l.say("done.saved")
	if s.Disabled {
		if err := c.Gate.EndSessions(c.ctx, c.viewer.Actor(), s.ID); err != nil {
			return err
		}
		n, err := app.HandBack(c.ctx, c.Index, c.Cases, s.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			done = c.l.say("staff.handed_back", n)
		}
	}
	c.flash(&flash{Text: done})
	return c.back("/staff")
}

// knowsBrands tells whether each of brands is one that rights can be given for.
func (c *call) knowsBrands(brands []string) bool {
	options := c.brandOptions(identity.Manage)
	return !slices.ContainsFunc(brands, func(b string) bool {
		return b != identity.AllBrands && !slices.ContainsFunc(options, func(o option) bool { return o.Value == b })
	})
}

func (c *call) personWrong(s *identity.Staff, isNew bool) map[string]string {
	wrong := map[string]string{}
	c.nameWrong(wrong, s.Name, s.PublicName)
	if !identity.IsEmail(s.Email) {
		wrong["email"] = c.l.say("form.email")
	}
	other, ok := settings.Directory{Store: c.Settings}.StaffByEmail(identity.FoldEmail(s.Email))
	if ok && (isNew || other.ID != s.ID) {
		wrong["email"] = c.l.say("form.taken")
	}
	if _, ok := c.invitationTo(s.Email); ok && isNew {
		wrong["email"] = c.l.say("invite.open_already")
	}
	if len(s.Grants) == 0 {
		wrong["roles"] = c.l.say("staff.no_role")
	}
	if !isNew && s.ID == c.viewer.Actor() && (s.Disabled || !slices.ContainsFunc(s.Grants, func(g identity.Grant) bool { return g.Role == identity.Admin })) {
		wrong["roles"] = c.l.say("staff.not_oneself")
	}
	return wrong
}

// nameWrong says in wrong what can't be the name of somebody, and what not the one
// by which they sign replies, which may be left out.
func (c *call) nameWrong(wrong map[string]string, name, public string) {
	if name == "" {
		wrong["name"] = c.l.say("form.required")
	} else if !identity.IsName(name) {
		wrong["name"] = c.l.say("form.name")
	}
	if public != "" && !identity.IsName(public) {
		wrong["public"] = c.l.say("form.name")
	}
}

// showLink makes a link by which a person chooses a password, and shows it
// once.
func (c *call) showLink(s identity.Staff) error {
	secret, err := c.Gate.IssueLink(c.ctx, identity.Reset, s.ID, resetLife)
	if err != nil {
		return err
	}
	return c.showPeople(&secretView{c.l.say("staff.linked_new", s.Name), c.l.say("staff.invited_text"), c.URL + "/welcome/" + s.ID + "/" + secret})
}

// issuerName is what people call a provider.
func (c *call) issuerName(issuer string) string {
	if c.provider != nil && c.provider.cfg.Issuer == issuer {
		return c.provider.cfg.Label
	}
	return issuer
}

func (c *call) linkPerson() error {
	s, isNew, err := c.wantedPerson()
	if err != nil {
		return err
	}
	if isNew || s.Disabled || !c.byPassword(s.Email) {
		return errNotFound
	}
	return c.showLink(s)
}

func (c *call) newToken() error {
	if err := c.manages(); err != nil {
		return err
	}
	return c.showNewToken(http.StatusOK, nil)
}

func (c *call) showNewToken(status int, wrong map[string]string) error {
	say := c.l.say
	scope := field{Name: "scope", Label: say("token.scopes"), Type: "radio", Error: wrong["scope"]}
	for i, s := range identity.Scopes {
		scope.Options = append(scope.Options, option{Value: string(s), Label: say("scope." + string(s)), On: i == 0})
	}
	fields := []field{{Name: "name", Label: say("token.name"), Value: c.form("name"), Required: true, Error: wrong["name"], Hint: say("token.name_hint")}, scope}
	if options := c.brandOptions(identity.Manage); len(options) > 0 {
		fields = append(fields, field{Name: "brands", Label: say("staff.brands") + " (" + say("staff.all_brands_hint") + ")", Type: "check", Options: options, Error: wrong["brands"]})
	}
	fields = append(fields, field{Name: "days", Label: say("token.days"), Type: "number", Hint: say("token.days_hint"), Error: wrong["days"]})
	return c.show(status, "form", "page", &formView{
		frame: c.frame(say("token.new"), "/staff"), Lead: say("token.lead"), Action: "/tokens/new", Button: say("token.make"),
		Back: link{say("nav.staff"), "/staff#tokens"}, Groups: []fieldGroup{{Fields: fields}},
	})
}

func (c *call) makeToken() error {
	if err := c.manages(); err != nil {
		return err
	}
	if err := c.r.ParseForm(); err != nil {
		return err
	}
	brands := c.r.PostForm["brands"]
	if len(brands) == 0 {
		brands = []string{identity.AllBrands}
	}
	var expires time.Time
	wrong := map[string]string{}
	if text := c.form("days"); text != "" {
		n := atoi(text)
		if n <= 0 || n > 3650 {
			wrong["days"] = c.l.say("form.days")
		}
		expires = c.l.now.AddDate(0, 0, n)
	}
	c.nameWrong(wrong, c.form("name"), "")
	if !c.knowsBrands(brands) {
		wrong["brands"] = c.l.say("form.unknown")
	}
	if !slices.Contains(identity.Scopes, identity.Scope(c.form("scope"))) {
		wrong["scope"] = c.l.say("form.unknown")
	}
	if len(wrong) > 0 {
		return c.showNewToken(http.StatusUnprocessableEntity, wrong)
	}
	t, secret, err := identity.NewToken(c.form("name"), identity.Scope(c.form("scope")), brands, c.l.now, expires)
	if err != nil {
		return &inputError{c.l.say("form.chosen")}
	}
	if err := settings.Tokens.Put(c.ctx, c.Settings, c.viewer.Actor(), t.ID, settings.Tokens.Version(c.Settings, t.ID), t); err != nil {
		return err
	}
	return c.showPeople(&secretView{c.l.say("token.once"), c.l.say("token.once_text"), secret})
}

// signToken gives a token another key to sign requests with, and shows it.
func (c *call) signToken() error {
	if err := c.manages(); err != nil {
		return err
	}
	t, ok := settings.Tokens.Get(c.Settings, c.r.PathValue("id"))
	if !ok || t.Scope != identity.ScopeIntake {
		return errNotFound
	}
	t.Keys = slices.Clone(t.Keys)
	n := t.Rotate(c.l.now, false)
	if err := settings.Tokens.Put(c.ctx, c.Settings, c.viewer.Actor(), t.ID, settings.Tokens.Version(c.Settings, t.ID), t); err != nil {
		return err
	}
	text := c.l.say("token.key_text", c.URL+"/api/v1/mentions?sender="+t.ID)
	if len(t.Keys) > 1 {
		text += " " + c.l.say("token.key_before")
	}
	return c.showPeople(&secretView{c.l.say("token.key_once"), text, c.Signer.SenderKey(t.ID, n)})
}

func (c *call) revokeToken() error {
	if err := c.manages(); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	if _, ok := settings.Tokens.Get(c.Settings, id); !ok {
		return errNotFound
	}
	if err := settings.Tokens.Delete(c.ctx, c.Settings, c.viewer.Actor(), id, settings.Tokens.Version(c.Settings, id)); err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say("done.revoke")})
	return c.back("/staff#tokens")
}
