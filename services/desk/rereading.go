package desk

import (
	"errors"
	"fmt"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/source"
)

// rereading says how many posts of a source are asked for again, what that costs
// a month, and how the last pass over them went.
func (c *call) rereading(v connected) []fact {
	kind, _ := source.Named(v.kind)
	d, l := kind.Duties, c.l
	if d.Reread == 0 {
		return nil
	}
	where := map[search.Field][]string{search.FieldSource: {v.id}}
	if d.RereadAll {
		where = map[search.Field][]string{search.FieldPlatform: {kind.Platform}}
	}
	counts, err := c.Index.Counts(c.ctx, search.Query{Viewer: search.SeesAll(), Where: where})
	if err != nil {
		c.Log.Warn("stored posts not counted", "source", v.id, "error", err)
		return nil
	}
	n := int(counts[0])
	text := l.say("duty.reread_posts", number(n))
	if audits(kind, v) {
		text += " " + l.say("duty.reread_job")
	} else if d.RereadPrice > 0 {
		month := float64(n) * d.RereadPrice * float64(30*24*time.Hour) / float64(d.Reread)
		text += " " + l.say("duty.reread_month", fmt.Sprintf("%.2f", month))
	}
	out := []fact{{l.say("duty.reread_now"), text, ""}}
	var pass source.Rereading
	if _, err := bus.Cursors.Get(c.ctx, c.Bus, source.RereadKey(v.id), &pass); err != nil {
		if !errors.Is(err, bus.ErrNotFound) {
			c.Log.Warn("how reading again fares is not read", "source", v.id, "error", err)
		}
		return out
	}
	switch {
	case pass.Error != "":
		v := l.trouble(pass.Trouble, pass.Error, pass.Next)
		text = l.say("duty.pass_fails", v.What+" "+v.Next, l.at(pass.Next).Clock())
		if v.Said != "" {
			text += " " + l.say("trouble.said") + "“" + v.Said + "”"
		}
	case pass.Job != "":
		text = l.say("duty.pass_job", number(pass.Total), l.at(pass.Began).Clock())
	case pass.Cursor != "":
		text = l.say("duty.pass_runs", number(pass.Done), number(pass.Total), number(pass.Gone), number(pass.Edited))
	default:
		text = l.say("duty.pass_done", l.at(pass.Ended).Clock(), number(pass.Done), number(pass.Gone), number(pass.Edited))
	}
	return append(out, fact{l.say("duty.pass"), text, ""})
}

// audits tells whether the platform goes through what is stored by itself.
func audits(kind source.Kind, v connected) bool {
	conn, err := kind.Open(withoutSecrets(kind.Fields(), v.config), source.Deps{Keep: source.Memory()})
	a, ok := conn.(source.Auditor)
	return err == nil && ok && a.Audits()
}
