package casework

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// Rule is a row of the table that says which replies want a second person. The
// first row that fits decides; when none fits, none is wanted.
type Rule struct {
	Brands []string           `json:"brands,omitempty"` // empty: all
	Risks  []mention.Category `json:"risks,omitempty"`  // any of these; empty: with or without
	// Intents it is for; empty: all.
	Intents []mention.Intent `json:"intents,omitempty"`
	// Edited asks for replies that differ from their template, or were written
	// freely (true), or for those that don't (false); nil for both.
	Edited *bool `json:"edited,omitempty"`
	// Roles asks for writers with any of these roles; empty: whoever writes.
	Roles []identity.Role `json:"roles,omitempty"`
	// Trained asks for writers who were trained to write freely.
	Trained bool `json:"trained,omitempty"`
	// Reach asks for authors with at least so many followers.
	Reach int64 `json:"reach,omitempty"`
	// Approvers says whether the row also binds those who may approve
	// themselves.
	Approvers bool   `json:"approvers,omitempty"`
	Needs     bool   `json:"needs_approval"`
	Why       string `json:"why,omitempty"`
}

// Rules is the table, as the setting "rules" holds it.
type Rules struct {
	Rows []Rule `json:"rows"`
}

// Validate reports everything that is wrong with r.
func (r *Rules) Validate() error {
	var errs []error
	for i := range r.Rows {
		row, at := &r.Rows[i], fmt.Sprintf("rows[%d].", i)
		errs = append(errs, known(at+"risks", row.Risks, mention.Categories), known(at+"intents", row.Intents, mention.Intents), known(at+"roles", row.Roles, identity.Roles))
		if row.Reach < 0 {
			errs = append(errs, config.Invalid(at+"reach", "%d is less than 0", row.Reach))
		}
		if row.Needs && row.Why == "" {
			errs = append(errs, config.Invalid(at+"why", "say what needs a second person, staff will read it"))
		}
	}
	return errors.Join(errs...)
}

// grave are the risks that want more than one person's care.
var grave = slices.DeleteFunc(slices.Clone(mention.Categories), func(c mention.Category) bool {
	return c == mention.Churn || c == mention.RepeatContact
})

func yes() *bool { v := true; return &v }

// DefaultRules are in force until an installation has its own: grave matters
// and free wording want a second person, plain answers do not.
func DefaultRules() Rules {
	return Rules{Rows: []Rule{
		{Risks: grave, Approvers: true, Needs: true, Why: "risk"},
		{Reach: 100_000, Approvers: true, Needs: true, Why: "reach"},
		{Intents: []mention.Intent{mention.Praise, mention.Question}, Trained: true, Needs: false},
		{Edited: yes(), Needs: true, Why: "edited"},
	}}
}

// Needs tells whether draft d on case s, sent by v, wants a second person, and
// why.
func (r Rules) Needs(s *State, d *Draft, v identity.Viewer) (bool, string) {
	rows := r.Rows
	if len(rows) == 0 {
		rows = DefaultRules().Rows
	}
	approver := v.Can(identity.Approve, s.Mention.Brand)
	for i := range rows {
		row := &rows[i]
		var reach int64
		if f := s.Mention.Author.Followers; f != nil {
			reach = *f
		}
		switch {
		case len(row.Brands) > 0 && !slices.Contains(row.Brands, s.Mention.Brand),
			len(row.Risks) > 0 && !s.Has(row.Risks...),
			len(row.Intents) > 0 && !slices.Contains(row.Intents, s.Verdict.Intent),
			row.Edited != nil && *row.Edited != (d.Edited || d.Template == ""),
			len(row.Roles) > 0 && !slices.ContainsFunc(row.Roles, func(r identity.Role) bool { return v.Is(r, s.Mention.Brand) }),
			row.Trained && !v.Trained(),
			reach < row.Reach,
			row.Needs && approver && !row.Approvers:
			continue
		}
		return row.Needs, row.Why
	}
	return false, ""
}

// Hash is what an approval is bound to: the text, the post it answers as it was
// then, and the account it leaves by.
func (s *State) Hash(d *Draft) string {
	sum := sha256.New()
	for _, part := range []string{d.Text, s.Mention.Platform, s.Mention.NativeID, s.Mention.Revision.Hash, d.Account} {
		sum.Write([]byte(part))
		sum.Write([]byte{0})
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
