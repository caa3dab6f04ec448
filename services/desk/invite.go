package desk

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/notify"
	"github.com/earshot/earshot/pkg/settings"
)

// mailTime is how long the pager may take to hand an invitation to a mail server.
const mailTime = 15 * time.Second

// invite makes an invitation of s for teams and shows its link.
func (c *call) invite(s identity.Staff, teams []string) error {
	i := identity.Invitation{
		ID: s.ID, Email: s.Email, Name: s.Name, PublicName: s.PublicName, Lang: cmp.Or(s.Lang, c.l.lang), Grants: s.Grants, Trained: s.Trained, Teams: teams,
	}
	return c.sendInvitation(i)
}

// sendInvitation gives an invitation a new link, which ends the one before, shows
// it once, and sends it where a notifier can.
func (c *call) sendInvitation(i identity.Invitation) error {
	secret, err := c.Gate.IssueLink(c.ctx, identity.Invite, i.ID, c.SignIn.Invitation)
	if err != nil {
		return err
	}
	i.By, i.At, i.Ends, i.Sent = c.viewer.Actor(), c.l.now.UTC(), c.l.now.UTC().Add(c.SignIn.Invitation), false
	put := func() error {
		return settings.Invitations.Put(c.ctx, c.Settings, c.viewer.Actor(), i.ID, settings.Invitations.Version(c.Settings, i.ID), i)
	}
	if err := put(); err != nil {
		return err
	}
	address := c.URL + "/invitation/" + i.ID + "/" + secret
	text := c.l.say("staff.invited_text")
	if c.sendsMail() {
		if err := c.mailInvitation(&i, address); err != nil {
			c.Log.Warn("invitation not sent", "to", i.ID, "error", err)
			text = c.l.say("staff.invited_unsent")
		} else {
			i.Sent = true
			if err := put(); err != nil {
				return err
			}
			text = c.l.say("staff.invited_sent", i.Email)
		}
	}
	return c.showPeople(&secretView{c.l.say("staff.invited", i.Name), text, address})
}

// sendsMail tells whether there is a notifier that could.
func (c *call) sendsMail() bool {
	return slices.ContainsFunc(settings.Notifiers.List(c.Settings), func(n settings.Notifier) bool { return n.Kind == "email" && !n.Off })
}

func (c *call) mailInvitation(i *identity.Invitation, address string) error {
	l := &locale{words: cmp.Or(c.pages.words[i.Lang], c.l.words), zone: c.l.zone, now: c.l.now}
	ctx, cancel := c.within(mailTime)
	defer cancel()
	_, err := bus.Ask[notify.Letter, struct{}](ctx, c.Bus, "pager", "mail", notify.Letter{
		Key: "invitation." + i.ID + "." + newID(), To: notify.Recipient{Name: i.Name, Email: i.Email},
		Subject: l.say("invite.mail_subject", c.viewer.Name()), Text: l.say("invite.mail_text", i.Name, c.viewer.Name(), address, l.at(i.Ends).Exact()),
	})
	return err
}

// wantedInvitation is the invitation of the address.
func (c *call) wantedInvitation() (identity.Invitation, error) {
	if err := c.manages(); err != nil {
		return identity.Invitation{}, err
	}
	i, ok := settings.Invitations.Get(c.Settings, c.r.PathValue("id"))
	if !ok {
		return i, errNotFound
	}
	return i, nil
}

func (c *call) resendInvitation() error {
	i, err := c.wantedInvitation()
	if err != nil {
		return err
	}
	return c.sendInvitation(i)
}

func (c *call) revokeInvitation() error {
	i, err := c.wantedInvitation()
	if err != nil {
		return err
	}
	if err := c.forgetInvitation(c.ctx, c.viewer.Actor(), i.ID); err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say("invite.revoked", i.Name)})
	return c.back("/staff#invitations")
}

func (c *call) forgetInvitation(ctx context.Context, actor, id string) error {
	return errors.Join(
		c.Gate.Revoke(ctx, identity.Invite, id),
		settings.Invitations.Delete(ctx, c.Settings, actor, id, settings.Invitations.Version(c.Settings, id)),
	)
}

// invited is where an invitation leads: one chooses a password and the name that
// customers see, and is in.
func (c *call) invited() error {
	i, err := c.openInvitation()
	if err != nil {
		return c.deadLink(err, "invite.used", "invite.used_text")
	}
	return c.showInvited(http.StatusOK, &i, i.PublicName, nil)
}

func (c *call) openInvitation() (identity.Invitation, error) {
	id := c.r.PathValue("id")
	if err := c.Gate.CheckLink(c.ctx, identity.Invite, id, c.r.PathValue("secret")); err != nil {
		return identity.Invitation{}, err
	}
	i, ok := settings.Invitations.Get(c.Settings, id)
	if !ok {
		return i, identity.ErrLink
	}
	return i, nil
}

func (c *call) showInvited(status int, i *identity.Invitation, public string, wrong map[string]string) error {
	say := c.l.say
	v := &signInView{
		frame: c.frame(say("invite.title"), "/welcome"), Lead: say("invite.lead_by", i.Name, c.who(i.By)), Provider: c.providerButton("/queue"),
	}
	if c.byPassword(i.Email) {
		v.Action, v.Button = c.r.URL.Path, say("invite.button")
		v.Fields = []field{
			{Name: "public", Label: say("me.public"), Value: public, Hint: say("staff.public_hint"), Error: wrong["public"]},
			{Name: "password", Label: say("me.password_new"), Type: "password", Hint: say("me.password_hint"), Required: true, Auto: "new-password", Error: wrong["password"]},
		}
	} else {
		v.Lead += " " + say("invite.by_provider", c.providerLabel(), i.Email)
	}
	return c.show(status, "signin", "page", v)
}

func (c *call) acceptInvitation() error {
	i, err := c.openInvitation()
	if err != nil {
		return c.deadLink(err, "invite.used", "invite.used_text")
	}
	if !c.byPassword(i.Email) {
		return errForbidden
	}
	i.PublicName = c.form("public")
	password, s := c.r.PostFormValue("password"), i.Staff()
	wrong := map[string]string{}
	if identity.CheckPassword(password, i.Email) != nil {
		wrong["password"] = c.l.say("form.password", identity.MinPassword)
	}
	if s.Validate() != nil {
		wrong["public"] = c.l.say("form.name")
	}
	if len(wrong) > 0 {
		return c.showInvited(http.StatusUnprocessableEntity, &i, i.PublicName, wrong)
	}
	err = c.Gate.Redeem(c.ctx, identity.Invite, i.ID, c.r.PathValue("secret"), func(ctx context.Context) error {
		if err := c.welcomeStaff(ctx, &i); err != nil {
			return err
		}
		if err := c.Gate.SetPassword(ctx, i.ID, i.Staff(), password); err != nil {
			return err
		}
		return c.forgetInvitation(ctx, i.ID, i.ID)
	})
	if err != nil {
		return c.deadLink(err, "invite.used", "invite.used_text")
	}
	return c.enter(i.ID, "/queue", identity.ByPassword)
}

// welcomeStaff makes the account of an invitation and puts it into its teams. It
// may be done again after it failed half-way.
func (c *call) welcomeStaff(ctx context.Context, i *identity.Invitation) error {
	dir := settings.Directory{Store: c.Settings}
	if other, ok := dir.StaffByEmail(identity.FoldEmail(i.Email)); ok && other.ID != i.ID {
		return identity.ErrLink // they have an account by now
	}
	if cred, _ := settings.Credentials.Get(c.Settings, i.ID); cred.Password != "" || len(cred.Subjects) > 0 {
		return identity.ErrLink
	}
	s := i.Staff()
	if err := settings.Staff.Put(ctx, c.Settings, i.ID, s.ID, settings.Staff.Version(c.Settings, s.ID), s); err != nil {
		return err
	}
	for _, id := range i.Teams {
		t, ok := settings.Teams.Get(c.Settings, id)
		if !ok || slices.Contains(t.Members, s.ID) {
			continue
		}
		t.Members = append(slices.Clone(t.Members), s.ID)
		if err := settings.Teams.Put(ctx, c.Settings, i.ID, id, settings.Teams.Version(c.Settings, id), t); err != nil {
			return err
		}
	}
	return nil
}

// freeID is an id for somebody new with this address, which neither staff nor
// somebody invited has.
func (c *call) freeID(email string) string {
	id := staffID(email)
	for c.idTaken(id) {
		id = staffID(email) + "-" + newID()[:4]
	}
	return id
}

func (c *call) idTaken(id string) bool {
	_, invited := settings.Invitations.Get(c.Settings, id)
	return invited || settings.Staff.Version(c.Settings, id) > 0 || id == identity.ActorSystem || id == identity.ActorConsole || id == "new"
}

// invitationTo finds the open invitation of an address.
func (c *call) invitationTo(email string) (identity.Invitation, bool) {
	for _, i := range settings.Invitations.List(c.Settings) {
		if identity.FoldEmail(i.Email) == identity.FoldEmail(email) && i.Open(c.l.now) {
			return i, true
		}
	}
	return identity.Invitation{}, false
}
