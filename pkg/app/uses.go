package app

import (
	"context"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// CaseUses lists the cases that count on the setting id of a kind: handed to the
// team, or with a reply that waits for approval or is about to leave, made from the
// template or by the source. Beside it stands [settings.Store.Uses].
func CaseUses(ctx context.Context, index search.Engine, cases *casework.Store, kind, id string) ([]settings.Use, error) {
	// count is how many cases that the index finds where say yes as they stand.
	count := func(field search.Field, value string, yes func(*casework.State) bool) (int, error) {
		n := 0
		for d, err := range search.All(ctx, index, search.Query{Viewer: search.SeesAll(), Where: map[search.Field][]string{field: {value}}}) {
			if err != nil {
				return 0, err
			}
			s, ok, err := cases.Touched(ctx, d.ID)
			if err != nil {
				return 0, err
			}
			if ok && yes(&s) {
				n++
			}
		}
		return n, nil
	}
	what, n := "", 0
	var err error
	switch kind {
	case settings.Teams.Kind():
		what = "team_cases"
		var found []int64
		found, err = index.Counts(ctx, search.Query{Viewer: search.SeesAll(), Where: map[search.Field][]string{search.FieldTeam: {id}, search.FieldStatus: {string(casework.OtherDepartment)}}})
		if err == nil {
			n = int(found[0])
		}
	case settings.Sources.Kind():
		what = "source_replies"
		n, err = count(search.FieldTag, casework.TagWaiting, func(s *casework.State) bool {
			return s.Outgoing != nil && s.Outgoing.Draft.Account == id
		})
	case settings.Templates.Kind():
		what = "template_replies"
		if n, err = count(search.FieldStatus, string(casework.AwaitingApproval), func(s *casework.State) bool {
			return s.Asks() != "" && s.Draft != nil && s.Draft.Template == id
		}); err == nil {
			var out int
			out, err = count(search.FieldTag, casework.TagWaiting, func(s *casework.State) bool {
				return s.Outgoing != nil && s.Outgoing.Draft.Template == id
			})
			n += out
		}
	}
	if err != nil || n == 0 {
		return nil, err
	}
	return []settings.Use{{What: what, Args: []any{n}}}, nil
}

// HandBack takes the cases of somebody who can no longer work on them from them, so
// that others find them, and returns how many there were. After an error, which leaves
// the rest with them, it can be called again.
func HandBack(ctx context.Context, index search.Engine, cases *casework.Store, staff string) (int, error) {
	n := 0
	where := map[search.Field][]string{search.FieldHolder: {staff}}
	for d, err := range search.All(ctx, index, search.Query{Viewer: search.SeesAll(), Where: where}) {
		if err != nil {
			return n, err
		}
		had := false
		if _, err := cases.Record(ctx, d.ID, func(s *casework.State) (casework.Event, bool) {
			had = s.Owner() == staff && s.ReadOnly == ""
			return casework.Event{Kind: casework.Assigned}, had
		}); err != nil {
			return n, err
		}
		if had {
			n++
		}
	}
	return n, nil
}
