package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/notify"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/services/indexer"
)

var applyCommand = command{
	name: "apply", usage: "FILE",
	short: "Set what people edit from a YAML file: brands, sources, templates, staff …",
	long: `The file maps kinds of settings to ids to values:

  brand:
    acme: {id: acme, name: Acme, query: '"acme" OR #acme'}
  source:
    blog: {id: blog, name: Our blog, kind: feed, config: {url: https://blog.example/feed}}

Values are checked before the first one is set: if any is wrong, nothing is; nor if one
would take out of use what paging rules, routes, stops or open cases still count on. Each
replaces the one in force, and the history of both is kept; what the file doesn't name
stays. Whoever is disabled is signed out, and their cases are handed back. - reads standard input. What a source or a notifier takes in its config:
earshot docs.

Kinds: ` + strings.Join(settings.Kinds(), ", ") + ".",
	run: apply,
}

func apply(ctx context.Context, c *call) error {
	if len(c.args) != 1 {
		return usageError("want one file")
	}
	raw, err := read(c, c.args[0])
	if err != nil {
		return err
	}
	var file map[string]map[string]any
	if err := yaml.UnmarshalWithOptions(raw, &file, yaml.UseJSONUnmarshaler()); err != nil {
		return fmt.Errorf("%s: %s", c.args[0], yaml.FormatError(err, false, true))
	}
	l, err := c.reach(ctx)
	if err != nil {
		return err
	}
	defer func() { l.close() }()
	if len(file) == 0 {
		return fmt.Errorf("%s: there is nothing in it; earshot apply --help shows what a file looks like", c.args[0])
	}
	changes, err := l.settings.Plan(file)
	if err == nil && slices.ContainsFunc(changes, hasCases) { // which the indexer finds
		l.close()
		if l, err = c.reach(ctx, indexer.Service); err != nil {
			l = &link{close: func() {}}
			return err
		}
		changes, err = l.settings.Plan(file)
	}
	if err != nil {
		return fmt.Errorf("%s: nothing was set:\n%w", c.args[0], err)
	}
	after := l.settings.If(changes...)
	if err := inUse(ctx, l.bus, after, changes); err != nil {
		return fmt.Errorf("%s: nothing was set:\n%w", c.args[0], err)
	}
	for _, g := range l.settings.Torn(after) {
		fmt.Fprintln(c.err, "warning:", gap(g))
	}
	for _, ch := range changes {
		if err := l.settings.Apply(ctx, identity.ActorConsole, ch); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s %s %s\n", ch.What, ch.Kind, ch.ID)
	}
	if err := dismiss(ctx, c, l, changes); err != nil {
		return err
	}
	if len(changes) == 0 {
		fmt.Fprintln(c.out, "nothing to change")
	}
	return nil
}

// hasCases tells whether ch takes out of use what cases may count on, or somebody who
// may have some.
func hasCases(ch settings.Change) bool {
	return ch.GoneBy != "" && slices.Contains([]string{settings.Sources.Kind(), settings.Templates.Kind(), settings.Staff.Kind()}, ch.Kind)
}

// dismiss signs out whom changes disabled and hands back their cases, as the desk does.
func dismiss(ctx context.Context, c *call, l *link, changes []settings.Change) error {
	gate := app.Gate(l.bus, l.settings, time.Now, slog.New(slog.NewTextHandler(c.err, nil)))
	for _, ch := range changes {
		if ch.GoneBy == "" || ch.Kind != settings.Staff.Kind() {
			continue
		}
		if err := gate.EndSessions(ctx, identity.ActorConsole, ch.ID); err != nil {
			return fmt.Errorf("staff.%s is disabled, but sessions and cases of theirs stay; save their page in the desk to end it: %w", ch.ID, err)
		}
		n, err := askIndexer[indexer.HandBackRequest, int](ctx, l.bus, "hand-back", indexer.HandBackRequest{Staff: ch.ID})
		if err != nil {
			return fmt.Errorf("staff.%s is disabled, but cases of theirs stay with them; save their page in the desk to hand them back: %w", ch.ID, err)
		}
		if n > 0 {
			fmt.Fprintf(c.out, "handed back %d cases of staff %s\n", n, ch.ID)
		}
	}
	return nil
}

// inUse refuses changes that take out of use what still counts on it once all of them
// are made. The desk refuses the same.
func inUse(ctx context.Context, conn *bus.Conn, after *settings.Store, changes []settings.Change) error {
	var errs []error
	for _, ch := range changes {
		if ch.GoneBy == "" {
			continue
		}
		uses := after.Uses(ch.Kind, ch.ID, time.Now())
		if hasCases(ch) {
			cases, err := askIndexer[indexer.UsesRequest, []settings.Use](ctx, conn, "uses", indexer.UsesRequest{Kind: ch.Kind, ID: ch.ID})
			if err != nil {
				return fmt.Errorf("%s.%s: whether cases count on it is not known: %w", ch.Kind, ch.ID, err)
			}
			uses = append(uses, cases...)
		}
		for _, u := range uses {
			errs = append(errs, fmt.Errorf("%s.%s.%s: it is still in use: %s", ch.Kind, ch.ID, ch.GoneBy, used(u)))
		}
	}
	return errors.Join(errs...)
}

// used says what counts on a setting, and the mend.
func used(u settings.Use) string {
	switch u.What {
	case "source_replies":
		return fmt.Sprintf("replies that are about to leave by it: %v; wait for them, or stop them", u.Args...)
	case "template_replies":
		return fmt.Sprintf("replies made from it that wait for approval or are about to leave: %v; have them decided, or written otherwise", u.Args...)
	}
	return u.At + " names it; take it out there, in the same file if you like"
}

// gap says what a hole in paging is.
func gap(g settings.Gap) string {
	switch {
	case g.Role == "":
		return "no notifier that is on can wake anybody: whatever happens, nobody is called; switch one on"
	case g.Brand == identity.AllBrands:
		return fmt.Sprintf("nobody has the role %s for all brands, and the paging rules call on it for what is about Earshot itself", g.Role)
	}
	return fmt.Sprintf("nobody has the role %s for %s, and the paging rules call on it", g.Role, g.Brand)
}

func read(c *call, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(c.in)
	}
	return os.ReadFile(name)
}

// noBrand is a flag that names a brand which is not set up.
func noBrand(flag, id string) error {
	return usageError(fmt.Sprintf("%s %q: there is no such brand; set it up in the desk, or with earshot apply", flag, id))
}

type tokenOptions struct {
	scope         string
	brands        list
	days          int
	signed, alone bool
}

var tokenCommand = command{
	name: "token", usage: "create NAME | list | rotate ID | revoke ID",
	short: "Make, list or revoke tokens for the HTTP API, and the keys requests are signed with",
	long: `A new token is printed once and not kept. Scopes: intake (bring posts in), read
(search), desk (read and work on cases), admin. None of them can publish a reply.
list prints id, scope, brands and name of each. Programs send it in a header, or sign
their requests (Standard Webhooks): with --signed the key is printed too, and the path
to send to. rotate prints another key; the one before stays good until the next rotate,
with --alone it ends at once.

  earshot token create shop-reviews --scope intake --brand acme
  curl -H "Authorization: Bearer TOKEN" http://127.0.0.1:8080/api/v1/mentions`,
	flags: func(c *call) {
		o := &tokenOptions{}
		c.opts = o
		c.fs.StringVar(&o.scope, "scope", "", "intake, read, desk or admin (`SCOPE`)")
		c.fs.Var(&o.brands, "brand", "`ID` of a brand it is for; may be repeated; default all")
		c.fs.BoolVar(&o.signed, "signed", false, "also make a key to sign requests with; for the scope intake")
		c.fs.BoolVar(&o.alone, "alone", false, "with rotate: end the key before at once")
		c.fs.IntVar(&o.days, "days", 0, "`N` days until it expires; default never")
	},
	run: func(ctx context.Context, c *call) error { return token(ctx, c, c.opts.(*tokenOptions)) },
}

func token(ctx context.Context, c *call, o *tokenOptions) error {
	if len(c.args) == 0 {
		return usageError("want create NAME, list, rotate ID or revoke ID")
	}
	if o.signed && identity.Scope(o.scope) != identity.ScopeIntake {
		return usageError("--signed is for --scope intake: only posts that are brought in can be signed")
	}
	if c.args[0] == "create" && !slices.Contains(identity.Scopes, identity.Scope(o.scope)) {
		return usageError(fmt.Sprintf("--scope %q: want intake, read, desk or admin", o.scope))
	}
	l, err := c.reach(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	switch verb := c.args[0]; {
	case verb == "list" && len(c.args) == 1:
		for _, t := range settings.Tokens.List(l.settings) {
			fmt.Fprintf(c.out, "%s\t%s\t%s\t%s\n", t.ID, t.Scope, strings.Join(t.Brands, ","), t.Name)
		}
		return nil
	case verb == "revoke" && len(c.args) == 2:
		id := c.args[1]
		if _, ok := settings.Tokens.Get(l.settings, id); !ok {
			return fmt.Errorf("there is no token %q; earshot token list shows them", id)
		}
		return settings.Tokens.Delete(ctx, l.settings, identity.ActorConsole, id, settings.Tokens.Version(l.settings, id))
	case verb == "rotate" && len(c.args) == 2:
		id := c.args[1]
		t, ok := settings.Tokens.Get(l.settings, id)
		if !ok || t.Scope != identity.ScopeIntake {
			return fmt.Errorf("there is no token %q of the scope intake; earshot token list shows them", id)
		}
		return signs(ctx, c, l, t, o.alone)
	case verb == "create" && len(c.args) == 2:
	default:
		return usageError("want create NAME, list, rotate ID or revoke ID")
	}
	for _, b := range o.brands {
		if _, ok := settings.Brands.Get(l.settings, b); !ok && b != identity.AllBrands {
			return noBrand("--brand", b)
		}
	}
	brands := []string(o.brands)
	if len(brands) == 0 {
		brands = []string{identity.AllBrands}
	}
	now := time.Now().UTC()
	var expires time.Time
	if o.days > 0 {
		expires = now.AddDate(0, 0, o.days)
	}
	t, secret, err := identity.NewToken(c.args[1], identity.Scope(o.scope), brands, now, expires)
	if err != nil {
		return err
	}
	if err := settings.Tokens.Put(ctx, l.settings, identity.ActorConsole, t.ID, 0, t); err != nil {
		return err
	}
	fmt.Fprintln(c.out, secret)
	if o.signed {
		return signs(ctx, c, l, t, false)
	}
	return nil
}

// signs gives t another signing key and prints it.
func signs(ctx context.Context, c *call, l *link, t identity.Token, alone bool) error {
	signer, err := app.Signer(ctx, l.bus)
	if err != nil {
		return err
	}
	t.Keys = slices.Clone(t.Keys)
	n := t.Rotate(time.Now(), alone)
	if err := settings.Tokens.Put(ctx, l.settings, identity.ActorConsole, t.ID, settings.Tokens.Version(l.settings, t.ID), t); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s\n/api/v1/mentions?sender=%s\n", signer.SenderKey(t.ID, n), t.ID)
	return nil
}

var reindexCommand = command{
	name: "reindex", short: "Fill the index anew from the bus, with progress",
	long: "The index is derived: nothing is lost, and the desk goes on meanwhile with what is\nthere already. With the embedded index and a stopped instance it works on the folder.\nIt prints how many documents there are once all are in.",
	run: func(ctx context.Context, c *call) error {
		l, err := c.reach(ctx, indexer.Service)
		if err != nil {
			return err
		}
		defer l.close()
		if _, err := askIndexer[struct{}, struct{}](ctx, l.bus, "reindex", struct{}{}); err != nil {
			return err
		}
		return watchIndex(ctx, c, l.bus)
	},
}

type eraseOptions struct {
	mention, author, source, why string
	yes                          bool
}

var eraseCommand = command{
	name: "erase", usage: "--mention ID | --author PLATFORM:ID | --source ID",
	short: "Erase a mention, an author or a source: texts and names, everywhere",
	long: `Removes what outsiders said and who they are from the bus, the index and the dead
letters. Actors, times and kinds of what was done stay, so that the history can
still be checked. It can't be undone; --yes confirms. The id of a mention is in the
address of its case; that of an author is the
platform's own, or the handle.

  earshot erase --author mastodon:109348572 --why "asked by mail, 31 January" --yes`,
	flags: func(c *call) {
		o := &eraseOptions{}
		c.opts = o
		c.fs.StringVar(&o.mention, "mention", "", "`ID` of one mention")
		c.fs.StringVar(&o.author, "author", "", "an author, as `PLATFORM:ID`")
		c.fs.StringVar(&o.source, "source", "", "`ID` of a source: everything it brought")
		c.fs.StringVar(&o.why, "why", "", "`REASON`, kept with the erasure")
		c.fs.BoolVar(&o.yes, "yes", false, "do it")
	},
	run: func(ctx context.Context, c *call) error { return erase(ctx, c, c.opts.(*eraseOptions)) },
}

func erase(ctx context.Context, c *call, o *eraseOptions) error {
	r := indexer.EraseRequest{Mention: mention.ID(o.mention), Source: o.source, Why: o.why, Actor: identity.ActorConsole}
	if o.author != "" {
		platform, id, ok := strings.Cut(o.author, ":")
		if !ok || platform == "" || id == "" {
			return usageError("--author wants PLATFORM:ID, as in bluesky:did:plc:…")
		}
		r.Platform, r.Author = platform, id
	}
	if n := len(slices.DeleteFunc([]string{o.mention, o.author, o.source}, func(s string) bool { return s == "" })); n != 1 {
		return usageError("want one of --mention, --author and --source")
	}
	if !o.yes {
		return usageError("erasing can't be undone; add --yes")
	}
	l, err := c.reach(ctx, indexer.Service)
	if err != nil {
		return err
	}
	defer l.close()
	n, err := askIndexer[indexer.EraseRequest, int](ctx, l.bus, "erase", r)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "erased %s\n", count(n, "mention"))
	return nil
}

// count is n and what is counted, in words.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

var deadCommand = command{
	name: "dead", usage: "list | retry ID | drop ID",
	short: "Look at, retry or drop what could not be handled",
	long: `list prints number, time, service, stream and sequence, and the error of each. retry
has the message handled again by the service that gave it up, which must be running;
drop forgets it. ID is the number, or all.`,
	run: dead,
}

func dead(ctx context.Context, c *call) error {
	if len(c.args) == 0 {
		return usageError("want list, retry ID or drop ID")
	}
	verb := c.args[0]
	if verb != "list" && verb != "retry" && verb != "drop" || (verb == "list") != (len(c.args) == 1) {
		return usageError("want list, retry ID or drop ID")
	}
	l, err := c.reach(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	letters, err := l.bus.DeadLetters(ctx)
	if err != nil {
		return err
	}
	if verb == "list" {
		for _, d := range letters {
			fmt.Fprintf(c.out, "%d\t%s\t%s\t%s/%d\t%s\n", d.ID, d.At.Format(time.RFC3339), d.Service, d.Stream, d.Sequence, d.Error)
		}
		return nil
	}
	if len(c.args) != 2 {
		return usageError("want one ID")
	}
	do := l.bus.RetryDead
	if verb == "drop" {
		do = l.bus.DropDead
	}
	if c.args[1] == "all" {
		for _, d := range letters {
			err = errors.Join(err, do(ctx, d.ID))
		}
		return err
	}
	id, err := strconv.ParseUint(c.args[1], 10, 64)
	if err != nil {
		return usageError(fmt.Sprintf("%q is not the number of a dead letter", c.args[1]))
	}
	return do(ctx, id)
}

// reference writes what can be configured, from the structs that read it.
func reference(w io.Writer) error {
	fmt.Fprint(w, "# Configuration\n\nGenerated by `earshot docs`. What people edit (brands, sources, templates, staff) is\nset in the desk or with `earshot apply`; this file is for processes.\n\n")
	config.Reference(w)
	fmt.Fprint(w, "\n# Sources\n")
	for _, k := range source.Kinds {
		k.Reference(w, 2)
	}
	fmt.Fprint(w, "\n# Notifiers\n")
	for _, k := range notify.Kinds {
		k.Reference(w, 2)
	}
	return nil
}

// askIndexer waits for a running indexer, which a command may just have started.
func askIndexer[Req, Res any](ctx context.Context, c *bus.Conn, verb string, req Req) (Res, error) {
	for n := 0; ; n++ {
		res, err := bus.Ask[Req, Res](ctx, c, "indexer", verb, req)
		if !errors.Is(err, bus.ErrAbsent) || n > 60 {
			return res, err
		}
		select {
		case <-ctx.Done():
			return res, ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// watchIndex shows how far the index is until it has everything.
func watchIndex(ctx context.Context, c *call, conn *bus.Conn) error {
	show := terminal(c.err)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
		st, err := askIndexer[struct{}, indexer.Status](ctx, conn, "status", struct{}{})
		if err != nil {
			return err
		}
		behind := uint64(0)
		for stream, last := range st.Last {
			behind += last - min(last, st.Positions[stream])
		}
		if show {
			fmt.Fprintf(c.err, "\r\033[K%d documents, %d messages to go", st.Documents, behind)
		}
		if behind == 0 {
			if show {
				fmt.Fprintln(c.err)
			}
			fmt.Fprintf(c.out, "%d documents\n", st.Documents)
			return nil
		}
	}
}
