// Package escalation holds what happens between "this is about to burn" and "I
// have it": who is paged, by which channel, when again, and who acknowledged.
//
// An escalation is the fold of its events ([Fold]). A [Policy], which people
// edit, says how urgent a trigger is and which ladder of people is climbed.
// [Plan] puts the two together at a moment and says which pages to send now
// and when to look again. [Volume] and [Stories] watch the stream of mentions
// for storms that no single verdict shows. All of these are pure: the clock is
// passed in, and nothing is read or sent.
//
// The promise is: a page is sent at least once, with a key by which the far
// side can drop repeats, and stops everywhere when somebody acknowledges.
package escalation

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// System is the actor of what no person did.
const System = "system"

// MaxAge is how long after its publication a mention may still page.
const MaxAge = 24 * time.Hour

// Urgency says what an escalation does to people.
type Urgency string

const (
	Wake    Urgency = "wake"    // 起こす: page now, at any hour
	Opening Urgency = "opening" // 朝一番: page in business hours only, else at the next opening
	Notify  Urgency = "notify"  // 通知のみ: tell once, expect no acknowledgement
	Ignore  Urgency = "ignore"  // 対象外: never open an escalation
)

// Urgencies lists all urgencies, strongest first.
var Urgencies = []Urgency{Wake, Opening, Notify, Ignore}

// Stronger tells whether u asks more of people than o.
func (u Urgency) Stronger(o Urgency) bool { return u.rank() < o.rank() }

func (u Urgency) rank() int {
	for i, v := range Urgencies {
		if u == v {
			return i
		}
	}
	return len(Urgencies)
}

// Origin says what opened an escalation.
type Origin string

const (
	ByVerdict Origin = "verdict" // the classifier found a risk that PR must see
	ByReach   Origin = "reach"   // a complaint reaches more people than the brand's limit
	ByGrowth  Origin = "growth"  // a story grows faster than the brand's limit
	ByVolume  Origin = "volume"  // negative mentions far over the usual
	ByHand    Origin = "hand"    // a person asked for PR
	ByPromise Origin = "promise" // a promise to a customer is about to break
	BySilence Origin = "silence" // a source brings nothing, against its habit; never more than Notify
	ByQuota   Origin = "quota"   // a way to page people takes few more messages; never more than Notify
	ByCanary  Origin = "canary"  // the line stands still: no canary comes through; never more than Notify
)

// Origins lists all origins.
var Origins = []Origin{ByVerdict, ByReach, ByGrowth, ByVolume, ByHand, ByPromise, BySilence, ByQuota, ByCanary}

// Ours tells that o is about Earshot itself, not about a post.
func (o Origin) Ours() bool { return o == BySilence || o == ByQuota || o == ByCanary }

// ID returns the identity of an escalation of brand about subject that was
// opened by the message at openingSeq: 26 characters of [a-z2-7], fit for a
// bus subject. The same opening message always gives the same id, so that a
// redelivery cannot open a second one.
func ID(brand, subject string, openingSeq uint64) string {
	sum := sha256.Sum256([]byte(brand + "\x00" + subject + "\x00" + strconv.FormatUint(openingSeq, 10)))
	return base32Lower.EncodeToString(sum[:])[:26]
}

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// VolumeSubject is the subject of an escalation that is about a brand's volume
// rather than one story.
const VolumeSubject = "volume"

// NotifierSubject is the subject of an escalation about a notifier.
func NotifierSubject(id string) string { return "notifier:" + id }

// SourceSubject is the subject of an escalation about a source.
func SourceSubject(id string) string { return "source:" + id }

// Subjects returns what t can share with an open escalation, the story first,
// then the author; a mention joins the escalation that has one of them. The
// author appears as a digest only.
func Subjects(t *mention.Tagged) []string {
	var out []string
	if t.Verdict.Story != "" {
		out = append(out, "story:"+t.Verdict.Story)
	}
	a := t.Mention.Author.ID
	if a == "" {
		a = t.Mention.Author.Handle
	}
	if a != "" {
		sum := sha256.Sum256([]byte(t.Mention.Platform + "\x00" + a))
		out = append(out, "author:"+hex.EncodeToString(sum[:8]))
	}
	if len(out) == 0 {
		out = append(out, "mention:"+string(t.Mention.ID))
	}
	return out
}

// Admit tells whether t may page at all at now: it came live or as a note, was
// published within [MaxAge] (its first sight counts where the platform gives
// no time), was not deleted, and is not set aside as none of our business.
// Imports, backfills and reindexing never page.
func Admit(t *mention.Tagged, now time.Time) bool {
	m, v := &t.Mention, &t.Verdict
	if m.Deleted || m.Intake != mention.Live && m.Intake != mention.Noted {
		return false
	}
	if v.Disposition == mention.NotForUs && !v.Page {
		return false
	}
	return now.Sub(publishedAt(m)) <= MaxAge
}

// publishedAt is the time of publication, never after first sight: platforms'
// clocks may be wrong.
func publishedAt(m *mention.Mention) time.Time {
	if m.PublishedAt.IsZero() || !m.SeenAt.IsZero() && m.PublishedAt.After(m.SeenAt) {
		return m.SeenAt
	}
	return m.PublishedAt
}

// Cause returns the category behind v's page and the rule that found it: the
// one v.PageReason names, else the gravest risk of v. Both are empty when v
// carries no risk.
func Cause(v *mention.Verdict) (mention.Category, string) {
	named := mention.Category(v.PageReason[:wordEnd(v.PageReason)])
	for _, c := range mention.Categories {
		if c == named {
			return c, strings.TrimLeft(v.PageReason[len(c):], ":/ .")
		}
	}
	for _, c := range mention.Categories {
		for i := range v.Risks {
			if v.Risks[i].Category == c {
				return c, v.Risks[i].Rule
			}
		}
	}
	return "", v.PageReason
}

// wordEnd returns the length of the leading run of [a-z_] in s.
func wordEnd(s string) int {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			return i
		}
	}
	return len(s)
}

// Milestone tells whether the nth mention to join an escalation is worth an
// event: the 1st, 2nd, 4th, 8th and so on, so that a storm does not bury its
// own history.
func Milestone(n int) bool { return n > 0 && n&(n-1) == 0 }
