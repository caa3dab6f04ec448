package mention

import "time"

// Sentiment is the feeling towards the brand.
type Sentiment string

const (
	Negative Sentiment = "negative"
	Neutral  Sentiment = "neutral"
	Positive Sentiment = "positive"
)

// Sentiments lists all sentiments, worst first.
var Sentiments = []Sentiment{Negative, Neutral, Positive}

// Intent is what the author mainly wants.
type Intent string

const (
	Complaint      Intent = "complaint"
	Question       Intent = "question"
	Praise         Intent = "praise"
	FeatureRequest Intent = "feature_request"
	BugReport      Intent = "bug_report"
	OtherIntent    Intent = "other"
)

// Intents lists all intents.
var Intents = []Intent{Complaint, Question, Praise, FeatureRequest, BugReport, OtherIntent}

// Disposition says what a mention wants of us.
type Disposition string

const (
	Answer   Disposition = "answer"     // 要対応: wants an answer; only these have a deadline
	Watch    Disposition = "watch"      // 静観: worth seeing, better not answered
	NotForUs Disposition = "not_for_us" // 対象外: giveaways, resale, job ads, namesakes
)

// Dispositions lists all dispositions.
var Dispositions = []Disposition{Answer, Watch, NotForUs}

// Category is a kind of escalation risk. A mention may carry any number. The
// label describes the post, never its author.
type Category string

const (
	PublicityThreat    Category = "publicity_threat"    // says, hints or is about to publish something to damage or press the brand
	LegalThreat        Category = "legal_threat"        // lawyer, court, consumer centre, regulator or police used as pressure
	SafetyHazard       Category = "safety_hazard"       // injury, fire, allergy, foreign object, dangerous defect
	ViolentThreat      Category = "violent_threat"      // violence against staff or premises, also veiled
	UnreasonableDemand Category = "unreasonable_demand" // kneeling apology, money beyond reason, "show your sincerity"
	StaffAbuse         Category = "staff_abuse"         // insults, discrimination, naming, filming or doxxing staff
	PrivacyBreach      Category = "privacy_breach"      // personal data leaked or misused
	MediaInquiry       Category = "media_inquiry"       // a journalist or newsroom asks
	AuthorityInquiry   Category = "authority_inquiry"   // an agency, consumer centre or the police asks
	PersonAtRisk       Category = "person_at_risk"      // hints of self-harm or acute danger
	Churn              Category = "churn"               // cancelling, never again, switching away
	RepeatContact      Category = "repeat_contact"      // contacted several times without an answer
)

// Categories lists all risk categories, gravest first.
var Categories = []Category{
	ViolentThreat, PersonAtRisk, SafetyHazard, PrivacyBreach, PublicityThreat, LegalThreat,
	AuthorityInquiry, MediaInquiry, StaffAbuse, UnreasonableDemand, RepeatContact, Churn,
}

// Harsh are the risks whose words wear people down: such mentions are shared out
// evenly, and folded for those who want that.
var Harsh = []Category{ViolentThreat, StaffAbuse}

// Rung tells how far a publicity threat has gone.
type Rung string

const (
	Hint        Rung = "hint"
	Conditional Rung = "conditional"
	Deadline    Rung = "deadline"
	Announced   Rung = "announced"
	Posted      Rung = "posted"
)

// Rungs lists the rungs of a publicity threat, lowest first.
var Rungs = []Rung{Hint, Conditional, Deadline, Announced, Posted}

// Risk is one category found in a mention, with the words that show it.
type Risk struct {
	Category Category
	Score    float64 // probability, 0 to 1
	// Start and End bound the span in Content, counted in Unicode code
	// points, End exclusive.
	Start, End int
	Rule       string // name of the rule or feature behind it
	Rung       Rung   // only for PublicityThreat
	// Deadline is the time the author sets ("by tomorrow"); zero if none.
	Deadline time.Time
}

// Verdict is what the classifier says of a mention: a pure function of post,
// thread and Model.
type Verdict struct {
	Model          string // version of rules and weights
	Pass           int    // rises when a mention is judged again
	Lang           string // "ja", "en" or "other"
	Sentiment      Sentiment
	SentimentScore float64 // probability of Sentiment, 0 to 1
	Intent         Intent
	IntentScore    float64
	Disposition    Disposition
	Risks          []Risk
	Page           bool   // PR must see it
	PageReason     string // category and rule behind Page; empty when Page is false
	// Story is the key under which reposts and near-copies fold together.
	Story string
	// Unread marks a mention the classifier could not read: a person must.
	Unread bool
	// Partly marks a mention too long to be read whole: what follows its
	// beginning was not judged.
	Partly bool
}

// Has tells whether the verdict carries category c.
func (v *Verdict) Has(c Category) bool {
	for i := range v.Risks {
		if v.Risks[i].Category == c {
			return true
		}
	}
	return false
}

// Tagged is a mention with its verdict, as the archive keeps it.
type Tagged struct {
	Mention Mention
	Verdict Verdict
}

// Compare orders two taggings of the same mention by revision, then by pass.
func (t *Tagged) Compare(o *Tagged) int {
	if c := t.Mention.Revision.Compare(o.Mention.Revision); c != 0 {
		return c
	}
	return t.Verdict.Pass - o.Verdict.Pass
}
