package fetcher

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/source"
)

// TestLooksBelowPostsArePaced: whoever opens many cases doesn't spend what the
// platform lets everybody have, and reopening costs nothing.
func TestLooksBelowPostsArePaced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := &script{poll: time.Hour}
	b.source("a", s)
	n := 0
	look := func(by, id string) source.Shown {
		t.Helper()
		got, err := b.below(t.Context(), source.Below{Source: "a", By: by, Post: mention.Post{Platform: "scripted", NativeID: id}})
		must(t, err)
		return got
	}
	another := func(by string) source.Shown {
		t.Helper()
		n++
		return look(by, fmt.Sprint(n))
	}
	asked := func(want int) {
		t.Helper()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.looks) != want {
			t.Fatalf("the platform was asked %d times, want %d", len(s.looks), want)
		}
	}
	for range lookBurst {
		if got := another("mia"); len(got.Comments) != 1 || got.Paced {
			t.Fatalf("%+v", got)
		}
	}
	for range 3 {
		if got := look("mia", "1"); len(got.Comments) != 1 || got.Comments[0].NativeID != "below-1" {
			t.Errorf("looked at again: %+v", got)
		}
	}
	asked(lookBurst)
	for range 3 {
		if got := another("mia"); !got.Paced || got.Error == "" || got.Trouble.Reason != outbound.Limited || !got.Trouble.Until.Equal(b.now().Add(lookEvery)) {
			t.Errorf("one too many: %+v", got)
		}
	}
	asked(lookBurst)
	if got := another("ken"); got.Paced {
		t.Error("somebody else has to wait, too")
	}
	b.clock.Pass(lookEvery)
	if another("mia").Paced || !another("mia").Paced {
		t.Error("after a while there is another one, and one alone")
	}
	asked(lookBurst + 2)
	for i := range lookMany * lookBurst {
		another(fmt.Sprint("staff", i))
	}
	if got := another("zoe"); !got.Paced {
		t.Error("all together have no pace")
	}
	b.clock.Pass(lookAgain)
	if got := look("mia", "1"); len(got.Comments) != 1 {
		t.Errorf("%+v", got)
	}
	s.mu.Lock()
	if last := s.looks[len(s.looks)-1]; last != "1" {
		t.Errorf("what was seen long ago is shown as of now: asked of %s last", last)
	}
	before := len(s.looks)
	s.mu.Unlock()

	// What the platform has left is for fetching and replying.
	s.mu.Lock()
	s.quota = &outbound.Quota{Limit: 100, Remaining: 24, Reset: b.now().Add(time.Minute)}
	s.mu.Unlock()
	if got := another("ken"); got.Trouble.Reason != outbound.Spent || !got.Trouble.Until.Equal(b.now().Add(time.Minute)) {
		t.Errorf("with little left: %+v", got)
	}
	if got := look("mia", "1"); got.Error != "" {
		t.Errorf("what was seen a moment ago: %+v", got)
	}
	asked(before)
	b.clock.Pass(time.Minute)
	if got := another("ken"); got.Error != "" {
		t.Errorf("of the time before: %+v", got)
	}
	asked(before + 1)
}

// TestWhatWasSeenBelowPostsIsForgotten: by its age and its size.
func TestWhatWasSeenBelowPostsIsForgotten(t *testing.T) {
	t.Parallel()
	var l looks
	now := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	big := source.Shown{Comments: []mention.Comment{{Text: string(make([]byte, lookBytes/4))}}}
	for i := range 5 {
		l.keep(lookOf{id: fmt.Sprint(i)}, big, clock)
	}
	if _, ok := l.recent(lookOf{id: "1"}, now); ok || l.bytes > lookBytes {
		t.Errorf("%d bytes are held", l.bytes)
	}
	if _, ok := l.recent(lookOf{id: "4"}, now); !ok {
		t.Error("the latest is forgotten")
	}
	if l.drop(now.Add(lookAgain)); len(l.seen) != 0 || l.bytes != 0 {
		t.Errorf("%d are held, %d bytes", len(l.seen), l.bytes)
	}
	for i := range 1000 {
		l.wait("a", fmt.Sprint(i), now.Add(time.Duration(i)*time.Hour))
	}
	if len(l.people) != 1 {
		t.Errorf("%d people are remembered", len(l.people))
	}
}

// TestOneLookAtATime: whoever clicks twice asks the platform once.
func TestOneLookAtATime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := &script{poll: time.Hour}
	b.source("a", s)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, err := b.below(t.Context(), source.Below{Source: "a", By: "mia", Post: mention.Post{NativeID: "1"}})
			if err != nil || len(got.Comments) != 1 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if len(s.looks) != 1 {
		t.Errorf("asked %d times", len(s.looks))
	}
}
