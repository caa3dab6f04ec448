package indexer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

func (b *bench) put(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) staff(id string, away bool, role identity.Role) {
	b.t.Helper()
	s := identity.Staff{ID: id, Email: id + "@acme.example", Name: id, Away: away, Grants: []identity.Grant{{Role: role, Brands: []string{"acme"}}}}
	b.put(settings.Staff.Put(b.t.Context(), b.settings, "cli", id, settings.Staff.Version(b.settings, id), s))
}

// post tags what somebody says, with risks.
func (b *bench) post(n int, author string, intake mention.Intake, risks ...mention.Category) mention.ID {
	b.t.Helper()
	m := mention.Of("acme", mention.Post{
		Platform: "sandbox", NativeID: fmt.Sprint("q", n), Source: "box", Kind: mention.KindPost, Intake: intake,
		Text: fmt.Sprint("苦情", n), SeenAt: b.clock.Now(), PublishedAt: b.clock.Now(), Author: mention.Author{ID: author, Handle: author},
	})
	v := mention.Verdict{Model: "test", Lang: "ja", Sentiment: mention.Negative, Intent: mention.Complaint, Disposition: mention.Answer}
	for _, r := range risks {
		v.Risks = append(v.Risks, mention.Risk{Category: r, Score: .9})
	}
	b.put(bus.Tagged.Publish(b.t.Context(), b.bus, &mention.Tagged{Mention: m, Verdict: v}))
	b.indexed()
	return m.ID
}

func (b *bench) sharedOut() map[string]int {
	b.t.Helper()
	team, _ := settings.Teams.Get(b.settings, "care")
	turn := 0
	b.put(b.shareOut(b.t.Context(), &team, &turn))
	b.indexed()
	facets, err := b.index.Facets(b.t.Context(), search.Query{Viewer: search.SeesAll(), Where: map[search.Field][]string{search.FieldOpen: {search.Yes}}}, search.FieldHolder)
	b.put(err)
	got := map[string]int{}
	for _, f := range facets[search.FieldHolder] {
		got[f.Value] = int(f.Count)
	}
	return got
}

func TestCasesAreSharedOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	b.staff("ann", false, identity.Agent)
	b.staff("bob", false, identity.Agent)
	b.staff("cat", true, identity.Agent)    // away
	b.staff("dan", false, identity.Product) // may not handle
	b.put(settings.Teams.Put(t.Context(), b.settings, "cli", "care", 0, settings.Team{ID: "care", Name: "Care", Members: []string{"ann", "bob", "cat", "dan", "gone"}, Capacity: 3}))
	b.put(settings.Routes.Put(t.Context(), b.settings, "cli", "all", 0, settings.Route{ID: "all", Name: "all", Team: "care"}))

	var ids []mention.ID
	for n := range 5 {
		ids = append(ids, b.post(n, fmt.Sprint("u", n), mention.Live))
	}
	if d := b.doc(ids[0]); d.Team != "care" || d.Holder != search.Unassigned {
		t.Fatalf("team %q, holder %q", d.Team, d.Holder)
	}
	if got := b.sharedOut(); got["ann"] != 3 || got["bob"] != 2 || got[search.Unassigned] != 0 || len(got) != 2 {
		t.Fatalf("shared out %v", got)
	}
	if st := b.get(ids[0]); st.Assignee == "" || st.Holder != "" || st.Status != casework.New {
		t.Errorf("%s of %q, held by %q", st.Status, st.Assignee, st.Holder)
	}
	for n := 5; n < 8; n++ {
		ids = append(ids, b.post(n, fmt.Sprint("u", n), mention.Live))
	}
	if got := b.sharedOut(); got["ann"] != 3 || got["bob"] != 3 || got[search.Unassigned] != 2 {
		t.Fatalf("over what people can carry: %v", got)
	}

	// What somebody passes on goes to somebody else, once there is room.
	var anns mention.ID
	for _, id := range ids {
		if b.doc(id).Holder == "ann" {
			anns = id
		}
	}
	b.do(anns, casework.PassOn{})
	b.staff("bob", true, identity.Agent)
	b.indexed()
	if got := b.sharedOut(); got["ann"] != 3 || b.doc(anns).Holder != search.Unassigned {
		t.Errorf("passed on to oneself: %v, now %q", got, b.doc(anns).Holder)
	}
}

func TestHarshOnesAreSpread(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	for _, id := range []string{"ann", "bob", "cat"} {
		b.staff(id, false, identity.Agent)
	}
	b.put(settings.Teams.Put(t.Context(), b.settings, "cli", "care", 0, settings.Team{ID: "care", Name: "Care", Members: []string{"ann", "bob", "cat"}, Capacity: 20}))
	b.put(settings.Routes.Put(t.Context(), b.settings, "cli", "all", 0, settings.Route{ID: "all", Name: "all", Team: "care"}))
	old := b.post(100, "u", mention.Live, mention.StaffAbuse)
	b.do(old, casework.Claim{}, casework.Close{}) // ann had one this week
	for n := range 5 {
		b.post(n, fmt.Sprint("u", n), mention.Live, mention.StaffAbuse)
	}
	if got := b.sharedOut(); got["ann"] != 1 || got["bob"] != 2 || got["cat"] != 2 {
		t.Errorf("harsh ones: %v", got)
	}
}

// TestADeadlineThatIsOverIsNotNear: who takes a case late is told so.
func TestADeadlineThatIsOverIsNotNear(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	told := make(chan casework.Notice, 4)
	b.put(bus.Hear(t.Context(), b.bus, "told", func(_ string, x casework.Notice) { told <- x }))
	id := b.post(1, "mika", mention.Live)
	b.clock.Pass(5 * day)
	b.do(id, casework.Claim{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	select {
	case x := <-told:
		if x.Case != id || x.What != "deadline_over" {
			t.Errorf("told %+v", x)
		}
	case <-ctx.Done():
		t.Error("nobody was told")
	}
}

func TestANewPostWakesWhatSleepsUntilThen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	told := make(chan casework.Notice, 4)
	b.put(bus.Hear(t.Context(), b.bus, "told", func(_ string, x casework.Notice) { told <- x }))
	first := b.post(1, "mika", mention.Live)
	timed := b.post(2, "mika", mention.Live)
	b.do(first, casework.Assign{To: "ann"}, casework.Snooze{Until: b.clock.Now().Add(48 * time.Hour), OnPost: true})
	b.do(timed, casework.Snooze{Until: b.clock.Now().Add(48 * time.Hour)})
	b.indexed()
	b.post(3, "else", mention.Live)
	b.post(4, "mika", mention.Bulked)
	if d := b.doc(first); d.Open {
		t.Fatal("awake already")
	}
	last := b.post(5, "mika", mention.Live)
	b.indexed()
	if d := b.doc(first); !d.Open {
		t.Error("still asleep")
	}
	if d := b.doc(timed); d.Open {
		t.Error("one that sleeps for a time woke too")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	select {
	case x := <-told:
		if x.Case != first || x.What != "woke" || len(x.Staff) != 1 || x.Staff[0] != "ann" {
			t.Errorf("told %+v", x)
		}
	case <-ctx.Done():
		t.Error("nobody was told")
	}
	// Somebody who has to ask again comes before somebody who asks at first.
	if again, fresh := b.doc(last), b.doc(b.post(6, "new", mention.Live)); again.Priority <= fresh.Priority {
		t.Errorf("priority %d, of a first post %d", again.Priority, fresh.Priority)
	}
}
