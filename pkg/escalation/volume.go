package escalation

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

const (
	// Window is the span in which negative mentions are counted.
	Window = 10 * time.Minute
	// lookBack is how long ago a full window may have ended: sources are
	// polled, so what is published now may be seen half an hour late.
	lookBack = 60 // minutes
	// warmUp is how long a brand must have been listened to before anything
	// counts as usual.
	warmUp = 3 * 60 // minutes
	// sameHourDays is how many days of history the usual of an hour needs.
	sameHourDays = 3

	windowMinutes = int64(Window / time.Minute)
	day           = 24 * 60 // minutes
	keptMinutes   = 7*day + 2*60
	// maxIDs bounds the mentions of a brand whose ids are kept against
	// counting twice: about 10 MB. Beyond it the oldest day's are forgotten.
	maxIDs = 1 << 18
)

// Volume counts negative mentions and knows what is usual. It holds about
// 40 kB per brand, and the ids of a week against counting a mention twice
// (redelivered, edited or judged again). It is rebuilt by adding a week of
// tagged mentions in any order. Not safe for concurrent use. The zero Volume
// is ready.
type Volume struct {
	seed   maphash.Seed
	brands map[string]*series
}

// Spike is ten minutes with more negative mentions than usual.
type Spike struct {
	From, To time.Time
	Count    int
	Usual    float64 // negative mentions in ten minutes at this time of day
}

// series is one brand's negative mentions by the minute of publication.
type series struct {
	count [keptMinutes]uint32
	head  int64 // the newest minute; the ring holds the keptMinutes up to it
	since int64 // when listening began
	ids   map[int64]map[uint64]struct{}
	kept  int // ids in all
}

// Add counts t, unless it is not negative, none of our business, or counted.
// Time of publication decides, so an import fills in what was usual.
func (v *Volume) Add(t *mention.Tagged) {
	m := &t.Mention
	at := publishedAt(m)
	if at.IsZero() || m.Deleted || t.Verdict.Disposition == mention.NotForUs {
		return
	}
	if v.brands == nil {
		v.seed, v.brands = maphash.MakeSeed(), map[string]*series{}
	}
	listened := at
	if m.Intake != mention.Bulked && !m.SeenAt.IsZero() {
		// A feed's first fetch brings old items; they are no sign that the
		// time before was quiet.
		listened = m.SeenAt
	}
	s := v.brands[m.Brand]
	if s == nil {
		s = &series{head: minute(at), since: minute(listened), ids: map[int64]map[uint64]struct{}{}}
		v.brands[m.Brand] = s
	}
	s.since = min(s.since, minute(listened))
	// Whatever is not negative still tells that there was listening.
	if t.Verdict.Sentiment == mention.Negative {
		s.add(minute(at), maphash.String(v.seed, string(m.ID)))
	}
}

func minute(t time.Time) int64 { return floorDiv(t.Unix(), 60) }

func slot(minute int64) int64 { return ((minute % keptMinutes) + keptMinutes) % keptMinutes }

func (s *series) add(at int64, id uint64) {
	if at <= s.head-keptMinutes {
		return
	}
	s.advance(at)
	today := floorDiv(at, day)
	if _, ok := s.ids[today][id]; ok {
		return
	}
	if s.ids[today] == nil {
		s.ids[today] = map[uint64]struct{}{}
	}
	s.ids[today][id] = struct{}{}
	s.kept++
	s.forget()
	s.count[slot(at)]++
}

// advance moves the ring's end to at and clears what it passes.
func (s *series) advance(at int64) {
	for gone := max(s.head, at-keptMinutes) + 1; gone <= at; gone++ {
		s.count[slot(gone)] = 0
	}
	s.head = max(s.head, at)
}

// forget drops ids that are too old or too many.
func (s *series) forget() {
	oldest := floorDiv(s.head-keptMinutes, day)
	for d, ids := range s.ids {
		if d < oldest {
			s.kept -= len(ids)
			delete(s.ids, d)
		}
	}
	for s.kept > maxIDs && len(s.ids) > 0 {
		first := int64(1<<63 - 1)
		for d := range s.ids {
			first = min(first, d)
		}
		s.kept -= len(s.ids[first])
		delete(s.ids, first)
	}
}

// Spike returns the fullest ten minutes that ended within the hour before now,
// and whether that is a storm by l: at least VolumeMin and at least
// VolumeFactor times the usual. The usual is the median over seven days of the
// hour around the same time of day; with fewer than three such days, the mean
// of the last day but its last hour. In a brand's first three hours nothing is
// usual, and nothing a storm. A storm is reported for as long as it is within
// the hour: page once, by comparing From with the last escalation's times.
func (v *Volume) Spike(brand string, now time.Time, l Limits) (Spike, bool) {
	s := v.brands[brand]
	if s == nil || l.VolumeFactor <= 0 {
		return Spike{}, false
	}
	end, most := int64(0), 0
	for m := minute(now); m > minute(now)-lookBack; m-- {
		if n := s.sum(m-windowMinutes+1, m); n > most {
			end, most = m, n
		}
	}
	if most == 0 || most < l.VolumeMin {
		return Spike{}, false
	}
	usual, ok := s.usual(end)
	spike := Spike{
		From: time.Unix((end-windowMinutes+1)*60, 0).UTC(), To: time.Unix((end+1)*60, 0).UTC(), Count: most, Usual: usual,
	}
	return spike, ok && float64(most) >= l.VolumeFactor*usual
}

// sum counts the minutes from to, both included.
func (s *series) sum(from, to int64) int {
	n := 0
	for m := max(from, s.head-keptMinutes+1); m <= min(to, s.head); m++ {
		n += int(s.count[slot(m)])
	}
	return n
}

// usual is what ten minutes at end normally bring, and whether that is known.
func (s *series) usual(end int64) (float64, bool) {
	var hours []int
	for d := int64(1); d <= 7; d++ {
		from := end - d*day - 35
		if from < s.since {
			break
		}
		hours = append(hours, s.sum(from, from+59))
	}
	if n := len(hours); n >= sameHourDays {
		slices.Sort(hours)
		return float64(hours[(n-1)/2]+hours[n/2]) / 2 / 6, true
	}
	to := end - 60
	from := max(end-day, s.since)
	if end-from < warmUp {
		return 0, false
	}
	return float64(s.sum(from, to)) * float64(windowMinutes) / float64(to-from+1), true
}
