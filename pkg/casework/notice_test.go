package casework

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

func TestNoticesAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	tell := func(what string, at time.Time, staff ...string) {
		t.Helper()
		if err := Notify(ctx, b.bus, Notice{Staff: staff, Case: mention.NewID("acme", "sandbox", "p1"), What: what}, at); err != nil {
			t.Fatal(err)
		}
	}
	list := func(staff string, now time.Time) []Notice {
		t.Helper()
		all, err := Notices(ctx, b.bus, staff, now)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if len(list("ann", noon)) > 0 {
		t.Error("notices of nowhere")
	}
	tell("deadline", noon, "ann", "", "bob")
	tell("assigned", noon.Add(time.Hour), "ann")
	ann := list("ann", noon.Add(2*time.Hour))
	if len(ann) != 2 || ann[0].What != "assigned" || ann[1].What != "deadline" || ann[0].Read || len(list("bob", noon)) != 1 {
		t.Fatalf("kept %+v", ann)
	}
	if err := ReadNotices(ctx, b.bus, "ann", ann[1].ID); err != nil {
		t.Fatal(err)
	}
	if all := list("ann", noon); all[0].Read || !all[1].Read {
		t.Errorf("one was read: %+v", all)
	}
	if err := ReadNotices(ctx, b.bus, "ann"); err != nil {
		t.Fatal(err)
	}
	if all := list("ann", noon); !all[0].Read || list("bob", noon)[0].Read {
		t.Errorf("all were read: %+v", all)
	}
	if all := list("ann", noon.Add(25*time.Hour)); len(all) != 2 {
		t.Errorf("after a day: %+v", all)
	}
	if all := list("ann", noon.Add(NoticeTerm+30*time.Minute)); len(all) != 1 {
		t.Errorf("after three: %+v", all)
	}
	// Several tell at once, and nothing is lost but what is too much.
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 10 {
				if err := Notify(ctx, b.bus, Notice{Staff: []string{"eve"}, What: fmt.Sprint(i, n)}, noon); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(list("eve", noon)); n != 40 {
		t.Errorf("%d of 40 are kept", n)
	}
	for range mostNotices {
		tell("woke", noon, "eve")
	}
	if n := len(list("eve", noon)); n != mostNotices {
		t.Errorf("%d are kept", n)
	}
}
