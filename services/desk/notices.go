package desk

import (
	"maps"
	"net/http"
	"slices"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/text"
)

// noticesView lists what somebody was told.
type noticesView struct {
	frame
	Rows   []noticeRow
	Unread int
	Notice *notice
}

type noticeRow struct {
	Href, What, About string
	At                moment
	Unread            bool
}

// notices is the page of what the caller was told.
func (c *call) notices() error {
	v := &noticesView{frame: c.frame(c.l.say("nav.notices"), "/notices")}
	all, err := c.told()
	if err != nil {
		return err
	}
	var ids []mention.ID
	for _, n := range all {
		if !slices.Contains(ids, n.Case) {
			ids = append(ids, n.Case)
		}
	}
	about := map[mention.ID]string{}
	if len(ids) > 0 {
		docs, err := c.Index.Get(c.ctx, c.sees(), ids...)
		if err != nil {
			return err
		}
		for i := range docs {
			about[docs[i].ID] = aboutCase(&docs[i])
		}
	}
	for i := range all {
		n := &all[i]
		row := noticeRow{Href: "/notices/" + n.ID, What: c.toldText(n), About: about[n.Case], At: c.l.at(n.At), Unread: !n.Read}
		if row.About == "" {
			row.Href, row.About = "", c.l.say("notices.gone")
		}
		if row.Unread {
			v.Unread++
		}
		v.Rows = append(v.Rows, row)
	}
	if len(v.Rows) == 0 {
		v.Notice = &notice{Kind: "empty", Title: c.l.say("notices.none"), Text: c.l.say("notices.none_text")}
	}
	return c.show(http.StatusOK, "notices", "page", v)
}

// notice leads to the case that a notice is about, and notes that it was read.
func (c *call) notice() error {
	all, err := c.told()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(n casework.Notice) bool { return n.ID == c.r.PathValue("id") })
	if i < 0 {
		return c.back("/notices")
	}
	if err := casework.ReadNotices(c.ctx, c.Bus, c.staff.ID, all[i].ID); err != nil {
		c.Log.Warn("a notice is not noted as read", "error", err)
	}
	return c.back("/queue?view=all&case=" + string(all[i].Case))
}

// readNotices notes that the caller has read all of them.
func (c *call) readNotices() error {
	if c.staff == nil {
		return errForbidden
	}
	if err := casework.ReadNotices(c.ctx, c.Bus, c.staff.ID); err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say("done.notices")})
	return c.back("/notices")
}

// told is what the caller was told, the newest first; tokens are told nothing.
func (c *call) told() ([]casework.Notice, error) {
	if c.staff == nil {
		return nil, nil
	}
	all, err := casework.Notices(c.ctx, c.Bus, c.staff.ID, c.Now())
	if err != nil {
		return nil, err
	}
	waits, err := c.waitsFor(all)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(n casework.Notice) bool {
		if n.What == approvalAsked {
			if !waits[n.Case] {
				return true
			}
			delete(waits, n.Case) // who asked again said so before
		}
		return c.toldText(&n) == ""
	}), nil
}

// approvalAsked is what those are told who may approve a reply.
const approvalAsked = "approval"

// waitsFor are the cases of those notices which say that a reply waits for approval,
// of which one still waits that the caller may approve, as the index knows: every
// page of the desk asks.
func (c *call) waitsFor(all []casework.Notice) (map[mention.ID]bool, error) {
	var ids []mention.ID
	for i := range all {
		if all[i].What == approvalAsked && !slices.Contains(ids, all[i].Case) {
			ids = append(ids, all[i].Case)
		}
	}
	waits := map[mention.ID]bool{}
	if len(ids) == 0 {
		return waits, nil
	}
	docs, err := c.Index.Get(c.ctx, c.sees(), ids...)
	if err != nil {
		return nil, err
	}
	for i := range docs {
		if docs[i].Status == string(casework.AwaitingApproval) && c.viewer.Can(identity.Approve, docs[i].Brand) {
			waits[docs[i].ID] = true
		}
	}
	return waits, nil
}

// counts are the numbers in the rail, with what the caller alone has to read.
func (c *call) counts() map[string]int {
	of := maps.Clone(c.live.counts(c.ctx, c.viewer))
	if of == nil || c.staff == nil {
		return of
	}
	all, err := c.told()
	if err != nil {
		c.Log.Debug("notices not counted", "error", err)
		return of
	}
	n := 0
	for i := range all {
		if !all[i].Read {
			n++
		}
	}
	of["notices"] = n
	return of
}

// tell says something to people, now and when they look for it.
func (c *call) tell(what string, id mention.ID, staff ...string) {
	if err := casework.Notify(c.ctx, c.Bus, casework.Notice{Staff: staff, Case: id, What: what, By: c.viewer.Actor()}, c.Now()); err != nil {
		c.Log.Warn("a notice is not kept", "case", id, "error", err)
	}
}

// toldText is what people read of it.
func (c *call) toldText(n *casework.Notice) string {
	by := ""
	if n.By != "" {
		by = c.named(n.By)
	}
	if key := "told." + n.What; c.l.has(key) {
		return c.l.say(key, by)
	}
	return ""
}

func aboutCase(d *search.Document) string {
	return isolated(authorOf(d.AuthorHandle, d.AuthorName)) + ": " + shorten(text.Mask(d.Content()), 40)
}

// pushTold is a notice as an event of the stream: its words and where they lead.
func (c *call) pushTold(n *casework.Notice) error {
	words := c.toldText(n)
	if words == "" {
		return nil
	}
	docs, err := c.Index.Get(c.ctx, c.sees(), n.Case)
	if err != nil || len(docs) == 0 {
		return nil
	}
	return c.push("told", map[string]string{"id": string(n.Case), "href": "/notices/" + n.ID, "text": words, "about": aboutCase(&docs[0])})
}

// tellStaff hands on what is told to somebody.
func (h *hub) tellStaff(n casework.Notice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		if !slices.Contains(n.Staff, c.staff) {
			continue
		}
		c.mu.Lock()
		if len(c.told) < mostIDs {
			c.told = append(c.told, n)
		}
		c.mu.Unlock()
		c.ring()
	}
}
