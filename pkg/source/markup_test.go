package source

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"
)

func TestCheckMarkup(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	attrs := func(n int) string { return "<rss><a " + strings.Repeat(`b="c" `, n) + "/></rss>" }
	spaces := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `<a xmlns:n%d="u">`, i%7)
		}
		return b.String()
	}
	siblings := strings.Repeat(`<e xmlns="u" xmlns:a='v'><b c="=&gt;>"/><!-- <x><x --><![CDATA[<x><x>]]></e>`, 5000)
	kanji, err := japanese.ISO2022JP.NewEncoder().String(strings.Repeat("<i>実者社女質</i>", 2000))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ body, want string }{
		"as deep as may be":             {nested(maxDepth), ""},
		"deeper":                        {nested(maxDepth + 1), "more than 256 deep"},
		"as many attributes as may be":  {attrs(maxAttrs), ""},
		"more":                          {attrs(maxAttrs + 1), "257 attributes"},
		"namespaces within each other":  {spaces(250) + `<a xmlns:x="" xmlns:y="" xmlns:z="" xmlns:p="" xmlns:q="" xmlns:r="" xmlns:s="">`, "namespaces"},
		"many elements side by side":    {"<feed>" + siblings + "</feed>", ""},
		"elements left open":            {"<rss>" + strings.Repeat("<item><br><p>text</item>", 1000) + "</rss>", ""},
		"closed without having opened":  {"</a></b>" + nested(3), ""},
		"cut short":                     {`<rss><a b="`, ""},
		"an encoding with < in letters": {`<?xml version="1.0" encoding="iso-2022-jp"?><rss>` + kanji + "</rss>", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := checkMarkup([]byte(c.body))
			if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if strings.Count(kanji, "<") <= 4000 {
		t.Error("the sample has no letters that look like markup")
	}
}

// FuzzCheckMarkup: what is refused has the bytes for it.
func FuzzCheckMarkup(f *testing.F) {
	for _, seed := range []string{"", "<", "</", "<a", "<a b='", "<!--", "<![CDATA[", "<?xml encoding='utf-16'?><a/>", "<a xmlns:b=c><d/></a></a>", "<a/ b>"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := checkMarkup(body); err != nil && bytes.Count(body, []byte("<"))+bytes.Count(body, []byte("=")) <= maxDepth/4 {
			t.Errorf("%v, of so little", err)
		}
	})
}
