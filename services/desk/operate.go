package desk

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/source"
)

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// span is a length of time in one unit.
func (l *locale) span(d time.Duration) string {
	switch {
	case d > 0 && d < 100*time.Millisecond:
		return l.say("span.ms", max(1, d.Milliseconds()))
	case d < time.Second:
		return l.say("span.s", strconv.FormatFloat(d.Seconds(), 'f', 1, 64))
	case d < time.Minute:
		return l.say("span.s", int(d/time.Second))
	case d < time.Hour:
		return l.say("span.min", int(d/time.Minute))
	case d < 48*time.Hour:
		return l.say("span.h", int(d/time.Hour))
	}
	return l.say("time.days", int(d/(24*time.Hour)))
}

// maxLetters is how many dead letters a page shows.
const maxLetters = 200

func (c *call) dead() error {
	if err := c.may(identity.Configure, identity.AllBrands); err != nil {
		return err
	}
	letters, err := c.Bus.DeadLetters(c.ctx)
	if err != nil {
		return err
	}
	say := c.l.say
	v := &deadView{frame: c.frame(say("nav.dead"), "/dead")}
	services := map[string]int{}
	for _, d := range letters {
		services[d.Service]++
	}
	want := c.r.URL.Query().Get("service")
	v.Tabs = []chip{{Label: say("view.all"), Href: "/dead", Count: len(letters), On: want == ""}}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		v.Tabs = append(v.Tabs, chip{Label: name, Href: "/dead?service=" + name, Count: services[name], On: want == name})
	}
	for _, d := range slices.Backward(letters) {
		if want != "" && d.Service != want || len(v.Rows) == maxLetters {
			continue
		}
		v.Rows = append(v.Rows, deadRow{
			ID: itoa(d.ID), Service: d.Service, Subject: d.Subject, Why: say("dead.why_" + string(d.Cause())), Next: say("dead.next_" + string(d.Cause())), Error: d.Error, Text: readable(d.Body), At: c.l.at(d.At), Tries: int(d.Attempts),
		})
	}
	if len(v.Rows) == 0 {
		v.Tabs = nil
		v.Notice = &notice{Kind: "empty", Title: say("dead.none"), Text: say("dead.none_text")}
	}
	return c.show(http.StatusOK, "dead", "page", v)
}

// readable is what of a message a person can read, cut to a screen.
func readable(body []byte) string {
	text := strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, r < ' ' && r != '\n' && r != '\t', r == 0x7f:
			return ' '
		}
		return r
	}, string(body[:min(len(body), 4000)]))
	return strings.Join(strings.Fields(text), " ")
}

func (c *call) letter() (uint64, error) {
	if err := c.may(identity.Configure, identity.AllBrands); err != nil {
		return 0, err
	}
	id, err := strconv.ParseUint(c.r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, errNotFound
	}
	return id, nil
}

func (c *call) retryDead() error {
	id, err := c.letter()
	if err != nil {
		return err
	}
	f := &flash{Text: c.l.say("done.retry")}
	if err := c.Bus.RetryDead(c.ctx, id); err != nil {
		if errors.Is(err, bus.ErrNotFound) {
			return err
		}
		f = &flash{Text: c.l.say("dead.again", c.l.stuck(err)), Error: true}
	}
	c.flash(f)
	return c.back("/dead")
}

func (c *call) dropDead() error {
	id, err := c.letter()
	if err != nil {
		return err
	}
	if err := c.Bus.DropDead(c.ctx, id); err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say("done.drop")})
	return c.back("/dead")
}

// sandbox is the timeline of the built-in platform, as a stranger sees it.
func (c *call) sandbox() error {
	if !c.Sandbox {
		return errNotFound
	}
	entries, err := source.Timeline(c.sandboxFolder())
	if err != nil {
		return err
	}
	say := c.l.say
	v := &sandboxView{frame: c.frame(say("sandbox.title"), "/sandbox")}
	for _, e := range slices.Backward(entries) {
		if len(v.Posts) >= 200 {
			break
		}
		if e.ToText != "" {
			v.Posts = append(v.Posts, postView{Author: authorOf(e.ToAuthor, ""), PlatformName: say("platform.sandbox"), Body: linked(e.ToText), At: c.l.at(e.At)})
		}
		v.Posts = append(v.Posts, postView{ID: e.ID, Author: cmp.Or(e.Account, say("sandbox.us")), PlatformName: say("platform.sandbox"), Body: linked(e.Text), At: c.l.at(e.At), Ours: true})
	}
	if len(v.Posts) == 0 {
		v.Notice = &notice{Kind: "empty", Title: say("sandbox.none"), Text: say("sandbox.none_text")}
	}
	return c.show(http.StatusOK, "sandbox", "page", v)
}
