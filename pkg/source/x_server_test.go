package source

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// xServer speaks X's API v2 as its documents describe it: search and timelines
// with their bounds and pages, rules and the filtered stream, lookup with partial
// errors, posting with its refusals, OAuth 1.0a and 2.0.
type xServer struct {
	t   *testing.T
	url string

	mu        sync.Mutex
	now       time.Time
	posts     []*xPosted
	users     map[string]map[string]any
	rules     map[string]xRule
	nextRule  int
	streams   []chan string
	connects  []url.Values // of the stream
	asked     []string     // method and path
	queries   []string
	seq       uint64
	fault     http.HandlerFunc // answers instead, if set
	slack     bool             // posting: no refusals, and no answer either
	refresh   string           // the refresh token in force
	access    string           // the access token in force
	badQuery  string           // a word X does not take
	keepalive time.Duration
	mute      bool // the stream is taken, and nothing said
	jobs      xJobs
}

type xPosted struct {
	id      uint64
	author  string
	text    string
	history []string
	refs    []map[string]string
	known   time.Time // when search finds it
	extra   map[string]any
	gone    string // the type of problem that lookup tells
	unheard bool   // no stream brings it
}

const (
	xTestBearer = "app-token"
	xTestKeys   = "bearer: app-token\naccount: acme_jp\nconsumer_key: ck\nconsumer_secret: cs\naccess_token: at\naccess_secret: as\n"
)

func newXServer(t *testing.T) *xServer {
	x := &xServer{
		t: t, now: testNow, rules: map[string]xRule{}, access: "access-1", refresh: "refresh-1", keepalive: time.Hour,
		users: map[string]map[string]any{
			"1": {"id": "1", "username": "acme_jp", "name": "Acme", "public_metrics": map[string]any{"followers_count": 5}},
			"2": {"id": "2", "username": "hana", "name": "花", "public_metrics": map[string]any{"followers_count": 12}, "profile_image_url": "https://pbs.twimg.com/a.jpg"},
			"3": {"id": "3", "username": "bo", "name": "Bo", "public_metrics": map[string]any{"followers_count": 40}},
		},
	}
	x.url = serve(t, x.serve)
	t.Cleanup(x.cut)
	return x
}

func (x *xServer) clock() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.now
}

func (x *xServer) pass(d time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.now = x.now.Add(d)
}

func (x *xServer) set(f http.HandlerFunc) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.fault = f
}

// deps are those of a connector that lives in the server's time.
func (x *xServer) deps(words ...string) Deps {
	d := testDeps(x.t)
	d.Now, d.Keep = x.clock, Memory()
	d.Terms = func() Terms { return Terms{Words: words} }
	return d
}

func (x *xServer) open(cfg string, d Deps) *xSource {
	x.t.Helper()
	return openKind(x.t, "x", "api: "+x.url+"\n"+cfg, d).Source.(*xSource)
}

// say publishes a post, age ago, and sends it to the streams whose rules match.
func (x *xServer) say(author, text string, age time.Duration, change ...func(*xPosted)) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	at := x.now.Add(-age)
	x.seq++
	p := &xPosted{id: xIDAt(at) | x.seq&(1<<22-1), author: author, text: text, known: at, extra: map[string]any{}}
	for _, c := range change {
		c(p)
	}
	x.posts = append(x.posts, p)
	var matching []map[string]string
	for id, r := range x.rules {
		if !p.unheard && p.matches(r.Value, x) {
			matching = append(matching, map[string]string{"id": id, "tag": r.Tag})
		}
	}
	if len(matching) > 0 {
		raw, _ := json.Marshal(map[string]any{"data": x.json(p), "includes": x.includes([]*xPosted{p}), "matching_rules": matching})
		for _, s := range x.streams {
			s <- string(raw) + "\r\n"
		}
	}
	return strconv.FormatUint(p.id, 10)
}

func replyTo(id string) func(*xPosted) {
	return func(p *xPosted) { p.refs = append(p.refs, map[string]string{"type": "replied_to", "id": id}) }
}

func late(d time.Duration) func(*xPosted) {
	return func(p *xPosted) { p.known = p.known.Add(d) }
}

// send writes raw to every stream.
func (x *xServer) send(raw string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range x.streams {
		s <- raw
	}
}

// cut ends every stream.
func (x *xServer) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range x.streams {
		close(s)
	}
	x.streams = nil
}

// listening waits until n streams are connected.
func (x *xServer) listening(n int) {
	x.t.Helper()
	for range 6000 {
		x.mu.Lock()
		have := len(x.connects)
		x.mu.Unlock()
		if have >= n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	x.t.Fatalf("connection %d did not come", n)
}

func (x *xServer) count(prefix string) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := 0
	for _, a := range x.asked {
		if strings.HasPrefix(a, prefix) {
			n++
		}
	}
	return n
}

// matches knows the operators in use: words, phrases, #, @, from:, -is:retweet,
// OR within one pair of parentheses.
func (p *xPosted) matches(query string, x *xServer) bool {
	text := strings.ToLower(p.text)
	op := func(o string) bool {
		switch {
		case strings.HasPrefix(o, "from:"):
			return strings.EqualFold(x.users[p.author]["username"].(string), strings.TrimPrefix(o, "from:"))
		case o == "is:retweet":
			return slices.ContainsFunc(p.refs, func(r map[string]string) bool { return r["type"] == "retweeted" })
		}
		return strings.Contains(text, strings.Trim(o, `"`))
	}
	any, rest, grouped := strings.Cut(strings.TrimPrefix(query, "("), ")")
	if !strings.HasPrefix(query, "(") || !grouped {
		any, rest, _ = strings.Cut(query, " -")
		rest = strings.TrimSuffix(" -"+rest, " -")
	}
	for not := range strings.SplitSeq(rest, " ") {
		if not, ok := strings.CutPrefix(not, "-"); ok && op(not) {
			return false
		}
	}
	return slices.ContainsFunc(strings.Split(any, " OR "), op)
}

func (x *xServer) json(p *xPosted) map[string]any {
	id := strconv.FormatUint(p.id, 10)
	m := map[string]any{
		"id": id, "text": p.text, "author_id": p.author, "created_at": xTime(p.id).Format("2006-01-02T15:04:05.000Z"),
		"edit_history_tweet_ids": cmp.Or(strings.Join(p.history, ","), id), "conversation_id": id, "lang": "en", "reply_settings": "everyone",
		"public_metrics": map[string]any{"like_count": 1, "retweet_count": 2, "reply_count": 3, "quote_count": 4},
	}
	m["edit_history_tweet_ids"] = strings.Split(m["edit_history_tweet_ids"].(string), ",")
	if p.refs != nil {
		m["referenced_tweets"] = p.refs
	}
	var mentions []map[string]any
	for uid, u := range x.users {
		if at := strings.Index(p.text, "@"+u["username"].(string)); at >= 0 {
			mentions = append(mentions, map[string]any{"username": u["username"], "id": uid, "start": at})
		}
	}
	if mentions != nil {
		m["entities"] = map[string]any{"mentions": mentions}
	}
	for k, v := range p.extra {
		m[k] = v
	}
	return m
}

func (x *xServer) find(id string) *xPosted {
	n, _ := strconv.ParseUint(id, 10, 64)
	i := slices.IndexFunc(x.posts, func(p *xPosted) bool { return p.id == n })
	if i < 0 {
		return nil
	}
	return x.posts[i]
}

func (x *xServer) includes(posts []*xPosted) map[string]any {
	users, tweets := map[string]any{}, map[string]any{}
	for _, p := range posts {
		users[p.author] = x.users[p.author]
		for _, r := range p.refs {
			if o := x.find(r["id"]); o != nil {
				tweets[r["id"]], users[o.author] = x.json(o), x.users[o.author]
			}
		}
	}
	list := func(m map[string]any) (out []any) {
		for _, v := range m {
			out = append(out, v)
		}
		return out
	}
	return map[string]any{"users": list(users), "tweets": list(tweets)}
}

func problem(w http.ResponseWriter, status int, kind, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "detail": detail, "status": status, "type": "https://api.x.com/2/problems/" + kind})
}

func (x *xServer) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	x.mu.Lock()
	x.asked = append(x.asked, r.Method+" "+r.URL.Path)
	fault := x.fault
	x.mu.Unlock()
	if fault != nil {
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		fault(w, r)
		return
	}
	x.answer(w, r, body)
}

func (x *xServer) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	if r.URL.Path == "/2/oauth2/token" {
		x.grant(w, r, body)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/storage/") { // signed addresses, not X's own
		x.jobs.storage(w, r, body)
		return
	}
	who := x.identity(r)
	if who == "" {
		problem(w, 401, "unauthorized", "Unauthorized")
		return
	}
	x.mu.Lock()
	w.Header().Set("x-rate-limit-limit", "300")
	w.Header().Set("x-rate-limit-remaining", "299")
	w.Header().Set("x-rate-limit-reset", strconv.FormatInt(x.now.Add(15*time.Minute).Unix(), 10))
	x.mu.Unlock()
	switch p := r.URL.Path; {
	case strings.HasPrefix(p, "/2/compliance/jobs"):
		x.jobs.serve(x.url, who, w, r, body)
	case p == "/2/users/me" && who == "user":
		x.write(w, map[string]any{"data": x.users["1"]})
	case strings.HasPrefix(p, "/2/users/by/username/"):
		for _, u := range x.users {
			if strings.EqualFold(u["username"].(string), strings.TrimPrefix(p, "/2/users/by/username/")) {
				x.write(w, map[string]any{"data": u})
				return
			}
		}
		x.write(w, map[string]any{"errors": []any{map[string]any{"type": "https://api.x.com/2/problems/resource-not-found", "title": "Not Found Error"}}})
	case p == "/2/tweets/search/recent":
		x.search(w, r)
	case p == "/2/users/1/mentions":
		x.list(w, r, "pagination_token", 800, func(p *xPosted) bool { return strings.Contains(p.text, "@acme_jp") })
	case p == "/2/users/1/tweets":
		x.list(w, r, "pagination_token", 3200, func(p *xPosted) bool { return p.author == "1" })
	case p == "/2/tweets" && r.Method == "GET":
		x.lookup(w, r)
	case p == "/2/tweets" && r.Method == "POST" && who == "user":
		x.create(w, body)
	case p == "/2/tweets":
		problem(w, 403, "unsupported-authentication", "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint.")
	case p == "/2/tweets/search/stream/rules" && who == "app":
		x.editRules(w, r, body)
	case p == "/2/tweets/search/stream" && who == "app":
		x.stream(w, r)
	default:
		problem(w, 404, "resource-not-found", p)
	}
}

func (x *xServer) write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// identity is app, user, or empty.
func (x *xServer) identity(r *http.Request) string {
	auth := r.Header.Get("Authorization")
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case auth == "Bearer "+xTestBearer:
		return "app"
	case auth == "Bearer "+x.access:
		return "user"
	case strings.HasPrefix(auth, "OAuth ") && signedRight(r, "cs", "as"):
		return "user"
	}
	return ""
}

// signedRight checks a signature by RFC 5849, 3.4.
func signedRight(r *http.Request, consumerSecret, tokenSecret string) bool {
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	params := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(r.Header.Get("Authorization"), "OAuth "), ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		v, _ = url.PathUnescape(strings.Trim(v, `"`))
		params[k] = v
	}
	got := params["oauth_signature"]
	delete(params, "oauth_signature")
	if params["oauth_consumer_key"] != "ck" || params["oauth_token"] != "at" || params["oauth_signature_method"] != "HMAC-SHA1" || params["oauth_nonce"] == "" || params["oauth_timestamp"] == "" {
		return false
	}
	for k, v := range r.URL.Query() {
		params[k] = v[0]
	}
	var pairs []string
	for k, v := range params {
		pairs = append(pairs, escape(k)+"="+escape(v))
	}
	slices.Sort(pairs)
	base := r.Method + "&" + escape("http://"+r.Host+r.URL.Path) + "&" + escape(strings.Join(pairs, "&"))
	mac := hmac.New(sha1.New, []byte(escape(consumerSecret)+"&"+escape(tokenSecret)))
	mac.Write([]byte(base))
	return got == base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// grant renews a token; the one used is spent.
func (x *xServer) grant(w http.ResponseWriter, r *http.Request, body []byte) {
	form, _ := url.ParseQuery(string(body))
	id, secret, _ := r.BasicAuth()
	x.mu.Lock()
	defer x.mu.Unlock()
	if id != "client" || secret != "client-secret" || form.Get("grant_type") != "refresh_token" || form.Get("refresh_token") != x.refresh {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(400)
		io.WriteString(w, `{"error":"invalid_request","error_description":"Value passed for the token was invalid."}`)
		return
	}
	x.seq++
	x.access, x.refresh = fmt.Sprint("access-", x.seq), fmt.Sprint("refresh-", x.seq)
	x.write(w, map[string]any{"token_type": "bearer", "expires_in": 7200, "access_token": x.access, "refresh_token": x.refresh, "scope": "tweet.read"})
}

func (x *xServer) search(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query().Get("query")
	x.mu.Lock()
	x.queries = append(x.queries, q)
	bad := x.badQuery
	now := x.now
	x.mu.Unlock()
	since, _ := strconv.ParseUint(r.URL.Query().Get("since_id"), 10, 64)
	switch {
	case utf8.RuneCountInString(q) > 512 || q == "" || bad != "" && strings.Contains(q, bad):
		problem(w, 400, "invalid-request", "There were errors processing your request: query")
		return
	case since > 0 && since < xIDAt(now.Add(-7*24*time.Hour)):
		problem(w, 400, "invalid-request", "'since_id' must be a tweet id created after 7 days ago")
		return
	}
	x.list(w, r, "next_token", 0, func(p *xPosted) bool { return p.matches(q, x) })
}

// list gives what matches, newest first, in pages.
func (x *xServer) list(w http.ResponseWriter, r *http.Request, token string, most int, match func(*xPosted) bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	q := r.URL.Query()
	size, _ := strconv.Atoi(q.Get("max_results"))
	if size < 5 || size > 100 || token == "next_token" && size < 10 {
		problem(w, 400, "invalid-request", "The `max_results` query parameter value is not between 10 and 100")
		return
	}
	since, _ := strconv.ParseUint(q.Get("since_id"), 10, 64)
	until, _ := strconv.ParseUint(q.Get("until_id"), 10, 64)
	start, _ := time.Parse(time.RFC3339, q.Get("start_time"))
	var all []*xPosted
	for _, p := range x.posts {
		if match(p) && p.gone == "" && !p.known.After(x.now) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *xPosted) int { return cmp.Compare(b.id, a.id) })
	if most > 0 && len(all) > most {
		all = all[:most]
	}
	all = slices.DeleteFunc(all, func(p *xPosted) bool {
		return p.id <= since || until > 0 && p.id >= until || !start.IsZero() && xTime(p.id).Before(start)
	})
	from, _ := strconv.Atoi(strings.TrimPrefix(q.Get(token), "page"))
	page := all[min(from, len(all)):min(from+size, len(all))]
	out := map[string]any{"meta": map[string]any{"result_count": len(page)}}
	if len(page) > 0 {
		var data []any
		for _, p := range page {
			data = append(data, x.json(p))
		}
		meta := map[string]any{"result_count": len(page), "newest_id": page[0].id, "oldest_id": page[len(page)-1].id}
		if from+size < len(all) {
			meta["next_token"] = fmt.Sprint("page", from+size)
		}
		out = map[string]any{"data": data, "includes": x.includes(page), "meta": meta}
	}
	x.write(w, out)
}

func (x *xServer) lookup(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	defer x.mu.Unlock()
	ids := strings.Split(r.URL.Query().Get("ids"), ",")
	if len(ids) > 100 {
		problem(w, 400, "invalid-request", "The number of values in the `ids` query parameter list is not between 1 and 100")
		return
	}
	out := map[string]any{}
	var data, errs []any
	var posts []*xPosted
	for _, id := range ids {
		p := x.find(id)
		kind := "resource-not-found"
		if p != nil {
			kind = p.gone
		}
		if kind != "" {
			errs = append(errs, map[string]any{"value": id, "resource_id": id, "parameter": "ids", "resource_type": "tweet", "type": "https://api.x.com/2/problems/" + kind, "title": "Error", "detail": "Could not find tweet with ids: [" + id + "]."})
			continue
		}
		data, posts = append(data, x.json(p)), append(posts, p)
	}
	if data != nil {
		out["data"], out["includes"] = data, x.includes(posts)
	}
	if errs != nil {
		out["errors"] = errs
	}
	x.write(w, out)
}

// create posts, with the refusals of self-serve access.
func (x *xServer) create(w http.ResponseWriter, body []byte) {
	var in struct {
		Text  string `json:"text"`
		Reply struct {
			To string `json:"in_reply_to_tweet_id"`
		} `json:"reply"`
	}
	if json.Unmarshal(body, &in) != nil {
		problem(w, 400, "invalid-request", "Invalid JSON")
		return
	}
	x.mu.Lock()
	to := x.find(in.Reply.To)
	var refusal string
	switch {
	case to == nil || to.gone != "":
		refusal = "You attempted to reply to a Tweet that is deleted or not visible to you."
	case slices.ContainsFunc(x.posts, func(p *xPosted) bool { return p.author == "1" && strings.HasSuffix(p.text, in.Text) }):
		refusal = "You are not allowed to create a Tweet with duplicate content."
	case !strings.Contains(to.text, "@acme_jp"):
		refusal = "Reply to this conversation is not allowed because you have not been mentioned or otherwise engaged by the author of the post you are replying to."
	}
	author, slack := "", x.slack
	if to != nil {
		author = x.users[to.author]["username"].(string)
	}
	x.mu.Unlock()
	if refusal != "" {
		problem(w, 403, "about:blank", refusal)
		return
	}
	// X names the author in front, and shortens links.
	id := x.say("1", "@"+author+" "+in.Text, 0, replyTo(in.Reply.To))
	if slack {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(201)
	json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"id": id, "text": in.Text, "edit_history_tweet_ids": []string{id}}})
}

func (x *xServer) editRules(w http.ResponseWriter, r *http.Request, body []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r.Method == "GET" {
		var data []xRule
		for _, rule := range x.rules {
			data = append(data, rule)
		}
		x.write(w, map[string]any{"data": data, "meta": map[string]any{"result_count": len(data)}})
		return
	}
	var in struct {
		Add    []xRule `json:"add"`
		Delete struct {
			IDs []string `json:"ids"`
		} `json:"delete"`
	}
	json.Unmarshal(body, &in)
	var errs []any
	for _, rule := range in.Add {
		if utf8.RuneCountInString(rule.Value) > 1024 || x.badQuery != "" && strings.Contains(rule.Value, x.badQuery) {
			errs = append(errs, map[string]any{"value": rule.Value, "title": "UnprocessableEntity", "type": "https://api.x.com/2/problems/invalid-rules"})
			continue
		}
		x.nextRule++
		rule.ID = fmt.Sprint("90", x.nextRule)
		x.rules[rule.ID] = rule
	}
	for _, id := range in.Delete.IDs {
		delete(x.rules, id)
	}
	out := map[string]any{"meta": map[string]any{"sent": x.now}}
	if errs != nil {
		out["errors"] = errs
	}
	w.WriteHeader(201)
	x.write(w, out)
}

func (x *xServer) ruleValues() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []string
	for _, r := range x.rules {
		out = append(out, r.Tag+": "+r.Value)
	}
	slices.Sort(out)
	return out
}

// stream holds the connection, with a sign of life now and then.
func (x *xServer) stream(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	switch {
	case len(x.rules) == 0:
		x.mu.Unlock()
		problem(w, 409, "rule-configuration-issue", "You must define rules")
		return
	case x.mute:
		x.mu.Unlock()
		<-r.Context().Done()
		return
	case len(x.streams) > 0:
		x.mu.Unlock()
		w.WriteHeader(429)
		io.WriteString(w, `{"title":"ConnectionException","detail":"This stream is currently at the maximum allowed connection limit.","connection_issue":"TooManyConnections","type":"https://api.x.com/2/problems/streaming-connection"}`)
		return
	}
	lines := make(chan string, 1000)
	x.streams = append(x.streams, lines)
	x.connects = append(x.connects, r.URL.Query())
	every := x.keepalive
	x.mu.Unlock()
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	alive := time.NewTicker(every)
	defer alive.Stop()
	defer func() {
		x.mu.Lock()
		x.streams = slices.DeleteFunc(x.streams, func(c chan string) bool { return c == lines })
		x.mu.Unlock()
	}()
	for {
		text := "\r\n"
		select {
		case <-r.Context().Done():
			return
		case <-alive.C:
		case line, ok := <-lines:
			if !ok {
				return
			}
			text = line
		}
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
}

// collect fetches once.
func collectX(ctx context.Context, x *xSource, cursor string) (items []Item, next string, err error) {
	next = cursor
	for it, e := range x.Fetch(ctx, cursor) {
		if e != nil {
			return items, next, e
		}
		next = it.Cursor
		items = append(items, it)
	}
	return items, next, nil
}

func nativeIDs(items []Item) []string {
	var out []string
	for _, it := range items {
		if it.Post.NativeID != "" {
			out = append(out, it.Post.NativeID)
		}
	}
	return out
}

func gapsOf(items []Item) []Gap {
	var out []Gap
	for _, it := range items {
		if it.Gap != nil {
			out = append(out, *it.Gap)
		}
	}
	return out
}
