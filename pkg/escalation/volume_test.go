package escalation

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// negative returns a live negative mention of kumo, published at at.
func negative(id string, at time.Time) *mention.Tagged {
	return &mention.Tagged{
		Mention: mention.Mention{ID: mention.ID(id), Brand: "kumo", Post: mention.Post{
			Platform: "x", Intake: mention.Live, PublishedAt: at, SeenAt: at,
		}},
		Verdict: mention.Verdict{Sentiment: mention.Negative, Intent: mention.Complaint},
	}
}

// week adds a week before night with perTen negative mentions in ten minutes,
// and at the hours of lunch ten times as many.
func week(v *Volume, perTen int) {
	for t := night.Add(-7 * 24 * time.Hour); t.Before(night); t = t.Add(10 * time.Minute) {
		n := perTen
		if h := t.UTC().Hour(); h == 3 || h == 4 {
			n *= 10
		}
		for i := range n {
			v.Add(negative(fmt.Sprint("w", t.Unix(), ".", i), t))
		}
	}
}

func burst(v *Volume, n int, at time.Time) {
	for i := range n {
		v.Add(negative(fmt.Sprint("b", at.Unix(), ".", i), at.Add(time.Duration(i%5)*time.Minute)))
	}
}

func TestVolume(t *testing.T) {
	limits := Limits{VolumeFactor: 3, VolumeMin: 10}
	tests := []struct {
		name   string
		feed   func(*Volume)
		now    time.Time
		limits Limits
		storm  bool
		count  int
	}{
		{"the usual is no storm", func(v *Volume) { week(v, 4) }, night, limits, false, 0},
		{"three times the usual is", func(v *Volume) { week(v, 4); burst(v, 12, night) }, night.Add(5 * time.Minute), limits, true, 12},
		{"a storm two posts wide is none", func(v *Volume) { week(v, 0); burst(v, 9, night) }, night.Add(5 * time.Minute), limits, false, 0},
		{"what is usual at lunch is no storm at lunch", func(v *Volume) { week(v, 4); burst(v, 40, night.Add(10*time.Hour+30*time.Minute)) },
			night.Add(10*time.Hour + 35*time.Minute), limits, false, 40},
		{"a storm is seen when its posts come in late", func(v *Volume) { week(v, 1); burst(v, 20, night) }, night.Add(45 * time.Minute), limits, true, 20},
		{"and is over an hour later", func(v *Volume) { week(v, 1); burst(v, 20, night) }, night.Add(80 * time.Minute), limits, false, 0},
		{"nothing is usual in the first hours", func(v *Volume) { burst(v, 1, night.Add(-2*time.Hour)); burst(v, 50, night) },
			night.Add(5 * time.Minute), limits, false, 50},
		{"half a day of listening is enough", func(v *Volume) { burst(v, 1, night.Add(-12*time.Hour)); burst(v, 50, night) },
			night.Add(5 * time.Minute), limits, true, 50},
		{"a factor of zero switches it off", func(v *Volume) { week(v, 1); burst(v, 99, night) }, night.Add(5 * time.Minute), Limits{VolumeMin: 1}, false, 0},
		{"the same mention counts once", func(v *Volume) {
			week(v, 1)
			for range 20 {
				burst(v, 8, night)
			}
		}, night.Add(5 * time.Minute), limits, false, 0},
		{"a feed's old items are no history", func(v *Volume) {
			old := negative("old", night.Add(-5*24*time.Hour))
			old.Mention.SeenAt = night
			v.Add(old)
			burst(v, 50, night)
		}, night.Add(5 * time.Minute), limits, false, 50},
		{"an import is", func(v *Volume) {
			old := negative("old", night.Add(-5*24*time.Hour))
			old.Mention.SeenAt, old.Mention.Intake = night, mention.Bulked
			v.Add(old)
			burst(v, 50, night)
		}, night.Add(5 * time.Minute), limits, true, 50},
		{"praise and giveaways don't count", func(v *Volume) {
			week(v, 1)
			for i := range 50 {
				p := negative(fmt.Sprint("p", i), night)
				if i%2 == 0 {
					p.Verdict.Sentiment = mention.Positive
				} else {
					p.Verdict.Disposition = mention.NotForUs
				}
				v.Add(p)
			}
		}, night.Add(5 * time.Minute), limits, false, 0},
		{"a clock far in the future empties nothing but the past", func(v *Volume) {
			week(v, 1)
			v.Add(negative("future", night.Add(1000*time.Hour)))
			burst(v, 50, night)
		}, night.Add(5 * time.Minute), limits, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v Volume
			tt.feed(&v)
			s, storm := v.Spike("kumo", tt.now, tt.limits)
			if storm != tt.storm || tt.count != 0 && s.Count != tt.count {
				t.Errorf("storm %v: %+v", storm, s)
			}
			if storm && (s.To.Sub(s.From) != Window || s.From.After(night.Add(5*time.Minute)) || s.To.Before(night)) {
				t.Errorf("window %v to %v", s.From, s.To)
			}
		})
	}
}

// A pager that restarts reads the stream again, in whatever order the bus
// gives it, and must come to the same view.
func TestVolumeIsRebuiltByReplayInAnyOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	var all []*mention.Tagged
	for i := range 5000 {
		all = append(all, negative(fmt.Sprint(i), night.Add(-time.Duration(rnd.Int64N(int64(6*24*time.Hour))))))
	}
	var first, again Volume
	for _, m := range all {
		first.Add(m)
	}
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, m := range append(all, all[:1000]...) {
		again.Add(m)
	}
	l := Limits{VolumeFactor: 1, VolumeMin: 1}
	for i := range 500 {
		now := night.Add(-time.Duration(i) * 13 * time.Minute)
		a, okA := first.Spike("kumo", now, l)
		b, okB := again.Spike("kumo", now, l)
		if a != b || okA != okB {
			t.Fatalf("at %v: %+v %v, after replay %+v %v", now, a, okA, b, okB)
		}
	}
}

func TestVolumeKeepsABoundedNumberOfIDs(t *testing.T) {
	var v Volume
	for i := range maxIDs + 1000 {
		v.Add(negative(fmt.Sprint(i), night.Add(-time.Duration(i%6*24)*time.Hour)))
	}
	kept := 0
	for _, ids := range v.brands["kumo"].ids {
		kept += len(ids)
	}
	if kept > maxIDs || kept != v.brands["kumo"].kept {
		t.Errorf("%d ids kept, %d counted, want at most %d", kept, v.brands["kumo"].kept, maxIDs)
	}
}

func TestStories(t *testing.T) {
	post := func(id string, at time.Time, author string, followers int64) *mention.Tagged {
		m := negative(id, at)
		m.Verdict.Story = "leak"
		m.Mention.Author.ID, m.Mention.Author.Followers = author, &followers
		return m
	}
	t.Run("posts of the last hour are its growth, followers of its authors its reach", func(t *testing.T) {
		var s Stories
		s.Add(post("1", night.Add(-2*time.Hour), "aoi", 10), night)
		s.Add(post("2", night.Add(-30*time.Minute), "ben", 200), night)
		s.Add(post("3", night, "ben", 250), night)
		got := s.Add(post("3", night, "ben", 250), night)
		if want := (Size{LastHour: 2, Reach: 260}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
	t.Run("brands don't share a story", func(t *testing.T) {
		var s Stories
		s.Add(post("1", night, "aoi", 10), night)
		other := post("2", night, "ben", 10)
		other.Mention.Brand = "other"
		if got := s.Add(other, night); got.LastHour != 1 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("counting ends at its bound", func(t *testing.T) {
		var s Stories
		var got Size
		for i := range MaxGrowth + 50 {
			got = s.Add(post(fmt.Sprint(i), night, fmt.Sprint(i), 1), night)
		}
		if got.LastHour != MaxGrowth || got.Reach != MaxGrowth {
			t.Errorf("%+v", got)
		}
	})
	t.Run("quiet stories are forgotten, and the quietest when there are too many", func(t *testing.T) {
		var s Stories
		s.Add(post("1", night, "aoi", 10), night)
		for i := range maxEntries {
			m := negative(fmt.Sprint("m", i), night)
			m.Verdict.Story = fmt.Sprint(i)
			s.Add(m, night)
		}
		if s.entries > maxEntries {
			t.Errorf("%d entries, want at most %d", s.entries, maxEntries)
		}
		s.Add(post("2", night, "aoi", 10), night.Add(25*time.Hour))
		if n := len(s.byKey); n != 1 || s.recent.Len() != 1 || s.entries != 3 {
			t.Errorf("%d stories, %d entries after a day", n, s.entries)
		}
	})
}

func TestExceeds(t *testing.T) {
	limits := Limits{Reach: 1000, Growth: 5}
	complaint := negative("1", night)
	praise := negative("2", night)
	praise.Verdict.Sentiment, praise.Verdict.Intent = mention.Positive, mention.Praise
	advert := negative("3", night)
	advert.Verdict.Disposition = mention.NotForUs
	tests := []struct {
		name string
		t    *mention.Tagged
		size Size
		l    Limits
		want Origin
	}{
		{"a fast complaint", complaint, Size{LastHour: 6, Reach: 9999}, limits, ByGrowth},
		{"a far-reaching complaint", complaint, Size{LastHour: 5, Reach: 1001}, limits, ByReach},
		{"at the limit is not beyond it", complaint, Size{LastHour: 5, Reach: 1000}, limits, ""},
		{"praise may spread", praise, Size{LastHour: 600, Reach: 9999}, limits, ""},
		{"an advert is not about us", advert, Size{LastHour: 600, Reach: 9999}, limits, ""},
		{"zero switches limits off", complaint, Size{LastHour: 600, Reach: 9999}, Limits{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := tt.l.Exceeds(tt.t, tt.size)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("%q, %v, want %q", got, ok, tt.want)
			}
		})
	}
}
