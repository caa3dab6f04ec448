package desk

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/notify"
	"github.com/earshot/earshot/pkg/settings"
)

const longPassword = "a long enough sentence"

// link is the link that a page shows once.
func (a answer) link(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`id="secret">http://desk\.test([^<]+)`).FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no link:\n%s", short(a.body))
	}
	return m[1]
}

func TestAnInvitationIsAcceptedOnce(t *testing.T) {
	b := newBench(t)
	b.put(settings.Teams.Put(t.Context(), b.Settings, "cli", "press", 0, settings.Team{ID: "press", Name: "Press", Members: []string{"aya"}}))
	v := b.as("aya", everywhere, identity.Admin)
	v.want(v.get("/staff/new"), 200, "Press", "for 7 days")
	v.want(v.post("/staff/new", "name", "Ken", "email", "aya@kumo.example", "roles", "agent"), 422, "taken already", "!id=\"secret\"")
	v.want(v.post("/staff/new", "name", "Ken", "email", "ken@kumo.example"), 422, "at least one role")
	first := v.want(v.post("/staff/new", "name", "Ken", "email", "ken@kumo.example", "roles", "agent", "brands", "kumo", "teams", "press", "teams", "nowhere", "lang", "ja"), 200,
		"Invitation for Ken", "Open invitations", "/invitations/ken/resend").link(t)
	if _, ok := settings.Staff.Get(b.Settings, "ken"); ok {
		t.Error("somebody who has not come is staff")
	}
	v.want(v.post("/staff/new", "name", "Ken", "email", "KEN@kumo.example", "roles", "agent"), 422, "open invitation")
	second := v.want(v.post("/invitations/ken/resend"), 200, "Invitation for Ken").link(t)
	k := b.visitor()
	k.want(k.get(first), 410, "no longer valid")
	k.want(k.post(first, "password", longPassword), 410)
	k.want(k.get(second), 200, "Ken, Aya has invited you", `name="public"`)
	k.want(k.post(second, "password", "short"), 422, "at least 12")
	k.want(k.post(second, "password", longPassword, "public", strings.Repeat("x", 200)), 422, "1 to 100")
	k.want(k.post(second, "password", longPassword, "public", "ケン"), 303)
	k.header.Set("Accept-Language", "en")
	k.want(k.get("/queue"), 200, "Ken")
	k.want(b.visitor().get(second), 410)
	k.want(b.visitor().post(second, "password", "another long sentence"), 410)
	s, _ := settings.Staff.Get(b.Settings, "ken")
	team, _ := settings.Teams.Get(b.Settings, "press")
	if s.PublicName != "ケン" || s.Lang != "ja" || len(s.Grants) != 1 || !slices.Equal(s.Grants[0].Brands, []string{"kumo"}) || !slices.Equal(team.Members, []string{"aya", "ken"}) {
		t.Errorf("made %+v, team %+v", s, team)
	}
	v.want(v.get("/staff"), 200, "!Open invitations", "ケン")
	// One that is revoked, and one that has expired.
	gone := v.want(v.post("/staff/new", "name", "Rin", "email", "rin@kumo.example", "roles", "viewer"), 200).link(t)
	v.want(v.post("/invitations/rin/revoke"), 303)
	k.want(b.visitor().get(gone), 410)
	k.want(b.visitor().post(gone, "password", longPassword), 410)
	v.want(v.post("/invitations/rin/revoke"), 404)
	v.want(v.post("/invitations/rin/resend"), 404)
	b.SignIn.Invitation = time.Nanosecond
	late := v.want(v.post("/staff/new", "name", "Rin", "email", "rin@kumo.example", "roles", "viewer"), 200).link(t)
	v.want(v.get("/staff"), 200, "expired")
	k.want(b.visitor().get(late), 410)
	b.SignIn.Invitation = time.Hour
	again := v.want(v.post("/invitations/rin/resend"), 200, "!expired").link(t)
	k.want(b.visitor().get(again), 200)
	local := b.as("lou", []string{"kumo"}, identity.Admin)
	local.want(local.post("/invitations/rin/resend"), 403) // of one brand only
}

func TestAnInvitationIsSentWhereMailIs(t *testing.T) {
	b := newBench(t)
	v := b.as("aya", everywhere, identity.Admin)
	_, err := b.Settings.OpenKey(t.Context(), t.TempDir(), "pager")
	b.put(err)
	v.want(v.post("/notifiers/new", "kind", "email", "name", "mail", "config.host", "mail.kumo.example", "config.port", "587", "config.security", "starttls", "config.from", "Earshot <earshot@kumo.example>"), 303)
	// No pager runs: the link is there all the same.
	v.want(v.post("/staff/new", "name", "Ken", "email", "ken@kumo.example", "roles", "agent", "lang", "ja"), 200, "could not be sent", "id=\"secret\"")
	letters := make(chan notify.Letter, 1)
	go func() {
		_ = bus.Answer(t.Context(), b.Bus, "pager", "mail", func(_ context.Context, l notify.Letter) (struct{}, error) {
			letters <- l
			return struct{}{}, nil
		})
	}()
	var sent answer
	for range 100 { // until the answerer is there
		if sent = v.post("/invitations/ken/resend"); strings.Contains(sent.body, "It was sent to ken@kumo.example") {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	l := <-letters
	if link := sent.link(t); l.To.Email != "ken@kumo.example" || !strings.Contains(l.Text, "http://desk.test"+link) || !strings.Contains(l.Subject, "Earshotへの招待") {
		t.Errorf("letter %+v", l)
	}
	v.want(v.get("/staff"), 200, "sent by e-mail")
}

// code is the code that an authenticator would show now, or some steps away.
func code(t *testing.T, key string, away int) string {
	t.Helper()
	return identity.CodeAt(strings.ReplaceAll(key, " ", ""), time.Now().Add(time.Duration(away)*30*time.Second))
}

// setUp sets a second factor up and returns its key, the code that was used for
// it and the recovery codes.
func (v *visitor) setUp() (key, used string, recovery []string) {
	v.t.Helper()
	a := v.want(v.get("/me/second"), 200, "<svg viewBox", "Scan this picture")
	key = regexp.MustCompile(`<code id="key">([^<]+)`).FindStringSubmatch(a.body)[1]
	sealed := regexp.MustCompile(`name="enrolling" value="([^"]+)`).FindStringSubmatch(a.body)[1]
	v.want(v.post("/me/second", "enrolling", sealed, "code", "000000"), 422, "wrong or was used", key)
	v.want(v.post("/me/second", "enrolling", "x"+sealed, "code", code(v.t, key, 0)), 422, "expired")
	used = code(v.t, key, -1)
	a = v.want(v.post("/me/second", "enrolling", sealed, "code", used), 200, "Recovery codes")
	return key, used, regexp.MustCompile(`[a-z2-7]{4}(-[a-z2-7]{4}){3}`).FindAllString(a.body, -1)
}

func (b *bench) password(id string) {
	b.t.Helper()
	s, _ := settings.Staff.Get(b.Settings, id)
	b.put(b.Gate.SetPassword(b.t.Context(), "cli", s, longPassword))
}

// pend gives address and password and returns what the page keeps.
func (v *visitor) pend(email, password string) string {
	v.t.Helper()
	a := v.want(v.post("/sign-in", "email", email, "password", password, "next", "/board"), 200, "One more step")
	return regexp.MustCompile(`name="pending" value="([^"]+)`).FindStringSubmatch(a.body)[1]
}

func TestASecondFactorFromSettingUpToSwitchingOff(t *testing.T) {
	b := newBench(t)
	b.as("aya", everywhere, identity.Agent)
	b.password("aya")
	v, other := b.visitor(), b.visitor()
	for _, x := range []*visitor{v, other} {
		x.want(x.post("/sign-in", "email", "aya@kumo.example", "password", longPassword), 303)
	}
	key, used, recovery := v.setUp()
	if len(recovery) != 10 {
		t.Fatalf("recovery codes %v", recovery)
	}
	other.want(other.get("/queue"), 303) // signed out
	v.want(v.get("/me/second"), 200, "10 recovery codes are left", "!"+recovery[0], "!"+key)
	stored, _ := settings.Credentials.Get(b.Settings, "aya")
	if plain := strings.ReplaceAll(key, " ", ""); strings.Contains(fmt.Sprintf("%+v", stored.Second), plain) {
		t.Error("the secret is stored as it is")
	}

	// Right or wrong, the next step looks alike.
	p, wrong := other.pend("aya@kumo.example", longPassword), other.pend("aya@kumo.example", "wrong wrong wrong")
	nobody := other.pend("nobody@kumo.example", longPassword)
	for _, x := range []string{wrong, nobody} {
		other.want(other.post("/sign-in/code", "pending", x, "code", code(t, key, 0)), 422, "do not go together")
	}
	other.want(other.post("/sign-in/code", "pending", "nonsense", "code", code(t, key, 0)), 422, "sign in again")
	other.want(other.post("/sign-in/code", "pending", p, "code", used), 422, "do not go together")
	used = code(t, key, 0)
	a := other.want(other.post("/sign-in/code", "pending", p, "code", used), 303)
	if to := a.Header.Get("Location"); to != "/board" {
		t.Errorf("leads to %s", to)
	}
	other.want(other.get("/queue"), 200, "Aya")
	third := b.visitor()
	third.want(third.post("/sign-in/code", "pending", p, "code", used), 422)
	third.want(third.post("/sign-in/code", "pending", p, "code", recovery[2]), 303)
	third.want(third.get("/me/second"), 200, "9 recovery codes are left")
	third.want(b.visitor().post("/sign-in/code", "pending", p, "code", recovery[2]), 422) // used

	// A link for another password does not go around the second factor.
	admin := b.as("mio", everywhere, identity.Admin)
	reset := admin.want(admin.post("/staff/aya/link"), 200).link(t)
	thief := b.visitor()
	thief.want(thief.post(reset, "password", "another long sentence"), 200, "One more step")
	thief.want(thief.get("/queue"), 303)

	// Switching off asks for password and code.
	v = b.visitor()
	p = v.pend("aya@kumo.example", "another long sentence")
	v.want(v.post("/sign-in/code", "pending", p, "code", recovery[3]), 303)
	v.want(v.post("/me/second/drop", "password", longPassword, "drop_code", recovery[4]), 422, "not the current password")
	v.want(v.post("/me/second/drop", "password", "another long sentence", "drop_code", "000000"), 422, "wrong or was used")
	a = v.want(v.post("/me/second/recovery", "renew_code", recovery[4]), 200, "Recovery codes")
	fresh := regexp.MustCompile(`[a-z2-7]{4}(-[a-z2-7]{4}){3}`).FindString(a.body)
	v.want(v.post("/me/second/drop", "password", "another long sentence", "drop_code", recovery[5]), 422)
	v.want(v.post("/me/second/drop", "password", "another long sentence", "drop_code", fresh), 303)
	v.want(v.get("/me"), 200, "Second factor: off")
	x := b.visitor()
	x.want(x.post("/sign-in", "email", "aya@kumo.example", "password", "another long sentence"), 303)
}

func TestARoleMayNeedASecondFactor(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	admin := b.as("mio", everywhere, identity.Admin)
	lead := b.as("ken", everywhere, identity.PRLead)
	lead.want(lead.post("/rules/access/default", "version", "0", "second_factor", "pr_lead"), 403)
	admin.want(admin.get("/rules/access/default"), 200, "Roles that need a second factor")
	admin.want(admin.post("/rules/access/default", "version", "0", "second_factor", "pr_lead"), 303)
	a := lead.want(lead.get("/queue"), 303)
	if to := a.Header.Get("Location"); to != "/me/second" {
		t.Errorf("leads to %s", to)
	}
	lead.want(lead.get("/api/v1/mentions"), 403, "second_factor")
	lead.want(lead.post("/cases/"+string(m.ID)+"/claim"), 303)
	if s, touched, err := b.Cases.Touched(t.Context(), m.ID); err != nil || touched {
		t.Errorf("claimed without it: %v %v", s.Holder, err)
	}
	lead.want(lead.get("/me/second"), 200, "Your role needs a second factor")
	lead.setUp()
	lead.want(lead.get("/queue"), 200, "Ken")
	lead.want(lead.get("/me/second"), 200, "!/me/second/drop")
	lead.want(lead.post("/me/second/drop", "drop_code", "000000"), 403)
	agent := b.as("aya", everywhere, identity.Agent)
	agent.want(agent.get("/queue"), 200)
	// Who has lost it is helped by an administrator, and sets it up anew.
	admin.want(admin.get("/staff/ken"), 200, "Second factor since", "/staff/ken/second")
	admin.want(admin.post("/staff/ken/second"), 303)
	lead.want(lead.get("/queue"), 303)
	again, err := b.Gate.Begin(t.Context(), "ken", identity.Entry{Via: identity.ByOpenID})
	b.put(err)
	v := b.visitor()
	v.header.Set("Cookie", sessionCookie+"="+again)
	v.want(v.get("/queue"), 200) // the provider asked for it
}

func TestPlacesAreListedAndEnded(t *testing.T) {
	b := newBench(t)
	b.as("aya", everywhere, identity.Agent)
	b.as("ken", everywhere, identity.Agent)
	b.password("aya")
	b.password("ken")
	in := func(id, agent string) *visitor {
		v := b.visitor()
		v.header.Set("User-Agent", agent)
		v.want(v.post("/sign-in", "email", id+"@kumo.example", "password", longPassword), 303)
		return v
	}
	mac := in("aya", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0")
	phone := in("aya", "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36")
	odd := in("aya", `<script>alert(1)</script>`)
	ken := in("ken", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0")
	a := mac.want(mac.get("/me/places"), 200, "Firefox on macOS", "Chrome on Android", "!Edge on Windows", "!<script>alert", "here")
	theirs := regexp.MustCompile(`/me/places/[0-9a-f]+/end`).FindString(ken.want(ken.get("/me/places"), 200, "Edge on Windows").body)
	mac.want(mac.post(theirs), 404)
	ken.want(ken.get("/queue"), 200)
	row := a.body[strings.Index(a.body, "Chrome on Android"):]
	mac.want(mac.post(regexp.MustCompile(`/me/places/[0-9a-f]+/end`).FindString(row)), 303)
	phone.want(phone.get("/queue"), 303)
	odd.want(odd.get("/queue"), 200)
	mac.want(mac.post("/me/password", "old", longPassword, "password", "another long sentence"), 303)
	odd.want(odd.get("/queue"), 303) // a new password ends the others
	mac.want(mac.get("/me/places"), 200, "Firefox on macOS")
	mac.want(mac.post("/me/sign-out-everywhere"), 303)
	mac.want(mac.get("/me/places"), 303)
}

func TestTheLastAdministratorStays(t *testing.T) {
	b := newBench(t)
	v := b.as("aya", everywhere, identity.Admin, identity.PRLead)
	v.want(v.post("/staff/aya", "name", "Aya", "email", "aya@kumo.example", "roles", "pr_lead"), 422, "can not take the administrator away")
	v.want(v.post("/staff/aya", "name", "Aya", "email", "aya@kumo.example", "roles", "admin", "off", "on"), 422, "can not take the administrator away")
	v.want(v.post("/staff/aya", "name", "Aya", "email", "aya@kumo.example", "roles", "admin", "brands", "kumo"), 303)
	if s, _ := settings.Staff.Get(b.Settings, "aya"); !administers(&s) {
		t.Errorf("grants %+v", s.Grants)
	}
	v.want(v.get("/staff"), http.StatusOK)
}
