package casework

import (
	"errors"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

func TestErase(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	secret := []string{"ひみつの苦情", "gegen-das-Vergessen", "hanako", "花子", "電話で花子様", "花子様、ありがとうございます", "ひみつの続き", "ひみつの三", "ひみつの録音", "ひみつの写真"}
	other := post(2, "残る言葉")
	other.Mention.Author = mention.Author{ID: "u2", Handle: "taro", Name: "太郎"}
	kept := b.tag(other)
	b.must(ann, kept, Claim{})

	first := post(1, "ひみつの苦情 gegen-das-Vergessen")
	first.Mention.Media = []mention.Media{{Type: mention.Image, URL: b.file("ひみつの写真"), Alt: "花子"}}
	id := b.tag(first)
	b.must(ann, id, fixed)
	b.must(ann, id, AddNote{Text: "電話で花子様", Files: []File{{Key: b.file("ひみつの録音"), Name: "花子.mp3"}}})
	b.revise(post(1, "ひみつの続き"))
	b.must(ann, id, MakePromise{Due: noon.Add(time.Hour)})
	if err := bus.Bury(ctx, b.bus, "indexer", bus.Tagged, b.tagged[id][0], errors.New("broken")); err != nil {
		t.Fatal(err)
	}
	before := b.must(ann, id, Close{Why: "花子様のため"})
	if len(bustest.Lying(t, b.dir, secret[0])) == 0 {
		t.Fatal("the search finds nothing before the erasure either")
	}

	if err := b.Erase(ctx, ann, "acme", id, b.tagged[id], "asked"); codeOf(err) != CodeForbidden {
		t.Errorf("an agent erases: %v", err)
	}
	if err := b.Erase(ctx, ada, "acme", id, b.tagged[id], "asked"); err != nil {
		t.Fatal(err)
	}
	b.gone(id, before, 1, secret)

	// A later state of the post comes in, and is erased as well.
	b.revise(post(1, "ひみつの三"))
	if err := b.Erase(ctx, identity.System(), "acme", id, b.tagged[id], "again"); err != nil {
		t.Fatal(err)
	}
	s := b.gone(id, before, 2, secret)
	if e := s.History[len(s.History)-3]; e.Kind != Redacted || e.Actor != "ada" || e.Text != "asked" {
		t.Errorf("who erased first is not told any more: %+v", e)
	}
	if err := b.Erase(ctx, ada, "acme", id, b.tagged[id], "twice"); err != nil {
		t.Errorf("nothing left to erase: %v", err)
	}

	if s, err := b.Get(ctx, ann, kept); err != nil || s.Mention.Text != "残る言葉" {
		t.Errorf("another's words went too: %q, %v", s.Mention.Text, err)
	}
}

// file stores an attachment and returns its address.
func (b *bench) file(content string) string {
	b.t.Helper()
	address, err := b.bus.PutFile(b.t.Context(), []byte(content))
	if err != nil {
		b.t.Fatal(err)
	}
	return address
}

// revise tags a later state of a post and tells its case, as the indexer does.
func (b *bench) revise(to *mention.Tagged) {
	b.t.Helper()
	b.tag(to)
	seqs := b.tagged[to.Mention.ID]
	_, err := b.Record(b.t.Context(), to.Mention.ID, func(*State) (Event, bool) {
		return Event{Kind: Revised, Mention: &to.Mention, Verdict: &to.Verdict, Tagged: seqs[len(seqs)-1]}, true
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// gone holds the bus to an erasure: no word on disk, and the history whole.
func (b *bench) gone(id mention.ID, before State, erasures int, words []string) State {
	b.t.Helper()
	if found := bustest.Lying(b.t, b.dir, words...); len(found) > 0 {
		b.t.Errorf("still on disk: %v", found)
	}
	letters, err := b.bus.DeadLetters(b.t.Context())
	if err != nil || len(letters) > 0 {
		b.t.Errorf("dead letters %v, %v", letters, err)
	}
	s, ok, err := b.Touched(b.t.Context(), id)
	if err != nil || !ok {
		b.t.Fatal(ok, err)
	}
	if !s.Redacted || s.Number != before.Number || s.Mention.Brand != "acme" || s.Mention.Text != "" || s.Status != Done || s.NextAt() != (time.Time{}) {
		b.t.Errorf("left: %+v", s)
	}
	count := 0
	for i, e := range s.History {
		if e.Kind == Redacted {
			count++
		}
		if i < len(before.History) {
			if was := before.History[i]; e.ID != was.ID || e.Kind != was.Kind || e.Actor != was.Actor || !e.At.Equal(was.At) || e.Seq != was.Seq {
				b.t.Errorf("event %d is %+v, was %+v", i, e, was)
			}
		}
	}
	if count != erasures {
		b.t.Errorf("%d erasures in the history, want %d", count, erasures)
	}
	return s
}

func TestEraseWhatNobodyTouched(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.tag(post(1, "ひみつの苦情"))
	if err := b.Erase(t.Context(), ada, "acme", id, b.tagged[id], "asked"); err != nil {
		t.Fatal(err)
	}
	if found := bustest.Lying(t, b.dir, "ひみつの苦情", "hanako"); len(found) > 0 {
		t.Errorf("still on disk: %v", found)
	}
	if s, ok, err := b.Touched(t.Context(), id); err != nil || !ok || !s.Redacted || s.Number == 0 || s.ID != id {
		t.Errorf("%+v, %v, %v", s, ok, err)
	}
}

// An erasure while a reply is on its way: it must not leave, and what the
// platform says afterwards must not bring anything back.
func TestEraseTakesBackWhatHasNotLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.tag(post(1, "a"))
	s := b.must(ann, id, fixed)
	b.must(ann, id, Send{Hash: s.Hash(s.Draft)})
	if err := b.Erase(t.Context(), ada, "acme", id, b.tagged[id], "asked"); err != nil {
		t.Fatal(err)
	}
	if s, _, err := b.Touched(t.Context(), id); err != nil || s.Outgoing != nil {
		t.Errorf("outgoing %+v, %v", s.Outgoing, err)
	}
}
