package identity

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var office = netip.MustParseAddr("192.0.2.7")

func TestSignIn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name            string
		email, password string
		edit            func(*bench)
		want            error
	}{
		{"address and password", hana.Email, goodPassword, nil, nil},
		{"case and spaces of the address don't matter", " hana.sato@EXAMPLE.com ", goodPassword, nil, nil},
		{"a wrong password", hana.Email, "wrong horse battery", nil, ErrRefused},
		{"an unknown address", "nobody@example.com", goodPassword, nil, ErrRefused},
		{"no address and no password", "", "", nil, ErrRefused},
		{"a password too long to hash", hana.Email, strings.Repeat("x", 2000), nil, ErrRefused},
		{"disabled staff", hana.Email, goodPassword, func(b *bench) {
			s := hana
			s.Disabled = true
			b.dir.staff["hana"] = s
		}, ErrRefused},
		{"staff without a password", hana.Email, "", func(b *bench) { b.dir.creds["hana"] = Credential{Staff: "hana"} }, ErrRefused},
		{"a hash that was tampered with", hana.Email, goodPassword, func(b *bench) {
			b.dir.creds["hana"] = Credential{Staff: "hana", Password: "$argon2id$v=19$m=99999999,t=1,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA"}
		}, ErrRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if tt.edit != nil {
				tt.edit(b)
			}
			session, err := b.signIn(t.Context(), tt.email, tt.password, office)
			if !errors.Is(err, tt.want) {
				t.Fatalf("SignIn() = %v, want %v", err, tt.want)
			}
			if err != nil {
				return
			}
			who, _, err := b.Session(t.Context(), session)
			if err != nil || who.ID != "hana" {
				t.Errorf("Session() = %s, %v", who.ID, err)
			}
		})
	}
}

func TestSignInUpgradesHashesOfOldCost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	since := b.clock.Add(-time.Hour)
	b.dir.creds["hana"] = Credential{Staff: "hana", Password: hashPassword(goodPassword, cheap), Since: since}
	if _, err := b.signIn(t.Context(), hana.Email, "wrong horse battery", office); !errors.Is(err, ErrRefused) {
		t.Fatal(err)
	}
	if c := b.dir.creds["hana"]; !strings.Contains(c.Password, "m=64,") {
		t.Fatal("a wrong password changed the hash")
	}
	if _, err := b.signIn(t.Context(), hana.Email, goodPassword, office); err != nil {
		t.Fatal(err)
	}
	c := b.dir.creds["hana"]
	h, err := parseHash(c.Password)
	if err != nil || h.params != argon2Params || !h.matches(goodPassword) {
		t.Errorf("hash after signing in = %+v, %v", h.params, err)
	}
	if !c.Since.Equal(since) {
		t.Error("the upgrade ended the person's sessions")
	}
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		do   func(t *testing.T, b *bench, session string)
		want error
	}{
		{"not within the idle time", func(_ *testing.T, b *bench, _ string) { b.clock = b.clock.Add(SessionIdle - time.Second) }, nil},
		{"after the idle time", func(_ *testing.T, b *bench, _ string) { b.clock = b.clock.Add(SessionIdle) }, ErrNoSession},
		{"not while it is used", func(t *testing.T, b *bench, s string) { b.use(t, s, SessionLife-time.Hour) }, nil},
		{"after its life, used or not", func(t *testing.T, b *bench, s string) {
			b.use(t, s, SessionLife-time.Hour)
			b.clock = b.clock.Add(time.Hour)
		}, ErrNoSession},
		{"by signing out", func(t *testing.T, b *bench, s string) {
			if err := b.SignOut(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}, ErrNoSession},
		{"by signing out everywhere", func(t *testing.T, b *bench, _ string) {
			b.clock = b.clock.Add(time.Minute)
			if err := b.EndSessions(t.Context(), "boss", "hana"); err != nil {
				t.Fatal(err)
			}
		}, ErrNoSession},
		{"by a new password", func(t *testing.T, b *bench, _ string) {
			b.clock = b.clock.Add(time.Minute)
			if err := b.ChangePassword(t.Context(), hana.Email, goodPassword, "another good phrase", office); err != nil {
				t.Fatal(err)
			}
		}, ErrNoSession},
		{"when the person is disabled", func(_ *testing.T, b *bench, _ string) {
			s := hana
			s.Disabled = true
			b.dir.staff["hana"] = s
		}, ErrNoSession},
		{"when the person is deleted", func(_ *testing.T, b *bench, _ string) { delete(b.dir.staff, "hana") }, ErrNoSession},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			session, err := b.signIn(t.Context(), hana.Email, goodPassword, office)
			if err != nil {
				t.Fatal(err)
			}
			tt.do(t, b, session)
			if _, _, err := b.Session(t.Context(), session); !errors.Is(err, tt.want) {
				t.Errorf("Session() = %v, want %v", err, tt.want)
			}
		})
	}
}

// use asks for a session every hour for d.
func (b *bench) use(t *testing.T, session string, d time.Duration) {
	t.Helper()
	for end := b.clock.Add(d); b.clock.Before(end); b.clock = b.clock.Add(time.Hour) {
		if _, _, err := b.Session(t.Context(), session); err != nil {
			t.Fatalf("at %v: %v", b.clock, err)
		}
	}
}

func TestSessionRefusesWhatWasNeverIssued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, secret := range []string{"", "x", strings.Repeat("A", 43), "../session", strings.Repeat("é", 9000)} {
		if _, _, err := b.Session(t.Context(), secret); !errors.Is(err, ErrNoSession) {
			t.Errorf("Session(%.20q) = %v", secret, err)
		}
	}
}

func TestUseOfASessionDoesNotUndoSigningOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	session, err := b.signIn(t.Context(), hana.Email, goodPassword, office)
	if err != nil {
		t.Fatal(err)
	}
	b.clock = b.clock.Add(time.Hour)
	b.store.beforeUpdate = func() {
		if err := b.SignOut(context.Background(), session); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := b.Session(t.Context(), session); err != nil {
		t.Fatal(err) // it was valid when asked
	}
	if b.store.beforeUpdate != nil {
		t.Fatal("the session was not written")
	}
	if _, _, err := b.Session(t.Context(), session); !errors.Is(err, ErrNoSession) {
		t.Errorf("Session() after signing out = %v", err)
	}
}

func TestChangePasswordAsksForTheOldOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.ChangePassword(t.Context(), hana.Email, "wrong horse battery", "another good phrase", office); !errors.Is(err, ErrRefused) {
		t.Errorf("with a wrong old password: %v", err)
	}
	if err := b.ChangePassword(t.Context(), hana.Email, goodPassword, "short", office); err == nil {
		t.Error("a weak password was taken")
	}
	if _, err := b.signIn(t.Context(), hana.Email, goodPassword, office); err != nil {
		t.Errorf("the old password is gone: %v", err)
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tok, secret, err := NewToken("crm", ScopeRead, []string{"acme"}, b.clock, b.clock.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	other, otherSecret, err := NewToken("other", ScopeAdmin, []string{AllBrands}, b.clock, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	b.dir.tokens = map[string]Token{tok.ID: tok, other.ID: other}

	v, err := b.Bearer(t.Context(), secret)
	if err != nil || !v.Can(View, "acme") || v.Can(View, "beta") || v.Can(Handle, "acme") {
		t.Errorf("Bearer() = %+v, %v", v, err)
	}
	if at, err := b.LastUsed(t.Context(), tok.ID); err != nil || !at.Equal(b.clock) {
		t.Errorf("LastUsed() = %v, %v", at, err)
	}
	if at, err := b.LastUsed(t.Context(), other.ID); err != nil || !at.IsZero() {
		t.Errorf("LastUsed() of an unused token = %v, %v", at, err)
	}

	forged := tokenPrefix + tok.ID + otherSecret[len(tokenPrefix)+tokenIDLen:]
	for name, secret := range map[string]string{
		"nothing": "", "only the prefix": "earshot_", "another's secret with this id": forged,
		"one character more": secret + "a", "one character less": secret[:len(secret)-1],
		"upper case": strings.ToUpper(secret), "a session": newSecret(),
	} {
		if _, err := b.Bearer(t.Context(), secret); !errors.Is(err, ErrToken) {
			t.Errorf("%s: Bearer() = %v, want ErrToken", name, err)
		}
	}

	b.clock = b.clock.Add(24 * time.Hour)
	if _, err := b.Bearer(t.Context(), secret); !errors.Is(err, ErrToken) {
		t.Errorf("after its end: %v", err)
	}
	if _, err := b.Bearer(t.Context(), otherSecret); err != nil {
		t.Errorf("a token without end: %v", err)
	}
	delete(b.dir.tokens, other.ID)
	if _, err := b.Bearer(t.Context(), otherSecret); !errors.Is(err, ErrToken) {
		t.Errorf("after it was revoked: %v", err)
	}
}

func TestRedeemIsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	old, err := b.IssueLink(ctx, Setup, SetupSubject, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	link, err := b.IssueLink(ctx, Setup, SetupSubject, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(context.Context) error { t.Error("redeemed"); return nil }
	for name, err := range map[string]error{
		"replaced":            b.Redeem(ctx, Setup, SetupSubject, old, nothing),
		"for another purpose": b.Redeem(ctx, Reset, SetupSubject, link, nothing),
		"for somebody else":   b.Redeem(ctx, Setup, "hana", link, nothing),
		"with an odd subject": b.Redeem(ctx, Setup, "first.x", link, nothing),
		"empty":               b.Redeem(ctx, Setup, SetupSubject, "", nothing),
	} {
		if !errors.Is(err, ErrLink) {
			t.Errorf("%s: %v, want ErrLink", name, err)
		}
	}

	bad := errors.New("name is missing")
	if err := b.Redeem(ctx, Setup, SetupSubject, link, func(context.Context) error { return bad }); !errors.Is(err, bad) {
		t.Errorf("Redeem() = %v, want the error of its function", err)
	}
	if err := b.CheckLink(ctx, Setup, SetupSubject, link); err != nil {
		t.Errorf("a failed attempt used the link up: %v", err)
	}

	var done atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			err := b.Redeem(ctx, Setup, SetupSubject, link, func(context.Context) error { done.Add(1); return nil })
			if err != nil && !errors.Is(err, ErrLink) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := done.Load(); n != 1 {
		t.Errorf("redeemed %d times", n)
	}
}

func TestLinkExpires(t *testing.T) {
	t.Parallel()
	b := setup(t)
	link, err := b.IssueLink(t.Context(), Reset, "hana", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b.clock = b.clock.Add(time.Hour)
	if err := b.CheckLink(t.Context(), Reset, "hana", link); !errors.Is(err, ErrLink) {
		t.Errorf("CheckLink() = %v", err)
	}
}

func TestSweepKeepsWhatIsInUse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	tok, secret, err := NewToken("crm", ScopeRead, []string{"acme"}, b.clock, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	b.dir.tokens[tok.ID] = tok
	if _, err := b.Bearer(ctx, secret); err != nil {
		t.Fatal(err)
	}
	if err := b.store.Put(ctx, "used.zzzzzzzzzz", use{b.clock}); err != nil { // of a revoked token
		t.Fatal(err)
	}
	if err := b.store.Put(ctx, "of-somebody-else", "text"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.signIn(ctx, hana.Email, goodPassword, office); err != nil {
		t.Fatal(err)
	}
	if _, err := b.IssueLink(ctx, Reset, "hana", time.Hour); err != nil {
		t.Fatal(err)
	}
	b.clock = b.clock.Add(SessionIdle)
	later, err := b.signIn(ctx, hana.Email, goodPassword, office)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	keys, _ := b.store.Keys(ctx)
	if want := []string{"of-somebody-else", sessionKey(later), "used." + tok.ID}; !slices.Equal(keys, want) {
		t.Errorf("left after Sweep: %v, want %v", keys, want)
	}
}
