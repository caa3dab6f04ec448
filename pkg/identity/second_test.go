package identity

import (
	"context"
	"encoding/base32"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// Appendix B of RFC 6238, the last six of its eight digits.
func TestCodesAreThoseOfTheStandard(t *testing.T) {
	t.Parallel()
	secret := base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := codeOf(secret, at/30); got != want {
			t.Errorf("code at %d = %s, want %s", at, got, want)
		}
	}
	if codeOf("not base32!", 1) != "" {
		t.Error("a secret that can't be read has a code")
	}
	if _, ok := matchCode("not base32!", "", time.Now()); ok {
		t.Error("no code fits a secret that can't be read")
	}
}

// glass is a vault that turns text around.
type glass struct{}

func (glass) Seal(s string) (string, error) { return "sealed " + s, nil }
func (glass) Open(s string) (string, error) {
	s, ok := strings.CutPrefix(s, "sealed ")
	if !ok {
		return "", errors.New("not sealed")
	}
	return s, nil
}

// withSecond is a bench whose Hana has a second factor, with its secret and
// recovery codes.
func withSecond(t *testing.T) (b *bench, secret string, recovery []string) {
	t.Helper()
	b = setup(t)
	if err := b.UseVault(glass{}); err != nil {
		t.Fatal(err)
	}
	secret = NewSecond()
	recovery, err := b.SetSecond(t.Context(), "hana", secret, b.code(secret, 0))
	if err != nil {
		t.Fatal(err)
	}
	b.clock = b.clock.Add(time.Hour)
	return b, secret, recovery
}

// code is the code of the step that is so many away from now.
func (b *bench) code(secret string, away int64) string { return codeOf(secret, b.clock.Unix()/30+away) }

// pend gives address and password.
func (b *bench) pend(t *testing.T, email, password string) Pending {
	t.Helper()
	session, p, err := b.SignIn(t.Context(), email, password, office, Entry{})
	if err != nil || session != "" || p == nil {
		t.Fatalf("SignIn() = %q, %v, %v; want to be asked for a code", session, p, err)
	}
	return *p
}

func TestACodeIsTheSecondStep(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		password string
		code     func(b *bench, secret string) string
		want     error
	}{
		{"the code of now", goodPassword, func(b *bench, s string) string { return b.code(s, 0) }, nil},
		{"as it is typed in full width, with a space", goodPassword, func(b *bench, s string) string {
			c := b.code(s, 0)
			wide := strings.Map(func(r rune) rune { return r - '0' + '０' }, c)
			return " " + wide[:9] + "　" + wide[9:]
		}, nil},
		{"a clock that is a step behind", goodPassword, func(b *bench, s string) string { return b.code(s, -1) }, nil},
		{"a clock that is a step ahead", goodPassword, func(b *bench, s string) string { return b.code(s, 1) }, nil},
		{"two steps behind", goodPassword, func(b *bench, s string) string { return b.code(s, -2) }, ErrRefused},
		{"two steps ahead", goodPassword, func(b *bench, s string) string { return b.code(s, 2) }, ErrRefused},
		{"no code", goodPassword, func(*bench, string) string { return "" }, ErrRefused},
		{"a wrong password with the right code", "wrong horse battery", func(b *bench, s string) string { return b.code(s, 0) }, ErrRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, secret, _ := withSecond(t)
			p := b.pend(t, hana.Email, tt.password)
			session, err := b.SignInWithCode(t.Context(), p, tt.code(b, secret), office, Entry{})
			if !errors.Is(err, tt.want) || (err == nil) != (session != "") {
				t.Errorf("SignInWithCode() = %q, %v, want %v", session, err, tt.want)
			}
		})
	}
}

func TestTheFirstStepTellsNothing(t *testing.T) {
	t.Parallel()
	b, _, _ := withSecond(t)
	for _, try := range [][2]string{{hana.Email, goodPassword}, {hana.Email, "wrong horse battery"}, {"nobody@example.com", goodPassword}} {
		b.pend(t, try[0], try[1])
	}
	plain := setup(t) // nobody has a second factor here: nobody is asked
	if _, p, err := plain.SignIn(t.Context(), hana.Email, "wrong horse battery", office, Entry{}); p != nil || !errors.Is(err, ErrRefused) {
		t.Errorf("SignIn() = %v, %v", p, err)
	}
}

func TestACodeIsGoodOnce(t *testing.T) {
	t.Parallel()
	b, secret, _ := withSecond(t)
	code := b.code(secret, 0)
	var wg sync.WaitGroup
	in := make(chan string, 8)
	for range cap(in) {
		p := b.pend(t, hana.Email, goodPassword)
		wg.Go(func() {
			if s, err := b.SignInWithCode(context.WithoutCancel(t.Context()), p, code, office, Entry{}); err == nil {
				in <- s
			}
		})
	}
	wg.Wait()
	if len(in) != 1 {
		t.Errorf("%d came in with one code", len(in))
	}
	b.clock = b.clock.Add(time.Hour)
	if _, err := b.SignInWithCode(t.Context(), b.pend(t, hana.Email, goodPassword), b.code(secret, -1), office, Entry{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SignInWithCode(t.Context(), b.pend(t, hana.Email, goodPassword), b.code(secret, -1), office, Entry{}); !errors.Is(err, ErrRefused) {
		t.Errorf("the same code again: %v", err)
	}
}

func TestARecoveryCodeIsGoodOnce(t *testing.T) {
	t.Parallel()
	b, _, recovery := withSecond(t)
	if len(recovery) != recoveryCodes {
		t.Fatalf("%d recovery codes", len(recovery))
	}
	for _, r := range recovery {
		if strings.Contains(strings.Join(b.dir.creds["hana"].Second.Recovery, " "), strings.ReplaceAll(r, "-", "")) {
			t.Errorf("recovery code %s is stored", r)
		}
	}
	for i, want := range []error{nil, ErrRefused} {
		_, err := b.SignInWithCode(t.Context(), b.pend(t, hana.Email, goodPassword), strings.ToUpper(recovery[3]), office, Entry{})
		if !errors.Is(err, want) {
			t.Errorf("time %d: %v, want %v", i+1, err, want)
		}
	}
	if n := len(b.dir.creds["hana"].Second.Recovery); n != recoveryCodes-1 {
		t.Errorf("%d are left", n)
	}
}

func TestCodesCannotBeGuessed(t *testing.T) {
	t.Parallel()
	b, secret, _ := withSecond(t)
	for _, password := range []string{"wrong horse battery", goodPassword} {
		slow, tries := false, 0
		p := b.pend(t, hana.Email, password)
		for ; tries < 40 && !slow; tries++ {
			_, err := b.SignInWithCode(t.Context(), p, "000000", office, Entry{})
			_, slow = errors.AsType[*ThrottledError](err)
		}
		if !slow || tries != freePerAccount+1 {
			t.Errorf("%d codes were tried without a wait", tries-1)
		}
	}
	b.clock = b.clock.Add(longestWait)
	p := b.pend(t, hana.Email, goodPassword)
	if _, err := b.SignInWithCode(t.Context(), p, b.code(secret, 0), office, Entry{}); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	// An office of people who sign in with codes is not held up.
	for range 3 * freePerAddress {
		b.clock = b.clock.Add(30 * time.Second)
		if _, err := b.SignInWithCode(t.Context(), p, b.code(secret, 0), office, Entry{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestASecondFactorIsSwitchedOffByPasswordAndCode(t *testing.T) {
	t.Parallel()
	b, secret, _ := withSecond(t)
	session, err := b.SignInWithCode(t.Context(), b.pend(t, hana.Email, goodPassword), b.code(secret, 0), office, Entry{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.DropSecond(t.Context(), hana, "wrong horse battery", b.code(secret, 1), office); !errors.Is(err, ErrRefused) {
		t.Errorf("with a wrong password: %v", err)
	}
	if err := b.DropSecond(t.Context(), hana, goodPassword, b.code(secret, 0), office); !errors.Is(err, ErrCode) {
		t.Errorf("with a used code: %v", err)
	}
	b.clock = b.clock.Add(time.Minute)
	if err := b.DropSecond(t.Context(), hana, goodPassword, b.code(secret, 0), office); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Session(t.Context(), session); !errors.Is(err, ErrNoSession) {
		t.Errorf("a session from before: %v", err)
	}
	if _, err := b.signIn(t.Context(), hana.Email, goodPassword, office); err != nil {
		t.Errorf("without a second factor: %v", err)
	}
}

func TestANewPasswordKeepsTheSecondFactorAndEndsWhatIsPending(t *testing.T) {
	t.Parallel()
	b, secret, _ := withSecond(t)
	p := b.pend(t, hana.Email, goodPassword)
	b.clock = b.clock.Add(time.Second)
	if err := b.SetPassword(t.Context(), "test", hana, "another good phrase"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SignInWithCode(t.Context(), p, b.code(secret, 0), office, Entry{}); !errors.Is(err, ErrRefused) {
		t.Errorf("what was pending: %v", err)
	}
	b.pend(t, hana.Email, "another good phrase")
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var secrets []string
	for _, agent := range []string{"Firefox", "Chrome", strings.Repeat("x", 300)} {
		s, _, err := b.SignIn(t.Context(), hana.Email, goodPassword, office, Entry{Agent: agent})
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, s)
		b.clock = b.clock.Add(time.Hour)
	}
	_, this, err := b.Session(t.Context(), secrets[0])
	if err != nil {
		t.Fatal(err)
	}
	all, err := b.Sessions(t.Context(), "hana")
	if err != nil || len(all) != 3 || all[0].ID != this.ID || all[0].Agent != "Firefox" || len(all[1].Agent) != 200 {
		t.Fatalf("Sessions() = %+v, %v", all, err)
	}
	if err := b.EndSession(t.Context(), "somebody", all[2].ID); !errors.Is(err, ErrNoSession) {
		t.Errorf("somebody else's session: %v", err)
	}
	if err := b.EndSession(t.Context(), "hana", all[2].ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Session(t.Context(), secrets[1]); !errors.Is(err, ErrNoSession) {
		t.Errorf("the session that was ended: %v", err)
	}
	if _, err := b.Sessions(t.Context(), "nobody"); err != nil {
		t.Error(err)
	}
}

func TestWhatABrowserKeepsIsSealed(t *testing.T) {
	t.Parallel()
	s, err := NewSigner([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	text, err := s.Seal("sign-in", Pending{Account: "hana@example.com", Staff: "hana"}, now.Add(time.Minute))
	if err != nil || strings.Contains(text, "hana") {
		t.Fatalf("Seal() = %s, %v", text, err)
	}
	var p Pending
	if err := s.Unseal("sign-in", text, now, &p); err != nil || p.Staff != "hana" {
		t.Errorf("Unseal() = %+v, %v", p, err)
	}
	flipped := []byte(text)
	flipped[20] ^= 1
	for name, try := range map[string]error{
		"for another purpose": s.Unseal("openid", text, now, &p), "too late": s.Unseal("sign-in", text, now.Add(time.Minute), &p),
		"changed": s.Unseal("sign-in", string(flipped), now, &p), "empty": s.Unseal("sign-in", "", now, &p),
	} {
		if !errors.Is(try, ErrLink) {
			t.Errorf("%s: %v", name, try)
		}
	}
}
