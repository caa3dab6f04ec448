package desk

import (
	"bytes"
	"context"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/japanese"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// bring uploads a file and returns where its page is.
func (v *visitor) bring(name string, content []byte, form map[string]string) string {
	v.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for k, value := range form {
		v.put(w.WriteField(k, value))
	}
	f, err := w.CreateFormFile("file", name)
	v.put(err)
	_, err = f.Write(content)
	v.put(err)
	v.put(w.Close())
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.server.URL+"/import", &body)
	v.put(err)
	req.Header.Set("Content-Type", w.FormDataContentType())
	resp, err := v.client.Do(req)
	v.put(err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		v.t.Fatalf("upload of %s: %s", name, resp.Status)
	}
	return resp.Header.Get("Location")
}

const someReviews = `投稿id,投稿日時,投稿者,評価,店舗,ひとこと
r1,2026/10/03 18:20,匿名,★★,青葉町店,kumoのレジで長く待たされました
r2,2026/10/04 9:05,K,5,汐見坂店,kumoの焼きたてがおいしい
r3,あさって,K,5,汐見坂店,kumo
r4,2026/10/05 9:05,L,4,汐見坂店,ほかの店の話
r1,2026/10/03 18:20,匿名,★★,青葉町店,kumoのレジで長く待たされました
`

func TestAFileIsLookedAtBeforeItIsBroughtIn(t *testing.T) {
	b := newBench(t)
	b.mention(mention.Post{Platform: "shop", NativeID: "r2", Title: "", Text: "kumoの焼きたてがおいしい"}, mention.Verdict{})
	v := b.as("ada", everywhere, identity.Admin)
	raw, err := japanese.ShiftJIS.NewEncoder().String(strings.ReplaceAll(someReviews, "\n", "\r\n"))
	b.put(err)
	at := v.bring("reviews.csv", []byte(raw), map[string]string{"platform": "shop", "zone": "Asia/Tokyo"})
	// No heading says which column is the text.
	v.want(v.get(at), 200, "missing column: text", "ひとこと", "kumoのレジで長く待たされました")
	before := published(b)
	v.want(v.post(at, "platform", "shop", "zone", "Asia/Tokyo", "column.0", "id", "column.1", "published_at", "column.2", "author.name", "column.3", "rating", "column.4", "place.name", "column.5", "text"), 303)
	a := v.want(v.get(at), 200, "Bring in 1", "<td class=\"fig\">4</td>", "published_at: ")
	for label, n := range map[string]string{"new": "1", "here already": "2", "no brand": "1", "refused": "1"} {
		if !strings.Contains(a.body, label+`</dt><dd class="fig">`+n) && !strings.Contains(a.body, label+`</dt><dd class="fig bad">`+n) {
			t.Errorf("%s is not %s:\n%s", label, n, a.body)
		}
	}
	if got := published(b); got != before {
		t.Fatalf("%d mentions published by looking", got-before)
	}
	v.want(v.post(at+"/run"), 303)
	done := func() string {
		for wait := time.Now().Add(20 * time.Second); time.Now().Before(wait); time.Sleep(10 * time.Millisecond) {
			if a := v.get(at); !strings.Contains(a.body, "Being brought in") {
				return a.body
			}
		}
		t.Fatal("it does not end")
		return ""
	}
	if page := done(); !strings.Contains(page, "Brought in") || !strings.Contains(page, `taken</dt><dd class="fig">1`) {
		t.Errorf("%s", page)
	}
	if got := published(b) - before; got != 1 {
		t.Errorf("%d mentions published", got)
	}
	e, err := bus.Mentions.Get(t.Context(), b.Bus, uint64(published(b)))
	b.put(err)
	if m := e.Value; m.NativeID != "r1" || m.Platform != "shop" || m.Intake != mention.Bulked || m.Place.Name != "青葉町店" || m.Rating != 2 || !m.PublishedAt.Equal(time.Date(2026, 10, 3, 9, 20, 0, 0, time.UTC)) {
		t.Errorf("%+v", m)
	}
	t.Run("others don't see it", func(t *testing.T) {
		other := b.as("bob", everywhere, identity.Agent)
		other.want(other.get(at), 403)
		admin := b.as("eve", []string{"kumo"}, identity.Admin)
		admin.want(admin.get(at), 404)
	})
	t.Run("it can be thrown away", func(t *testing.T) {
		v.want(v.post(at+"/drop"), 303)
		v.want(v.get(at), 404)
		left, _ := filepath.Glob(filepath.Join(b.Data, importFolder, "*"))
		if len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func published(b *bench) int {
	b.t.Helper()
	n := 0
	for seq := uint64(1); ; seq++ {
		if _, err := bus.Mentions.Get(context.Background(), b.Bus, seq); err != nil {
			return n
		}
		n++
	}
}

func TestWhatAnImportRefuses(t *testing.T) {
	b := newBench(t)
	v := b.as("ada", everywhere, identity.Admin)
	at := v.bring("posts.jsonl", []byte(`{"id":"1","text":"kumo","published_at":"2026-10-01T00:00:00Z"}`+"\n{nonsense\n"+`{"id":"2","text":"x","brands":["kumo"],"published_at":"2026-10-01T00:00:00Z","wrong":1}`+"\n"), map[string]string{"zone": "UTC"})
	v.want(v.get(at), 200, "Bring in 1", "unknown field", "not valid JSON")
	v.want(v.post(at, "zone", "Mars/Olympus", "platform", "TWO WORDS"), 422, "Asia/Tokyo", "one word")
	narrow := b.as("eve", []string{"hoshi"}, identity.Admin)
	at = narrow.bring("posts.jsonl", []byte(`{"id":"1","text":"kumo","brands":["kumo"],"published_at":"2026-10-01T00:00:00Z"}`+"\n"), map[string]string{"zone": "UTC"})
	narrow.want(narrow.get(at), 200, `no brand</dt><dd class="fig">1`) // not hers to bring in
	a := v.upload("/import", map[string]string{"zone": "UTC"}, "photo.png", []byte("x"))
	v.want(a, 422)
	ja := b.as("rin", everywhere, identity.Admin).in("ja")
	at = ja.bring("posts.jsonl", []byte(`{"id":"1","text":"kumo","rating":"5"}`+"\n"+`{"id":2,"text":"kumo"}`+"\n"), map[string]string{"zone": "UTC"})
	ja.want(ja.get(at), 200, "rating: 値の種類が違います。整数にしてください(文字列になっています)。", "id: 値の種類が違います。文字列にしてください(数になっています)。")
	v.want(v.get("/import/aaaaaaaaaaaaaaaa"), 404)
	v.want(v.get("/import/..%2f..%2fkeys"), 404)
	t.Run("a file is not kept for long", func(t *testing.T) {
		old := time.Now().Add(-importLife - time.Hour)
		b.put(b.saveImport(&importJob{ID: "aaaaaaaaaaaaaaaa", By: "ada", Made: old}))
		b.put(os.WriteFile(filepath.Join(b.Data, importFolder, "aaaaaaaaaaaaaaaa.data"), nil, 0o600))
		v.want(v.get("/import"), 200)
		if left, _ := filepath.Glob(filepath.Join(b.Data, importFolder, "aaaa*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
	t.Run("one that died goes on", func(t *testing.T) {
		id := strings.TrimPrefix(v.bring("posts.jsonl", []byte(`{"id":"9","text":"kumo","published_at":"2026-10-01T00:00:00Z"}`+"\n"), map[string]string{"zone": "UTC"}), "/import/")
		b.put(b.saveImport(&importJob{ID: id, By: "ada", Made: time.Now(), Format: "jsonl", Zone: "UTC", Status: "running", Beat: time.Now().Add(-time.Minute)}))
		v.want(v.get("/import/"+id), 200, "Stopped half-way", "Go on")
		v.want(v.post("/import/"+id+"/run"), 303)
	})
}
