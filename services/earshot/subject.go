package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/services/indexer"
)

type subjectOptions struct {
	mention, author, why string
	yes                  bool
}

var subjectCommand = command{
	name: "subject", usage: "export | erase --author PLATFORM:ID | --mention ID",
	short: "Answer a person's request: what is held about them, or its erasure",
	long: `export writes everything that is held about an author as JSON: their posts and what
they said before editing them, what the classifier and people said of them, the notes,
our answers, escalations, and what they said below the posts of others. erase erases
all mentions of theirs, as earshot erase does; --yes confirms. The author is named by the platform's
own id, by the handle, or by one of their mentions.

  earshot subject export --author x:@hanako > hanako.json
  earshot subject erase --author x:@hanako --why "asked by mail, 31 January" --yes`,
	flags: func(c *call) {
		o := &subjectOptions{}
		c.opts = o
		c.fs.StringVar(&o.author, "author", "", "a person, as `PLATFORM:ID` or PLATFORM:@HANDLE")
		c.fs.StringVar(&o.mention, "mention", "", "`ID` of a mention of theirs")
		c.fs.StringVar(&o.why, "why", "", "`REASON`, kept with an erasure")
		c.fs.BoolVar(&o.yes, "yes", false, "do it")
	},
	run: subject,
}

func subject(ctx context.Context, c *call) error {
	o := c.opts.(*subjectOptions)
	if len(c.args) != 1 || c.args[0] != "export" && c.args[0] != "erase" {
		return usageError("want export or erase")
	}
	if (o.author == "") == (o.mention == "") {
		return usageError("want one of --author and --mention")
	}
	r := indexer.SubjectRequest{Mention: mention.ID(o.mention)}
	if o.author != "" {
		var ok bool
		if r.Platform, r.Author, ok = strings.Cut(o.author, ":"); !ok || r.Platform == "" || r.Author == "" {
			return usageError("--author wants PLATFORM:ID, as in bluesky:did:plc:…, or PLATFORM:@HANDLE")
		}
	}
	if c.args[0] == "erase" && !o.yes {
		return usageError("erasing can't be undone; add --yes")
	}
	l, err := c.reach(ctx, indexer.Service)
	if err != nil {
		return err
	}
	defer l.close()
	who, err := askIndexer[indexer.SubjectRequest, indexer.Subject](ctx, l.bus, "subject", r)
	if err != nil {
		return err
	}
	comments, err := commentsOf(ctx, l.bus, &who, r.Author)
	if err != nil {
		return err
	}
	if len(who.Mentions) == 0 && len(comments) == 0 {
		return fmt.Errorf("nothing is held about %s on %s", r.Author, who.Platform)
	}
	if c.args[0] == "export" {
		return exportSubject(ctx, c, l, &who, comments)
	}
	erased := 0
	for _, name := range append(slices.Clone(who.IDs), who.Handles...) {
		n, err := askIndexer[indexer.EraseRequest, int](ctx, l.bus, "erase", indexer.EraseRequest{
			Platform: who.Platform, Author: name, Why: o.why, Actor: identity.ActorConsole,
		})
		if err != nil {
			return err
		}
		erased += n
	}
	fmt.Fprintf(c.out, "erased %s\n", count(erased, "mention"))
	for _, x := range comments {
		fmt.Fprintf(c.out, "still there: what they said below a mention of somebody else, %s; erase that with earshot erase --mention\n", x.Mention)
	}
	return nil
}

// subjectExport is what is held about a person.
type subjectExport struct {
	Platform string           `json:"platform"`
	IDs      []string         `json:"ids"`
	Handles  []string         `json:"handles"`
	Names    []string         `json:"names"`
	Exported time.Time        `json:"exported_at"`
	Mentions []subjectMention `json:"mentions"`
	// Comments are what they said below the posts of others.
	Comments []subjectComment `json:"comments"`
}

type subjectMention struct {
	ID        mention.ID        `json:"id"`
	Brand     string            `json:"brand"`
	Number    uint64            `json:"case_number,omitempty"`
	Post      mention.Post      `json:"post"`
	Revision  mention.Revision  `json:"revision"`
	Verdict   mention.Verdict   `json:"verdict"`
	Earlier   []mention.Tagged  `json:"earlier,omitempty"` // as it was before, and was judged then
	Status    casework.Status   `json:"status"`
	Outcome   string            `json:"outcome,omitempty"`
	Erased    bool              `json:"erased,omitempty"`
	Replies   []casework.Reply  `json:"our_replies,omitempty"`
	Notes     []casework.Note   `json:"notes,omitempty"`
	History   []casework.Event  `json:"history,omitempty"`
	Escalated []string          `json:"escalations,omitempty"`
	Answers   []casework.Answer `json:"answers,omitempty"`
}

type subjectComment struct {
	Mention mention.ID `json:"mention"`
	Brand   string     `json:"brand"`
	URL     string     `json:"url,omitempty"`
	Author  string     `json:"author"`
	Text    string     `json:"text"`
	At      time.Time  `json:"at,omitzero"`
}

// exportSubject writes what is held, a mention at a time.
func exportSubject(ctx context.Context, c *call, l *link, who *indexer.Subject, comments []subjectComment) error {
	follow, stop := context.WithCancel(ctx)
	defer stop()
	board, err := escalation.OpenBoard(follow, l.bus, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	pages := map[mention.ID][]string{}
	for _, e := range board.All(nil) {
		for _, id := range e.Mentions {
			pages[id] = append(pages[id], e.Key)
		}
	}
	out := subjectExport{
		Platform: who.Platform, IDs: who.IDs, Handles: who.Handles, Names: who.Names, Exported: time.Now().UTC().Truncate(time.Second),
		Mentions: []subjectMention{}, Comments: comments,
	}
	held := map[mention.ID]indexer.Held{}
	for _, h := range who.Mentions {
		held[h.ID] = h
	}
	cases := casework.NewStore(l.bus, casework.Source{
		Tagged: func(_ context.Context, id mention.ID) ([]uint64, error) { return held[id].Tagged, nil },
		Archived: func(_ context.Context, id mention.ID) (uint64, error) {
			if h := held[id]; h.Archived > 0 || !h.Touched {
				return h.Archived, nil
			}
			return 0, bus.ErrNotFound
		},
		Triage: func(*mention.Mention, *mention.Verdict) casework.Triage { return casework.Triage{} },
	}, nil, slog.New(slog.DiscardHandler))
	for _, h := range who.Mentions {
		m, err := exportMention(ctx, l.bus, cases, h)
		if err != nil {
			return err
		}
		m.Escalated = pages[h.ID]
		out.Mentions = append(out.Mentions, m)
	}
	w := bufio.NewWriter(c.out)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(out); err != nil {
		return err
	}
	return w.Flush()
}

func exportMention(ctx context.Context, c *bus.Conn, cases *casework.Store, h indexer.Held) (subjectMention, error) {
	m := subjectMention{ID: h.ID, Brand: h.Brand, Status: casework.New}
	s, err := cases.Get(ctx, identity.Console(), h.ID)
	if err != nil && !errors.Is(err, casework.ErrUnknown) {
		return m, err
	}
	m.Number, m.Post, m.Revision, m.Verdict = s.Number, s.Mention.Post, s.Mention.Revision, s.Verdict
	m.Status, m.Outcome, m.Erased, m.Replies, m.Notes, m.Answers = s.Status, s.Outcome, s.Redacted, s.Replies, s.Notes, s.Answers
	for _, e := range s.History {
		e.Mention, e.Verdict = nil, nil // as above and below
		m.History = append(m.History, e)
	}
	for _, seq := range h.Tagged {
		t, err := bus.Tagged.Get(ctx, c, seq)
		if errors.Is(err, bus.ErrNotFound) {
			continue
		}
		if err != nil {
			return m, err
		}
		if t.Value.Mention.Revision != m.Revision || t.Value.Verdict.Pass != m.Verdict.Pass {
			m.Earlier = append(m.Earlier, t.Value)
		}
	}
	return m, nil
}

// commentsOf finds what a person said below the posts of others, which is kept
// with those. It reads the whole archive: nothing else knows.
func commentsOf(ctx context.Context, c *bus.Conn, who *indexer.Subject, asked string) ([]subjectComment, error) {
	names := append([]string{strings.TrimPrefix(asked, "@")}, who.Handles...)
	theirs := func(x *mention.Comment) bool {
		return !x.Ours && slices.ContainsFunc(names, func(n string) bool { return n != "" && strings.EqualFold(strings.TrimPrefix(x.Author, "@"), n) })
	}
	out := []subjectComment{}
	see := func(m *mention.Mention) {
		if m == nil || m.Platform != who.Platform {
			return
		}
		for i := range m.Comments {
			x := &m.Comments[i]
			found := subjectComment{m.ID, m.Brand, x.URL, x.Author, x.Text, x.At}
			if theirs(x) && !slices.Contains(out, found) {
				out = append(out, found)
			}
		}
	}
	err := bus.Tagged.Replay(ctx, c, 1, 512, func(_ context.Context, batch []bus.Entry[mention.Tagged]) error {
		for i := range batch {
			see(&batch[i].Value.Mention)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = casework.Events().Replay(ctx, c, 1, 512, func(_ context.Context, batch []bus.Entry[casework.Event]) error {
		for i := range batch {
			e := &batch[i].Value
			see(e.Mention)
			for j := range e.History {
				see(e.History[j].Mention)
			}
		}
		return nil
	})
	return out, err
}
