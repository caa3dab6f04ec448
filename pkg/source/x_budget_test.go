package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

func TestXBudgetIsKept(t *testing.T) {
	x := newXServer(t)
	for i := range 40 {
		x.say("2", "kettle", time.Duration(60-i)*time.Minute)
	}
	d := x.deps("kettle")
	cfg := "bearer: app-token\ndaily_posts: 30\nprice_user: 0\n"
	items, cursor, err := collectX(t.Context(), x.open(cfg, d), "")
	// What was paid for is given, the newest, and since when it is not whole.
	if n := len(nativeIDs(items)); n != 30 || len(gapsOf(items)) != 1 || gapsOf(items)[0].From.After(testNow.Add(-time.Hour)) || gapsOf(items)[0].From.Before(testNow.Add(-7*time.Hour)) {
		t.Errorf("%d posts, %+v: %v", n, gapsOf(items), err)
	}
	// The count outlives the process.
	src := x.open(cfg, d)
	before := x.count("GET /2/tweets/search/recent")
	_, cursor, err = collectX(t.Context(), src, cursor)
	over, ok := errors.AsType[*budgetError](err)
	midnight := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	if !ok || !strings.Contains(err.Error(), "30 posts a day") || !strings.Contains(err.Error(), "2026-11-21 00:00 UTC") || over.RetryAfter() != midnight.Sub(testNow) {
		t.Fatalf("%v", err)
	}
	if x.count("GET /2/tweets/search/recent") != before {
		t.Error("it went on reading")
	}
	s, err := src.Spent(t.Context())
	if err != nil || s.Day.Posts != 30 || s.Month.Posts != s.Day.Posts || s.Day.MaxPosts != 30 || !s.Day.Ends.Equal(midnight) ||
		s.Day.USD < 0.1499 || s.Day.USD > 0.1501 {
		t.Errorf("%+v, %v", s, err)
	}
	// The next day begins with what is new, and says what was missed.
	x.say("2", "kettle in the meantime", 0)
	x.pass(13 * time.Hour)
	late := x.say("2", "kettle, good morning", 0)
	x.pass(3 * time.Minute)
	items, cursor, err = collectX(t.Context(), x.open(cfg, d), cursor)
	gaps := gapsOf(items)
	if err != nil || len(gaps) == 0 || gaps[len(gaps)-1].To.Before(midnight) {
		t.Fatalf("%+v, %v", items, err)
	}
	fresh := x.say("2", "kettle, again", 0)
	x.pass(3 * time.Minute)
	items, _, err = collectX(t.Context(), x.open(cfg, d), cursor)
	if err != nil || !slices.Equal(nativeIDs(items), []string{fresh}) {
		t.Errorf("%q, want %q and not %q: %v", nativeIDs(items), fresh, late, err)
	}
}

func TestXCountsMoneyAsXBills(t *testing.T) {
	x := newXServer(t)
	parent := x.say("3", "what is good", 2*time.Hour)
	x.say("2", "the kettle", time.Hour, replyTo(parent))
	x.say("2", "the other kettle", time.Hour)
	src := x.open("bearer: app-token\n", x.deps("kettle"))
	for range 3 { // the same posts on the same day are billed once
		if _, _, err := collectX(t.Context(), src, ""); err != nil {
			t.Fatal(err)
		}
	}
	s, err := src.Spent(t.Context())
	// Three posts, one of them because it was answered, and two accounts.
	if want := 3*0.005 + 2*0.01; err != nil || s.Day.Posts != 3 || s.Day.USD < want-1e-9 || s.Day.USD > want+1e-9 {
		t.Errorf("%+v, want $%.3f: %v", s.Day, want, err)
	}
	x.pass(24 * time.Hour)
	if _, _, err := collectX(t.Context(), src, (&xCursor{Since: xIDAt(testNow.Add(-3 * time.Hour))}).String()); err != nil {
		t.Fatal(err)
	}
	if s, _ := src.Spent(t.Context()); s.Day.Posts != 3 || s.Month.Posts != 6 {
		t.Errorf("the next day: %+v", s)
	}
	x.pass(24 * 24 * time.Hour)
	if s, _ := src.Spent(t.Context()); s.Day.Posts != 0 || s.Month.Posts != 0 {
		t.Errorf("the next month: %+v", s)
	}
}

func TestXMonthsBeginWhereTheBillDoes(t *testing.T) {
	for _, c := range []struct {
		begins            int
		now, month, until string
	}{
		{1, "2026-11-20", "2026-11-01", "2026-12-01"},
		{20, "2026-11-20", "2026-11-20", "2026-12-20"},
		{21, "2026-11-20", "2026-10-21", "2026-11-21"},
		{28, "2026-03-01", "2026-02-28", "2026-03-28"},
		{15, "2027-01-02", "2026-12-15", "2027-01-15"},
	} {
		now, _ := time.Parse(time.DateOnly, c.now)
		l := &xLedger{cfg: &xConfig{MonthBegins: c.begins}}
		if _, month, _, ends := l.periods(now); month != c.month || ends.Format(time.DateOnly) != c.until {
			t.Errorf("%s, day %d: %s to %s", c.now, c.begins, month, ends)
		}
	}
}

func TestXProcessesShareABudget(t *testing.T) {
	d := testDeps(t)
	d.Keep = Memory()
	var wg sync.WaitGroup
	for n := range 4 {
		l := &xLedger{cfg: &xConfig{MonthBegins: 1, PricePost: 0.005}, deps: d}
		wg.Go(func() {
			for i := range 50 {
				l.note(xCharge{posts: []uint64{uint64(n*1000 + i + 1)}})
				if err := l.keep(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s, err := (&xLedger{cfg: &xConfig{MonthBegins: 1}, deps: d}).spent(t.Context())
	if err != nil || s.Day.Posts != 200 || s.Day.USD < 0.9999 || s.Day.USD > 1.0001 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestXAnswersCostAndAreNotHeldUp(t *testing.T) {
	x := newXServer(t)
	src := x.open(xTestKeys+"daily_usd: 0.05\n", x.deps())
	for _, c := range []struct {
		text     string
		noReply  mention.NoReply
		config   float64
		summoned string
	}{
		{"Thank you!", "", 0.01, "@acme_jp one"},
		{"See https://example.com for more", "", 0.01, "@acme_jp two"},
	} {
		to := x.say("2", c.summoned, time.Minute)
		before, _ := src.Spent(t.Context())
		if _, err := src.Reply(t.Context(), Reply{To: mention.Post{Platform: "x", NativeID: to, NoReply: c.noReply}, Text: c.text}); err != nil {
			t.Fatal(err)
		}
		after, _ := src.Spent(t.Context())
		if got := after.Day.USD - before.Day.USD; after.Day.Writes != before.Day.Writes+1 || got < c.config-1e-9 || got > c.config+0.0101 {
			t.Errorf("%q cost $%.3f", c.text, got)
		}
	}
	src.ledger.note(xCharge{writes: 100, price: 1})
	to := x.say("2", "@acme_jp help", time.Minute)
	if _, err := src.Reply(t.Context(), Reply{To: mention.Post{Platform: "x", NativeID: to}, Text: "We are here."}); err != nil {
		t.Errorf("held up: %v", err)
	}
	if _, _, err := collectX(t.Context(), src, ""); err == nil {
		t.Error("reading goes on")
	}
}

func TestASpentBudgetIsToldAsSuch(t *testing.T) {
	now := testNow
	over := &budgetError{of: Spent{MaxPosts: 5, Posts: 5, Ends: now.Add(time.Hour)}, name: "day", after: time.Hour}
	want := outbound.Trouble{Reason: outbound.Spent, Until: now.Add(time.Hour).UTC()}
	if got := outbound.Explain(fmt.Errorf("x: %w", over), now); got != want {
		t.Errorf("%+v", got)
	}
	d := testDeps(t)
	b := budget{"units", "quota units", 10, time.Hour, 0}
	if err := d.spend(t.Context(), b, 5); err != nil {
		t.Fatal(err)
	}
	err := d.spend(t.Context(), b, 5)
	if got := outbound.Explain(err, now); got.Reason != outbound.Spent || got.Said != "" || got.Until.IsZero() {
		t.Errorf("%+v of %v", got, err)
	}
}
