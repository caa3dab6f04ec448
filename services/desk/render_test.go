package desk

import (
	"bytes"
	"flag"
	"io/fs"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

var (
	screens     = flag.String("screens", "", "folder to write a picture of every view to")
	screensOnly = flag.String("only", "", "pattern of the pictures to write")
)

func TestEveryViewRendersInBothLanguages(t *testing.T) {
	r, err := newRenderer("")
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(templateFiles, "templates/[a-z]*.html")
	if err != nil || len(files) == 0 {
		t.Fatal(len(files), err)
	}
	for _, lang := range langs {
		seen := map[string]bool{}
		for name, view := range samples(sampleLocale(r.words[lang])) {
			file, _, _ := strings.Cut(name, "-")
			seen[file] = true
			page, err := r.render(lang, file, "page", view)
			if err != nil {
				t.Errorf("%s in %s: %v", name, lang, err)
				continue
			}
			for _, bad := range []string{"ZgotmplZ", "<no value>", " style=", "<script>", "onclick"} {
				if bytes.Contains(page, []byte(bad)) {
					t.Errorf("%s in %s contains %q", name, lang, bad)
				}
			}
			if len(page) > 100_000 {
				t.Errorf("%s in %s weighs %d bytes", name, lang, len(page))
			}
		}
		for _, file := range files {
			if !seen[strings.TrimSuffix(path.Base(file), ".html")] {
				t.Errorf("no sample executes %s", file)
			}
		}
	}
}

func TestBothLanguagesHaveTheSameTexts(t *testing.T) {
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	places := regexp.MustCompile(`\{\d\}`)
	for key, en := range words["en"].texts {
		ja, ok := words["ja"].texts[key]
		if !ok {
			t.Errorf("%s is missing in Japanese", key)
			continue
		}
		if strings.TrimSpace(ja) == "" || strings.TrimSpace(en) == "" {
			t.Errorf("%s is empty", key)
		}
		one, _, _ := strings.Cut(en, " || ")
		want, got := places.FindAllString(one, -1), places.FindAllString(ja, -1)
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%s: places %v in English, %v in Japanese", key, want, got)
		}
	}
	for key := range words["ja"].texts {
		if !words["en"].has(key) && !ofProgram(key) {
			t.Errorf("%s is missing in English", key)
		}
	}
}

// TestEveryKeyStandsOnItsSheet: what a page offers a key for is found by "?".
func TestEveryKeyStandsOnItsSheet(t *testing.T) {
	r, err := newRenderer("")
	if err != nil {
		t.Fatal(err)
	}
	offered := regexp.MustCompile(`data-(go|key)="([^"]+)"`)
	for name, view := range samples(sampleLocale(r.words["en"])) {
		file, _, _ := strings.Cut(name, "-")
		page, err := r.render("en", file, "page", view)
		if err != nil {
			t.Fatal(err)
		}
		_, sheet, ok := strings.Cut(string(page), `<dialog id="sheet"`)
		for _, m := range offered.FindAllStringSubmatch(string(page), -1) {
			want := "<kbd>" + m[2] + "</kbd>"
			if m[1] == "go" {
				want = "<kbd>g</kbd> " + want
			}
			if ok && !strings.Contains(sheet, want) {
				t.Errorf("%s: the sheet lacks %s", name, want)
			}
		}
	}
}

// TestColoursHaveContrast holds the tokens to WCAG: 7:1 for body text, 4.5:1
// for everything else that is read, 3:1 for the edges of controls.
func TestColoursHaveContrast(t *testing.T) {
	css, err := fs.ReadFile(staticFiles, "static/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	root, _, _ := strings.Cut(string(css), "@media")
	pair := regexp.MustCompile(`--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)`)
	tokens := map[string][2]string{}
	for _, m := range pair.FindAllStringSubmatch(root, -1) {
		tokens[m[1]] = [2]string{m[2], m[3]}
	}
	for _, c := range []struct {
		front, back string
		want        float64
	}{
		{"ink", "paper", 7}, {"ink", "paper-2", 7}, {"ink", "accent-paper", 7}, {"ink", "note-paper", 7}, {"ink", "hit", 7},
		{"ink", "risk-1-paper", 7}, {"ink", "risk-2-paper", 7}, {"ink", "risk-3-paper", 7},
		{"ink-2", "paper", 7}, {"ink-2", "paper-2", 7}, {"ink-2", "paper-3", 4.5}, {"ink-2", "accent-paper", 4.5},
		{"ink-3", "paper", 4.5}, {"ink-3", "paper-2", 4.5}, {"ink-3", "accent-paper", 4.5}, {"ink-3", "note-paper", 4.5}, {"ink-3", "paper-3", 4.5},
		{"accent-ink", "accent", 4.5}, {"accent", "paper", 4.5}, {"accent", "accent-paper", 4.5}, {"accent", "paper-3", 3},
		{"risk-1", "paper", 4.5}, {"risk-2", "paper", 4.5}, {"risk-3", "paper", 4.5}, {"risk-1", "risk-1-paper", 4.5}, {"risk-3", "risk-3-paper", 4.5},
		{"risk-1", "accent-paper", 4.5}, {"risk-2", "accent-paper", 4.5}, {"risk-3", "accent-paper", 4.5}, {"risk-3", "paper-2", 4.5},
		{"good", "paper", 4.5}, {"paper", "ink", 7}, {"paper", "risk-3", 4.5}, {"line-strong", "paper", 3},
	} {
		for i, scheme := range []string{"light", "dark"} {
			front, back := tokens[c.front][i], tokens[c.back][i]
			if front == "" || back == "" {
				t.Fatalf("no token %s or %s", c.front, c.back)
			}
			if got := contrast(t, front, back); got < c.want {
				t.Errorf("%s on %s in %s: %.2f, want %.1f", c.front, c.back, scheme, got, c.want)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + .05) / (min(la, lb) + .05)
}

func luminance(t *testing.T, hex string) float64 {
	sum := 0.0
	for i, weight := range []float64{.2126, .7152, .0722} {
		v, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(v) / 255
		if c <= .04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// TestEveryWordOfTheDomainHasAText walks what other packages may give to the
// desk to name.
func TestEveryWordOfTheDomainHasAText(t *testing.T) {
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	add := func(prefix string, values ...string) {
		for _, v := range values {
			keys = append(keys, prefix+v)
		}
	}
	add("risk.", texts(mention.Categories)...)
	add("intent.", texts(mention.Intents)...)
	add("sentiment.", texts(mention.Sentiments)...)
	add("disposition.", texts(mention.Dispositions)...)
	add("disposition_short.", texts(mention.Dispositions)...)
	add("rung.", texts(mention.Rungs)...)
	add("state.", texts(casework.Statuses)...)
	add("outcome.", casework.Outcomes...)
	for _, o := range []escalation.Outcome{escalation.Sending, escalation.Sent, escalation.Delivered, escalation.Failed, escalation.Refused} {
		add("esc_event.", string(o))
	}
	add("role.", texts(identity.Roles)...)
	add("scope.", texts(identity.Scopes)...)
	add("policy.", texts(escalation.Urgencies)...)
	add("origin.", texts(escalation.Origins)...)
	add("view.", append(standing, viewSample)...)
	add("label.is.", texts(mention.Categories)...)
	add("why.", "risk", "reach", "edited")
	add("dead.why_", texts(bus.Causes)...)
	add("dead.next_", texts(bus.Causes)...)
	for _, r := range identity.Roles {
		add("role."+string(r), "_hint")
	}
	for _, k := range []casework.Kind{
		casework.Opened, casework.Claimed, casework.Released, casework.ClaimLapsed, casework.Drafted, casework.Submitted, casework.Approved,
		casework.SentBack, casework.ApprovalLost, casework.SendAsked, casework.SendStopped, casework.Sending, casework.Sent, casework.SendFailed,
		casework.SendUnsure, casework.Posted, casework.Noted, casework.HandedOver, casework.Returned, casework.Snoozed, casework.Woke,
		casework.Watched, casework.Excluded, casework.Closed, casework.Reopened, casework.Revised, casework.MergedInto, casework.Absorbed,
		casework.Escalated, casework.Promised, casework.PromiseDue, casework.DeadlineNear, casework.Judged, casework.Unjudged, casework.Redacted, casework.Archived,
	} {
		add("event.", string(k))
	}
	for _, lang := range langs {
		for _, key := range keys {
			if !words[lang].has(key) {
				t.Errorf("%s is missing in %s", key, lang)
			}
		}
	}
}

// TestKindsAreExplainedInEveryLanguage: what a connector says of itself is
// English; the other languages have all of it as well, and nothing that is gone.
func TestKindsAreExplainedInEveryLanguage(t *testing.T) {
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, s := range []family{sourceFamily(), notifierFamily()} {
		for _, k := range s.kinds {
			want["kind."+s.name+"."+k.Name] = true
			want["kind."+s.name+"."+k.Name+".doc"] = true
			if s.brand {
				want["kind."+s.name+"."+k.Name+".deletions.doc"] = true
			}
			for _, f := range k.fields {
				want["key."+s.name+"."+k.Name+"."+f.Key] = true
				want["key."+s.name+"."+k.Name+"."+f.Key+".hint"] = true
				for _, e := range f.Enum {
					want["key."+s.name+"."+k.Name+"."+f.Key+".is."+e] = true
				}
			}
		}
	}
	for _, lang := range langs {
		for key := range want {
			if words[lang].has(key) == (lang == "en" && ofProgram(key)) {
				t.Errorf("%s in %s: is there %v", key, lang, words[lang].has(key))
			}
		}
		for key := range words[lang].texts {
			if (strings.HasPrefix(key, "kind.") || strings.HasPrefix(key, "key.")) && !want[key] {
				t.Errorf("%s in %s is of nothing", key, lang)
			}
		}
	}
}

// ofProgram tells whether key explains what the program itself says in English.
func ofProgram(key string) bool {
	return (strings.HasPrefix(key, "kind.") || strings.HasPrefix(key, "key.")) && (strings.HasSuffix(key, ".doc") || strings.HasSuffix(key, ".hint"))
}

// The far side stands at the beginning of what is said of it: it has a capital where
// its host is not known.
func TestTheFarSideIsNamedFirst(t *testing.T) {
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	there := words["en"].say("trouble.there")
	for _, r := range outbound.Reasons {
		if r == outbound.NameNotFound {
			continue // that name is known
		}
		for _, key := range []string{"trouble." + string(r), "trouble." + string(r) + ".next"} {
			if text := words["en"].say(key, there); strings.LastIndex(text, there) > 0 {
				t.Errorf("%s: %s", key, text)
			}
		}
	}
}

func TestNamesTurnNoSentence(t *testing.T) {
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"@aya": "@aya has this", "青木": "青木 has this", "محمد (24)": "\u2068محمد (24)\u2069 has this", "@שלום": "\u2068@שלום\u2069 has this",
	} {
		if got := words["en"].say("case.held", name); got != want {
			t.Errorf("got %+q, want %+q", got, want)
		}
	}
}

func TestWhatHappenedIsASentenceWithItsActor(t *testing.T) {
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	actor := regexp.MustCompile(`^(が|の|には)`)
	for key, text := range words["ja"].texts {
		if event := strings.HasPrefix(key, "event.") || strings.HasPrefix(key, "tmpl.event_") || strings.HasPrefix(key, "esc_event.") && key != "esc_event.by_link"; event && !actor.MatchString(text) {
			t.Errorf("%s: nobody does it: %s", key, text)
		}
	}
}

// TestOnlyPeopleAreAddressed: in Japanese people are さん, and who is nobody is not.
func TestOnlyPeopleAreAddressed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := b.angry()
	aya := b.as("aya", everywhere, identity.Agent).in("ja")
	ken := b.as("ken", everywhere, identity.Agent)
	path := "/cases/" + string(m.ID)
	aya.want(aya.post(path+"/claim"), 303)
	aya.want(aya.post(path+"/assign", "to", "ken"), 303)
	_, err := b.Cases.Record(t.Context(), m.ID, func(*casework.State) (casework.Event, bool) {
		return casework.Event{Kind: casework.Assigned, To: "aya"}, true
	})
	b.put(err)
	aya.want(aya.get(path), 200, "<b>Ayaさん</b>が担当になりました", "<b>Ayaさん</b>がKenさんに割り当てました", "<b>Earshot</b>がAyaさんに割り当てました")
	ken.want(ken.get(path), 200, "<b>Aya</b> claimed it", "<b>Earshot</b> assigned it to Aya")
}
