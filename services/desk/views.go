package desk

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

const (
	// mostViews bounds the views that one person sees: more find nobody.
	mostViews = 20
	// viewCountsLife is how long the count of a view is good enough, and
	// viewCountsTime how long a list waits for counts that are not.
	viewCountsLife = 15 * time.Second
	viewCountsTime = 15 * time.Millisecond
)

// notOfView are the parts of a list's address that a view does not keep.
var notOfView = []string{"cursor", "case", "since", "mode", "facets", "saved", "ids"}

// viewQuery is the part of a list's address that a view keeps.
func viewQuery(q url.Values) string {
	kept := url.Values{}
	for k, v := range q {
		if !slices.Contains(notOfView, k) && slices.ContainsFunc(v, func(s string) bool { return s != "" }) {
			kept[k] = v
		}
	}
	return kept.Encode()
}

// mayShareViews tells whether the caller may edit views that are everybody's.
func (c *call) mayShareViews() bool {
	return c.viewer.CanSomewhere(identity.Lead) || c.viewer.CanSomewhere(identity.Configure)
}

// mayEditView tells whether v is the caller's to change.
func (c *call) mayEditView(v *settings.View) bool {
	return v.Owner == "" && c.mayShareViews() || v.Owner != "" && v.Owner == c.viewer.Actor()
}

// savedViews are the views that the caller sees, shared ones first.
func (c *call) savedViews() []settings.View {
	views := slices.DeleteFunc(settings.Views.List(c.Settings), func(v settings.View) bool { return v.Owner != "" && v.Owner != c.viewer.Actor() })
	slices.SortStableFunc(views, func(a, b settings.View) int {
		return cmp.Or(strings.Compare(a.Owner, b.Owner), cmp.Compare(a.Order, b.Order), strings.Compare(a.Name, b.Name))
	})
	return views[:min(len(views), mostViews)]
}

// savedTabs are the saved views with their counts, and the keys that lead there.
func (c *call) savedTabs(a asked) []chip {
	views := c.savedViews()
	counts := c.viewCounts(views)
	var out []chip
	for i, v := range views {
		t := chip{Label: v.Name, Href: "/queue?" + v.Query + "&saved=" + v.ID, On: a.values.Get("saved") == v.ID, Count: counts[i]}
		if i < 9 {
			t.Key = itoa(i + 1)
		}
		out = append(out, t)
	}
	return out
}

// viewCounts is a cache of what the views of people with the same brands count.
type viewCounts struct {
	mu sync.Mutex
	of map[string]countAt
}

type countAt struct {
	at time.Time
	n  int
}

// viewCounts counts what is in views. What takes too long is left at zero and is
// there the next time.
func (c *call) viewCounts(views []settings.View) []int {
	out := make([]int, len(views))
	brands, all := c.viewer.Brands(identity.View)
	ctx, cancel := context.WithTimeout(c.ctx, viewCountsTime)
	defer cancel()
	for i, v := range views {
		key := fmt.Sprint(all, brands, v.Owner, v.Query)
		c.viewed.mu.Lock()
		have, ok := c.viewed.of[key]
		c.viewed.mu.Unlock()
		if out[i] = have.n; ok && c.l.now.Sub(have.at) < viewCountsLife || ctx.Err() != nil {
			continue
		}
		q, err := url.ParseQuery(v.Query)
		if err != nil {
			continue
		}
		n, err := c.Index.Counts(ctx, c.askedOf(q).query)
		if err != nil {
			continue
		}
		out[i] = int(n[0])
		c.viewed.mu.Lock()
		if c.viewed.of == nil || len(c.viewed.of) > 1000 {
			c.viewed.of = map[string]countAt{}
		}
		c.viewed.of[key] = countAt{c.l.now, out[i]}
		c.viewed.mu.Unlock()
	}
	return out
}

// views lists the saved views to be renamed, put in order and removed.
func (c *call) views() error {
	v := &viewsView{frame: c.frame(c.l.say("views.title"), "/views")}
	for i, x := range c.savedViews() {
		row := viewRow{ID: x.ID, Name: x.Name, Href: "/queue?" + x.Query + "&saved=" + x.ID, Shared: x.Owner == "", Order: x.Order, May: c.mayEditView(&x), Query: c.readable(x.Query)}
		if i < 9 {
			row.Key = itoa(i + 1)
		}
		v.Rows = append(v.Rows, row)
	}
	if len(v.Rows) == 0 {
		v.Notice = &notice{Kind: "empty", Title: c.l.say("views.none"), Text: c.l.say("views.none_text"), Links: []link{{c.l.say("nav.queue"), "/queue"}}}
	}
	return c.show(http.StatusOK, "views", "page", v)
}

// readable is a view's address in words.
func (c *call) readable(query string) string {
	q, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	var out []string
	if view := cmp.Or(q.Get("view"), "answer"); c.l.has("view." + view) {
		out = append(out, c.l.say("view."+view))
	}
	if t := q.Get("q"); t != "" {
		out = append(out, "“"+t+"”")
	}
	for _, f := range filters {
		for _, v := range q[f.param] {
			out = append(out, c.valueName(f.param, v))
		}
	}
	return strings.Join(out, " · ")
}

// saveView keeps a search under a name, or changes one that is kept.
func (c *call) saveView() error {
	if c.staff == nil {
		return errForbidden
	}
	id := c.r.PathValue("id")
	v := settings.View{ID: "v-" + newID()[:12], Owner: c.viewer.Actor()}
	var version uint64
	if id != "new" {
		have, ok := settings.Views.Get(c.Settings, id)
		if !ok || !c.mayEditView(&have) {
			return errNotFound
		}
		v, version = have, settings.Views.Version(c.Settings, id)
	} else if q, err := url.ParseQuery(c.form("query")); err == nil {
		v.Query = viewQuery(q)
	}
	if c.form("do") == "remove" {
		if err := settings.Views.Delete(c.ctx, c.Settings, c.viewer.Actor(), v.ID, version); err != nil {
			return err
		}
		c.flash(&flash{Text: c.l.say("done.view_removed")})
		return c.back("/views")
	}
	v.Name, v.Order = c.form("name"), atoi(c.form("order"))
	if id == "new" && c.form("shared") == "on" {
		if !c.mayShareViews() {
			return errForbidden
		}
		v.Owner = ""
	}
	if err := v.Validate(); err != nil {
		return &inputError{c.l.say("views.wrong")}
	}
	if err := settings.Views.Put(c.ctx, c.Settings, c.viewer.Actor(), v.ID, version, v); err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say("done.view_saved", v.Name)})
	if id != "new" {
		return c.back("/views")
	}
	return c.back("/queue?" + v.Query + "&saved=" + v.ID)
}

// everyID are the mentions of a list, all of its pages; more says that there are
// more than one act can have.
func (c *call) everyID(a asked) (ids []string, more bool, err error) {
	q := a.query
	q.Limit, q.Cursor = search.MaxLimit, ""
	for {
		found, err := c.Index.Search(c.ctx, q)
		if err != nil {
			return nil, false, err
		}
		for i := range found.Hits {
			ids = append(ids, string(found.Hits[i].ID))
		}
		if q.Cursor = found.Next; q.Cursor == "" {
			return ids, false, nil
		}
		if len(ids) >= mostAtOnce {
			return ids[:mostAtOnce], true, nil
		}
	}
}

// viewsView lists the saved views.
type viewsView struct {
	frame
	Rows   []viewRow
	Notice *notice
}

type viewRow struct {
	ID, Name, Href, Query, Key string
	Shared, May                bool
	Order                      int
}
