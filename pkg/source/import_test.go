package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/japanese"
)

// readAll returns the posts of a file, its lines that were refused, and the
// error that ended it.
func readAll(im Import, r io.Reader) (posts []mention.Post, refused []string, err error) {
	im.Now = testNow
	for rec, e := range im.Read(r) {
		if le, ok := errors.AsType[*LineError](e); ok {
			refused = append(refused, le.Error())
		} else if e != nil {
			return posts, refused, e
		} else {
			posts = append(posts, rec.Post)
		}
	}
	return posts, refused, nil
}

func open(t *testing.T, name string) io.Reader {
	t.Helper()
	f, err := os.Open("testdata/formats/" + name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestCSVAsJapaneseExcelWritesIt(t *testing.T) {
	for _, name := range []string{"excel-cp932.csv", "excel-bom.csv", "excel-utf16.csv"} {
		t.Run(name, func(t *testing.T) {
			posts, refused, err := readAll(Import{Format: "csv", Platform: "shop", Location: time.FixedZone("JST", 9*3600)}, open(t, name))
			if err != nil || len(posts) != 2 {
				t.Fatal(posts, refused, err)
			}
			p := posts[0]
			if p.NativeID != "1" || p.Text != "炊飯器が壊れた。\n表示が消える" || p.Author.Name != "たろう" || p.Rating != 2 || p.Place.Name != "新宿店" ||
				!p.PublishedAt.Equal(time.Date(2026, 11, 3, 0, 5, 0, 0, time.UTC)) || p.Intake != mention.Bulked || p.Platform != "shop" || p.Kind != mention.KindReview {
				t.Errorf("%+v", p)
			}
			if posts[1].Author.Name != "髙橋①" || posts[1].Text != "ソフトな炊き上がり能" {
				t.Errorf("%+v", posts[1])
			}
			if len(refused) != 1 || !strings.HasPrefix(refused[0], `line 5: published_at: "昨日" is not a time`) {
				t.Errorf("%q", refused)
			}
		})
	}
}

func TestCSVFiles(t *testing.T) {
	for _, c := range []struct {
		name, in string
		posts    int
		refused  []string
		err      string
	}{
		{"columns in any order, others ignored", "Body,colour,Date\nhello,red,2026-11-01\n", 1, nil, ""},
		{"a text column is missing", "id,date\n1,2026-11-01\n", 0, nil, "missing column: text (or 本文)"},
		{"all is missing", "a,b\n1,2\n", 0, nil, "missing column: text (or 本文), published_at (or 投稿日時)"},
		{"the same column twice", "text,body,date\n", 0, nil, `two columns for text: "body" is the second`},
		{"nothing", "", 0, nil, "the first line must name the columns"},
		{"only headings", "text,date\n", 0, nil, ""},
		{"a row with too few fields", "text,date\na\nb,2026-11-01\n", 1, []string{"line 2: 1 columns, but the first line names 2; put text with commas in double quotes"}, ""},
		{"a quote in the wrong place", "text,date\na\"b,2026-11-01\nc,2026-11-01\n", 1, []string{`line 2: bare " in non-quoted-field`}, ""},
		{"a row without text", "text,date\n,2026-11-01\nb,2026-11-01\n", 1, []string{"line 2: text: required, unless there is a title"}, ""},
		{"a bad rating", "text,date,rating\na,2026-11-01,great\n", 0, []string{`line 2: rating: "great" is not a rating from 1 to 5`}, ""},
		{"bytes of no encoding", "text,date\n\xff\xff\xff,2026-11-01\nb,2026-11-01\n", 1, []string{"line 2: column 1: neither UTF-8 nor Shift_JIS"}, ""},
		{"a quote that never ends", "text,date\n\"" + strings.Repeat("x", 3<<20), 0, nil, "is a quote not closed?"},
		{"a long record is no trouble", "text,date\n\"" + strings.Repeat("x\n", 300<<10) + "\",2026-11-01\nb,2026-11-01\n", 2, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			posts, refused, err := readAll(Import{Format: "csv"}, strings.NewReader(c.in))
			if len(posts) != c.posts || len(refused) != len(c.refused) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Fatalf("%d posts, refused %.300q, %.300v", len(posts), refused, err)
			}
			for i := range refused {
				if !strings.HasPrefix(refused[i], c.refused[i]) {
					t.Errorf("got  %s\nwant %s", refused[i], c.refused[i])
				}
			}
		})
	}
}

func TestJSONLFiles(t *testing.T) {
	in := "\xef\xbb\xbf" + `{"id":"1","text":"a","published_at":"2026-11-01T00:00:00Z"}` + "\r\n\n" +
		`{"text":"no id","published_at":"2026-11-01T00:00:00Z"}` + "\n" +
		`{"id":"2","text":"no time"}` + "\n" + `{"id":` + "\n" + strings.Repeat("x", maxLine+1) + "\n" +
		`{"id":"3","text":"the last line has no end","published_at":"2026-11-01T00:00:00Z"}`
	posts, refused, err := readAll(Import{Format: "jsonl"}, strings.NewReader(in))
	if err != nil || len(posts) != 3 || posts[0].NativeID != "1" || posts[2].NativeID != "3" || !strings.HasPrefix(posts[1].NativeID, "#") {
		t.Fatalf("%+v, %v", posts, err)
	}
	want := []string{"line 4: published_at: required", "line 5: not valid JSON", "line 6: longer than"}
	if len(refused) != len(want) {
		t.Fatalf("%.500q", refused)
	}
	for i := range want {
		if !strings.HasPrefix(refused[i], want[i]) {
			t.Errorf("got %s, want %s", refused[i], want[i])
		}
	}
	again, _, _ := readAll(Import{Format: "jsonl"}, strings.NewReader(in))
	if again[1].NativeID != posts[1].NativeID {
		t.Error("a second import gives other identities")
	}
}

func TestTweetsOfAPIv1(t *testing.T) {
	posts, refused, err := readAll(Import{Format: "x-v1"}, open(t, "x-v1.jsonl"))
	if err != nil || len(posts) != 4 {
		t.Fatalf("%+v, %q, %v", posts, refused, err)
	}
	for _, p := range posts {
		wellFormed(t, p)
	}
	p := posts[0]
	if p.NativeID != "1050118621198921728" || p.Platform != "x" || p.Lang != "" || p.Intake != mention.Bulked ||
		p.Text != "To make room for more expression, we will now count all emojis as equal & fair 炊飯器 https://example.com/emojis" ||
		p.URL != "https://x.com/XAPI/status/1050118621198921728" || *p.Author.Followers != 6133636 || *p.Metrics.Likes != 399 ||
		!p.PublishedAt.Equal(time.Date(2018, 10, 10, 20, 19, 24, 0, time.UTC)) || len(p.Media) != 1 || p.Media[0].Type != mention.Image {
		t.Errorf("%+v", p)
	}
	if posts[1].Author.Followers != nil || posts[1].Metrics != (mention.Metrics{}) {
		t.Errorf("counts that the file does not hold: %+v", posts[1])
	}
	if p := posts[1]; p.Text != "@acme_jp 返事がまだです" || p.Thread.Parent != "1900000000000000001" || p.Lang != "ja" {
		t.Errorf("%+v", p)
	}
	if p := posts[2]; p.Text != posts[1].Text || p.NativeID == posts[1].NativeID || p.Author.Handle != "bo" {
		t.Errorf("a repost: %+v", p)
	}
	if p := posts[3]; !p.Deleted || p.NativeID != "1234567890123456789" {
		t.Errorf("a deletion: %+v", p)
	}
	want := []string{"line 5: created_at:", "line 6: not a Tweet", "line 7: not a Tweet"}
	if len(refused) != 3 {
		t.Fatalf("%q", refused)
	}
	for i := range want {
		if !strings.HasPrefix(refused[i], want[i]) {
			t.Errorf("got %s, want %s", refused[i], want[i])
		}
	}
}

// endless gives the same lines over and over.
type endless struct {
	head, row []byte
	left, at  int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	src := e.row
	if e.head != nil {
		src = e.head
	}
	n := copy(p, src[e.at:])
	if e.at += n; e.at == len(src) {
		if e.at = 0; e.head != nil {
			e.head = nil
		} else {
			e.left--
		}
	}
	return n, nil
}

func TestImportsNeedNoMoreMemoryForMoreLines(t *testing.T) {
	row := `{"id":"1","text":"` + strings.Repeat("x", 900) + `","published_at":"2026-11-01T00:00:00Z"}` + "\n"
	for format, r := range map[string]io.Reader{
		"jsonl": &endless{row: []byte(row), left: 30_000},
		"csv":   &endless{head: []byte("text,date\n"), row: []byte(strings.Repeat("y", 900) + ",2026-11-01\n"), left: 30_000},
	} {
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		n, most := 0, uint64(0)
		for _, err := range (Import{Format: format, Now: testNow}).Read(r) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n%10_000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
		}
		if n != 30_000 || most > before.HeapAlloc+8<<20 {
			t.Errorf("%s: %d lines, %d MiB more", format, n, (int64(most)-int64(before.HeapAlloc))>>20)
		}
	}
}

func TestAnUnknownFormatIsRefused(t *testing.T) {
	if _, _, err := readAll(Import{Format: "xlsx"}, strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "one of jsonl, csv, x-v1") {
		t.Error(err)
	}
	for name, want := range map[string]string{"a.CSV": "csv", "b.jsonl": "jsonl", "c.ndjson": "jsonl", "d.xlsx": ""} {
		if got := FormatOf(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAReadErrorEndsTheImport(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("text,date\na,2026-11-01\n"), &failing{})
	posts, _, err := readAll(Import{Format: "csv"}, broken)
	if err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("%d posts, %v", len(posts), err)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, fmt.Errorf("disk on fire") }

func FuzzImport(f *testing.F) {
	for _, name := range []string{"excel-cp932.csv", "excel-bom.csv", "excel-utf16.csv", "x-v1.jsonl"} {
		raw, err := os.ReadFile("testdata/formats/" + name)
		if err != nil {
			f.Fatal(err)
		}
		for i := range Formats {
			f.Add(raw, i)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, format int) {
		if format < 0 || format >= len(Formats) {
			return
		}
		posts, _, _ := readAll(Import{Format: Formats[format]}, bytes.NewReader(raw))
		for _, p := range posts {
			wellFormed(t, p)
		}
	})
}

func TestColumnsAreGuessedAndCanBeChosen(t *testing.T) {
	sjis, err := japanese.ShiftJIS.NewEncoder().String("投稿日時,ひとこと,本文,本文,Date\r\n2026/10/3,a,よい①,二つ目,x\r\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"Shift_JIS":           sjis,
		"UTF-8 with its mark": "\ufeff投稿日時,ひとこと,本文,本文,Date\n2026/10/3,a,よい①,二つ目,x\n",
		"tabs":                "投稿日時\tひとこと\t本文\t本文\tDate\n2026/10/3\ta\tよい①\t二つ目\tx\n",
	} {
		got, err := Columns(strings.NewReader(raw))
		if err != nil || len(got) != 5 {
			t.Fatalf("%s: %+v, %v", name, got, err)
		}
		want := []Column{{"投稿日時", "published_at", []string{"2026/10/3"}}, {"ひとこと", "", []string{"a"}}, {"本文", "text", []string{"よい①"}}, {"本文", "", []string{"二つ目"}}, {"Date", "", []string{"x"}}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		im := Import{Format: "csv", Now: testNow, Columns: []string{"published_at", "title", "", "text", ""}}
		for rec, err := range im.Read(strings.NewReader(raw)) {
			if err != nil || rec.Post.Title != "a" || rec.Post.Text != "二つ目" {
				t.Errorf("%s: %+v, %v", name, rec, err)
			}
		}
	}
	for _, raw := range []string{"", "\"never closed"} {
		if got, err := Columns(strings.NewReader(raw)); err == nil {
			t.Errorf("%q: %+v", raw, got)
		}
	}
	im := Import{Format: "csv", Now: testNow, Columns: []string{"text"}}
	for _, err := range im.Read(strings.NewReader("a,b\nc,d\n")) {
		if err == nil || !strings.Contains(err.Error(), "1 columns are given, but the file has 2") {
			t.Errorf("%v", err)
		}
	}
}
