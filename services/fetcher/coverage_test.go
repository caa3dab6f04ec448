package fetcher

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
)

// ledger is what is written down of a source's outages.
func (b *bench) ledger(id string) []source.Outage {
	b.t.Helper()
	var c source.Coverage
	if _, err := bus.Cursors.Get(b.t.Context(), b.bus, source.CoverageKey(id), &c); err != nil && !errors.Is(err, bus.ErrNotFound) {
		b.t.Fatal(err)
	}
	return c.Outages
}

func (b *bench) outage(id string, state source.OutageState) source.Outage {
	b.t.Helper()
	var last source.Outage
	eventually(b.t, id+" has an outage that is "+string(state), func() bool {
		all := b.ledger(id)
		if len(all) == 0 {
			return false
		}
		last = all[len(all)-1]
		return last.State() == state
	})
	return last
}

func TestAPollCatchesUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := &script{poll: time.Hour}
	b.source("a", s)
	b.run()
	eventually(t, "it is heard", func() bool { return !b.progress("a").Success.IsZero() })
	s.set(func(string) ([]source.Item, error) { return nil, errors.New("503") })
	b.clock.Pass(20 * time.Minute)
	b.runner("a").wake()
	o := b.outage("a", source.Lasting)
	if o.Cause != source.Failing || o.Why != "503" || !o.From.Equal(began) {
		t.Errorf("%+v", o)
	}
	s.set(nil)
	b.clock.Pass(20 * time.Minute)
	b.runner("a").wake()
	if o = b.outage("a", source.CaughtUp); !o.To.Equal(began.Add(40 * time.Minute)) {
		t.Errorf("%+v", o)
	}
	// The connector says that the platform does not go back that far.
	s.set(func(string) ([]source.Item, error) {
		return []source.Item{{Cursor: "c", Gap: &source.Gap{From: began.Add(50 * time.Minute), To: began.Add(time.Hour), Why: errors.New("only the newest")}}}, nil
	})
	b.clock.Pass(time.Hour)
	b.runner("a").wake()
	if o = b.outage("a", source.Lost); o.Cause != source.Platform || o.Why != "only the newest" || o.To.Sub(o.From) != 10*time.Minute {
		t.Errorf("%+v", o)
	}
}

func TestNobodyRanTheSource(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	poll, deaf := &script{poll: time.Hour}, &script{}
	deaf.give = func(string) ([]source.Item, error) {
		it := post("1", "kumo")
		it.Cursor = ""
		return []source.Item{it}, nil
	}
	b.source("poll", poll)
	b.source("deaf", deaf)
	b.run()
	eventually(t, "both are heard", func() bool { return !b.progress("poll").Success.IsZero() && !b.progress("deaf").Success.IsZero() })
	b.stop()
	b.clock.Pass(6 * time.Hour)
	b.run()
	if o := b.outage("poll", source.CaughtUp); o.Cause != source.Stopped || o.To.Sub(o.From) != 6*time.Hour {
		t.Errorf("with a cursor: %+v", o)
	}
	if o := b.outage("deaf", source.Lost); o.Cause != source.Stopped || o.To.Sub(o.From) != 6*time.Hour {
		t.Errorf("without: %+v", o)
	}
	// Off and on again.
	set, _ := settings.Sources.Get(b.settings, "poll")
	turn := func(off bool) {
		set.Off = off
		must(t, settings.Sources.Put(t.Context(), b.settings, "cli", "poll", settings.Sources.Version(b.settings, "poll"), set))
	}
	turn(true)
	if o := b.outage("poll", source.Lasting); o.Cause != source.Off {
		t.Errorf("switched off: %+v", o)
	}
	b.clock.Pass(time.Hour)
	turn(false)
	if o := b.outage("poll", source.CaughtUp); o.Cause != source.Off || o.To.Sub(o.From) != time.Hour {
		t.Errorf("switched on: %+v", o)
	}
}

func TestABrokenStreamIsALossWithoutACursor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := &script{}
	broken := make(chan struct{})
	s.give = func(string) ([]source.Item, error) { <-broken; return nil, errors.New("connection lost") }
	b.source("a", s)
	b.run()
	eventually(t, "it is connected", func() bool { return len(s.asked()) == 1 })
	s.set(func(string) ([]source.Item, error) {
		it := post("1", "kumo")
		it.Cursor = ""
		return []source.Item{it}, nil
	})
	close(broken)
	if o := b.outage("a", source.Lost); o.Cause != source.Failing || !strings.Contains(o.Why, "connection lost") {
		t.Errorf("%+v", o)
	}
}
