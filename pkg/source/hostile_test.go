package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/google/go-cmp/cmp"
)

// What follows plays a platform that is broken or means harm, to every kind.

// bent answers as recorded, with what change makes of a JSON document.
func (p *platform) bent(change func(r *http.Request, doc any) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			p.recorded(w, r)
			return
		}
		rec := httptest.NewRecorder()
		p.recorded(rec, r)
		body := rec.Body.Bytes()
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		var doc any
		if d.Decode(&doc) == nil {
			body, _ = json.Marshal(change(r, doc))
		}
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		w.Write(body)
	}
}

// lists calls f for every list of objects in doc that is not within another
// one, with its name, and puts what f returns in its place.
func lists(doc any, name string, f func(name string, list []any) []any) any {
	switch v := doc.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = lists(x, name+"/"+k, f)
		}
	case []any:
		if len(v) > 0 {
			if _, ok := v[0].(map[string]any); ok {
				return f(name, v)
			}
		}
		for i := range v {
			v[i] = lists(v[i], name, f)
		}
	}
	return doc
}

// places names what an object holds, and what the objects in it hold.
func places(v any, at []string, into map[string][]string) {
	if o, ok := v.(map[string]any); ok {
		for k, x := range o {
			place := append(slices.Clone(at), k)
			into[strings.Join(place, "/")] = place
			places(x, place, into)
		}
	}
}

// put sets what is at a place in v; removed takes it away.
func put(v any, place []string, value any) {
	for ; len(place) > 1; place = place[1:] {
		o, ok := v.(map[string]any)
		if !ok {
			return
		}
		v = o[place[0]]
	}
	if o, ok := v.(map[string]any); ok {
		if _, has := o[place[0]]; !has {
			return
		}
		if o[place[0]] = value; value == removed {
			delete(o, place[0])
		}
	}
}

var removed = new(int)

func idsOf(items []Item) map[string]int {
	ids := map[string]int{}
	for _, p := range postsOf(items) {
		ids[p.NativeID]++
	}
	return ids
}

// TestOneBadItemTakesNoOtherWithIt: whatever an item lacks or has instead, all
// others come.
func TestOneBadItemTakesNoOtherWithIt(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		named := map[string]map[string][]string{} // list → places in its items
		p.set(p.bent(func(r *http.Request, doc any) any {
			if r.Method != http.MethodGet {
				return doc
			}
			return lists(doc, "", func(name string, list []any) []any {
				if named[name] == nil {
					named[name] = map[string][]string{}
				}
				for _, item := range list {
					places(item, nil, named[name])
				}
				return list
			})
		}))
		if _, err := p.open(t, k).fetch(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		for list, in := range named {
			first := func(change func(item any) []any) http.HandlerFunc {
				return p.bent(func(r *http.Request, doc any) any {
					if r.Method != http.MethodGet {
						return doc
					}
					return lists(doc, "", func(name string, items []any) []any {
						if name == list {
							items = append(append([]any{}, change(items[0])...), items[1:]...)
						}
						return items
					})
				})
			}
			p.set(first(func(any) []any { return nil }))
			others, err := p.open(t, k).fetch(t.Context(), "")
			if status(err) == http.StatusTeapot {
				continue // what is asked for then was not recorded
			}
			if err != nil {
				t.Fatalf("without the first of %s: %v", list, err)
			}
			want := idsOf(others)
			check := func(what string, h http.HandlerFunc) {
				t.Helper()
				p.set(h)
				items, err := p.open(t, k).fetch(t.Context(), "")
				got := idsOf(items)
				for id := range want {
					if got[id] == 0 {
						t.Errorf("%s of the first of %s: %s is lost, %v", what, list, id, err)
						return
					}
				}
				if err != nil && status(err) != http.StatusTeapot {
					t.Errorf("%s of the first of %s: %v", what, list, err)
				}
			}
			for what, instead := range map[string]any{"nothing": nil, "a text": "no item", "a number": 7, "a list": []any{}, "an empty object": map[string]any{}} {
				check(what+" instead", first(func(any) []any { return []any{instead} }))
			}
			for name, place := range in {
				for what, value := range map[string]any{"no": removed, "a text as": "\x00 nonsense", "an object as": map[string]any{"x": 1}} {
					check(what+" "+name, first(func(item any) []any {
						put(item, place, value)
						return []any{item}
					}))
				}
			}
		}
	})
}

// TestWhatIsListedTwiceComesOnce within one fetch.
func TestWhatIsListedTwiceComesOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		items, err := p.open(t, k).fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		p.set(p.bent(func(r *http.Request, doc any) any {
			return lists(doc, "", func(_ string, list []any) []any { return append(slices.Clone(list), list...) })
		}))
		twice, err := p.open(t, k).fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		want, got := idsOf(items), idsOf(twice)
		for id := range want {
			if got[id] != want[id] {
				t.Errorf("%s comes %d times, want %d", id, got[id], want[id])
			}
		}
	})
}

// TestSourcesEndWhereAPlatformDoesNot: neither a page that leads to itself nor
// ever more of them keeps a source busy for ever.
func TestSourcesEndWhereAPlatformDoesNot(t *testing.T) {
	const many = 3000
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		whole, err := p.open(t, k).fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		good := len(p.asked())
		var ids []string
		for id := range idsOf(whole) {
			ids = append(ids, id[strings.LastIndexAny(id, "_/:")+1:])
		}
		for what, renew := range map[string]bool{"itself": false, "ever more": true} {
			var n atomic.Int64
			firstOf := func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) > many {
					http.Error(w, "enough", http.StatusTeapot)
					return
				}
				i := slices.IndexFunc(p.exchanges, func(e exchange) bool {
					at, _, _ := strings.Cut(e.Request, "?")
					return at == r.Method+" "+r.URL.Path
				})
				if i < 0 {
					p.recorded(w, r)
					return
				}
				again := r.Clone(r.Context())
				_, path, _ := strings.Cut(p.exchanges[i].Request, " ")
				again.URL, _ = again.URL.Parse(path)
				again.RequestURI = path
				rec := httptest.NewRecorder()
				p.recorded(rec, again)
				body := rec.Body.Bytes()
				if renew {
					for _, id := range ids {
						if cut := len(id) - 5; cut > 0 {
							body = bytes.ReplaceAll(body, []byte(id), fmt.Appendf(nil, "%s%05d", id[:cut], n.Load()))
						}
					}
				}
				w.WriteHeader(rec.Code)
				w.Write(body)
			}
			p.set(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Upgrade") != "" {
					p.recorded(w, r)
					return
				}
				firstOf(w, r)
			})
			cursor := ""
			for range 2 {
				n.Store(0)
				items, err := p.open(t, k).fetch(t.Context(), cursor)
				if most := int64(2*good + 2); !renew && n.Load() > most {
					t.Errorf("a page leads to itself: %d requests, where a good fetch takes %d", n.Load(), good)
				}
				if n.Load() > many {
					t.Fatalf("%s: still going on after %d requests, %d items", what, many, len(items))
				}
				if len(items) == 0 && err != nil {
					t.Errorf("%s: nothing comes: %v", what, err)
				}
				cursor = last(items, cursor)
			}
		}
	})
}

// TestADateToComeHidesNothing: an item that says it is of the year 2999 comes or
// does not, but what is listed after that comes.
func TestADateToComeHidesNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		whole, err := p.open(t, k).fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		posts := postsOf(whole)
		slices.SortStableFunc(posts, byAge)
		tail := func(p mention.Post) string { return p.NativeID[strings.LastIndexAny(p.NativeID, "_/:")+1:] }
		oldest, newest := posts[0], posts[len(posts)-1]
		if k.Name == "hackernews" {
			t.Skip("asks for stretches of time, and takes nothing of others")
		}
		future := time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)
		var later func(v any) any
		later = func(v any) any {
			switch v := v.(type) {
			case map[string]any:
				for k, x := range v {
					v[k] = later(x)
				}
			case []any:
				for i := range v {
					v[i] = later(v[i])
				}
			case string:
				if t, err := time.Parse(time.RFC3339, v); err == nil && t.Year() >= 2020 {
					return future.Format(time.RFC3339)
				}
			case json.Number:
				if n, err := v.Float64(); err == nil && n > 1.6e9 && n < 2e9 {
					return future.Unix()
				}
			}
			return v
		}
		changed := 0
		p.set(p.bent(func(r *http.Request, doc any) any {
			return lists(doc, "", func(_ string, list []any) []any {
				var out []any
				for _, item := range list {
					raw, _ := json.Marshal(item)
					if bytes.Contains(raw, []byte(tail(oldest))) {
						changed++
						item = later(item)
					}
					if !bytes.Contains(raw, []byte(tail(newest))) {
						out = append(out, item)
					}
				}
				return out
			})
		}))
		first, err := p.open(t, k).fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if changed == 0 {
			t.Skip("gives no JSON")
		}
		p.set(nil)
		then, err := p.open(t, k).fetch(t.Context(), last(first, ""))
		if err != nil {
			t.Fatal(err)
		}
		if idsOf(then)[newest.NativeID] != 1 {
			t.Errorf("%s is lost after %s came as of 2999 (%d of it): %d items came first, then %d", newest.NativeID, oldest.NativeID, changed, len(first), len(then))
		}
		for _, r := range p.asked() {
			if q := r.URL.RawQuery; strings.Contains(q, "2999") || strings.Contains(q, fmt.Sprint(future.Unix())) {
				t.Errorf("asked for what is newer than that: %s", q)
			}
		}
	})
}

// TestSourcesBearWhatServersSay: whatever a refusal says, the source comes back
// after a while that can be borne, and never at once.
func TestSourcesBearWhatServersSay(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		for _, c := range []struct {
			status int
			after  string
			want   time.Duration
		}{
			{401, "", 0}, {404, "", 0}, {410, "", 0}, {429, "", 0}, {503, "", 0}, {502, "60", 0},
			{429, "-5", 0}, {429, "NaN", 0}, {429, "1e300", 24 * time.Hour}, {429, "99999999999999999999", 24 * time.Hour}, {429, "soon", 0},
			{429, "Thu, 01 Jan 1970 00:00:00 GMT", 0}, {503, "Fri, 31 Dec 9999 23:59:59 GMT", 24 * time.Hour},
			{429, time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat), 90 * time.Second},
		} {
			p.set(func(w http.ResponseWriter, r *http.Request) {
				if c.after != "" {
					w.Header().Set("Retry-After", c.after)
				}
				http.Error(w, `{"error": "no"}`, c.status)
			})
			items, err := p.open(t, k).fetch(t.Context(), "")
			e, ok := errors.AsType[*outbound.Error](err)
			if !ok || len(items) > 0 || (e.RetryAfter()-c.want).Abs() > 2*time.Second {
				t.Errorf("%d, Retry-After %q: %d items, again in %v, %v", c.status, c.after, len(items), e.RetryAfter(), err)
			}
			if ok && c.status == 429 && e.Permanent() {
				t.Errorf("Retry-After %q: never again", c.after)
			}
		}
		var hops atomic.Int64
		p.set(func(w http.ResponseWriter, r *http.Request) {
			hops.Add(1)
			http.Redirect(w, r, r.URL.RequestURI(), http.StatusFound)
		})
		if items, err := p.open(t, k).fetch(t.Context(), ""); err == nil || len(items) > 0 || hops.Load() > 200 {
			t.Errorf("a redirect to itself: %d items, %v, %d hops", len(items), err, hops.Load())
		}
	})
}

// TestSourcesNoticeWhenTheAnswerBreaksOff: half an answer is a failure that is
// tried again from the same place, not an end.
func TestSourcesNoticeWhenTheAnswerBreaksOff(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		whole, err := p.open(t, k).fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for what, announced := range map[string]bool{"cut": false, "shorter than announced": true} {
			p.set(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Upgrade") != "" {
					w.WriteHeader(http.StatusBadGateway)
					return
				}
				rec := httptest.NewRecorder()
				p.recorded(rec, r)
				body := rec.Body.Bytes()
				if announced {
					w.Header().Set("Content-Length", fmt.Sprint(len(body)))
				}
				w.WriteHeader(rec.Code)
				w.Write(body[:len(body)/2])
			})
			items, err := p.open(t, k).fetch(t.Context(), "")
			if err == nil {
				t.Errorf("%s: no error, %d items", what, len(items))
			}
			p.set(nil)
			rest, err := p.open(t, k).fetch(t.Context(), last(items, ""))
			if err != nil {
				t.Fatal(err)
			}
			got := idsOf(append(items, rest...))
			for id := range idsOf(whole) {
				if got[id] != 1 {
					t.Errorf("%s: %s comes %d times", what, id, got[id])
				}
			}
		}
	})
}

const webPage = "<!DOCTYPE html>\n<html><head><title>Wi-Fi</title></head><body><form action=/login>Please sign in</form></body></html>\n"

// bomb is 64 MiB of spaces, compressed.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for range 64 {
		z.Write(bytes.Repeat([]byte(" "), 1<<20))
	}
	z.Close()
	return b.Bytes()
})

// TestSourcesTellWhatAServerDid: an answer that is none ends the fetch, after a
// few requests, with an error that says what happened, and the next one goes on
// where the last good one was.
func TestSourcesTellWhatAServerDid(t *testing.T) {
	answer := func(kind, encoding string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			if encoding != "" {
				w.Header().Set("Content-Encoding", encoding)
			}
			w.Write(body)
		}
	}
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				io.WriteString(conn, text)
				conn.Close()
			}
		}
	}
	const json = "application/json"
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(bytes.Repeat([]byte(`{"a": "of this only a half comes"}`), 10))
	z.Close()
	portal := httptest.NewServer(answer("text/html", "", []byte(webPage)))
	t.Cleanup(portal.Close)
	for _, c := range []struct {
		what  string
		fault http.HandlerFunc
		want  outbound.Reason
		whole bool // tokens are asked for in vain as well
	}{
		{"a web page", answer("text/html; charset=utf-8", "", []byte(webPage)), outbound.Unreadable, true},
		{"a web page that is called JSON", answer(json, "", []byte(webPage)), outbound.Unreadable, true},
		{"the page of a captive portal", http.RedirectHandler(portal.URL, http.StatusFound).ServeHTTP, outbound.Unreadable, false},
		{"nothing", answer(json, "", nil), outbound.Unreadable, true},
		{"no content", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) }, outbound.Unreadable, false},
		{"a text", answer(json, "", []byte(`"ok"`)), outbound.Unreadable, true},
		{"a list of numbers", answer(json, "", []byte(`[1, 2, 3]`)), outbound.Unreadable, true},
		{"an object of something else", answer(json, "", []byte(`{"error": "down for maintenance", "ok": false}`)), outbound.Unreadable, false},
		{"gzip that is none", answer(json, "gzip", []byte(`{"plain": true}`)), outbound.Unreadable, false},
		{"gzip that is broken", answer(json, "gzip", append(packed.Bytes()[:30:30], "nonsense, which is no deflate"...)), outbound.Unreadable, false},
		{"half of a gzip", answer(json, "gzip", packed.Bytes()[:packed.Len()/2]), outbound.Unreachable, false},
		{"a bomb", answer(json, "gzip", bomb()), outbound.TooLarge, false},
		{"a mail server", raw("220 mail.example ESMTP ready\r\n"), outbound.Unreadable, false},
		{"a broken chunk", raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"), outbound.Unreadable, false},
		{"the end before the first word", raw(""), outbound.Unreachable, true},
		{"the end in mid-body", raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"a\": [1,"), outbound.Unreachable, false},
		{"the end in mid-chunk", raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n100\r\n{\"a\": [1,"), outbound.Unreachable, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			eachKind(t, func(t *testing.T, k Kind, p *platform) {
				remote(t, p)
				want := c.want
				switch {
				case k.Name == "bluesky" && c.what != "the end before the first word":
					want = outbound.Unreadable // no answer but a stream is one
				case k.Name == "blueskyaccount" && strings.HasSuffix(c.what, "captive portal"):
					want = outbound.Redirected // its first request is a POST
				case strings.HasPrefix(k.Name, "google") && strings.HasPrefix(c.what, "an object"):
					t.Skip("Google leaves a list out that has no entries, and all else with it")
				case k.Name == "mastodon" && c.what == "a list of numbers":
					t.Skip("its answers are lists, and entries that can't be read are skipped")
				}
				for _, whole := range []bool{false, true}[:1+map[bool]int{true: 1}[c.whole]] {
					p.set(c.fault)
					if whole {
						p.setAll(c.fault)
					}
					fails(t, k, p, want, !whole && !strings.HasPrefix(c.what, "an object"))
				}
			})
		})
	}
}

// fails fetches once while p is at fault, and then again.
func fails(t *testing.T, k Kind, p *platform, want outbound.Reason, host bool) {
	t.Helper()
	before := len(p.asked())
	items, err := p.open(t, k).fetch(t.Context(), "")
	n := len(p.asked()) - before
	if err == nil {
		t.Errorf("%d items without an error", len(items))
	} else if got := outbound.Explain(err, testNow); got.Reason != want || host && got.Host == "" {
		t.Errorf("told as %q of %q, want %q: %v", got.Reason, got.Host, want, err)
	}
	p.set(nil)
	before = len(p.asked())
	whole, err := p.open(t, k).fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if most := len(p.asked()) - before; n > most+1 {
		t.Errorf("%d requests, where a good fetch takes %d", n, most)
	}
	rest, err := p.open(t, k).fetch(t.Context(), last(items, ""))
	if err != nil {
		t.Fatal(err)
	}
	got := idsOf(append(items, rest...))
	for id, n := range idsOf(whole) {
		if got[id] != n {
			t.Errorf("%s comes %d times, want %d", id, got[id], n)
		}
	}
}

// TestSourcesBearADrip: an answer that comes byte by byte, always soon enough not
// to be silence, ends with the time a whole one may take, which is told.
func TestSourcesBearADrip(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		if k.Name == "bluesky" {
			t.Skip("a stream; see TestStreamsTellWhyTheyEnd")
		}
		p.timeout = 300 * time.Millisecond
		p.set(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, " ")
				w.(http.Flusher).Flush()
				time.Sleep(10 * time.Millisecond)
			}
		})
		start := time.Now()
		items, err := p.open(t, k).fetch(t.Context(), "")
		if took := time.Since(start); len(items) > 0 || outbound.Explain(err, testNow).Reason != outbound.TimedOut || !strings.Contains(err.Error(), "for 300ms") || took > 20*time.Second {
			t.Errorf("%d items after %v, told as %q: %v", len(items), took, outbound.Explain(err, testNow).Reason, err)
		}
	})
}

// TestAByteOrderMarkIsNoHindrance, which servers on Windows put before what they send.
func TestAByteOrderMarkIsNoHindrance(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		whole, err := p.open(t, k).fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		p.set(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" {
				p.recorded(w, r)
				return
			}
			rec := httptest.NewRecorder()
			p.recorded(rec, r)
			w.WriteHeader(rec.Code)
			io.WriteString(w, "\ufeff")
			w.Write(rec.Body.Bytes())
		})
		items, err := p.open(t, k).fetch(t.Context(), "")
		if d := cmp.Diff(postsOf(whole), postsOf(items)); d != "" || err != nil {
			t.Errorf("%v\n%s", err, d)
		}
	})
}

// TestTextThatIsNoneTakesNoPostWithIt: bytes that are not UTF-8, and halves of
// surrogate pairs, are left out of the text they stand in.
func TestTextThatIsNoneTakesNoPostWithIt(t *testing.T) {
	words, kana := regexp.MustCompile(`(\p{L})([ 、。！!])`), regexp.MustCompile(`(\p{Hiragana})(\p{Hiragana}|\p{Han})`)
	eachKind(t, func(t *testing.T, k Kind, p *platform) {
		remote(t, p)
		whole, err := p.open(t, k).fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if k.Name == "email" || k.Name == "bluesky" {
			t.Skip("has no answers in HTTP")
		}
		for what, bad := range map[string]string{"no UTF-8": "$1\xff\xc0\xaf$2", "a high surrogate": `$1\ud83d$2`, "a low one": `$1\udc00$2`} {
			if k.Name == "feed" && what != "no UTF-8" {
				continue // XML has no such escapes
			}
			changed, words := 0, words
			if k.Name == "feed" {
				words = kana // and leave the markup alone
			}
			p.set(func(w http.ResponseWriter, r *http.Request) {
				rec := httptest.NewRecorder()
				p.recorded(rec, r)
				changed += len(words.FindAll(rec.Body.Bytes(), -1))
				w.WriteHeader(rec.Code)
				w.Write(words.ReplaceAll(rec.Body.Bytes(), []byte(bad)))
			})
			items, err := p.open(t, k).fetch(t.Context(), "")
			if err != nil || changed == 0 {
				t.Errorf("%s: %d places, %v", what, changed, err)
			}
			if d := cmp.Diff(idsOf(whole), idsOf(items)); d != "" {
				t.Errorf("%s: %s", what, d)
			}
			for _, p := range postsOf(items) {
				if text := p.Title + p.Text + p.Author.Name + p.Thread.ParentText; !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) {
					t.Errorf("%s: %q", what, text)
				}
			}
		}
	})
}

// upgraded answers with a WebSocket, on which it sends raw, and then once and
// again more, until nobody takes it.
func upgraded(w http.ResponseWriter, r *http.Request, raw string, more string) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n%s", base64.StdEncoding.EncodeToString(sum[:]), raw)
	if len(more) == 1 {
		for err == nil {
			_, err = io.WriteString(conn, more)
			time.Sleep(10 * time.Millisecond)
		}
	}
	for more != "" && err == nil {
		_, err = io.WriteString(conn, more)
	}
}

// TestStreamsTellWhyTheyEnd: whatever a server sends instead of a stream ends it
// with what happened, within the time that silence is borne.
func TestStreamsTellWhyTheyEnd(t *testing.T) {
	for what, c := range map[string]struct {
		raw, more string
		want      outbound.Reason
	}{
		"cut":                    {"", "", outbound.Unreachable},
		"cut in a message":       {"\x81\x7e\x03\xe8{", "", outbound.Unreachable},
		"closed with a word":     {"\x88\x0b\x03\xf0go away, ", "", outbound.Unreachable},
		"a frame that is none":   {"\xff\xff\xff\xff", "", outbound.Unreachable},
		"a message without end":  {"\x81\x7f\x00\x00\x01\x00\x00\x00\x00\x00", strings.Repeat(" ", 64<<10), outbound.TooLarge},
		"a byte now and then":    {"\x81\x7f\x00\x00\x00\x00\x00\x0f\x00\x00", " ", outbound.TimedOut},
		"pings and nothing else": {"", "\x89\x02hi", outbound.TimedOut},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			address := serve(t, func(w http.ResponseWriter, r *http.Request) { upgraded(w, r, c.raw, c.more) })
			src := openKind(t, "bluesky", "servers: ["+strings.Replace(address, "http", "ws", 1)+"]", testDeps(t))
			src.Source.(*bluesky).cfg.Silence = 2 * time.Second
			start := time.Now()
			items, err := src.fetch(t.Context(), "")
			if got := outbound.Explain(err, testNow); got.Reason != c.want || got.Host != host(address) || len(items) > 0 || time.Since(start) > 20*time.Second {
				t.Errorf("bluesky: %d items after %v, told as %q of %q: %v", len(items), time.Since(start), got.Reason, got.Host, err)
			}
			if c.want == outbound.TimedOut {
				return // Mastodon's is pinged, and has a minute
			}
			f := newFediverse(t)
			f.streaming = strings.Replace(address, "http", "ws", 1)
			_, err = f.open().fetch(t.Context(), "") // polls where the stream is gone before it is there
			if got := outbound.Explain(err, testNow); err != nil && (got.Reason != c.want || got.Host == "") {
				t.Errorf("mastodon: told as %q of %q: %v", got.Reason, got.Host, err)
			}
		})
	}
	t.Run("a web page", func(t *testing.T) {
		x := newXServer(t)
		page := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/stream") {
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, webPage)
				return
			}
			x.serve(w, r)
		})
		x.url = page
		err := follow(t, x.open("bearer: app-token\nlisten: stream\nhistory: 0s\n", x.deps("kettle")), "").end()
		if got := outbound.Explain(err, testNow); got.Reason != outbound.Unreadable || got.Host == "" {
			t.Errorf("told as %q of %q: %v", got.Reason, got.Host, err)
		}
	})
}

// BenchmarkReviews reads ten thousand new reviews in one fetch.
func BenchmarkReviews(b *testing.B) {
	const each, pages = 100, 100
	page := func(_ context.Context, token string) (posts []mention.Post, next string, err error) {
		at, _ := strconv.Atoi(token)
		for i := range each {
			posts = append(posts, mention.Post{NativeID: fmt.Sprint(at*each + i), Text: "a", PublishedAt: testNow})
		}
		return posts, strconv.Itoa(at + 1), nil
	}
	r := reviewReader{kind: "test", of: "acme", deps: testDeps(b), back: time.Hour, lists: func(context.Context) ([]reviewList, error) {
		return []reviewList{{name: "all", pages: pages, page: page}}, nil
	}}
	for b.Loop() {
		got := 0
		for it, err := range r.fetch(b.Context(), "") {
			if err != nil {
				b.Fatal(err)
			}
			if it.Post.NativeID != "" {
				got++
			}
		}
		if got != each*pages {
			b.Fatalf("%d came", got)
		}
	}
}
