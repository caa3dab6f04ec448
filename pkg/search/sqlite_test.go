package search

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
)

func TestSQLiteKeepsEverythingOverARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "index #1?.db")
	e, err := OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Write(t.Context(), Batch{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("writing before Ensure: %v", err)
	}
	if fresh, err := e.Ensure(t.Context()); !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	if err := e.Write(t.Context(), Batch{Upserts: goldenDocs(), Positions: map[string]uint64{"TAGGED": 20}}); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = openTestSQLite(t, path)
	if at, _ := e.Position(t.Context(), "TAGGED"); at != 20 {
		t.Errorf("position %d", at)
	}
	got := walk(t, e, Query{Viewer: SeesAll(), Limit: 6, Where: map[Field][]string{FieldRisk: {"churn", None}}}, nil)
	if diff := cmp.Diff(inOrder(goldenDocs(), Queue), got); diff != "" {
		t.Error(diff)
	}
}

func TestSQLiteStartsAnewWhenTheFileIsOfNoUse(t *testing.T) {
	for what, spoil := range map[string]func(t *testing.T, path string){
		"a file that is no index": func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("no index "), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"an index of another layout": func(t *testing.T, path string) {
			e := openTestSQLite(t, path)
			load(t, e, goldenDocs(), 10)
			if _, err := e.writer.Exec(`UPDATE layout SET print = 'older'`); err != nil {
				t.Fatal(err)
			}
			e.Close()
		},
		"a schema cut short": func(t *testing.T, path string) {
			e := openTestSQLite(t, path)
			if _, err := e.writer.Exec(`DELETE FROM layout`); err != nil {
				t.Fatal(err)
			}
			e.Close()
		},
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "index.db")
			spoil(t, path)
			e, err := OpenSQLite(path)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			if fresh, err := e.Ensure(t.Context()); !fresh || err != nil {
				t.Fatalf("Ensure: %t, %v", fresh, err)
			}
			if at, _ := e.Position(t.Context(), "TAGGED"); at != 0 {
				t.Errorf("position %d", at)
			}
			load(t, e, goldenDocs(), 10)
		})
	}
}

func TestSQLiteRecoversFromAFullDisk(t *testing.T) {
	e := openTestSQLite(t, filepath.Join(t.TempDir(), "index.db"))
	docs := synthetic(500)
	load(t, e, docs[:100], 100)
	limit := func(pages int) {
		t.Helper()
		if _, err := e.writer.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	var pages int
	if err := e.writer.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit(pages + 3)
	full := Batch{Upserts: docs[100:], Positions: map[string]uint64{"TAGGED": 500}}
	err := e.Write(t.Context(), full)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "disk is full") {
		t.Fatalf("a full disk: %v", err)
	}
	if at, _ := e.Position(t.Context(), "TAGGED"); at != 100 {
		t.Errorf("the position moved to %d", at)
	}
	res, err := e.Search(t.Context(), Query{Viewer: SeesAll()})
	if err != nil || res.Total != 100 {
		t.Errorf("reading with a full disk: %d, %v", res.Total, err)
	}
	limit(1 << 30)
	if err := e.Write(t.Context(), full); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	if n, err := e.Counts(t.Context(), Query{Viewer: SeesAll()}); err != nil || n[0] != 500 {
		t.Errorf("counted %v, %v", n, err)
	}
	tally(t, e)
}

func TestSQLiteSaysWhenItCannotWrite(t *testing.T) {
	e := openTestSQLite(t, filepath.Join(t.TempDir(), "index.db"))
	if _, err := e.writer.Exec("PRAGMA query_only = ON"); err != nil {
		t.Fatal(err)
	}
	err := e.Write(t.Context(), Batch{Upserts: goldenDocs()})
	if u, ok := errors.AsType[*UnavailableError](err); !ok || !strings.Contains(u.Reason, "cannot be written") {
		t.Errorf("got %v", err)
	}
	if _, err := e.writer.Exec("PRAGMA query_only = OFF"); err != nil {
		t.Fatal(err)
	}
	if err := e.Write(t.Context(), Batch{Upserts: goldenDocs()}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// tally checks the counts that triggers keep against the documents.
func tally(t *testing.T, e *SQLite) {
	t.Helper()
	cols := columns("", true)
	var wrong int
	err := e.reader.QueryRow(`SELECT count(*) FROM (SELECT ` + cols + `, n FROM tally WHERE n <> 0
		EXCEPT SELECT ` + cols + `, count(*) FROM doc GROUP BY ` + cols + `)`).Scan(&wrong)
	if err != nil || wrong != 0 {
		t.Errorf("%d counts are wrong, %v", wrong, err)
	}
}

func TestSQLiteCountsStayRightThroughAnyChange(t *testing.T) {
	e := openTestSQLite(t, filepath.Join(t.TempDir(), "index.db"))
	r := rand.New(rand.NewPCG(7, 7))
	docs := synthetic(200)
	for range 40 {
		var b Batch
		for range 1 + r.IntN(20) {
			d := docs[r.IntN(len(docs))]
			switch r.IntN(4) {
			case 0:
				b.Deletes = append(b.Deletes, d.ID)
				continue
			case 1:
				d.Text = docs[r.IntN(len(docs))].Text
			case 2:
				d.Seq = uint64(r.IntN(300)) // also taken ones, and none
			}
			d.Status = []string{"new", "done"}[r.IntN(2)]
			b.Upserts = append(b.Upserts, d)
		}
		if err := e.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	tally(t, e)
	// The table of terms agrees with the documents.
	if _, err := e.writer.Exec(`INSERT INTO fts(fts) VALUES ('integrity-check')`); err != nil {
		t.Error(err)
	}
	rows, err := e.reader.Query(`SELECT doc FROM body`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var blob []byte
		if err := rows.Scan(&blob); err != nil {
			t.Fatal(err)
		}
		d, err := decode(blob)
		if err != nil {
			t.Fatal(err)
		}
		res, err := e.Search(t.Context(), Query{Viewer: SeesAll(), Text: `"` + text.Cut(d.Text, 60) + `"`, Limit: MaxLimit})
		if err != nil || !slices.ContainsFunc(res.Hits, func(h Hit) bool { return h.ID == d.ID }) {
			t.Fatalf("a document is not found by its own text: %v", err)
		}
	}
}

// A run of two and more Japanese characters finds exactly the texts that
// contain it, whatever the text.
// TestSQLiteCountsOfManyAuthors asks of many authors at once what is also asked
// of each alone, of which some are unknown, asked twice, or of other brands.
func TestSQLiteCountsOfManyAuthors(t *testing.T) {
	e := openTestSQLite(t, filepath.Join(t.TempDir(), "index.db"))
	load(t, e, goldenDocs(), 10)
	var queries []Query
	for _, author := range []string{"author-0", "author-1", "author-1", "nobody", "AUTHOR-2", "author-3"} {
		for _, more := range []map[Field][]string{
			{}, {FieldBrand: {"acme"}}, {FieldBrand: {"beta"}, FieldOpen: {Yes}}, {FieldBrand: {"unknown"}}, {FieldStatus: {"new", "done"}},
		} {
			where := map[Field][]string{FieldAuthor: {author}}
			maps.Copy(where, more)
			queries = append(queries,
				Query{Viewer: SeesAll(), Where: where},
				Query{Viewer: Sees("acme"), Where: where},
				Query{Viewer: SeesAll(), Where: where, Text: "弁当"},
				Query{Viewer: SeesAll(), Where: where, Published: Period{From: epoch.Add(5 * time.Hour)}},
				Query{Viewer: SeesAll(), Where: more, Except: map[Field][]string{FieldAuthor: {author}}},
			)
		}
	}
	got, err := e.Counts(t.Context(), queries...)
	if err != nil {
		t.Fatal(err)
	}
	found := int64(0)
	for i, q := range queries {
		q.Limit = MaxLimit
		res, err := e.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if found += got[i]; got[i] != int64(len(res.Hits)) {
			t.Errorf("%+v counts %d and finds %d", q, got[i], len(res.Hits))
		}
	}
	if found == 0 {
		t.Error("nothing is found at all")
	}
}

func TestSQLiteFindsJapaneseAsSubstrings(t *testing.T) {
	e := openTestSQLite(t, filepath.Join(t.TempDir(), "index.db"))
	r := rand.New(rand.NewPCG(3, 3))
	alphabet := []rune("東京都あいアカー店2a 、")
	var docs []Document
	for i := range 400 {
		var b strings.Builder
		for range 3 + r.IntN(25) {
			b.WriteRune(alphabet[r.IntN(len(alphabet))])
		}
		docs = append(docs, Document{ID: mention.NewID("b", "x", fmt.Sprint(i)), Seq: uint64(i + 1), Brand: "b", Text: b.String()})
	}
	load(t, e, docs, 50)
	for range 300 {
		var b strings.Builder
		for range 1 + r.IntN(4) {
			b.WriteRune(alphabet[r.IntN(7)])
		}
		want := 0
		for i := range docs {
			if strings.Contains(text.Fold(docs[i].Text), text.Fold(b.String())) {
				want++
			}
		}
		res, err := e.Search(t.Context(), Query{Viewer: SeesAll(), Text: b.String()})
		if err != nil || res.Total != want {
			t.Fatalf("%q finds %d, %v; %d contain it", b.String(), res.Total, err, want)
		}
		for _, h := range res.Hits {
			if len(h.Marks) == 0 {
				t.Fatalf("%q is not marked in %q", b.String(), h.Text)
			}
		}
	}
}

func TestSQLiteLeavesNothingOfDeletedDocumentsInItsFiles(t *testing.T) {
	dir := t.TempDir()
	e := openTestSQLite(t, filepath.Join(dir, "index.db"))
	load(t, e, synthetic(3000), 500)
	secret := goldenDocs()[0]
	secret.Text, secret.AuthorName, secret.AuthorHandle = "秘密鍵穴の告発文 unmistakable whistleblower", "匿名希望子", "leaky_author"
	if err := e.Write(t.Context(), Batch{Upserts: []Document{secret}}); err != nil {
		t.Fatal(err)
	}
	edited := secret
	edited.Text = "編集済み文章 reworded"
	load(t, e, []Document{edited}, 1)
	load(t, e, synthetic(3000)[:1000], 500)
	if _, err := e.Search(t.Context(), Query{Viewer: SeesAll(), Text: "whistlblower"}); err != nil {
		t.Fatal(err)
	}
	traces := []string{"秘密鍵穴", "秘密", "鍵穴", "告発", "unmistakable", "histleblower", "匿名", "leaky_author", "編集済", "reworded"}
	left := func() (found []string) {
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range traces {
				if bytes.Contains(b, []byte(s)) {
					found = append(found, s+" in "+filepath.Base(f))
				}
			}
		}
		return found
	}
	if len(left()) == 0 {
		t.Fatal("the search for traces finds none where there are some")
	}
	if err := e.Write(t.Context(), Batch{Deletes: []mention.ID{secret.ID}}); err != nil {
		t.Fatal(err)
	}
	if err := e.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := left(); found != nil {
		t.Errorf("left after erasure: %v", found)
	}
	if _, known := e.words.known["whistleblower"]; known {
		t.Error("the list of words still knows a deleted word")
	}
}

func TestSQLiteReadsWhileItWrites(t *testing.T) {
	e := openTestSQLite(t, filepath.Join(t.TempDir(), "index.db"))
	docs := synthetic(2000)
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				at, _ := e.Position(ctx, "TAGGED")
				n, err := e.Counts(t.Context(), Query{Viewer: SeesAll()})
				if err != nil || n[0] < int64(at) {
					t.Errorf("position %d, but %v documents, %v", at, n, err)
					return
				}
				q := Query{Viewer: SeesAll(), Text: []string{"", "raneto", "一", "etai"}[i], Collapse: i == 0}
				if _, err := e.Search(t.Context(), q); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	load(t, e, docs, 50)
	waited, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := e.Wait(waited, "TAGGED", 2000); err != nil {
		t.Error(err)
	}
	stop()
	readers.Wait()
	if err := e.Scrub(t.Context()); err != nil {
		t.Error(err)
	}
}

// What is written while the ledger of figures is read, and after, is in it once.
func TestFiguresKeepUpWithWrites(t *testing.T) {
	e := openTestSQLite(t, filepath.Join(t.TempDir(), "index.db"))
	docs := synthetic(1200)
	load(t, e, docs[:600], 500)
	now := epoch.Add(24 * time.Hour)
	figures := func() []Group {
		groups, err := e.Figures(t.Context(), SeesAll(), Period{}, Grouping{Time: ByHour, Of: FieldBrand}, now)
		if err != nil {
			t.Error(err)
		}
		return groups
	}
	var readers sync.WaitGroup
	for i := range docs[:600] { // with what is there already in another state
		docs[i].Status, docs[i].Brand = "done", "brand-0"
	}
	for part := range slices.Chunk(docs, 100) {
		readers.Go(func() { figures() })
		if err := e.Write(t.Context(), Batch{Upserts: part, Deletes: []mention.ID{part[0].ID}}); err != nil {
			t.Fatal(err)
		}
	}
	var gone []mention.ID
	for i := range docs[:800] {
		gone = append(gone, docs[i].ID)
	}
	if err := e.Write(t.Context(), Batch{Deletes: gone}); err != nil { // more than a ledger keeps room for
		t.Fatal(err)
	}
	readers.Wait()
	want, err := tallied(t.Context(), e, SeesAll(), Period{}, Grouping{Time: ByHour, Of: FieldBrand}, now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, figures()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(e.ledger.rows) - e.ledger.gone; n != 400 {
		t.Errorf("the ledger has %d entries for 400 documents", n)
	}
	if err := e.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := figures(); len(got) != 0 {
		t.Errorf("after everything is dropped: %+v", got)
	}
}
