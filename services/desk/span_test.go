package desk

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
)

func joined(spans []span) string {
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(s.Text)
	}
	return b.String()
}

func TestWordsBehindAVerdictAreMarkedOnceEach(t *testing.T) {
	p := mention.Post{Title: "返金して", Text: "三回電話した。明日公開する https://a.example/x。"}
	risks := []mention.Risk{{Start: 12, End: 17}, {Start: 5, End: 14}, {Start: 0, End: 4}, {Start: 40, End: 99}, {Start: 3, End: 1}}
	views := make([]riskView, len(risks))
	for i := range views {
		views[i] = riskView{Note: itoa(i + 1), start: risks[i].Start, end: risks[i].End}
	}
	title, body := postSpans(&p, views)
	if joined(title) != p.Title || joined(body) != p.Text {
		t.Errorf("text became %q and %q", joined(title), joined(body))
	}
	if len(title) != 1 || title[0].Note != "3" {
		t.Errorf("title %+v", title)
	}
	var got []string
	for _, s := range body {
		if s.Note != "" || s.Href != "" {
			got = append(got, s.Note+s.Href+"|"+s.Text)
		}
	}
	want := "2|三回電話した。 1|明日公開す https://a.example/x|https://a.example/x"
	if strings.Join(got, " ") != want {
		t.Errorf("marked %q, want %q", strings.Join(got, " "), want)
	}
}

func TestWhatDiffersFromTheTemplateIsMarked(t *testing.T) {
	spans := changed("Dear {{author}}, thank you for {{what}}. Bye", "Dear Hana, thank you for the cake. Bye!")
	var marked []string
	for _, s := range spans {
		if s.Mark {
			marked = append(marked, s.Text)
		}
	}
	if joined(spans) != "Dear Hana, thank you for the cake. Bye!" || strings.Join(marked, "|") != "Hana|the cake|!" {
		t.Errorf("got %+v", spans)
	}
}

// FuzzSpans holds the cutting of hostile text to this: nothing is lost or
// added, whatever the spans are.
func FuzzSpans(f *testing.F) {
	f.Add("title", "text with https://a.example/(x). end", 3, 9, 5, 20)
	f.Add("", "三回電話しても\n折り返しがない", -4, 99, 2, 2)
	f.Fuzz(func(t *testing.T, title, text string, a, b, c, d int) {
		if !utf8.ValidString(title) || !utf8.ValidString(text) || len(text) > 1<<12 {
			t.Skip()
		}
		p := mention.Post{Title: title, Text: text}
		head, body := postSpans(&p, []riskView{{Note: "1", start: a, end: b}, {Note: "2", start: c, end: d}})
		if joined(head) != title || joined(body) != text {
			t.Fatalf("%q, %q became %q, %q", title, text, joined(head), joined(body))
		}
		for _, s := range append(head, body...) {
			if s.Href != "" && !strings.HasPrefix(s.Href, "https://") && !strings.HasPrefix(s.Href, "http://") {
				t.Fatalf("link to %q", s.Href)
			}
		}
		short := excerpt(p.Content(), []search.Mark{{Start: a, End: b}, {Start: c, End: d}})
		if n := utf8.RuneCountInString(joined(short)); n > excerptRunes+2 {
			t.Fatalf("excerpt of %d", n)
		}
		if words := between(p.Content(), a, b); !strings.Contains(p.Content(), words) {
			t.Fatalf("words %q", words)
		}
	})
}

func TestXLinksWhatXLinks(t *testing.T) {
	for text, want := range map[string]string{
		"@kumo と＠ravi、#炊飯器":          "[@kumo>https://x.com/kumo] と[＠ravi>https://x.com/ravi]、[#炊飯器>https://x.com/hashtag/%E7%82%8A%E9%A3%AF%E5%99%A8]",
		"a@b.example #1 &#39; (#ok)": "a@b.example #1 &#39; ([#ok>https://x.com/hashtag/ok])",
		"see https://a.example/#x.":  "see [https://a.example/#x>https://a.example/#x].",
	} {
		got := ""
		for _, s := range xLinks([]span{{Text: text}}) {
			if s.Href != "" {
				got += "[" + s.Text + ">" + s.Href + "]"
			} else {
				got += s.Text
			}
		}
		if got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
	marked := xLinks([]span{{Text: "no #way out", Note: "1", Step: 2, Why: "w"}})
	if len(marked) != 3 || marked[0].Again || !marked[1].Again || !marked[2].Again || marked[1].Note != "1" || marked[1].Href == "" || marked[2].Href != "" {
		t.Errorf("%+v", marked)
	}
}

// TestLongPostsAreFolded: the pieces are the whole, what is marked is shown with what
// stands around it, and nothing is cut within a word or a link.
func TestLongPostsAreFolded(t *testing.T) {
	t.Parallel()
	short := []span{{Text: strings.Repeat("あ", longPost)}}
	if got := passages(short); len(got) != 1 || got[0].Folded != 0 {
		t.Errorf("%d passages of a post that is just short enough", len(got))
	}
	filler := func(n int) string { return strings.Repeat("長い話の一文です。", n) } // of nine letters
	link := "https://kumo.example/" + strings.Repeat("x", 400)
	for name, spans := range map[string][]span{
		"no marks":              {{Text: filler(24_000)}},
		"words":                 {{Text: strings.Repeat("one more word ", 10_000)}},
		"no place to cut":       {{Text: strings.Repeat("👩‍👩‍👧が", 2000)}},
		"a mark far down":       {{Text: filler(10_000)}, {Text: "公開します", Note: "1"}, {Text: filler(10_000)}},
		"marks close together":  {{Text: filler(1000)}, {Text: "一", Note: "1"}, {Text: filler(30)}, {Text: "二", Note: "2"}, {Text: filler(1000)}},
		"a mark at the fold":    {{Text: filler(333)}, {Text: "公開します", Note: "1"}, {Text: filler(1000)}},
		"a mark at the end":     {{Text: filler(2000)}, {Text: "公開します", Note: "1"}},
		"all of it is a mark":   {{Text: filler(24_000), Note: "1"}},
		"a link across the cut": {{Text: filler(331)}, {Text: link, Href: link}, {Text: filler(1000)}},
	} {
		var pieces strings.Builder
		shown, folded, marks := 0, 0, map[string]bool{}
		for _, p := range passages(spans) {
			text := joined(p.Spans)
			pieces.WriteString(text)
			n := len([]rune(text))
			switch {
			case p.Folded == 0:
				shown += n
			case p.Folded != n || n < leastFold:
				t.Errorf("%s: %d letters are folded as %d", name, n, p.Folded)
			default:
				folded += n
			}
			for _, s := range p.Spans {
				if p.Folded == 0 && s.Note != "" && !s.Again {
					marks[s.Note] = true
				}
				if s.Href != "" && s.Text != s.Href {
					t.Errorf("%s: a link is cut to %q", name, s.Text)
				}
			}
			if strings.HasPrefix(text, "\u200d") || strings.HasSuffix(text, "\u200d") {
				t.Errorf("%s: a letter is cut", name)
			}
		}
		if pieces.String() != joined(spans) {
			t.Errorf("%s: the passages are not the post", name)
		}
		if shown > 3*longPost || folded == 0 {
			t.Errorf("%s: %d letters shown, %d folded", name, shown, folded)
		}
		for _, s := range spans {
			if s.Note != "" && !marks[s.Note] {
				t.Errorf("%s: mark %s is folded away", name, s.Note)
			}
		}
	}
}
