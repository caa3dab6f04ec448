package desk

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"rsc.io/qr"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
)

// Whoever signs in by password may have a second factor, and some roles must:
// codes that an authenticator makes. After address and password everybody is
// asked for a code, whether they were right or not, once anybody here has a
// second factor: who guesses passwords learns nothing before the code. Those
// whom an OpenID provider sent were asked there.

const (
	pendingSeal = "sign-in"
	secondSeal  = "second factor"
	// secondLife is how long somebody may take to read the code of a picture.
	secondLife = 30 * time.Minute
	secondPath = "/me/second"
)

// errSecond asks for a second factor before anything else.
var errSecond = errors.New("a role of yours has to have a second factor: set it up in the desk, under /me/second")

// lacksSecond tells whether the caller has to set up a second factor first.
func (c *call) lacksSecond() bool {
	if c.place.Via == identity.ByOpenID || !c.Settings.NeedsSecond(c.staff) {
		return false
	}
	cred, _ := settings.Credentials.Get(c.Settings, c.staff.ID)
	return cred.Second == nil
}

// askCode asks for the code after address and password.
func (c *call) askCode(p *identity.Pending, next string) error {
	p.Next = next
	sealed, err := c.Signer.Seal(pendingSeal, p, p.At.Add(identity.PendingLife))
	if err != nil {
		return err
	}
	return c.showCode(http.StatusOK, sealed, "")
}

func (c *call) showCode(status int, sealed, wrong string) error {
	say := c.l.say
	return c.show(status, "signin", "page", &signInView{
		frame: c.frame(say("code.title"), "/sign-in"), Lead: say("code.lead"), Action: "/sign-in/code", Button: say("signin.button"), Error: wrong,
		Hidden: []pair{{"pending", sealed}},
		Fields: []field{{Name: "code", Label: say("code.code"), Hint: say("code.hint"), Required: true, Auto: "one-time-code", Mono: true, Digits: true}},
		Links:  []link{{say("code.again"), "/sign-in"}},
	})
}

func (c *call) doSignInCode() error {
	var p identity.Pending
	sealed := c.form("pending")
	if err := c.Signer.Unseal(pendingSeal, sealed, c.l.now, &p); err != nil {
		return c.showSignIn(http.StatusUnprocessableEntity, "", c.l.say("code.late"), "")
	}
	secret, err := c.Gate.SignInWithCode(c.ctx, p, c.form("code"), c.from(), c.entry(identity.ByPassword))
	if _, slow := errors.AsType[*identity.ThrottledError](err); slow {
		return c.showCode(http.StatusTooManyRequests, sealed, c.l.say("signin.slow"))
	}
	if errors.Is(err, identity.ErrRefused) {
		return c.showCode(http.StatusUnprocessableEntity, sealed, c.l.say("code.wrong"))
	}
	if err != nil {
		return err
	}
	c.learnZone()
	c.setSession(secret)
	return c.back(p.Next)
}

// secondView is where somebody sets up, renews or drops their second factor.
type secondView struct {
	frame
	Lead     string
	Notice   *notice
	Picture  template.HTML // what the authenticator reads
	Key      string        // the same, for typing
	Recovery []string      // shown once
	Forms    []*formView
	Back     link
}

// enrolling is a second factor that is being set up.
type enrolling struct {
	Staff  string `json:"staff"`
	Secret string `json:"secret"`
}

func (c *call) second() error { return c.showSecond(http.StatusOK, "", nil, nil) }

func (c *call) showSecond(status int, sealed string, wrong map[string]string, recovery []string) error {
	say := c.l.say
	v := &secondView{frame: c.frame(say("second.title"), "/me"), Back: link{say("me.title"), "/me"}, Recovery: recovery}
	cred, _ := settings.Credentials.Get(c.Settings, c.staff.ID)
	code := func(name string) field {
		return field{Name: name, Label: say("code.code"), Required: true, Auto: "one-time-code", Mono: true, Digits: true, Error: wrong[name]}
	}
	switch {
	case recovery != nil:
		v.Lead = say("second.recovery_lead")
	case cred.Second != nil:
		v.Lead = say("second.on", c.l.at(cred.Second.Since).Exact(), len(cred.Second.Recovery))
		renew := &formView{frame: v.frame, Action: secondPath + "/recovery", Button: say("second.renew"), Groups: []fieldGroup{{Label: say("second.recovery"), Hint: say("second.renew_hint"), Fields: []field{code("renew_code")}}}}
		drop := &formView{frame: v.frame, Action: secondPath + "/drop", Button: say("second.drop"), Groups: []fieldGroup{{Label: say("second.drop"), Hint: say("second.drop_hint")}}}
		if cred.Password != "" {
			drop.Groups[0].Fields = []field{{Name: "password", Label: say("me.password_now"), Type: "password", Required: true, Auto: "current-password", Error: wrong["password"]}}
		}
		drop.Groups[0].Fields = append(drop.Groups[0].Fields, code("drop_code"))
		v.Forms = []*formView{renew}
		if !c.Settings.NeedsSecond(c.staff) {
			v.Forms = append(v.Forms, drop)
		}
	default:
		v.Lead = say("second.off")
		if c.lacksSecond() {
			v.Notice = &notice{Kind: "stale", Title: say("second.must"), Text: say("second.must_text")}
		}
		e := enrolling{Staff: c.staff.ID}
		if c.Signer.Unseal(secondSeal, sealed, c.l.now, &e) != nil || e.Staff != c.staff.ID || e.Secret == "" {
			e = enrolling{c.staff.ID, identity.NewSecond()}
			var err error
			if sealed, err = c.Signer.Seal(secondSeal, e, c.l.now.Add(secondLife)); err != nil {
				return err
			}
		}
		picture, err := picture(identity.SecondURI(e.Secret, c.staff.Email, "Earshot"))
		if err != nil {
			return err
		}
		v.Picture, v.Key = picture, spaced(e.Secret)
		v.Forms = []*formView{{frame: v.frame, Action: secondPath, Button: say("second.set_up"), Hidden: []pair{{"enrolling", sealed}}, Groups: []fieldGroup{{Fields: []field{code("code")}}}}}
	}
	return c.show(status, "second", "page", v)
}

// spaced is a key in groups of four, for typing.
func spaced(key string) string {
	var out []string
	for len(key) > 4 {
		out, key = append(out, key[:4]), key[4:]
	}
	return strings.Join(append(out, key), " ")
}

// picture draws text as a QR code: one path of squares, with the quiet zone of
// four that readers want.
func picture(text string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", fmt.Errorf("picture of the second factor: %w", err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+4, y+4)
			}
		}
	}
	n := code.Size + 8
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %d %d" width="232" height="232" shape-rendering="crispEdges" aria-hidden="true"><path d="%s"/></svg>`, n, n, path.String())), nil //nolint:gosec // numbers alone
}

func (c *call) setSecond() error {
	var e enrolling
	sealed := c.form("enrolling")
	if err := c.Signer.Unseal(secondSeal, sealed, c.l.now, &e); err != nil || e.Staff != c.staff.ID {
		return c.showSecond(http.StatusUnprocessableEntity, "", map[string]string{"code": c.l.say("second.late")}, nil)
	}
	if cred, _ := settings.Credentials.Get(c.Settings, c.staff.ID); cred.Second != nil {
		return c.back(secondPath) // only password and code switch it off
	}
	recovery, err := c.Gate.SetSecond(c.ctx, c.staff.ID, e.Secret, c.form("code"))
	if errors.Is(err, identity.ErrCode) {
		return c.showSecond(http.StatusUnprocessableEntity, sealed, map[string]string{"code": c.l.say("second.wrong")}, nil)
	}
	if err != nil {
		return err
	}
	if err := c.renewSession(); err != nil {
		return err
	}
	return c.showSecond(http.StatusOK, "", nil, recovery)
}

// renewSession begins a new session in place of the one that has just ended with
// all others.
func (c *call) renewSession() error {
	secret, err := c.Gate.Begin(c.ctx, c.staff.ID, c.entry(c.place.Via))
	if err == nil {
		c.setSession(secret)
	}
	return err
}

// codeWrong is what to say of a code or password that was not taken, and the
// status that goes with it; an error that isn't about them is returned.
func (c *call) codeWrong(err error, code string) (int, map[string]string, error) {
	if _, slow := errors.AsType[*identity.ThrottledError](err); slow {
		return http.StatusTooManyRequests, map[string]string{code: c.l.say("signin.slow")}, nil
	}
	switch {
	case errors.Is(err, identity.ErrCode):
		return http.StatusUnprocessableEntity, map[string]string{code: c.l.say("second.wrong")}, nil
	case errors.Is(err, identity.ErrRefused):
		return http.StatusUnprocessableEntity, map[string]string{"password": c.l.say("form.wrong_password")}, nil
	}
	return 0, nil, err
}

func (c *call) renewRecovery() error {
	recovery, err := c.Gate.NewRecovery(c.ctx, *c.staff, c.form("renew_code"), c.from())
	if err == nil {
		return c.showSecond(http.StatusOK, "", nil, recovery)
	}
	status, wrong, err := c.codeWrong(err, "renew_code")
	if err != nil {
		return err
	}
	return c.showSecond(status, "", wrong, nil)
}

func (c *call) dropSecond() error {
	if c.Settings.NeedsSecond(c.staff) {
		return errForbidden
	}
	err := c.Gate.DropSecond(c.ctx, *c.staff, c.r.PostFormValue("password"), c.form("drop_code"), c.from())
	if err == nil {
		c.flash(&flash{Text: c.l.say("second.dropped")})
		if err := c.renewSession(); err != nil {
			return err
		}
		return c.back("/me")
	}
	status, wrong, err := c.codeWrong(err, "drop_code")
	if err != nil {
		return err
	}
	return c.showSecond(status, "", wrong, nil)
}

// resetSecond takes the second factor away from somebody who has lost it.
func (c *call) resetSecond() error {
	s, isNew, err := c.wantedPerson()
	if err != nil {
		return err
	}
	if isNew {
		return errNotFound
	}
	if err := c.Gate.ResetSecond(c.ctx, c.viewer.Actor(), s.ID); err != nil {
		return err
	}
	c.Log.Info("a second factor was reset", "staff", s.ID, "by", c.viewer.Actor())
	c.flash(&flash{Text: c.l.say("second.reset_done", s.Name)})
	if s.ID == c.staff.ID {
		if err := c.renewSession(); err != nil {
			return err
		}
	}
	return c.back("/staff/" + s.ID)
}
