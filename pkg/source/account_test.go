package source

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestSourcesSayWhoseAccountItIs: by the platforms' own endpoints, and another
// account than is wanted is refused by its name.
func TestSourcesSayWhoseAccountItIs(t *testing.T) {
	t.Parallel()
	want := func(what string, s Source, name string, other bool) {
		t.Helper()
		got, err := AccountOf(t.Context(), s)
		r, refused := errors.AsType[*Refusal](err)
		if got != name || (refused && r.Reason == WrongAccount) != other || err != nil && !other {
			t.Errorf("%s: %q, %v; want %q, another one: %v", what, got, err, name, other)
		}
	}
	y, youtube := openYouTube(t)
	want("youtube without a channel", youtube, "", true)
	y.mine = "UCothers"
	want("youtube", youtube, "Acme (@acme)", true)
	y.mine = ownChannel
	want("youtube", youtube, "Acme (@acme)", false)

	r, reddit := openReddit(t)
	want("reddit", reddit, "u/Care", false)
	r.me = "Mallory"
	want("reddit", reddit, "u/Mallory", true)

	_, business, _ := openBusiness(t, testNow.Add(time.Hour))
	want("google", business, "Hana Sato, Cafés", false)

	_, mastodon, _ := openMastodon(t)
	want("mastodon", mastodon, "@acme@"+host(mastodon.cfg.Server), false)

	_, bluesky := newPDS(t)
	want("bluesky", bluesky, "@acme.example", false)

	x := newXServer(t)
	want("x, with the account's keys", x.open(xTestKeys, x.deps()), "@acme_jp", false)
	want("x, of another account", x.open(strings.Replace(xTestKeys, "acme_jp", "someone_else", 1), x.deps()), "@acme_jp", true)
	want("x, without a name", x.open(strings.Replace(xTestKeys, "account: acme_jp\n", "", 1), x.deps()), "@acme_jp", false)
	want("x, an app", x.open("bearer: "+xTestBearer, x.deps()), "", false)

	want("a feed", openKind(t, "feed", "url: https://acme.example/feed", testDeps(t)), "", false)
}

// TestKindsSayWhetherAPersonLetsThemIn: the desk offers to ask for consent
// before a source is opened.
func TestKindsSayWhetherAPersonLetsThemIn(t *testing.T) {
	for _, k := range Kinds {
		t.Run(k.Name, func(t *testing.T) {
			p := newPlatform(t, k.Name)
			if _, ok := p.open(t, k).Source.(Threader); ok != k.Threads {
				t.Errorf("Threads is %v, but it is a Threader: %v", k.Threads, ok)
			}
			if _, ok := p.open(t, k).Source.(Consenter); ok != k.Consents {
				t.Errorf("Consents is %v, but it is a Consenter: %v", k.Consents, ok)
			}
		})
	}
}
