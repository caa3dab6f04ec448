package desk

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/text"
)

// route is one row of the table of routes.
type route struct {
	pattern string
	// need is the right a viewer must have for some brand to get in at all;
	// what concerns one brand is checked again where the brand is known.
	need   identity.Action
	handle func(*call) error
}

// path is the pattern without its method.
func (r route) path() string {
	if _, path, ok := strings.Cut(r.pattern, " "); ok {
		return path
	}
	return r.pattern
}

// api tells whether the route belongs to the HTTP API.
func (r route) api() bool {
	return strings.HasPrefix(r.path(), "/api/")
}

// call is one request on its way.
type call struct {
	*Desk
	w       http.ResponseWriter
	r       *http.Request
	ctx     context.Context
	viewer  identity.Viewer
	staff   *identity.Staff // nil for tokens and strangers
	session string
	place   identity.Session // where the caller is signed in
	l       *locale
	look    look
}

var (
	errNotFound  = errors.New("no such page")
	errCrossSite = errors.New("the request came from another site")
	errForbidden = errors.New("the viewer's rights do not reach")
)

// inputError is a request that can't be used as it is; its text may be shown.
type inputError struct{ text string }

func (e *inputError) Error() string { return e.text }

const sessionCookie = "earshot"

// adapt makes a handler of a route: it finds out who asks, holds the route's
// right against them, and turns an error into a page or an answer.
func (d *Desk) adapt(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c := &call{Desk: d, w: w, r: req, ctx: req.Context()}
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		h.Set("Vary", "Earshot-Part, Accept-Encoding, Cookie")
		upload := strings.HasPrefix(req.Header.Get("Content-Type"), "multipart/form-data") && !r.api()
		limit := d.MaxBody
		if upload {
			limit = maxUpload
		}
		req.Body = http.MaxBytesReader(w, req.Body, limit)
		err := c.identify(r)
		if err == nil {
			err = c.admit(r)
		}
		if err == nil && req.Method == http.MethodPost && !r.api() {
			err = c.parse(upload) // here, so that a form too large is said to be
		}
		if err == nil {
			err = r.handle(c)
		}
		if err != nil && c.ctx.Err() == nil {
			c.fail(r, err)
		}
	})
}

func (c *call) parse(upload bool) error {
	err := c.r.ParseForm()
	if upload {
		err = c.r.ParseMultipartForm(8 << 20)
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); err == nil || large {
		return err
	}
	return &inputError{c.l.say("error.form")}
}

// identify finds out who asks and how they like their pages.
func (c *call) identify(r route) error {
	c.look = readLook(c.r)
	lang := c.look.Lang
	if lang == "" {
		lang = acceptLanguage(c.r.Header.Get("Accept-Language"))
	}
	defer func() {
		if c.staff != nil && c.look.Lang == "" && c.pages.words[c.staff.Lang] != nil {
			lang = c.staff.Lang
		}
		c.l = &locale{words: c.pages.words[lang], zone: c.look.zone(), now: c.Now()}
	}()
	if r.pattern == intakePattern && c.r.Header.Get("Webhook-Signature") != "" {
		v, err := c.sender()
		c.viewer = v
		return err
	}
	if bearer, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer "); ok && r.api() {
		v, err := c.bearer(bearer)
		c.viewer = v
		return err
	}
	cookie, err := c.r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	s, place, err := c.Gate.Session(c.ctx, cookie.Value)
	if errors.Is(err, identity.ErrNoSession) {
		return nil
	}
	if err != nil {
		return err
	}
	c.staff, c.session, c.place, c.viewer = &s, cookie.Value, place, c.Settings.ViewerOf(&s, c.Now())
	return nil
}

func (c *call) admit(r route) error {
	switch {
	case r.need == identity.Anyone:
		return nil
	case c.viewer.Actor() == "":
		return identity.ErrNoSession
	case r.need == identity.Self && c.staff != nil:
		return nil
	case c.staff != nil && c.lacksSecond():
		return errSecond
	case !c.viewer.CanSomewhere(r.need):
		if c.staff == nil {
			return tooNarrow(r.need)
		}
		return errForbidden
	}
	return nil
}

// tooNarrow names the scopes that a token would need.
func tooNarrow(a identity.Action) error {
	var scopes []string
	for _, s := range identity.Scopes {
		if s.Can(a) {
			scopes = append(scopes, string(s))
		}
	}
	if len(scopes) == 0 {
		return fmt.Errorf("%w: this wants a person who is signed in to the desk", errForbidden)
	}
	return fmt.Errorf("%w: this wants a token of scope %s", errForbidden, strings.Join(scopes, " or "))
}

// may wants a right for a brand, or with identity.AllBrands for everything.
func (c *call) may(a identity.Action, brand string) error {
	if !c.viewer.Can(a, brand) {
		return errForbidden
	}
	return nil
}

// sees is the caller as the index knows viewers.
func (c *call) sees() search.Viewer { return seesOf(c.viewer) }

func seesOf(v identity.Viewer) search.Viewer {
	brands, all := v.Brands(identity.View)
	if all {
		return search.SeesAllBrands()
	}
	return search.Sees(brands...)
}

// part is the piece of the page that the script asks for; empty for all of it.
func (c *call) part() string { return c.r.Header.Get("Earshot-Part") }

// form returns a form value as clean text, without the line ends that forms add.
func (c *call) form(name string) string {
	return strings.TrimSpace(text.Valid(c.r.PostFormValue(name)))
}

// based is the version of a setting that a form was filled in on: the one it
// carries, or the one there is now.
func (c *call) based(now uint64) uint64 {
	if version := c.form("version"); version != "" {
		return uint64(atoi(version))
	}
	return now
}

// overtaken tells whether err says that somebody changed the setting since its form
// was opened. The form is shown again with what was typed, and saving that is on
// purpose: it is based on what there is now.
func (c *call) overtaken(err error) bool {
	if !errors.Is(err, settings.ErrStale) {
		return false
	}
	c.r.PostForm.Del("version")
	return true
}

// overtakenNotice says so above the form.
func (c *call) overtakenNotice() *notice {
	return &notice{Kind: "error", Title: c.l.say("error.conflict"), Text: c.l.say("rules.stale")}
}

// frame is what every page of the caller shares.
func (c *call) frame(title, path string) frame {
	f := frame{locale: c.l, Title: title, Path: path, Theme: c.look.Theme, Density: c.look.density()}
	if c.staff != nil {
		f.User = &userView{ID: c.staff.ID, Name: c.staff.Name}
		f.Keys, f.Live = !c.look.NoKeys, true
		f.Nav = c.nav(path)
		f.Flash = c.takeFlash()
	}
	return f
}

// show sends a page, or one part of it.
func (c *call) show(status int, view, block string, data any) error {
	body, err := c.pages.render(c.l.lang, view, block, data)
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if block != "page" {
		h.Set("Earshot-Part", block)
	}
	return c.send(status, body)
}

var gzips = sync.Pool{New: func() any { z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return z }}

func (c *call) send(status int, body []byte) error {
	if len(body) < 1024 || !acceptsGzip(c.r) {
		c.w.WriteHeader(status)
		_, err := c.w.Write(body)
		return err
	}
	c.w.Header().Set("Content-Encoding", "gzip")
	c.w.WriteHeader(status)
	z := gzips.Get().(*gzip.Writer)
	defer gzips.Put(z)
	z.Reset(c.w)
	if _, err := z.Write(body); err != nil {
		return err
	}
	return z.Close()
}

// back sends the browser on after a POST. Only paths of ours are followed.
func (c *call) back(to string) error {
	http.Redirect(c.w, c.r, ownPath(to), http.StatusSeeOther)
	return nil
}

// ownPath returns to if it is a path on this server, else the queue.
func ownPath(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n") {
		return "/queue"
	}
	return to
}

const flashCookie = "earshot-flash"

// flash keeps what was done for the next page.
func (c *call) flash(f *flash) {
	raw, err := json.Marshal(f)
	if err != nil || len(raw) > 2000 {
		return
	}
	http.SetCookie(c.w, &http.Cookie{
		Name: flashCookie, Value: base64.RawURLEncoding.EncodeToString(raw), Path: "/", MaxAge: 60,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: c.secure(),
	})
}

func (c *call) takeFlash() *flash {
	cookie, err := c.r.Cookie(flashCookie)
	if err != nil || c.part() != "" {
		return nil
	}
	http.SetCookie(c.w, &http.Cookie{Name: flashCookie, Path: "/", MaxAge: -1})
	raw, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	var f flash
	if err != nil || json.Unmarshal(raw, &f) != nil {
		return nil
	}
	if f.Undo != nil && !strings.HasPrefix(f.Undo.Action, "/cases/") {
		f.Undo = nil // not of our making
	}
	return &f
}

// from is the address that throttling counts by. Behind a proxy it is the
// proxy's: the account is throttled all the same.
func (c *call) from() netip.Addr {
	ap, err := netip.ParseAddrPort(c.r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr()
}

// failure is what people are told of an error.
type failure struct {
	status int
	code   string // stable, for the API
	title  string
	text   string
	links  []link
}

// judge says what an error means to the one who asked.
func (c *call) judge(err error) failure {
	say := c.l.say
	queue := []link{{say("error.queue"), "/queue"}}
	if refused, ok := errors.AsType[*casework.Refused](err); ok {
		return failure{refusalStatus(refused.Code), refused.Code, say("error.conflict"), c.refusal(refused), queue}
	}
	if input, ok := errors.AsType[*inputError](err); ok {
		status := http.StatusUnprocessableEntity // of the body
		if c.r.Method == http.MethodGet {
			status = http.StatusBadRequest // of the address
		}
		return failure{status, "input", say("error.input"), input.text, queue}
	}
	if len(fieldErrors(err)) > 0 { // of a setting that has no form of its own
		return failure{http.StatusUnprocessableEntity, "input", say("error.input"), c.l.why(err), queue}
	}
	if q, ok := errors.AsType[*search.QueryError](err); ok {
		why, ok := c.l.mistake(q.Format, q.Args)
		if !ok {
			why = q.Reason
		}
		return failure{http.StatusBadRequest, "input", say("error.input"), say("error.query", q.Part, why), queue}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return failure{http.StatusRequestEntityTooLarge, "too_large", say("error.large"), say("error.large_text"), queue}
	}
	if e, ok := errors.AsType[*identity.SignatureError](err); ok {
		return failure{http.StatusUnauthorized, "unauthorized", say("signin.title"), e.Text, nil}
	}
	if e, ok := errors.AsType[*paceError](err); ok {
		return failure{http.StatusTooManyRequests, "too_many", say("error.busy"), e.Error(), nil}
	}
	switch {
	case errors.Is(err, errNotFound), errors.Is(err, casework.ErrUnknown), errors.Is(err, bus.ErrNotFound):
		return failure{http.StatusNotFound, "not_found", say("error.not_found"), say("error.not_found_text"), queue}
	case errors.Is(err, errForbidden), errors.Is(err, search.ErrNoViewer):
		return failure{http.StatusForbidden, "forbidden", say("error.forbidden"), say("error.forbidden_text"), queue}
	case errors.Is(err, errSecond):
		return failure{http.StatusForbidden, "second_factor", say("second.must"), say("second.must_text"), []link{{say("second.title"), secondPath}}}
	case errors.Is(err, errCrossSite):
		return failure{http.StatusForbidden, "cross_site", say("error.cross"), say("error.cross_text"), queue}
	case errors.Is(err, identity.ErrNoSession), errors.Is(err, identity.ErrToken):
		return failure{http.StatusUnauthorized, "unauthorized", say("signin.title"), say("error.signin"), []link{{say("signin.title"), "/sign-in"}}}
	case errors.Is(err, settings.ErrStale), errors.Is(err, bus.ErrConflict):
		return failure{http.StatusConflict, "stale", say("error.conflict"), say("error.conflict_text"), queue}
	case errors.Is(err, bus.ErrFull), errors.Is(err, context.DeadlineExceeded):
		return failure{http.StatusServiceUnavailable, "unavailable", say("error.busy"), say("error.busy_text"), []link{{say("error.again"), c.r.URL.Path}}}
	case errors.Is(err, search.ErrUnavailable), errors.Is(err, search.ErrTimeout):
		return failure{http.StatusServiceUnavailable, "unavailable", say("list.failed"), say("list.failed_text"), []link{{say("error.again"), c.r.URL.Path}}}
	}
	return failure{http.StatusInternalServerError, "internal", say("error.title"), say("error.text"), []link{{say("error.again"), c.r.URL.Path}, queue[0]}}
}

// fail answers with an error: JSON for the API, a notice for a part, else a
// page. What only we should know goes to the log.
func (c *call) fail(r route, err error) {
	f := c.judge(err)
	if f.status >= 500 {
		c.Log.Error("request failed", "method", c.r.Method, "path", c.r.URL.Path, "error", err)
	}
	if f.status == http.StatusServiceUnavailable {
		c.w.Header().Set("Retry-After", "5")
	}
	if e, ok := errors.AsType[*paceError](err); ok {
		c.w.Header().Set("Retry-After", strconv.Itoa(int((e.wait+time.Second-1)/time.Second)))
	}
	switch {
	case r.api():
		if f.status == http.StatusUnauthorized {
			c.w.Header().Set("WWW-Authenticate", "Bearer")
		}
		_ = c.json(f.status, map[string]any{"error": map[string]string{"code": f.code, "message": apiText(err, f)}})
	case f.status == http.StatusUnauthorized:
		next := "/queue"
		if c.r.Method == http.MethodGet {
			next = c.r.URL.RequestURI()
		}
		http.Redirect(c.w, c.r, "/sign-in?next="+url.QueryEscape(next), http.StatusSeeOther)
	case errors.Is(err, errSecond) && c.part() == "":
		http.Redirect(c.w, c.r, secondPath, http.StatusSeeOther)
	case c.part() != "":
		if err := c.show(f.status, "error", "flash", &flash{Text: f.text, Error: true}); err != nil {
			c.Log.Error("error not shown", "error", err)
		}
	default:
		v := &errorView{frame: c.frame(f.title, c.r.URL.Path), Code: f.status}
		v.Notice = notice{Title: f.title, Text: f.text, Links: f.links}
		if f.status >= 500 {
			v.Notice.Kept = c.l.say("error.kept")
		}
		if err := c.show(f.status, "error", "page", v); err != nil {
			c.Log.Error("error not shown", "error", err)
			http.Error(c.w, f.title, f.status)
		}
	}
}

// apiText is the English text of an error for programs: exact where the
// mistake is the caller's, silent about ourselves.
func apiText(err error, f failure) string {
	if f.status == http.StatusServiceUnavailable {
		return "nothing can be stored or searched just now; send it again later, what was accepted is kept"
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fmt.Sprintf("more than %d bytes; send less at once, or raise limits.intake_body", large.Limit)
	}
	if f.status < 500 && f.status != http.StatusNotFound {
		return err.Error()
	}
	return strings.ToLower(http.StatusText(f.status))
}

func refusalStatus(code string) int {
	switch code {
	case casework.CodeForbidden:
		return http.StatusForbidden
	case casework.CodeInput, casework.CodeCheck, casework.CodeMeasure, "labels":
		return http.StatusUnprocessableEntity
	case casework.CodeErased:
		return http.StatusGone
	}
	return http.StatusConflict
}

// refusal is why a command was not taken, in the reader's language.
func (c *call) refusal(r *casework.Refused) string {
	key := "refused." + r.Code
	if text, ok := c.l.mistake(r.Format, r.Args); ok && (r.Code == casework.CodeInput || r.Code == casework.CodeState) {
		return text
	}
	switch {
	case !c.l.has(key):
		return r.Text
	case r.Code == casework.CodeHeld, r.Code == casework.CodeNoAnswer:
		return c.l.say(key, c.who(r.Who))
	case c.l.lang == "en" && (r.Code == casework.CodeInput || r.Code == casework.CodeState || r.Code == casework.CodeApproval):
		return upperFirst(r.Text) + "."
	}
	return c.l.say(key, r.Text)
}

func upperFirst(s string) string {
	for i, r := range s {
		return strings.ToUpper(string(r)) + s[i+len(string(r)):]
	}
	return s
}

// json answers with v.
func (c *call) json(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("desk: answer: %w", err)
	}
	c.w.Header().Set("Content-Type", "application/json")
	return c.send(status, append(body, '\n'))
}

// who is the name of an actor.
func (c *call) who(actor string) string {
	if actor == identity.ActorConsole {
		return c.l.say("actor.cli")
	}
	return c.Desk.who(actor)
}

func (d *Desk) who(actor string) string {
	if s, ok := settings.Staff.Get(d.Settings, actor); ok {
		return s.Name
	}
	if id, ok := strings.CutPrefix(actor, "token:"); ok {
		if t, ok := settings.Tokens.Get(d.Settings, id); ok {
			return t.Name
		}
		return id
	}
	switch actor {
	case identity.ActorSystem, "":
		return "Earshot"
	}
	return actor
}

// brandName is what a brand is called in the caller's language.
func (c *call) brandName(id string) string {
	if b, ok := settings.Brands.Get(c.Settings, id); ok {
		return b.Called(c.l.lang)
	}
	return id
}

// brandOptions are the brands the caller has a right for.
func (c *call) brandOptions(a identity.Action, on ...string) []option {
	var out []option
	for _, b := range settings.Brands.List(c.Settings) {
		if c.viewer.Can(a, b.ID) {
			out = append(out, option{Value: b.ID, Label: b.Called(c.l.lang), On: slices.Contains(on, b.ID)})
		}
	}
	return out
}

// withQuery returns the request's path with its query changed by set; an empty
// value takes a key out.
func withQuery(u *url.URL, set map[string]string) string {
	q := maps.Clone(u.Query())
	for k, v := range set {
		if v == "" {
			delete(q, k)
		} else {
			q.Set(k, v)
		}
	}
	if len(q) == 0 {
		return u.Path
	}
	return u.Path + "?" + q.Encode()
}

// within bounds a piece of work by d.
func (c *call) within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.ctx, d)
}

// bearer finds out whom a token stands for. One that isn't known is waited for a
// little: it may have been made a moment ago, in another process.
func (c *call) bearer(secret string) (identity.Viewer, error) {
	late := time.After(settle)
	for {
		changed := c.Settings.Changed()
		v, err := c.Gate.Bearer(c.ctx, secret)
		if !errors.Is(err, identity.ErrToken) {
			return v, err
		}
		select {
		case <-changed:
		case <-late:
			return v, err
		case <-c.ctx.Done():
			return v, err
		}
	}
}
