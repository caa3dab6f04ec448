package pager

import (
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/source"
)

func TestAStandstillOfTheLineIsToldOnce(t *testing.T) {
	t.Parallel()
	b := listener(t)
	begun := b.clock.Now()
	c := source.Canary{Every: 5 * time.Minute, Late: 15 * time.Minute, Since: begun, Back: begun}
	look := func(wanted string, escalations int) {
		t.Helper()
		must(t, bus.Cursors.Put(t.Context(), b.bus, source.CanaryKey, c))
		for range 2 {
			must(t, b.canaries(t.Context(), begun))
		}
		b.settled()
		if got := b.got(); got != wanted || len(b.all()) != escalations {
			t.Errorf("pages %q, %d escalations, want %q, %d", got, len(b.all()), wanted, escalations)
		}
	}
	b.clock.Pass(14 * time.Minute)
	look("", 0)
	b.clock.Pass(2 * time.Minute)
	look("trigger", 1)
	if s := b.all()[0]; s.Urgency != escalation.Notify || s.Origin != escalation.ByCanary {
		t.Errorf("%+v", s)
	}
	b.says(escalation.Event{Kind: escalation.Resolved})
	look("trigger resolve", 1) // whoever closed it is not told again
	c.Back = b.clock.Now()
	look("trigger resolve", 1)
	b.clock.Pass(20 * time.Minute)
	look("trigger resolve trigger", 2)
	c.Back = b.clock.Now()
	look("trigger resolve trigger resolve", 2)
	b.clock.Pass(time.Hour)
	c.Every = 0 // none are sent any more
	look("trigger resolve trigger resolve", 2)
}

func TestCanariesNeverPage(t *testing.T) {
	t.Parallel()
	b := listener(t)
	m := mention.Of(mention.CanaryBrand, mention.Post{Platform: "canary", NativeID: "1", Kind: mention.KindPost, Intake: mention.Live, Text: "canary", SeenAt: b.clock.Now(), PublishedAt: b.clock.Now()})
	must(t, b.tagged(t.Context(), &bus.Msg[mention.Tagged]{Value: mention.Tagged{Mention: m, Verdict: mention.Verdict{Page: true, Disposition: mention.Answer}}}))
	if len(b.all()) != 0 {
		t.Errorf("%+v", b.all())
	}
}
