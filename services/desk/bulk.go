package desk

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// mostAtOnce bounds the mentions that one act may concern.
const mostAtOnce = 1000

// bulkActs are the acts on many mentions, by the button that gives them. Each is
// a command of every case by itself; what one refuses holds up no other.
var bulkActs = map[string]func(c *call, id mention.ID) (casework.State, error){
	"claim": one(func(*call) (casework.Command, error) { return casework.Claim{}, nil }),
	"assign": func(c *call, id mention.ID) (casework.State, error) {
		was, err := c.Cases.Get(c.ctx, c.viewer, id)
		if err != nil {
			return was, err
		}
		to := c.form("to")
		if err := c.canHave(to, was.Mention.Brand); err != nil {
			return was, err
		}
		s, err := c.Cases.Do(c.ctx, c.viewer, id, casework.Assign{To: to})
		if err == nil {
			c.tellAssigned(&was, to)
		}
		return s, err
	},
	"tag":   one(func(c *call) (casework.Command, error) { return casework.Retag{Add: tagsIn(c.form("tags"))}, nil }),
	"untag": one(func(c *call) (casework.Command, error) { return casework.Retag{Remove: tagsIn(c.form("tags"))}, nil }),
	"snooze": one(func(c *call) (casework.Command, error) {
		until, err := c.moment(c.form("until"))
		return casework.Snooze{Until: until}, err
	}),
	"watch":   one(func(*call) (casework.Command, error) { return casework.LookOn{}, nil }),
	"exclude": one(func(*call) (casework.Command, error) { return casework.Exclude{}, nil }),
	"close":   one(func(*call) (casework.Command, error) { return casework.Close{}, nil }),
	"undo":    one(func(*call) (casework.Command, error) { return casework.Undo{}, nil }),
}

// one is an act that is the same command for all.
func one(cmd func(*call) (casework.Command, error)) func(*call, mention.ID) (casework.State, error) {
	return func(c *call, id mention.ID) (casework.State, error) {
		x, err := cmd(c)
		if err != nil {
			return casework.State{}, err
		}
		return c.Cases.Do(c.ctx, c.viewer, id, x)
	}
}

// bulk does one thing to many mentions and says what became of each.
func (c *call) bulk() error {
	do := c.form("do")
	act := bulkActs[do]
	if act == nil {
		return &inputError{c.l.say("bulk.what")}
	}
	if strings.HasSuffix(do, "tag") && len(tagsIn(c.form("tags"))) == 0 {
		return &inputError{c.l.say("bulk.no_tag")}
	}
	ids, more := c.r.PostForm["id"], false
	if c.form("all") == "yes" {
		q, err := url.ParseQuery(c.form("query"))
		if err != nil {
			return &inputError{c.l.say("bulk.what")}
		}
		if ids, more, err = c.everyID(c.askedOf(q)); err != nil {
			return err
		}
	}
	if len(ids) == 0 {
		return &inputError{c.l.say("bulk.none")}
	}
	if len(ids) > mostAtOnce {
		return &inputError{c.l.say("bulk.many", mostAtOnce)}
	}
	v := &bulkView{frame: frame{locale: c.l}, Do: do, Back: ownPath(c.form("back"))}
	var last uint64
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		s, err := act(c, mention.ID(id))
		if err != nil {
			why, ok := c.whyNot(err)
			if !ok {
				return err
			}
			v.Failed = append(v.Failed, failedView{ID: id, Why: why, Href: "/cases/" + id})
			continue
		}
		last = max(last, s.Last)
		v.Done = append(v.Done, id)
		if row, ok := c.overlay(&s); ok && c.part() != "" && len(ids) <= 50 {
			v.Rows = append(v.Rows, row)
		}
	}
	c.nameFailed(v.Failed)
	v.Text = c.l.say("bulk.done_"+do, len(v.Done)+max(0, atoi(c.form("before")))) // the script does many piece by piece
	if more {
		v.Text += " " + c.l.say("bulk.more", mostAtOnce)
	}
	if c.part() != "" {
		return c.show(http.StatusOK, "bulk", "part-bulk", v)
	}
	c.waitFor(last)
	v.frame = c.frame(c.l.say("bulk.title"), "/queue")
	return c.show(http.StatusOK, "bulk", "page", v)
}

// whyNot is why a case refused a command; false for what is no refusal.
func (c *call) whyNot(err error) (string, bool) {
	if r, ok := errors.AsType[*casework.Refused](err); ok {
		return c.refusal(r), true
	}
	if input, ok := errors.AsType[*inputError](err); ok {
		return input.text, true
	}
	if errors.Is(err, casework.ErrUnknown) {
		return c.l.say("error.not_found"), true
	}
	if errors.Is(err, bus.ErrConflict) {
		return c.l.say("error.conflict"), true
	}
	return "", false
}

// nameFailed says which mentions they are that refused.
func (c *call) nameFailed(failed []failedView) {
	ids := make([]mention.ID, len(failed))
	for i := range failed {
		ids[i] = mention.ID(failed[i].ID)
	}
	docs, err := c.Index.Get(c.ctx, c.sees(), ids...)
	if err != nil {
		return // their numbers do
	}
	for i := range failed {
		at := slices.IndexFunc(docs, func(d search.Document) bool { return string(d.ID) == failed[i].ID })
		if at < 0 {
			continue
		}
		row := c.row(&search.Hit{Document: docs[at]}, "")
		failed[i].Author, failed[i].Text, failed[i].Lang = row.Author, row.Text, row.Lang
	}
}

// bulkBar is what can be done to the mentions that are chosen.
type bulkBar struct {
	Staff, Snoozes []option
	Query, Back    string
	Total          string // of all that is found, in words
}

func (c *call) bulkBar(a asked, list *listView) *bulkBar {
	if len(list.Rows) == 0 || !c.viewer.CanSomewhere("handle") {
		return nil
	}
	v := &bulkBar{Query: viewQuery(a.values), Back: c.r.URL.RequestURI()}
	for _, p := range settings.Staff.List(c.Settings) {
		if w := p.Viewer(); w.CanSomewhere("handle") {
			v.Staff = append(v.Staff, option{Value: p.ID, Label: p.Name, On: p.ID == c.viewer.Actor()})
		}
	}
	for _, d := range []struct{ v, key string }{{"1h", "snooze.1h"}, {"4h", "snooze.4h"}, {c.morning(1), "snooze.tomorrow"}, {c.morning(7), "snooze.week"}} {
		v.Snoozes = append(v.Snoozes, option{Value: d.v, Label: c.l.say(d.key)})
	}
	v.Total = c.l.say("bulk.all", number(list.total))
	if list.many {
		v.Total = c.l.say("bulk.all_many", number(mostAtOnce))
	}
	return v
}

// bulkView says what became of an act on many.
type bulkView struct {
	frame
	Do, Text, Back string
	Done           []string
	Failed         []failedView
	Rows           []rowView
}

// failedView is a mention that an act could not be done to, and why.
type failedView struct {
	ID, Href, Why, Author, Lang string
	Text                        []span
}
