package desk

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/identity/identitytest"
)

// fill types into the fields of the form that has the last of them, and presses
// its button.
func (w *window) fill(pairs ...string) {
	w.t.Helper()
	last := ""
	for i := 0; i+1 < len(pairs); i += 2 {
		last = fmt.Sprintf("input[name=%q]", pairs[i])
		w.until(fmt.Sprintf("document.querySelector(%q)", last))
		w.run(chromedp.SendKeys(last, pairs[i+1]))
	}
	w.run(chromedp.Click("form:has(" + last + ") button:not([type])"))
}

// TestABrowserSignsIn goes the whole way of a second factor and of a provider on
// another site: under the page's own policy, with the cookies that a browser
// really sends along.
func TestABrowserSignsIn(t *testing.T) {
	i := identitytest.NewIssuer(t)
	i.Say(map[string]any{"email": "hana@example.com"}, nil)
	b := byProvider(t, i, nil)
	b.hire(person("hana", identity.Agent))
	b.password("hana")
	w := b.window(t, b.visitor())
	base := strings.Replace(b.server.URL, "127.0.0.1", "localhost", 1) // the provider is at 127.0.0.1
	in := func(path string) string { return fmt.Sprintf("location.pathname === %q", path) }

	w.run(chromedp.Navigate(base + "/sign-in?next=/me/second"))
	w.fill("email", "hana@example.com", "password", longPassword)
	w.until(in("/me/second") + ` && document.querySelector("#key")`)
	if box := w.eval(`getComputedStyle(document.querySelector(".qr path")).fill + document.querySelector(".qr svg").getBoundingClientRect().width`); box != "rgb(26, 26, 24)232" {
		t.Errorf("the picture is %v", box)
	}
	key, _ := w.eval(`document.querySelector("#key").innerText`).(string)
	w.fill("code", code(t, key, 0))
	w.until(`document.querySelector("#recovery")`)
	text, _ := w.eval(`document.querySelector("#recovery").innerText`).(string)
	recovery := strings.Fields(text)
	if len(recovery) != 10 {
		t.Fatalf("recovery codes %q", text)
	}
	w.run(chromedp.Click(`form[action="/sign-out"] button`))
	w.until(in("/sign-in"))
	w.fill("email", "hana@example.com", "password", longPassword)
	w.until(`document.activeElement && document.querySelector("input[name=code]")`)
	w.fill("code", recovery[0])
	w.until(in("/queue"))
	w.run(chromedp.Click(`form[action="/sign-out"] button`))
	w.until(in("/sign-in"))

	w.run(chromedp.Click(`a[href="/sign-in/openid"]`))
	w.until(in("/queue"))
	if name := w.eval(`document.querySelector(".rail .me .label").innerText`); name != "hana" {
		t.Errorf("signed in as %v", name)
	}
	w.run(chromedp.Click(`form[action="/sign-out"] button`))
	w.until(in("/sign-in") + ` && document.body.innerText.includes("Sign out of Example ID too")`)
}
