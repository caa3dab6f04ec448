package desk

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/pkg/text"
)

// account is the source by which a reply to s leaves, chosen or the usual one,
// and whether it can leave by itself; without one the reply is copied and posted
// by hand.
func (c *call) account(s *casework.State, chosen string) (id, name string, can bool) {
	if src, ok := c.Settings.Answering(&s.Mention).Account(chosen); ok {
		return src.ID, cmp.Or(src.Name, src.ID), true
	}
	return "", c.brandName(s.Mention.Brand), false
}

// facing is s with its face to the post that r answers; to its own where that no
// longer goes on in the case, which is refused when r is stored.
func (c *call) facing(s *casework.State, r *reply) *casework.State {
	if r.to == "" || r.to == s.ID {
		r.to = ""
		return s
	}
	out, err := c.Cases.Toward(c.ctx, s, r.to)
	if err != nil {
		c.Log.Info("a reply answers a post that is not part of its case", "case", s.ID, "post", r.to, "error", err)
		return s
	}
	return &out
}

// posts are the posts that a reply in s can answer, the newest first: the case's
// own and those that joined it, as far as they are still there.
func (c *call) posts(s *casework.State) []casework.State {
	joined, err := c.Cases.Joined(c.ctx, s)
	if err != nil {
		c.Log.Warn("what joined a case is not read", "case", s.ID, "error", err)
	}
	out := slices.DeleteFunc(append(joined, *s), func(p casework.State) bool { return p.Mention.Deleted })
	slices.SortStableFunc(out, func(a, b casework.State) int { return b.Mention.PublishedAt.Compare(a.Mention.PublishedAt) })
	return out
}

// usualPost is the post that the next reply answers: the newest that has none,
// else the newest.
func (c *call) usualPost(s *casework.State) mention.ID {
	posts := c.posts(s)
	for i := range posts {
		if facing := s.Facing(&posts[i]); len(facing.RepliesHere()) == 0 {
			return posts[i].ID
		}
	}
	if len(posts) > 0 {
		return posts[0].ID
	}
	return ""
}

// postsField asks which post r answers, where there are several.
func (c *call) postsField(s *casework.State, r *reply) field {
	posts := c.posts(s)
	if len(posts) < 2 {
		return field{}
	}
	f := field{Name: "to", Label: c.l.say("composer.post"), Type: "select", Plain: true}
	for i := range posts {
		m := &posts[i].Mention
		label := c.l.say("composer.post_of", authorOf(m.Author.Handle, m.Author.Name), c.platform(m.Platform), c.l.at(m.PublishedAt).Ago(), shorten(text.Mask(m.Content()), 40))
		if facing := s.Facing(&posts[i]); len(facing.RepliesHere()) > 0 {
			label = c.l.say("composer.post_answered", label)
		}
		f.Options = append(f.Options, option{Value: string(posts[i].ID), Label: label, On: posts[i].ID == cmp.Or(r.to, s.ID)})
	}
	return f
}

// answerable fills v with how s can be answered: by which accounts, or why by hand
// only, and what another answer would overwrite.
func (c *call) answerable(s *casework.State, r *reply, v *composerView) {
	a := c.Settings.Answering(&s.Mention)
	chosen, _ := a.Account(r.account)
	if len(a.Accounts) > 1 {
		v.Accounts = field{Name: "account", Label: c.l.say("composer.account"), Type: "select", Plain: true}
		for _, src := range a.Accounts {
			v.Accounts.Options = append(v.Accounts.Options, option{Value: src.ID, Label: cmp.Or(src.Name, src.ID), On: src.ID == chosen.ID})
		}
	}
	if a.Why != "" {
		v.Hand = &notice{Kind: "info", Title: c.reason(s, a.Why), Text: c.l.say("reason." + string(a.Why) + ".then")}
	}
	if old, ok := c.overwritten(s); ok {
		v.Overwrites = &notice{Kind: "stale", Title: c.l.say("composer.overwrites"), Text: old.Text}
	}
}

// overwritten is our answer that another one replaces, where the platform holds
// one.
func (c *call) overwritten(s *casework.State) (mention.Comment, bool) {
	if !c.Settings.Answering(&s.Mention).OneAnswer {
		return mention.Comment{}, false
	}
	var old mention.Comment
	for _, r := range s.RepliesHere() {
		if !r.Gone {
			old = mention.Comment{Text: cmp.Or(r.Reads, r.Draft.Text), At: r.At, Ours: true}
		}
	}
	for _, x := range s.Mention.Comments {
		// What the platform says is newer, also when somebody changed it there.
		if x.Ours && x.State != mention.Rejected && !x.At.Before(old.At) {
			old = x
		}
	}
	return old, old.Ours
}

// reason says in words why a reply was not published, or can't be.
func (c *call) reason(s *casework.State, why source.Reason) string {
	return c.l.say("reason."+string(why), c.platform(s.Mention.Platform))
}

// notPublished says why a reply was not published, and what to do instead.
func (c *call) notPublished(s *casework.State, e *casework.Event) *notice {
	n := &notice{Kind: "error", Title: c.l.say("out.failed"), Trouble: c.l.trouble(e.Trouble, e.Text, time.Time{}), Kept: c.l.say("out.failed_kept")}
	if e.Reason != "" && c.l.has("reason."+e.Reason) {
		n.Title, n.Text, n.Trouble = c.reason(s, source.Reason(e.Reason)), c.l.say("reason."+e.Reason+".then"), nil
	}
	if !e.Until.IsZero() {
		n.Text += " " + c.l.say("out.until", c.l.at(e.Until).Clock())
	}
	return n
}

// setback is why a reply is not out, or nobody knows whether it is: the reason
// that the platform or connector gave, or else the trouble, and English for what
// was kept before there was either.
func (c *call) setback(s *casework.State, reason, english string, t outbound.Trouble) *troubleView {
	if key := "reason." + reason; reason != "" && c.l.has(key) {
		return &troubleView{What: c.reason(s, source.Reason(reason)), Next: c.l.say(key + ".then")}
	}
	return c.l.trouble(t, english, time.Time{})
}

// doubt is why nobody knows whether a reply is out. What to do is to look, whatever
// else would help against the trouble.
func (c *call) doubt(s *casework.State) *troubleView {
	v := c.setback(s, s.Outgoing.Reason, s.Outgoing.Why, s.Outgoing.Trouble)
	if v != nil {
		v.Next = ""
	}
	return v
}

// taken is what is left to do for whoever posts a reply by hand.
func (c *call) taken(s *casework.State) *confirmView {
	say, base := c.l.say, "/cases/"+string(s.ID)
	s = c.facing(s, &reply{to: s.ByHand.Draft.To})
	return &confirmView{
		Title: say("confirm.taken", c.who(s.ByHand.By)), Lead: say("confirm.taken_lead", c.l.at(s.ByHand.Until).Clock()),
		Action: base + "/posted", Text: s.ByHand.Draft.Text, Lang: langOf(s.ByHand.Draft.Lang), Button: say("action.posted"),
		Back: base + "?mode=reply", Fields: []pair{{"hash", s.Hash(&s.ByHand.Draft)}}, Copy: true, Open: s.Mention.URL,
		Inputs: []field{{Name: "url", Label: say("ask.posted_link"), Type: "url", Required: true, Placeholder: "https://"}},
	}
}

// parent is the post that s answers, as far as it is known, and the case that
// it or our reply in it belongs to.
func (c *call) parent(s *casework.State) *postView {
	t := &s.Mention.Thread
	if t.Parent == "" && t.ParentText == "" {
		return nil
	}
	p := &postView{Author: authorOf(t.ParentAuthor, ""), Platform: s.Mention.Platform, PlatformName: c.platform(s.Mention.Platform), Body: linked(c.masked(s, t.ParentText))}
	if t.Parent != "" {
		if docs, err := c.Index.Get(c.ctx, c.sees(), mention.NewID(s.Mention.Brand, s.Mention.Platform, t.Parent)); err == nil && len(docs) > 0 {
			*p = c.short(&docs[0])
		}
		if theirs, at := c.repliedIn(s); theirs != nil {
			*p = c.ourReply(theirs, &theirs.Replies[at])
			p.Case = "/cases/" + string(theirs.ID)
		}
	}
	if len(p.Body) == 0 && p.Case == "" {
		return nil
	}
	return p
}

// repliedIn is the case whose reply s answers, and which of them; nil when it
// answers none of ours.
func (c *call) repliedIn(s *casework.State) (*casework.State, int) {
	res, err := c.Index.Search(c.ctx, search.Query{Viewer: c.sees(), Limit: 5, Where: map[search.Field][]string{
		search.FieldSent: {s.Mention.Thread.Parent}, search.FieldPlatform: {s.Mention.Platform}, search.FieldBrand: {s.Mention.Brand},
	}})
	if err != nil {
		return nil, 0
	}
	for i := range res.Hits {
		state, err := c.Cases.Get(c.ctx, c.viewer, res.Hits[i].ID)
		if err != nil {
			continue
		}
		at := slices.IndexFunc(state.Replies, func(r casework.Reply) bool { return r.Native == s.Mention.Thread.Parent })
		if at >= 0 {
			return &state, at
		}
	}
	return nil, 0
}

// short is a stored mention as a post of a thread.
func (c *call) short(d *search.Document) postView {
	return postView{
		Author: cmp.Or(d.AuthorName, d.AuthorHandle, "–"), Handle: d.AuthorHandle, Platform: d.Platform, PlatformName: c.platform(d.Platform),
		Href: d.URL, Lang: langOf(d.Lang), At: c.l.at(d.PublishedAt), Body: linked(text.Mask(d.Text)), Case: "/cases/" + string(d.ID),
	}
}

// unseen says on p, an answer of ours, why readers don't see it.
func (c *call) unseen(p *postView, why mention.CommentState) {
	switch why {
	case mention.Pending:
		p.Note = c.l.say("post.ours_pending")
	case mention.Rejected:
		p.Flag = c.l.say("post.ours_rejected")
	}
}

// below is what stands below the post: our replies, the answers to them, posts of
// cases that were merged into this one, what else the platform showed, answers by
// others that were heard, and those that it shows now, oldest first.
func (c *call) below(s *casework.State, live []mention.Comment) []postView {
	var out []postView
	shown := map[string]bool{}
	// first notes what something is known by, some of which may be empty, and tells
	// whether it is not shown yet.
	first := func(native, address string, id mention.ID) bool {
		if native != "" && id == "" {
			id = mention.NewID(s.Mention.Brand, s.Mention.Platform, native)
		}
		fresh := true
		for _, key := range []string{native, address, string(id)} {
			if key != "" {
				fresh = fresh && !shown[key]
				shown[key] = true
			}
		}
		return fresh
	}
	for i := range s.Replies {
		r := &s.Replies[i]
		p := c.ourReply(s, r)
		first(r.Native, r.URL, "")
		if r.Native != "" {
			later := slices.ContainsFunc(s.Replies[i+1:], func(o casework.Reply) bool { return o.Native == r.Native })
			at := slices.IndexFunc(s.Mention.Comments, func(x mention.Comment) bool { return x.NativeID == r.Native })
			if at >= 0 && !r.Gone && !later {
				x := &s.Mention.Comments[at]
				if x.At.After(r.At) && strings.TrimSpace(x.Text) != strings.TrimSpace(cmp.Or(r.Reads, r.Draft.Text)) {
					p.Flag, p.Reads = c.l.say("post.reply_edited"), x.Text
				}
				c.unseen(&p, x.State)
			}
		}
		out = append(out, p)
	}
	var ids []mention.ID
	for _, a := range s.Answers {
		ids = append(ids, a.ID)
	}
	answers := len(ids)
	for _, id := range s.Absorbed {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) > 0 {
		// One that was erased is not there.
		docs, err := c.Index.Get(c.ctx, c.sees(), ids...)
		if err != nil {
			c.Log.Warn("answers to our reply not read", "case", s.ID, "error", err)
		}
		for i := range docs {
			if docs[i].Text == "" {
				continue
			}
			p := c.short(&docs[i])
			switch at := slices.Index(ids, docs[i].ID); {
			case at >= answers:
				p.Note = c.l.say("post.joined")
			case s.Answers[at].ByAuthor:
				p.Note = c.l.say("post.answers_us")
			default:
				p.Note = c.l.say("post.other_answers")
			}
			first("", docs[i].URL, docs[i].ID)
			out = append(out, p)
		}
	}
	for _, x := range s.Mention.Comments {
		if first(x.NativeID, x.URL, "") {
			out = append(out, c.commentView(s, &x))
		}
	}
	for _, d := range c.answersHeard(s) {
		if first("", d.URL, d.ID) {
			p := c.short(&d)
			p.Note = c.l.say("post.comment")
			out = append(out, p)
		}
	}
	for i := range live {
		if x := &live[i]; first(x.NativeID, x.URL, "") {
			out = append(out, c.commentView(s, x))
		}
	}
	slices.SortStableFunc(out, func(a, b postView) int { return a.At.at.Compare(b.At.at) })
	return out
}

// commentView is what the platform shows below the post.
func (c *call) commentView(s *casework.State, x *mention.Comment) postView {
	p := postView{
		Author: cmp.Or(x.Author, "–"), Platform: s.Mention.Platform, PlatformName: c.platform(s.Mention.Platform), Href: x.URL,
		At: c.l.at(x.At), Body: linked(x.Text), Ours: x.Ours, Note: c.l.say("post.comment"),
	}
	if x.Ours {
		p.Author, p.Note = c.brandName(s.Mention.Brand), c.l.say("post.our_comment")
		c.unseen(&p, x.State)
	} else {
		p.Body = linked(c.masked(s, x.Text))
	}
	return p
}

// maxHeard is how many answers by others that were heard a case shows.
const maxHeard = 30

// answersHeard are the mentions of the brand that answer the post of s.
func (c *call) answersHeard(s *casework.State) []search.Document {
	m := &s.Mention
	if m.NativeID == "" || s.Redacted {
		return nil
	}
	res, err := c.Index.Search(c.ctx, search.Query{Viewer: c.sees(), Sort: search.Newest, Limit: maxHeard, Where: map[search.Field][]string{
		search.FieldParent: {m.NativeID}, search.FieldPlatform: {m.Platform}, search.FieldBrand: {m.Brand},
	}})
	if err != nil {
		c.Log.Warn("answers to the post not read", "case", s.ID, "error", err)
		return nil
	}
	var out []search.Document
	for i := range res.Hits {
		if d := res.Hits[i].Document; d.Text != "" {
			out = append(out, d)
		}
	}
	return out
}

// belowTime bounds the wait for the platform.
const belowTime = 10 * time.Second

// asksBelow are the sources that can show what stands below the post of s, the
// one that heard it first.
func (c *call) asksBelow(s *casework.State) []string {
	var ids []string
	add := func(id string) {
		x, ok := settings.Sources.Get(c.Settings, id)
		if k, known := source.Named(x.Kind); ok && known && k.Threads && k.Platform == s.Mention.Platform && !x.Off && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	add(s.Mention.Source)
	for _, a := range c.Settings.Ours(&s.Mention) {
		add(a.ID)
	}
	return ids
}

// belowNow asks the platform what stands below the post now.
func (c *call) belowNow(s *casework.State) ([]mention.Comment, *troubleView) {
	ctx, cancel := c.within(belowTime)
	defer cancel()
	var trouble *troubleView
	for _, id := range c.asksBelow(s) {
		a, err := bus.Ask[source.Below, source.Shown](ctx, c.Bus, "fetcher", "below", source.Below{Source: id, Post: s.Mention.Post, By: c.viewer.Actor()})
		if err != nil {
			a.Error, a.Trouble = err.Error(), outbound.Explain(err, c.l.now)
		}
		if a.Error == "" {
			return a.Comments, nil
		}
		trouble = c.unseenBelow(a, c.platform(s.Mention.Platform))
	}
	return nil, trouble
}

// unseenBelow is why nothing is shown: trouble at the platform, or a pace of ours,
// which kept it from being asked.
func (c *call) unseenBelow(a source.Shown, platform string) *troubleView {
	key := ""
	switch {
	case a.Paced:
		key = "case.below_paced"
	case a.Trouble.Reason == outbound.Spent:
		key = "case.below_spent"
	default:
		return c.l.trouble(a.Trouble, a.Error, time.Time{})
	}
	// Whoever waits for seconds is told seconds, and never too few.
	wait := max(a.Trouble.Until.Sub(c.l.now), 0) + time.Second
	return &troubleView{What: c.l.say(key, platform), Next: c.l.say("case.below_wait", c.l.span(wait))}
}
