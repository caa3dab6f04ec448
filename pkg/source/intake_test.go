package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/google/go-cmp/cmp"
)

func TestIntakeTakesAWholePost(t *testing.T) {
	got, err := Intake([]byte(`{
		"id": "r-17", "platform": "shop-reviews", "kind": "review", "brands": ["acme"], "url": "https://shop.example/r/17",
		"author": {"id": "u9", "handle": "@hana", "name": "花子", "url": "https://shop.example/u/9", "avatar": "https://shop.example/a.png", "followers": 12},
		"title": "重い", "text": "音は静か。\r\nでも重い。\u0000", "lang": "ja", "rating": 2,
		"place": {"id": "s1", "name": "新宿店"}, "media": [{"type": "image", "url": "https://shop.example/1.jpg", "alt": "正面"}],
		"thread": {"id": "t", "parent": "p", "parent_author": "bo", "parent_text": "どう？"}, "metrics": {"likes": 3},
		"published_at": "2026-11-20T18:30:00+09:00", "edited_at": 1795170000
	}`), testNow, "")
	if err != nil || len(got) != 1 || got[0].Err != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	want := mention.Post{
		Platform: "shop-reviews", NativeID: "r-17", Kind: mention.KindReview, Intake: mention.Live, URL: "https://shop.example/r/17",
		Author: mention.Author{ID: "u9", Handle: "hana", Name: "花子", URL: "https://shop.example/u/9", Avatar: "https://shop.example/a.png", Followers: mention.Count(12)},
		Title:  "重い", Text: "音は静か。\nでも重い。", Lang: "ja", Rating: 2, Place: mention.Place{ID: "s1", Name: "新宿店"},
		Media:       []mention.Media{{Type: mention.Image, URL: "https://shop.example/1.jpg", Alt: "正面"}},
		Thread:      mention.Thread{ID: "t", Parent: "p", ParentAuthor: "bo", ParentText: "どう？"},
		Metrics:     mention.Metrics{Likes: mention.Count(3)},
		PublishedAt: time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC), EditedAt: time.Unix(1795170000, 0).UTC(), SeenAt: testNow,
	}
	if d := cmp.Diff(want, got[0].Post); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"acme"}, got[0].Brands); d != "" {
		t.Error(d)
	}
}

func TestIntakeNeedsLittle(t *testing.T) {
	got, err := Intake([]byte(`[{"id":"1","text":"a"},{"id":"2","title":"b","rating":5},{"id":"3","deleted":true}]`), testNow, "")
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	for _, r := range got {
		if r.Err != nil || r.Post.Platform != "web" || !r.Post.PublishedAt.Equal(testNow) {
			t.Errorf("%+v", r)
		}
	}
	if got[0].Post.Kind != mention.KindPost || got[1].Post.Kind != mention.KindReview || !got[2].Post.Deleted {
		t.Errorf("%+v", got)
	}
}

func TestIntakeNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"no id", `{"text":"a"}`, "id: required: your own id of the post, the same when you send it again"},
		{"no text", `{"id":"1"}`, "text: required, unless there is a title"},
		{"text of control characters", `{"id":"1","text":"\u0000\u0001 "}`, "text: required, unless there is a title"},
		{"an unknown field", `{"id":"1","text":"a","txet":"b"}`, "txet: unknown field"},
		{"an unknown field deep down", `{"id":"1","text":"a","author":{"nmae":"b"}}`, "nmae: unknown field"},
		{"a number for a text", `{"id":1,"text":"a"}`, "id: must be a string, not a number"},
		{"a text for a number", `{"id":"1","text":"a","rating":"5"}`, "rating: must be a whole number, not a string"},
		{"an object for a text", `{"id":"1","text":"a","author":"me"}`, "author: must be an object, not a string"},
		{"a strange time", `{"id":"1","text":"a","published_at":"yesterday"}`, `published_at or edited_at: "yesterday" is not a time; write it as 2026-01-31T09:30:00+09:00`},
		{"a time in the future", `{"id":"1","text":"a","published_at":"2026-12-31T00:00:00Z"}`, "published_at: 2026-12-31T00:00:00Z lies in the future"},
		{"a time before all this", `{"id":"1","text":"a","published_at":"1971-01-01T00:00:00Z"}`, "published_at: required, as 2026-01-31T09:30:00+09:00 or in seconds since 1970"},
		{"a rating of six", `{"id":"1","text":"a","rating":6}`, "rating: must be 1 to 5, or left out"},
		{"a script for a link", `{"id":"1","text":"a","url":"javascript:alert(1)"}`, "url: must start with http:// or https://"},
		{"a platform with spaces", `{"id":"1","text":"a","platform":"My Shop"}`, `platform: "My Shop" must be a lower-case word of at most 32 letters, digits, - and _`},
		{"a kind of its own", `{"id":"1","text":"a","kind":"rant"}`, `kind: "rant" is not one of post, review, article, note`},
		{"a brand that can't be", `{"id":"1","text":"a","brands":["Acme!"]}`, `brands[0]: "Acme!" is not the id of a brand`},
		{"media without a link", `{"id":"1","text":"a","media":[{"type":"gif"}]}`, "media[0].url: required\nmedia[0].type: \"gif\" is not one of image, video, audio, other"},
		{"a negative count", `{"id":"1","text":"a","metrics":{"likes":-1}}`, "metrics.likes: must not be negative"},
		{"a huge id", `{"id":"` + strings.Repeat("x", 600) + `","text":"a"}`, "id: longer than 512 bytes"},
		{"several at once", `{"rating":9}`, "id: required: your own id of the post, the same when you send it again\nrating: must be 1 to 5, or left out\ntext: required, unless there is a title"},
		{"an array within", `[[]]`, "must be an object, not a array"},
		{"null", `[null]`, "id: required: your own id of the post, the same when you send it again\ntext: required, unless there is a title"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Intake([]byte(c.in), testNow, "")
			if err != nil || len(got) != 1 {
				t.Fatal(got, err)
			}
			if got[0].Err == nil || got[0].Err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", got[0].Err, c.want)
			}
			if _, ok := errors.AsType[*config.FieldError](got[0].Err); !ok {
				t.Errorf("%T names no field", got[0].Err)
			}
		})
	}
}

func TestIntakeRefusesWhatIsNoBatch(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing", " ", "the body is empty"},
		{"no JSON", "hello", "not valid JSON"},
		{"JSON cut short", `[{"id":"1"`, "not valid JSON"},
		{"two objects", `{"id":"1"} {"id":"2"}`, "not valid JSON"},
		{"too many", "[" + strings.Repeat("{},", MaxBatch) + "{}]", "1001 posts; send at most 1000"},
	} {
		if _, err := Intake([]byte(c.in), testNow, ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestIntakeGivesTheSamePostTheSameIdentity(t *testing.T) {
	body := []byte(`{"id":"1","text":"a","published_at":"2026-11-20T10:00:00Z"}`)
	one, _ := Intake(body, testNow, "")
	two, _ := Intake(body, testNow.Add(time.Hour), "")
	a, b := mention.Of("acme", one[0].Post), mention.Of("acme", two[0].Post)
	if a.MessageID() != b.MessageID() {
		t.Errorf("%s, %s", a.MessageID(), b.MessageID())
	}
}

func FuzzIntake(f *testing.F) {
	for _, s := range []string{`{"id":"1","text":"a"}`, `[{"id":"1","title":"a","media":[{"url":"https://e.example"}],"thread":{"parent_text":"x"},"published_at":1795170000.5}]`, `{"id":"1","deleted":true,"published_at":null}`, `[{}]`, `{"id":"\ud800","text":"\u202ex"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := Intake(raw, testNow, "")
		if err != nil {
			return
		}
		for _, r := range got {
			if r.Err == nil {
				wellFormed(t, r.Post)
			}
		}
	})
}

func TestTimesInFiles(t *testing.T) {
	jst := time.FixedZone("JST", 9*3600)
	want := time.Date(2026, 11, 3, 0, 5, 0, 0, time.UTC)
	for _, s := range []string{"2026/11/3 9:05", "2026-11-03 09:05", "2026-11-03T09:05:00", "2026-11-03T00:05:00Z", "2026-11-03 09:05:00+09:00", "2026年11月3日 09:05", "2026年11月3日 09時05分", fmt.Sprint(want.Unix()), fmt.Sprint(want.UnixMilli())} {
		if got, err := parseTime(s, jst); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "3/11/2026", "now", "2026-13-01", "12345"} {
		if got, err := parseTime(s, jst); err == nil {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
	var jt jsonTime
	if err := json.Unmarshal([]byte(`"1795170000"`), &jt); err == nil {
		t.Error("a number in quotes is taken for a time")
	}
}
