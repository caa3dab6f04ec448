package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
)

// staffLinkLife is how long a link of the command line is good: whoever makes it
// is there.
const staffLinkLife = time.Hour

type staffOptions struct{ resetSecond bool }

var staffCommand = command{
	name: "staff", usage: "list | link EMAIL",
	short: "List who works here, or make a link by which somebody chooses another password",
	long: `For when nobody can get in any more. link prints an address under which the person
chooses another password, once, within an hour; with --reset-second their second factor
is taken away too, and they are signed out everywhere. The address begins with url of
the configuration, else with listen. list prints id, address, roles and
name of each.

  earshot staff link aya@example.com --reset-second`,
	flags: func(c *call) {
		o := &staffOptions{}
		c.opts = o
		c.fs.BoolVar(&o.resetSecond, "reset-second", false, "with link: take the second factor away")
	},
	run: func(ctx context.Context, c *call) error { return staff(ctx, c, c.opts.(*staffOptions)) },
}

func staff(ctx context.Context, c *call, o *staffOptions) error {
	const want = "want list, or link EMAIL"
	if len(c.args) == 0 || c.args[0] != "list" && c.args[0] != "link" || c.args[0] == "list" && len(c.args) != 1 || c.args[0] == "link" && len(c.args) != 2 {
		return usageError(want)
	}
	cfg, err := c.file()
	if err != nil {
		return err
	}
	l, err := c.reach(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	if c.args[0] == "list" {
		for _, s := range settings.Staff.List(l.settings) {
			var roles []string
			for _, g := range s.Grants {
				roles = append(roles, string(g.Role)+"@"+strings.Join(g.Brands, ","))
			}
			fmt.Fprintf(c.out, "%s\t%s\t%s\t%s\n", s.ID, s.Email, strings.Join(roles, " "), s.Name)
		}
		return nil
	}
	s, ok := settings.Directory{Store: l.settings}.StaffByEmail(identity.FoldEmail(c.args[1]))
	switch {
	case !ok:
		return fmt.Errorf("nobody has the address %q; earshot staff list shows who there is", c.args[1])
	case s.Disabled:
		return fmt.Errorf("the account of %s is switched off; switch it on with earshot apply first", s.Email)
	}
	gate := app.Gate(l.bus, l.settings, time.Now, slog.New(slog.NewTextHandler(c.err, nil)))
	if o.resetSecond {
		if err := gate.ResetSecond(ctx, identity.ActorConsole, s.ID); err != nil {
			return err
		}
	}
	secret, err := gate.IssueLink(ctx, identity.Reset, s.ID, staffLinkLife)
	if err != nil {
		return err
	}
	base := strings.TrimSuffix(cfg.URL, "/")
	if base == "" {
		base = "http://" + cfg.Listen
	}
	fmt.Fprintf(c.out, "%s/welcome/%s/%s\n", base, s.ID, secret)
	return nil
}
