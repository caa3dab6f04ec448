package source

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
)

// wellFormed checks what the package promises of every post.
func wellFormed(t *testing.T, p mention.Post) {
	t.Helper()
	if p.NativeID == "" || p.Platform == "" || p.Kind == "" || p.PublishedAt.IsZero() && !p.Deleted {
		t.Errorf("incomplete: %+v", p)
	}
	for _, s := range []string{p.NativeID, p.URL, p.Author.ID, p.Author.Handle, p.Author.Name, p.Title, p.Text, p.Lang, p.Place.Name, p.Thread.ParentText} {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' || text.TurnsDirection(r) }) {
			t.Errorf("not clean: %q", s)
		}
	}
	if p.Title != line(p.Title) || p.Text != clean(p.Text) {
		t.Errorf("cleaning again changes %q, %q", p.Title, p.Text)
	}
	for _, m := range p.Media {
		if webURL(m.URL) == "" {
			t.Errorf("media at %q", m.URL)
		}
	}
	mention.Of("acme", p)
}

func TestCleanText(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"ordinary text stays", "こんにちは, world", "こんにちは, world"},
		{"nothing", "", ""},
		{"ends are trimmed", "  a\u3000", "a"},
		{"line breaks of all kinds", "a\r\nb\rc\u2028d", "a\nb\nc\nd"},
		{"many line breaks become two", "a\n\n \n\n\nb", "a\n\n b"},
		{"control characters go", "a\x00b\x1b[31mc\u009dd", "ab[31mcd"},
		{"direction overrides go", "invoice\u202efdp.exe\u2066x", "invoicefdp.exex"},
		{"invalid bytes go", "a\xff\xfeb", "ab"},
		{"a byte order mark goes", "\ufeffa", "a"},
		{"joined emoji stay", "👩‍👩‍👧 ok", "👩‍👩‍👧 ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := clean(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestALineThatNobodySeesIsNone(t *testing.T) {
	for in, want := range map[string]string{"\u200b\u2060": "", "\u202e\u200f": "", "\u3164": "", " a \n b ": "a b", "👩‍👧": "👩‍👧"} {
		if got := line(in); got != want {
			t.Errorf("line(%+q) = %+q, want %+q", in, got, want)
		}
	}
}

func TestHTMLToText(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain text", "a b", "a b"},
		{"entities are resolved once", "a &amp;lt;b&amp;gt; &quot;c&quot; &#x3042;", `a &lt;b&gt; "c" あ`},
		{"paragraphs", "<p>a</p><p>b</p>", "a\n\nb"},
		{"breaks", "a<br>b<br/><br>c", "a\nb\n\nc"},
		{"white space folds", "<p> a\n   b <b> c</b>\td </p>", "a b c d"},
		{"preformatted text doesn't", "<pre>a\n  b</pre>", "a\n  b"},
		{"scripts and styles are not text", "a<script>alert('</p>')</script><style>p{}</style>b", "ab"},
		{"comments are not text", "a<!-- b -->c", "ac"},
		{"lists", "<ul><li>a</li><li>b</li></ul>c", "・a\n・b\n\nc"},
		{"a less-than sign is text", "1 < 2 <3", "1 < 2 <3"},
		{"unclosed tags", "<div><p>a<div>b", "a\nb"},
		{"Mastodon's hidden link parts are read", `<a href="https://e.example/x"><span class="invisible">https://</span><span>e.example/x</span></a>`, "https://e.example/x"},
		{"a table", "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"},
		{"a hidden element that never ends", "a<script>b", "a"},
		{"Japanese needs no spaces", "<p>アクメの<b>炊飯器</b>。</p>", "アクメの炊飯器。"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, _ := htmlText(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	_, media := htmlText(`<img src="https://e.example/1.png" alt=" A  B "><img src="javascript:x"><img src="data:image/png;base64,x"><video src="http://e.example/v"></video>`)
	if len(media) != 2 || media[0] != (mention.Media{Type: mention.Image, URL: "https://e.example/1.png", Alt: "A B"}) || media[1].Type != mention.Video {
		t.Errorf("%+v", media)
	}
}

// TestHTMLToTextIsLinear compares a page with one eight times as long, in turns:
// more than in proportion would be 64 times as much work.
func TestHTMLToTextIsLinear(t *testing.T) {
	took := func(n int) time.Duration {
		page := strings.Repeat("<div><p>", n) + strings.Repeat("&amp", n)
		start := time.Now()
		htmlText(page)
		return time.Since(start)
	}
	small, large := time.Hour, time.Hour
	for range 3 {
		small = min(small, took(20_000))
		large = min(large, took(160_000))
	}
	if large > 24*small {
		t.Errorf("%v, and %v for eight times as much", small, large)
	}
}

func TestLimitsCountAsPlatformsDo(t *testing.T) {
	for _, c := range []struct {
		name string
		l    Limit
		text string
		want int
	}{
		{"characters", Limit{Max: 500, Unit: Characters, URL: 0}, "あい👍🏽", 4},
		{"graphemes", Limit{Max: 300, Unit: Graphemes, URL: 0}, "あい👍🏽👩‍👩‍👧", 4},
		{"bytes", Limit{Max: 4096, Unit: UTF8Bytes, URL: 0}, "あa", 4},
		{"a link has a fixed length", Limit{Max: 500, Unit: Characters, URL: 23}, "see https://example.com/a/very/long/path?x=1.", 28},
		{"a link between Japanese", Limit{Max: 500, Unit: Characters, URL: 23}, "詳細https://example.com/xを見て", 28},
		{"http alone is no link", Limit{Max: 500, Unit: Characters, URL: 23}, "http httpx", 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.l.Count(c.text); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
	if !(Limit{}).Fits(strings.Repeat("x", 9999)) || (Limit{Max: 3, Unit: Characters}).Fits("あいうえ") {
		t.Error("Fits")
	}
}

func TestSeenForgetsOnlyWhatIsNoLongerShown(t *testing.T) {
	s := loadSeen("")
	var shown []string
	for i := range maxSeen + 100 {
		id := strings.Repeat("x", i%7) + string(rune('a'+i%26)) + time.Duration(i).String()
		s.add(id, "1")
		if i < 50 {
			shown = append(shown, id)
		}
	}
	s.add(shown[0], "2")
	next := loadSeen(s.shrunk(shown))
	for _, id := range shown[1:] {
		if next.look(id, "1") != known {
			t.Fatalf("%s was forgotten", id)
		}
	}
	if next.look(shown[0], "2") != known || next.look(shown[0], "1") != edited || len(next.content) != maxSeen+50 {
		t.Errorf("%d entries", len(next.content))
	}
	if got := loadSeen("!not base64!" + s.String()); len(got.content) != len(s.content) {
		t.Errorf("one damaged entry of the cursor lost %d others", len(s.content)-len(got.content))
	}
}

func FuzzHTMLText(f *testing.F) {
	for _, s := range []string{"<p>a</p><br>b", "<script>x", "<img src=https://e.example alt=\x00>", "&#x202e;&#0;", "<pre>\r\n\r\n\r\n a", "<ul><li>\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, media := htmlText(s)
		wellFormed(t, mention.Post{NativeID: "1", Platform: "web", Kind: "post", PublishedAt: testNow, Text: text, Media: media})
	})
}
