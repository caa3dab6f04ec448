// Package identity says who somebody is and what they may do: staff with their
// roles and brands, passwords, sessions, API tokens, one-time links and signed
// acknowledge links.
//
// Everything that shows or changes something takes a [Viewer], and asks it
// [Viewer.Can]; the zero Viewer may do nothing. A [Gate] is where viewers come
// from. Staff and tokens are settings, which the package reads through
// [Directory]; sessions and links lie in a [Store]. Of secrets only hashes are
// kept.
package identity

import "slices"

// Action is something that a right is needed for.
type Action string

// The actions. Each is asked for together with a brand; those that concern the
// whole installation are asked for with [AllBrands].
const (
	View      Action = "view"      // see mentions, cases, escalations, wishes, templates
	Comment   Action = "comment"   // write notes and contact notes, open what is attached to them, acknowledge and escalate
	Export    Action = "export"    // take lists away as files
	Reveal    Action = "reveal"    // see personal data that is masked
	Handle    Action = "handle"    // claim, draft, submit, triage, snooze, hand over, close, reopen, merge
	Send      Action = "send"      // publish a reply; what needs approval still needs it
	Approve   Action = "approve"   // approve or send back somebody else's draft
	Lead      Action = "lead"      // see each person's load, take over claims, set targets
	Word      Action = "word"      // edit and approve templates
	Playbook  Action = "playbook"  // edit playbooks, the reply check, brands' voices and agreed answers
	Rule      Action = "rule"      // say what wakes whom and what wants a second person; teams, routes, deputies
	Page      Action = "page"      // run escalations that one isn't paged for
	Wish      Action = "wish"      // edit wishes and their status
	Quality   Action = "quality"   // see how good verdicts are
	Intake    Action = "intake"    // bring mentions in from outside
	Configure Action = "configure" // brands, queries, sources, routes, policies, dead letters
	Manage    Action = "manage"    // staff and tokens
	Erase     Action = "erase"     // erase mentions, authors, sources
)

// What needs no grant: routes name these where an action would be too much.
const (
	Anyone Action = "anyone" // without signing in
	Self   Action = "self"   // one's own account: whoever is signed in
)

// Role is a set of actions that belong to a job.
type Role string

// The roles. A member of staff can have several, each for brands of its own.
const (
	Reader   Role = "viewer"   // looks on, and touches nothing
	Drafter  Role = "drafter"  // writes replies that others send
	Agent    Role = "agent"    // answers
	Approver Role = "approver" // an agent who also approves and leads
	PRLead   Role = "pr_lead"  // an approver who also runs escalations
	Product  Role = "product"  // reads along, and keeps the wishes
	Admin    Role = "admin"    // runs the installation; answers nobody unless given another role
)

// Scope is what an API token may be used for.
type Scope string

// The scopes. None of them allows Send, Approve or Reveal: nothing is published
// unless a person pressed send.
const (
	ScopeIntake Scope = "intake" // bring mentions in, and no more
	ScopeRead   Scope = "read"   // search and read
	ScopeDesk   Scope = "desk"   // read, and work on cases
	ScopeAdmin  Scope = "admin"  // all that software may do
)

// Roles lists all roles.
var Roles = []Role{Reader, Drafter, Agent, Approver, PRLead, Product, Admin}

// Scopes lists all scopes, narrowest first.
var Scopes = []Scope{ScopeIntake, ScopeRead, ScopeDesk, ScopeAdmin}

// Right says who has the right to an action.
type Right struct {
	Action Action
	Roles  []Role
	Scopes []Scope
}

// Rights is the table of rights: every question whether somebody may do
// something ends here. docs/run/rights.md shows it.
var Rights = []Right{
	{View, []Role{Reader, Drafter, Agent, Approver, PRLead, Product, Admin}, []Scope{ScopeRead, ScopeDesk, ScopeAdmin}},
	{Comment, []Role{Drafter, Agent, Approver, PRLead, Product, Admin}, []Scope{ScopeDesk, ScopeAdmin}},
	{Export, []Role{Drafter, Agent, Approver, PRLead, Product, Admin}, []Scope{ScopeAdmin}},
	{Reveal, []Role{Drafter, Agent, Approver, PRLead}, nil},
	{Handle, []Role{Drafter, Agent, Approver, PRLead}, []Scope{ScopeDesk, ScopeAdmin}},
	{Send, []Role{Agent, Approver, PRLead}, nil},
	{Approve, []Role{Approver, PRLead}, nil},
	{Lead, []Role{Approver, PRLead}, []Scope{ScopeAdmin}},
	{Word, []Role{Approver, PRLead}, []Scope{ScopeAdmin}},
	{Playbook, []Role{Approver, PRLead, Admin}, []Scope{ScopeAdmin}},
	{Rule, []Role{PRLead, Admin}, []Scope{ScopeAdmin}},
	{Page, []Role{PRLead}, []Scope{ScopeAdmin}},
	{Wish, []Role{Product}, []Scope{ScopeAdmin}},
	{Quality, []Role{Reader, PRLead, Product, Admin}, []Scope{ScopeAdmin}},
	{Intake, []Role{Admin}, []Scope{ScopeIntake, ScopeAdmin}},
	{Configure, []Role{Admin}, []Scope{ScopeAdmin}},
	{Manage, []Role{Admin}, []Scope{ScopeAdmin}},
	{Erase, []Role{Admin}, []Scope{ScopeAdmin}},
}

// right is the row of a, without anybody if there is none.
func right(a Action) Right {
	if i := slices.IndexFunc(Rights, func(r Right) bool { return r.Action == a }); i >= 0 {
		return Rights[i]
	}
	return Right{}
}

// Can tells whether role r allows a.
func (r Role) Can(a Action) bool { return slices.Contains(right(a).Roles, r) }

// Can tells whether scope s allows a.
func (s Scope) Can(a Action) bool { return slices.Contains(right(a).Scopes, s) }
