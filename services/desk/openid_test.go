package desk

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/identity/identitytest"
	"github.com/earshot/earshot/pkg/settings"
)

// byProvider is a bench whose people may come by i.
func byProvider(t *testing.T, i *identitytest.Issuer, edit func(*config.SignIn)) *bench {
	t.Helper()
	t.Setenv("EARSHOT_TEST_OPENID", "s3cret")
	return newBenchOf(t, func(s *config.SignIn) {
		s.OpenID.Issuer, s.OpenID.Client, s.OpenID.Label, s.OpenID.Secret = i.URL, "earshot", "Example ID", config.NewSecret("env:EARSHOT_TEST_OPENID")
		if edit != nil {
			edit(s)
		}
	})
}

// come goes by the provider and returns the answer of the way back.
func (v *visitor) come(i *identitytest.Issuer, next string) answer {
	v.t.Helper()
	a := v.want(v.get("/sign-in/openid?next="+url.QueryEscape(next)), 303)
	return v.get(i.Visit(v.t, a.Header.Get("Location")).RequestURI())
}

func person(id string, roles ...identity.Role) identity.Staff {
	s := identity.Staff{ID: id, Email: id + "@example.com", Name: id, Lang: "en"}
	for _, r := range roles {
		s.Grants = append(s.Grants, identity.Grant{Role: r, Brands: everywhere})
	}
	return s
}

func (b *bench) hire(s identity.Staff) {
	b.t.Helper()
	b.put(settings.Staff.Put(b.t.Context(), b.Settings, "cli", s.ID, settings.Staff.Version(b.Settings, s.ID), s))
}

func TestAnAccountIsFoundByTheProvidersWord(t *testing.T) {
	i := identitytest.NewIssuer(t)
	b := byProvider(t, i, nil)
	b.hire(person("hana", identity.Agent))
	says := func(sub, email string, verified bool) {
		i.Say(map[string]any{"sub": sub, "email": email, "email_verified": verified}, nil)
	}
	v := b.visitor()
	v.want(v.get("/sign-in?next=/board"), 200, "Sign in with Example ID", "/sign-in/openid?next=%2Fboard", `name="password"`)
	says("1", "hana@example.com", false)
	v.want(v.come(i, "/board"), 403, "does not vouch")
	says("1", "nobody@example.com", true)
	v.want(v.come(i, "/board"), 403, "nobody invited it")
	says("1", "HANA@example.com", true)
	a := v.want(v.come(i, "/board"), 303)
	if to := a.Header.Get("Location"); to != "/board" {
		t.Errorf("leads to %s", to)
	}
	v.want(v.get("/queue"), 200, "hana")
	v.want(v.get("/me/places"), 200, "Example ID")
	a = v.want(v.post("/sign-out"), 303)
	v.want(v.get(a.Header.Get("Location")), 200, "You are signed out", i.URL+"/bye?client_id=earshot")
	// From here on the provider's own id counts, whatever the address.
	says("1", "new-name@example.com", false)
	v.want(v.come(i, "//evil.example"), 303)
	v.want(v.get("/queue"), 200, "hana")
	// Another account there with her address is not hers.
	says("2", "hana@example.com", true)
	other := b.visitor()
	other.want(other.come(i, ""), 403, "belongs to somebody else")
	// Disabled is disabled, by id as by address.
	off := person("hana", identity.Agent)
	off.Disabled = true
	b.hire(off)
	says("1", "hana@example.com", true)
	other.want(other.come(i, ""), 403, "switched off")
	v.want(v.get("/queue"), 303)
	// A stray answer, and one of another browser.
	other.want(other.get("/sign-in/openid/callback?code=x&state=y"), 422, "does not belong to this browser")
	a = other.want(other.get("/sign-in/openid"), 303)
	back := i.Visit(t, a.Header.Get("Location")).RequestURI()
	b.hire(person("hana", identity.Agent))
	thief := b.visitor()
	thief.want(thief.get(back), 422, "does not belong to this browser")
	// An administrator sees and ends the link; then another account may be linked.
	admin := b.as("mio", everywhere, identity.Admin)
	admin.want(admin.get("/staff/hana"), 200, "Signs in with Example ID", "Unlink from Example ID")
	admin.want(admin.post("/staff/hana/unlink"), 303)
	says("2", "hana@example.com", true)
	other.want(other.come(i, ""), 303)
}

func TestSomebodyInvitedMayComeByTheProvider(t *testing.T) {
	i := identitytest.NewIssuer(t)
	b := byProvider(t, i, func(s *config.SignIn) { s.Passwords, s.Emergency = "emergency", []string{"root@example.com"} })
	admin := b.as("mio", everywhere, identity.Admin)
	link := admin.want(admin.post("/staff/new", "name", "Ken", "email", "ken@example.com", "roles", "product"), 200).link(t)
	v := b.visitor()
	v.want(v.get(link), 200, "Sign in with Example ID", "by the address ken@example.com", `!name="password"`)
	v.want(v.post(link, "password", longPassword), 403)
	i.Say(map[string]any{"sub": "k", "email": "ken@example.com"}, nil)
	v.want(v.come(i, ""), 303)
	v.want(v.get("/queue"), 200, "Ken")
	v.want(b.visitor().get(link), 410)
	if s, _ := settings.Staff.Get(b.Settings, "ken"); s.Grants[0].Role != identity.Product {
		t.Errorf("made %+v", s)
	}
	// One that has expired lets nobody in.
	b.SignIn.Invitation = time.Nanosecond
	admin.want(admin.post("/staff/new", "name", "Rin", "email", "rin@example.com", "roles", "admin"), 200)
	i.Say(map[string]any{"sub": "r", "email": "rin@example.com"}, nil)
	v.want(b.visitor().come(i, ""), 403)
}

func TestPasswordsMayBeForEmergenciesAlone(t *testing.T) {
	i := identitytest.NewIssuer(t)
	b := byProvider(t, i, func(s *config.SignIn) { s.Passwords, s.Emergency = "emergency", []string{"Root@example.com"} })
	for _, s := range []identity.Staff{person("root", identity.Admin), person("hana", identity.Agent)} {
		b.hire(s)
		b.put(b.Gate.SetPassword(t.Context(), "cli", s, longPassword))
	}
	v := b.visitor()
	v.want(v.get("/sign-in"), 200, "<details", "in an emergency")
	v.want(v.post("/sign-in", "email", "hana@example.com", "password", longPassword), 422, "do not match")
	v.want(v.post("/sign-in", "email", "root@example.com", "password", longPassword), 303)
	v.want(v.get("/staff/hana"), 200, "!/staff/hana/link")
	v.want(v.post("/staff/hana/link"), 404)
	v.want(v.get("/me"), 200, "/me/password")
	i.Say(map[string]any{"sub": "h", "email": "hana@example.com"}, nil)
	h := b.visitor()
	h.want(h.come(i, ""), 303)
	h.want(h.get("/me"), 200, "!/me/password")
	h.want(h.post("/me/password", "old", longPassword, "password", "another long sentence"), 403)
}

func TestAccountsMayComeByDomainAndGroupsMayGiveRoles(t *testing.T) {
	i := identitytest.NewIssuer(t)
	b := byProvider(t, i, func(s *config.SignIn) {
		s.Emergency = []string{"root@example.com"}
		s.OpenID.Domains, s.OpenID.DefaultRole = []string{"Example.com"}, "viewer"
		s.OpenID.Roles = []string{"support=agent@kumo", "it=admin"}
	})
	says := func(sub, email string, groups ...string) {
		claims := map[string]any{"sub": sub, "email": email, "name": "Hana Sato"}
		if groups != nil {
			claims["groups"] = groups
		}
		i.Say(claims, nil)
	}
	roles := func(id string) []identity.Role {
		s, _ := settings.Staff.Get(b.Settings, id)
		var out []identity.Role
		for _, g := range s.Grants {
			out = append(out, g.Role)
		}
		return out
	}
	v := b.visitor()
	says("x", "x@evil-example.com", "support")
	v.want(v.come(i, ""), 403)
	says("x", "x@example.com.evil.test", "support")
	v.want(v.come(i, ""), 403)
	says("w", "who@example.com", "cleaners")
	v.want(v.come(i, ""), 403) // no group of theirs gives a role
	says("n", "newcomer@example.com")
	v.want(v.come(i, ""), 303) // nothing is said of groups: the usual role
	if got := roles("newcomer"); !slices.Equal(got, []identity.Role{identity.Reader}) {
		t.Errorf("roles %v", got)
	}
	says("h", "hana@example.com", "support", "it")
	h := b.visitor()
	h.want(h.come(i, ""), 303)
	if got := roles("hana"); !slices.Equal(got, []identity.Role{identity.Agent, identity.Admin}) {
		t.Errorf("roles %v", got)
	}
	// The last administrator keeps the role; one of two doesn't.
	says("h", "hana@example.com", "support")
	h.want(h.come(i, ""), 303)
	if got := roles("hana"); !slices.Contains(got, identity.Admin) {
		t.Errorf("the last administrator has %v", got)
	}
	b.hire(person("root", identity.Admin))
	h.want(h.come(i, ""), 303)
	if got := roles("hana"); !slices.Equal(got, []identity.Role{identity.Agent}) {
		t.Errorf("roles %v", got)
	}
	i.Say(map[string]any{"sub": "h", "email": "hana@example.com", "groups": []string{}}, nil)
	h.want(h.come(i, ""), 303)
	if got := roles("hana"); len(got) != 0 {
		t.Errorf("without groups: %v", got)
	}
	h.want(h.get("/queue"), 403)
	// Those for emergencies keep what they have.
	says("r", "root@example.com", "support")
	v.want(v.come(i, ""), 303)
	if got := roles("root"); !slices.Equal(got, []identity.Role{identity.Admin}) {
		t.Errorf("for emergencies: %v", got)
	}
}

func TestAProviderThatIsAwayIsSaidToBe(t *testing.T) {
	i := identitytest.NewIssuer(t)
	b := byProvider(t, i, nil)
	i.Close()
	v := b.visitor()
	a := v.want(v.get("/sign-in/openid"), 422, "Example ID could not sign you in", `name="password"`)
	if strings.Contains(a.body, "s3cret") {
		t.Error("the secret is shown")
	}
	plain := newBench(t)
	v = plain.visitor()
	v.want(v.get("/sign-in"), 200, "!/sign-in/openid")
	v.want(v.get("/sign-in/openid"), 404)
	v.want(v.get("/sign-in/openid/callback?state=&code=x"), 404)
}
