package casework

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/text"
)

// AgreedAnswer is what the company has agreed to say to a question that comes again
// and again (想定問答). It is no template: staff put it in their own words, or
// into a template's slot.
type AgreedAnswer struct {
	ID        string   `json:"id"`
	Lang      string   `json:"lang"`                // "ja" or "en"
	Brands    []string `json:"brands,omitempty"`    // empty: all
	Questions []string `json:"questions"`           // as customers ask it
	Text      string   `json:"answer"`              // what may be said
	Internal  string   `json:"internal,omitempty"`  // what staff should know and not say
	Owner     string   `json:"owner,omitempty"`     // who keeps it right
	ReviewBy  string   `json:"review_by,omitempty"` // date, 2006-01-02
}

// Validate reports everything that is wrong with a.
func (a *AgreedAnswer) Validate() error {
	var errs []error
	if a.Lang != "ja" && a.Lang != "en" {
		errs = append(errs, config.Invalid("lang", "%q: want ja or en", a.Lang))
	}
	if len(a.Questions) == 0 {
		errs = append(errs, config.Invalid("questions", "want at least one, as customers ask it"))
	}
	if strings.TrimSpace(a.Text) == "" {
		errs = append(errs, config.Invalid("answer", "required"))
	}
	if _, err := time.Parse(time.DateOnly, a.ReviewBy); a.ReviewBy != "" && err != nil {
		errs = append(errs, config.Invalid("review_by", "%q: want a day like 2027-03-31", a.ReviewBy))
	}
	return errors.Join(errs...)
}

// FindAnswers returns the answers of a brand that fit a query best, at most n:
// those of the language first. A query may be a whole post.
func FindAnswers(all []AgreedAnswer, brand, lang, query string, n int) []AgreedAnswer {
	want := grams(query)
	type scored struct {
		AgreedAnswer
		points float64
	}
	var fit []scored
	for _, a := range all {
		if len(a.Brands) > 0 && !slices.Contains(a.Brands, brand) {
			continue
		}
		best := 0.0
		for _, q := range append(slices.Clone(a.Questions), a.Text) {
			best = max(best, overlap(want, grams(q)))
		}
		if best < 0.12 {
			continue
		}
		if a.Lang == lang {
			best++
		}
		fit = append(fit, scored{a, best})
	}
	slices.SortStableFunc(fit, func(a, b scored) int { return cmp.Compare(b.points, a.points) })
	var out []AgreedAnswer
	for _, f := range fit[:min(n, len(fit))] {
		out = append(out, f.AgreedAnswer)
	}
	return out
}

// grams are the words of a text, of Japanese its pairs of characters.
func grams(s string) map[string]bool {
	out := map[string]bool{}
	for t := range text.Tokens(text.Fold(s)) {
		if !text.IsCJK([]rune(t.Text)[0]) {
			if len(t.Text) > 2 {
				out[t.Text] = true
			}
			continue
		}
		for _, pair := range text.Bigrams(t.Text) {
			if !particles[pair] {
				out[pair] = true
			}
		}
	}
	return out
}

// particles are pairs that stand in any Japanese text and tell nothing.
var particles = map[string]bool{}

func init() {
	for _, p := range strings.Fields("です ます した ませ せん して ます。 から とい いう ので こと もの ない ある する される いて てい でき きま たい ほし しい くだ ださ さい まし あり りま") {
		particles[p] = true
	}
}

// overlap tells how much of the smaller of two texts is in the other, 0 to 1.
func overlap(a, b map[string]bool) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	common := 0
	for g := range a {
		if b[g] {
			common++
		}
	}
	return float64(common) / float64(min(len(a), len(b)))
}

// WishStatus is where a wish stands.
type WishStatus string

const (
	WishOpen     WishStatus = "open"
	WishPlanned  WishStatus = "planned"
	WishStarted  WishStatus = "started"
	WishShipped  WishStatus = "shipped"
	WishDeclined WishStatus = "declined"
)

// WishStatuses lists all of them in the order of work.
var WishStatuses = []WishStatus{WishOpen, WishPlanned, WishStarted, WishShipped, WishDeclined}

// WishCard is something that customers wish for. The mentions that ask for it
// are its evidence; they know it by its id, see [Care].
type WishCard struct {
	ID     string     `json:"id"`
	Title  string     `json:"title"`
	Brand  string     `json:"brand"`
	About  string     `json:"about,omitempty"`
	Status WishStatus `json:"status"`
	Owner  string     `json:"owner,omitempty"` // staff id
	// Into is the wish that this one was merged into.
	Into string `json:"into,omitempty"`
	// Template is what those who asked are told with when it ships.
	Template string `json:"template,omitempty"`
	// Search finds mentions that may ask for it too.
	Search string `json:"search,omitempty"`
}

// Validate reports everything that is wrong with w.
func (w *WishCard) Validate() error {
	var errs []error
	if strings.TrimSpace(w.Title) == "" {
		errs = append(errs, config.Invalid("title", "required"))
	} else if utf8.RuneCountInString(w.Title) > 200 || strings.Contains(w.Title, "\n") {
		errs = append(errs, config.Invalid("title", "want 1 to 200 characters on one line"))
	}
	if utf8.RuneCountInString(w.About) > 10_000 {
		errs = append(errs, config.Invalid("about", "has more than 10000 characters"))
	}
	if w.Brand == "" {
		errs = append(errs, config.Invalid("brand", "required"))
	}
	if !slices.Contains(WishStatuses, w.Status) {
		errs = append(errs, config.Invalid("status", "%q: want one of %v", w.Status, WishStatuses))
	}
	if w.Into == w.ID && w.ID != "" {
		errs = append(errs, config.Invalid("into", "a wish can't be merged into itself"))
	}
	return errors.Join(errs...)
}

// NearWishes returns the open wishes of a brand that read like a text, the
// nearest first, at most n; of a brand's wishes in any language.
func NearWishes(all []WishCard, brand, of string, n int) []WishCard {
	want := grams(of)
	type scored struct {
		WishCard
		points float64
	}
	var fit []scored
	for _, w := range all {
		if w.Brand != brand || w.Into != "" {
			continue
		}
		if p := max(overlap(want, grams(w.Title)), overlap(want, grams(w.Search)), overlap(want, grams(w.About))*.8); p > 0.2 {
			fit = append(fit, scored{w, p})
		}
	}
	slices.SortStableFunc(fit, func(a, b scored) int { return cmp.Compare(b.points, a.points) })
	var out []WishCard
	for _, f := range fit[:min(n, len(fit))] {
		out = append(out, f.WishCard)
	}
	return out
}
