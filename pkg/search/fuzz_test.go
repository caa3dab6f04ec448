package search

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever a person types is answered, and marks lie within the content.
func FuzzText(f *testing.F) {
	for _, s := range []string{"東京", `"`, `"の acme"*`, "NEAR(a b, 2)", "content : x", "a* OR -b ^c {d}", "🎉\u200d🎉 が゙", "ﾊﾟ", "ridiculous"} {
		f.Add(s)
	}
	e := openTestSQLite(f, filepath.Join(f.TempDir(), "index.db"))
	load(f, e, goldenDocs(), 20)
	f.Fuzz(func(t *testing.T, s string) {
		q := Query{Viewer: SeesAll(), Text: s}
		if _, err := q.check(); err != nil {
			return
		}
		for _, q.Sort = range []Sort{Queue, Relevance} {
			res, err := e.Search(t.Context(), q)
			if err != nil {
				t.Fatalf("%q: %v", s, err)
			}
			for _, h := range res.Hits {
				last, length := -1, len([]rune(h.Content()))
				for _, m := range h.Marks {
					if m.Start <= last || m.End <= m.Start || m.End > length {
						t.Fatalf("%q marks %v in %q", s, h.Marks, h.Content())
					}
					last = m.End
				}
			}
		}
	})
}

// A damaged blob is refused, and what is read is what would be written.
func FuzzDecode(f *testing.F) {
	for _, d := range goldenDocs()[:3] {
		f.Add(encode(nil, &d))
	}
	f.Add([]byte{codecVersion})
	f.Fuzz(func(t *testing.T, blob []byte) {
		d, err := decode(blob)
		if err != nil {
			return
		}
		again, err := decode(encode(nil, &d))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A forged cursor is refused or gives a page, and never fails.
func FuzzCursor(f *testing.F) {
	e := openTestSQLite(f, filepath.Join(f.TempDir(), "index.db"))
	load(f, e, goldenDocs(), 20)
	res, err := e.Search(f.Context(), Query{Viewer: SeesAll(), Limit: 3})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(res.Next)
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		q := Query{Viewer: SeesAll(), Limit: 3, Cursor: cursor}
		if _, err := q.check(); err != nil {
			return
		}
		if _, err := e.Search(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	})
}
