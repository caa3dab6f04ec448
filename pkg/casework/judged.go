package casework

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
)

// EachJudged calls yield with every case that somebody has judged, also those
// that are archived or erased, in no order. It reads CASES and ARCHIVE whole: it
// is for exports, not for pages. An error of yield ends it.
func EachJudged(ctx context.Context, c *bus.Conn, yield func(*State) error) error {
	put := map[mention.ID]Event{} // the latest snapshot, of those that are archived
	err := snapshots.Replay(ctx, c, 1, 64, func(_ context.Context, batch []bus.Entry[Event]) error {
		for i := range batch {
			if e := &batch[i].Value; batch[i].Err == nil && e.Mention != nil && e.judges() {
				put[e.Mention.ID] = *e
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return fmt.Errorf("judged cases: %w", err)
	}
	ids := map[mention.ID]bool{}
	for id := range put {
		ids[id] = true
	}
	err = journal.Replay(ctx, c, 1, 512, func(_ context.Context, batch []bus.Entry[Event]) error {
		for i := range batch {
			if batch[i].Err == nil && batch[i].Value.judges() {
				ids[mention.ID(batch[i].Key)] = true
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return fmt.Errorf("judged cases: %w", err)
	}
	for id := range ids {
		events, _, err := journal.Read(ctx, c, string(id))
		if err != nil {
			return fmt.Errorf("case %s: %w", id, err)
		}
		if len(events) == 0 {
			e, ok := put[id]
			if !ok {
				continue // erased or archived meanwhile
			}
			events = []Event{e}
		}
		s := Fold(id, events)
		if len(s.Judgements) == 0 {
			continue // taken back
		}
		if err := yield(&s); err != nil {
			return err
		}
	}
	return nil
}

// judges tells whether e is a judgement or holds one.
func (e *Event) judges() bool {
	return e.Kind == Judged || slices.ContainsFunc(e.History, func(h Event) bool { return h.Kind == Judged })
}

// SampleSize is how many mentions a weekly sample has.
const SampleSize = 30

const half = SampleSize / 2

// Drawn is a mention in a weekly sample.
type Drawn struct {
	ID     mention.ID
	Brand  string
	Sample Sample
}

// drawAtMost bounds how many messages are looked at, where few were told a risk.
const drawAtMost = 10_000

// DrawSample draws the sample of the ISO week in which week lies: half from
// everything that was archived in that week, half from what was told to carry a
// risk, or paged. The same seed and week give the same sample, but for what was
// erased since. It is in an order that tells nothing. Where too few were told to
// fill their half, more is drawn from everything; a week with less gives a smaller
// sample.
func DrawSample(ctx context.Context, c *bus.Conn, seed []byte, week time.Time) ([]Drawn, error) {
	monday := Monday(week)
	from, err := firstSince(ctx, c, monday)
	if err != nil {
		return nil, fmt.Errorf("weekly sample: %w", err)
	}
	to, err := firstSince(ctx, c, monday.AddDate(0, 0, 7))
	if err != nil {
		return nil, fmt.Errorf("weekly sample: %w", err)
	}
	seed = append(slices.Clone(seed), monday.Format(time.DateOnly)...)
	type item struct {
		Drawn
		told bool
	}
	var walk []item
	looked := map[mention.ID]bool{}
	told := 0 // of them, told and beyond the first half
	for n, seq := range shuffled(seed, from, to) {
		if n >= drawAtMost || len(walk) >= half && told == half {
			break
		}
		t, err := bus.Tagged.Get(ctx, c, seq)
		if errors.Is(err, bus.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("weekly sample: %w", err)
		}
		m, v := &t.Value.Mention, &t.Value.Verdict
		if looked[m.ID] || v.Pass > 0 || m.Deleted || m.Content() == "" {
			continue
		}
		looked[m.ID] = true
		it := item{Drawn{m.ID, m.Brand, ""}, len(v.Risks) > 0 || v.Page}
		if walk = append(walk, it); it.told && len(walk) > half {
			told++
		}
	}
	// The first ones are drawn from everything; what the told ones behind them
	// don't fill is drawn from everything, too.
	var drawn []Drawn
	for k := min(half, len(walk)); ; k++ {
		drawn = drawn[:0]
		for i, it := range walk {
			switch {
			case i < k:
				it.Sample = SampleOf(monday, SampleAny)
			case it.told && len(drawn) < min(k+half, SampleSize):
				it.Sample = SampleOf(monday, SampleTold)
			default:
				continue
			}
			drawn = append(drawn, it.Drawn)
		}
		if len(drawn) >= SampleSize || k >= len(walk) {
			break
		}
	}
	slices.SortFunc(drawn, func(a, b Drawn) int {
		ha, hb := hashOf(seed, string(a.ID)), hashOf(seed, string(b.ID))
		return slices.Compare(ha[:], hb[:])
	})
	return drawn, nil
}

// Monday is the beginning, in UTC, of the ISO week in which t lies.
func Monday(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), t.Day()-int(t.Weekday()+6)%7, 0, 0, 0, 0, time.UTC)
}

// firstSince is the sequence in TAGGED of what was stored first at or after t.
func firstSince(ctx context.Context, c *bus.Conn, t time.Time) (uint64, error) {
	found := uint64(0)
	enough := errors.New("found")
	err := bus.Tagged.Since(ctx, c, t, 1, func(_ context.Context, batch []bus.Entry[mention.Tagged]) error {
		found = batch[0].Seq
		return enough
	})
	if errors.Is(err, enough) {
		return found, nil
	}
	if err != nil {
		return 0, err
	}
	last, err := bus.Tagged.Last(ctx, c)
	return last + 1, err
}

// shuffled gives the sequences from, up to but not to, in an order that only the
// seed knows: all of them once or, of very many, as many as anybody looks at.
func shuffled(seed []byte, from, to uint64) []uint64 {
	if to <= from {
		return nil
	}
	n := to - from
	if n > 4*drawAtMost {
		out := make([]uint64, drawAtMost)
		for i := range out {
			h := hashOf(seed, fmt.Sprint("draw ", i))
			out[i] = from + binary.BigEndian.Uint64(h[:])%n
		}
		return out
	}
	type place struct {
		seq uint64
		at  [32]byte
	}
	places := make([]place, n)
	for i := range places {
		places[i] = place{from + uint64(i), hashOf(seed, fmt.Sprint(from+uint64(i)))}
	}
	slices.SortFunc(places, func(a, b place) int { return slices.Compare(a.at[:], b.at[:]) })
	out := make([]uint64, n)
	for i := range places {
		out[i] = places[i].seq
	}
	return out
}

func hashOf(seed []byte, what string) [32]byte {
	return sha256.Sum256(append(slices.Clone(seed), what...))
}
