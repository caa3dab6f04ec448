package demo

import (
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
)

func TestHistoryCanBeReplayed(t *testing.T) {
	cases, err := History()
	if err != nil {
		t.Fatal(err)
	}
	posts := byKey(t, day(t))
	staff, err := Staff()
	if err != nil {
		t.Fatal(err)
	}
	teams, err := Teams()
	if err != nil {
		t.Fatal(err)
	}
	can := func(id string, a identity.Action, brand string) bool {
		i := slices.IndexFunc(staff, func(p Person) bool { return p.ID == id })
		return i >= 0 && slices.ContainsFunc(staff[i].Grants, func(g identity.Grant) bool {
			return g.Role.Can(a) && (slices.Contains(g.Brands, identity.AllBrands) || slices.Contains(g.Brands, brand))
		})
	}
	if len(cases) < 25 {
		t.Errorf("%d cases", len(cases))
	}
	seen := map[key]bool{}
	did := map[Deed]int{}
	for _, c := range cases {
		k := key{c.Post.Platform, c.Post.NativeID}
		post, ok := posts[k]
		if !ok || seen[k] || !slices.Contains(post.Expect.Brands, c.Brand) {
			t.Errorf("%v: no such post of %s, or twice", k, c.Brand)
			continue
		}
		seen[k] = true
		r := replay{t: t, post: post, templates: templates(t)}
		last := post.Offset
		for _, a := range c.Actions {
			did[a.Do]++
			at := time.Duration(a.OffsetS) * time.Second
			if at > last || at < 0 {
				t.Errorf("%v: %s at %v, before what it follows", k, a.Do, at)
			}
			last = at
			need := map[Deed]identity.Action{
				Approve: identity.Approve, SendBack: identity.Approve, Send: identity.Send,
				Note: identity.Comment, Escalate: identity.Comment,
			}[a.Do]
			if need == "" {
				need = identity.Handle
			}
			if !can(a.By, need, c.Brand) {
				t.Errorf("%v: %s may not %s", k, a.By, a.Do)
			}
			if a.Do == HandOver && !slices.ContainsFunc(teams, func(x Team) bool { return x.ID == a.To }) {
				t.Errorf("%v: handed over to %q", k, a.To)
			}
			r.step(a)
		}
	}
	for _, d := range []Deed{
		Claim, Draft, Submit, Approve, SendBack, Send, Note, Watch, NotForUs, HandOver, Promise, Measure, Assign, Escalate, Close,
	} {
		if did[d] == 0 {
			t.Errorf("nobody ever did %s", d)
		}
	}
}

// replay keeps just enough of a case to tell whether a step fits.
type replay struct {
	t         *testing.T
	post      Post
	templates []casework.Template

	holder, author      string
	submitted, approved bool
}

func (r *replay) step(a Action) {
	r.t.Helper()
	fault := func(why string) {
		r.t.Helper()
		r.t.Errorf("%s: %s %s: %s", r.post.Post.NativeID, a.By, a.Do, why)
	}
	switch a.Do {
	case Claim:
		r.holder = a.By
	case Draft, Submit, Send, Promise, HandOver, Close:
		if r.holder != a.By {
			fault("doesn't hold the case")
		}
	}
	switch a.Do {
	case Draft:
		r.author, r.submitted, r.approved = a.By, false, false
		r.draft(a, fault)
	case Submit:
		r.submitted = true
	case Approve, SendBack:
		if !r.submitted || r.author == a.By {
			fault("nothing to approve, or one's own")
		}
		r.approved, r.submitted = a.Do == Approve, false
	case Send:
		if len(r.post.Expect.Risk) > 0 && !r.approved {
			fault("a risk was answered without a second person")
		}
	case HandOver:
		r.holder = ""
	case Close:
		if !slices.Contains(casework.Outcomes, a.Outcome) {
			fault("outcome " + a.Outcome)
		}
	case Measure:
		if a.Cause == "" || a.Measure == "" || a.To == "" {
			fault("says nothing")
		}
	case Note, Watch, NotForUs, Escalate, Claim, Promise, Facts, Assign:
	default:
		fault("no such deed")
	}
	wantsText := []Deed{SendBack, Note, NotForUs, Escalate, Facts}
	if slices.Contains(wantsText, a.Do) && a.Text == "" {
		fault("says nothing")
	}
}

func (r *replay) draft(a Action, fault func(string)) {
	i := slices.IndexFunc(r.templates, func(x casework.Template) bool { return x.ID == a.Template })
	if i < 0 {
		fault("no template " + a.Template)
		return
	}
	tmpl := r.templates[i]
	platform := r.post.Post.Platform
	if !tmpl.Serves("", platform) || tmpl.Lang != r.post.Expect.Lang {
		fault(a.Template + " is for another platform or language")
	}
	values := map[string]string{"author": r.post.Post.Author.Name}
	for name, s := range sample[tmpl.Lang] {
		if name == "brand" || name == "staff" || name == "case" {
			values[name] = s
		}
	}
	for name, s := range a.Slots {
		if !slices.ContainsFunc(tmpl.InForce().Slots, func(x casework.Slot) bool { return x.Name == name }) {
			fault("no slot " + name)
		}
		values[name] = s
	}
	text, missing := tmpl.InForce().Render(values)
	if len(missing) > 0 {
		fault("slots left empty: " + missing[0])
	}
	if platform == "x" && xLength(text) > 280 || platform == "bluesky" && utf8.RuneCountInString(text) > 300 ||
		platform == "mastodon" && utf8.RuneCountInString(text) > 500 {
		fault("too long: " + text)
	}
}

func TestWishesHaveTheirEvidence(t *testing.T) {
	wishes, err := Wishes()
	if err != nil {
		t.Fatal(err)
	}
	posts := byKey(t, day(t))
	statuses := map[casework.WishStatus]bool{}
	for _, w := range wishes {
		card := w.Card()
		if err := card.Validate(); err != nil {
			t.Errorf("%s: %v", w.ID, err)
		}
		statuses[w.Status] = true
		if w.Template != "" && !slices.ContainsFunc(templates(t), func(x casework.Template) bool { return x.ID == w.Template }) {
			t.Errorf("%s: no template %q", w.ID, w.Template)
		}
		langs := map[string]bool{}
		for _, p := range w.Posts {
			post, ok := posts[key{p.Platform, p.NativeID}]
			if !ok || !slices.Contains(post.Expect.Brands, w.Brand) || p.Words == "" || post.Offset < 2*time.Hour {
				t.Errorf("%s: %v is no post of %s that is there when the day begins", w.ID, p, w.Brand)
			}
			langs[post.Expect.Lang] = true
		}
		if len(langs) < 2 {
			t.Errorf("%s is wished for in %v alone", w.ID, langs)
		}
		for i := range w.Earlier {
			if p := w.Earlier[i].Post(w.ID, i, time.Now()); p.Text == "" || p.Platform == "" || w.Earlier[i].Days < 1 {
				t.Errorf("%s: %+v", w.ID, p)
			}
		}
	}
	for _, s := range casework.WishStatuses {
		if !statuses[s] {
			t.Errorf("no wish is %s", s)
		}
	}
}
