package desk

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
)

// apiArguments are what commands take; each command uses some.
type apiArguments struct {
	Take      bool              `json:"take"`
	Version   int               `json:"version"`
	Text      string            `json:"text"`
	Lang      string            `json:"lang"`
	Kind      string            `json:"kind"`
	Account   string            `json:"account"`
	Template  string            `json:"template"`
	Slots     map[string]string `json:"slots"`
	Hash      string            `json:"hash"`
	URL       string            `json:"url"`
	To        string            `json:"to"`
	Why       string            `json:"why"`
	Until     time.Time         `json:"until"`
	OnPost    bool              `json:"on_post"`
	Outcome   string            `json:"outcome"`
	Measure   *apiMeasure       `json:"measure"`
	Tags      []string          `json:"tags"`
	Untags    []string          `json:"untags"`
	Due       time.Time         `json:"due"`
	Every     int               `json:"every_hours"`
	Case      mention.ID        `json:"case"`
	Playbook  string            `json:"playbook"`
	Step      string            `json:"step"`
	Undo      bool              `json:"undo"`
	Yes       bool              `json:"yes"`
	Emergency bool              `json:"emergency"`
	Anew      bool              `json:"anew"`
	Wish      string            `json:"wish"`
}

// apiMeasure is a cause, and what keeps it from coming back or why nothing is
// needed.
type apiMeasure struct {
	ID      string     `json:"id,omitempty"`
	Cause   string     `json:"cause"`
	Text    string     `json:"text,omitempty"`
	NoneWhy string     `json:"none_why,omitempty"`
	Owner   string     `json:"owner,omitempty"`
	Due     *time.Time `json:"due,omitempty"`
}

func (m *apiMeasure) measure() *casework.Measure {
	if m == nil {
		return nil
	}
	out := &casework.Measure{ID: m.ID, Cause: m.Cause, Text: m.Text, NoneWhy: m.NoneWhy, Owner: m.Owner}
	if m.Due != nil {
		out.Due = *m.Due
	}
	return out
}

// apiVerb does one command to a case, and returns the case after it.
type apiVerb func(c *call, id mention.ID, a *apiArguments) (casework.State, error)

// does is a command that needs nothing but its arguments.
func does(command func(a *apiArguments) casework.Command) apiVerb {
	return func(c *call, id mention.ID, a *apiArguments) (casework.State, error) {
		return c.Cases.Do(c.ctx, c.viewer, id, command(a))
	}
}

// apiCommands are the commands by the last part of their address. Each wants the
// right of the desk's route of that name; publishing and approving want a person who
// is signed in: casework refuses them to tokens.
var apiCommands = map[string]apiVerb{
	"approve": func(c *call, id mention.ID, a *apiArguments) (casework.State, error) {
		return c.decide("approved", id, casework.Approve{Hash: a.Hash, Note: a.Why, Emergency: a.Emergency, Anew: a.Anew})
	},
	"assign":  func(c *call, id mention.ID, a *apiArguments) (casework.State, error) { return c.assignTo(id, a.To) },
	"by-hand": does(func(a *apiArguments) casework.Command { return casework.TakeByHand{Hash: a.Hash} }),
	"claim":   func(c *call, id mention.ID, a *apiArguments) (casework.State, error) { return c.claimCase(id, a.Take) },
	"close": does(func(a *apiArguments) casework.Command {
		return casework.Close{Outcome: a.Outcome, Why: a.Why, Measure: a.Measure.measure()}
	}),
	"draft":      does(func(a *apiArguments) casework.Command { return a.write() }),
	"escalate":   does(func(a *apiArguments) casework.Command { return casework.Escalate{Why: a.Why} }),
	"exclude":    does(func(a *apiArguments) casework.Command { return casework.Exclude{Why: a.Why} }),
	"facts":      does(func(a *apiArguments) casework.Command { return casework.ConfirmFacts{Text: a.Text} }),
	"finish":     does(func(a *apiArguments) casework.Command { return a.finish() }),
	"hand-over":  does(func(a *apiArguments) casework.Command { return casework.HandOver{To: a.To, Why: a.Why} }),
	"harassment": does(func(a *apiArguments) casework.Command { return casework.DecideHarassment{Is: a.Yes, Why: a.Why} }),
	"hasten":     does(func(*apiArguments) casework.Command { return casework.Hasten{} }),
	"kept":       does(func(a *apiArguments) casework.Command { return casework.KeepPromise{How: a.Why} }),
	"link": func(c *call, id mention.ID, a *apiArguments) (casework.State, error) {
		return c.linkAuthor(id, a.Case, a.Why)
	},
	"measure": does(func(a *apiArguments) casework.Command { return a.takeMeasure() }),
	"merge":   (*call).apiMerge,
	"note":    does(func(a *apiArguments) casework.Command { return casework.AddNote{Text: a.Text} }),
	"pass":    does(func(*apiArguments) casework.Command { return casework.PassOn{} }),
	"posted":  does(func(a *apiArguments) casework.Command { return casework.MarkPosted{Hash: a.Hash, URL: a.URL} }),
	"promise": does(func(a *apiArguments) casework.Command {
		return casework.MakePromise{Due: a.Due, Every: time.Duration(a.Every) * time.Hour}
	}),
	"release": does(func(*apiArguments) casework.Command { return casework.Release{} }),
	"reopen":  does(func(*apiArguments) casework.Command { return casework.Reopen{} }),
	"return":  does(func(a *apiArguments) casework.Command { return casework.Return{Why: a.Why} }),
	"review":  does(func(a *apiArguments) casework.Command { return casework.ReviewApproval{Right: a.Yes, Text: a.Why} }),
	"send":    does(func(a *apiArguments) casework.Command { return casework.Send{Hash: a.Hash} }),
	"send-back": func(c *call, id mention.ID, a *apiArguments) (casework.State, error) {
		return c.decide("sent_back", id, casework.SendBack{Why: a.Why})
	},
	"settle":    does(func(a *apiArguments) casework.Command { return casework.Settle{Outcome: a.Outcome, URL: a.URL} }),
	"snooze":    does(func(a *apiArguments) casework.Command { return casework.Snooze{Until: a.Until, OnPost: a.OnPost} }),
	"stop":      does(func(a *apiArguments) casework.Command { return casework.StopSend{Why: a.Why} }),
	"submit":    func(c *call, id mention.ID, _ *apiArguments) (casework.State, error) { return c.askApproval(id) },
	"tag":       does(func(a *apiArguments) casework.Command { return casework.Retag{Add: a.Tags, Remove: a.Untags} }),
	"tick":      does(func(a *apiArguments) casework.Command { return a.tick() }),
	"undo":      does(func(*apiArguments) casework.Command { return casework.Undo{} }),
	"unlink":    does(func(a *apiArguments) casework.Command { return casework.UnlinkAuthor{Case: a.Case} }),
	"unpromise": does(func(a *apiArguments) casework.Command { return casework.EndPromise{Why: a.Why} }),
	"unwish":    does(func(a *apiArguments) casework.Command { return casework.DropWish{Wish: a.Wish} }),
	"watch":     does(func(*apiArguments) casework.Command { return casework.LookOn{} }),
	"wish": func(c *call, id mention.ID, a *apiArguments) (casework.State, error) {
		return c.countForWish(id, a.Wish, a.Text)
	},
}

func (a *apiArguments) write() casework.Command {
	return casework.Write{
		Version: a.Version, Text: a.Text, Lang: a.Lang, Kind: casework.ReplyKind(a.Kind), Account: a.Account, Template: a.Template, Slots: a.Slots, To: a.Case,
	}
}

func (a *apiArguments) takeMeasure() casework.Command {
	if m := a.Measure.measure(); m != nil {
		return casework.TakeMeasure{Measure: *m}
	}
	return casework.TakeMeasure{} // refused, saying what is missing
}

func (a *apiArguments) finish() casework.Command {
	f := casework.FinishMeasure{How: a.Why}
	if a.Measure != nil {
		f.ID = a.Measure.ID
	}
	return f
}

func (a *apiArguments) tick() casework.Command {
	return casework.TickStep{Playbook: a.Playbook, Step: a.Step, Text: a.Text, Undo: a.Undo}
}

// apiMerge folds the case into another one, and shows it as it stands then.
func (c *call) apiMerge(id mention.ID, a *apiArguments) (casework.State, error) {
	if _, err := c.Cases.Merge(c.ctx, c.viewer, id, a.Case); err != nil {
		return casework.State{}, err
	}
	return c.Cases.Get(c.ctx, c.viewer, id)
}

// apiCommand gives a command and answers with the case after it.
func (c *call) apiCommand(do apiVerb) error {
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		return err
	}
	var a apiArguments
	if len(bytes.TrimSpace(body)) > 0 {
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&a); err != nil {
			return &inputError{"body: " + err.Error()}
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return &inputError{"body: more after the end of the object"}
		}
	}
	s, err := do(c, mention.ID(c.r.PathValue("id")), &a)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, c.apiCaseOf(&s))
}
