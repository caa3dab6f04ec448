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
	View      Action = "view"      // see mentions, cases, escalations, figures
	Comment   Action = "comment"   // write notes and contact notes, escalate by hand
	Handle    Action = "handle"    // claim, draft, submit, triage, snooze, hand over, close, reopen, merge
	Send      Action = "send"      // publish a reply; what needs approval still needs it
	Approve   Action = "approve"   // approve or send back somebody else's draft
	Lead      Action = "lead"      // see each person's load, take over claims, set targets
	Word      Action = "word"      // edit and approve templates, playbooks and word lists
	Page      Action = "page"      // run escalations that one isn't paged for
	Wish      Action = "wish"      // edit wishes and their status
	Quality   Action = "quality"   // see how good verdicts are
	Intake    Action = "intake"    // bring mentions in from outside
	Configure Action = "configure" // brands, queries, sources, routes, policies, dead letters
	Manage    Action = "manage"    // staff and tokens
	Erase     Action = "erase"     // erase mentions, authors, sources
)

// Actions lists all actions.
var Actions = []Action{
	View, Comment, Handle, Send, Approve, Lead, Word, Page, Wish, Quality, Intake, Configure, Manage, Erase,
}

// Role is a set of actions that belong to a job.
type Role string

// The roles. A member of staff can have several, each for brands of its own.
const (
	Drafter  Role = "drafter"  // writes replies that others send
	Agent    Role = "agent"    // answers
	Approver Role = "approver" // an agent who also approves and leads
	PRLead   Role = "pr_lead"  // an approver who also runs escalations
	Product  Role = "product"  // reads along, and keeps the wishes
	Admin    Role = "admin"    // runs the installation; answers nobody unless given another role
)

// Roles lists all roles.
var Roles = []Role{Drafter, Agent, Approver, PRLead, Product, Admin}

var roleActions = map[Role][]Action{
	Drafter:  {View, Comment, Handle},
	Agent:    {View, Comment, Handle, Send},
	Approver: {View, Comment, Handle, Send, Approve, Lead, Word},
	PRLead:   {View, Comment, Handle, Send, Approve, Lead, Word, Page, Quality},
	Product:  {View, Comment, Wish, Quality},
	Admin:    {View, Comment, Quality, Intake, Configure, Manage, Erase},
}

// Scope is what an API token may be used for.
type Scope string

// The scopes. None of them allows Send or Approve: nothing is published unless
// a person pressed send.
const (
	ScopeIntake Scope = "intake" // bring mentions in, and no more
	ScopeRead   Scope = "read"   // search and read
	ScopeDesk   Scope = "desk"   // read, and work on cases
	ScopeAdmin  Scope = "admin"  // all that software may do
)

// Scopes lists all scopes, narrowest first.
var Scopes = []Scope{ScopeIntake, ScopeRead, ScopeDesk, ScopeAdmin}

var scopeActions = map[Scope][]Action{
	ScopeIntake: {Intake},
	ScopeRead:   {View},
	ScopeDesk:   {View, Comment, Handle},
	ScopeAdmin:  {View, Comment, Handle, Lead, Word, Page, Wish, Quality, Intake, Configure, Manage, Erase},
}

// Can tells whether role r allows a.
func (r Role) Can(a Action) bool { return slices.Contains(roleActions[r], a) }

// Can tells whether scope s allows a.
func (s Scope) Can(a Action) bool { return slices.Contains(scopeActions[s], a) }
