package casework

import (
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	yes := func(d *desk) Command { return Approve{Hash: d.hash()} }
	anew := func(d *desk) Command { return Approve{Hash: d.hash(), Anew: true} }
	does2 := func(by identity.Viewer, cmd func(*desk) Command) deed {
		return func(t *testing.T, d *desk) { t.Helper(); does(by, cmd(d))(t, d) }
	}
	before := ""
	noted := deed(func(_ *testing.T, d *desk) { before = d.hash() })
	send := func(d *desk) Command { return Send{Hash: d.hash()} }
	posted := func(d *desk) Command { return MarkPosted{Hash: d.hash(), URL: "https://x.example/1"} }
	c := func(c Command) func(*desk) Command { return func(*desk) Command { return c } }
	drafted := does(ann, fixed)
	submitted := []deed{does(ann, free), does(ann, Submit{})}
	outgoing := []deed{drafted, sends(ann)}
	unsure := append(outgoing[:2:2], calls(Event{Kind: SendUnsure}))
	with := func(all []deed, more ...deed) []deed { return append(all[:len(all):len(all)], more...) }

	for _, tt := range []struct {
		name string
		when []deed
		by   identity.Viewer
		cmd  func(*desk) Command
		want any // a Kind, or the code of a refusal
	}{
		{"an agent claims", nil, ann, c(Claim{}), Claimed},
		{"an agent of another brand sees no case", nil, zoe, c(Claim{}), ErrUnknown.Error()},
		{"nobody in particular sees no case", nil, identity.Viewer{}, c(Release{}), ErrUnknown.Error()},
		{"product may not claim", nil, pat, c(Claim{}), CodeForbidden},
		{"admin may not claim", nil, ada, c(Claim{}), CodeForbidden},
		{"a program of the desk claims", nil, program, c(Claim{}), Claimed},
		{"a claim renews itself", []deed{does(ann, Claim{})}, ann, c(Claim{}), Claimed},
		{"a claim does not take from another", []deed{does(ann, Claim{})}, bob, c(Claim{}), CodeHeld},
		{"taking over is a claim of its own kind", []deed{does(ann, Claim{})}, bob, c(Claim{Take: true}), Claimed},
		{"what lapsed is free though nobody wrote it down", []deed{does(ann, Claim{}), after(ClaimTerm)}, bob, c(Claim{}), Claimed},

		{"a claim does not take from whose it is", []deed{does(ann, Assign{To: "bob"})}, ann, c(Claim{}), CodeHeld},
		{"but whose it is claims it", []deed{does(ann, Assign{To: "bob"})}, bob, c(Claim{}), Claimed},

		{"assign", nil, ann, c(Assign{To: "bob"}), Assigned},
		{"assign what is there", []deed{does(ann, Assign{To: "bob"})}, ann, c(Assign{To: "bob"}), CodeState},
		{"assign what another works on", []deed{does(bob, Claim{})}, ann, c(Assign{To: "ann"}), CodeHeld},
		{"a lead does", []deed{does(bob, Claim{})}, lea, c(Assign{To: "ann"}), Assigned},
		{"assign what is closed", []deed{does(ann, Close{})}, ann, c(Assign{To: "bob"}), CodeState},
		{"product may not assign", nil, pat, c(Assign{To: "bob"}), CodeForbidden},
		{"pass on", []deed{does(ann, Claim{})}, ann, c(PassOn{}), PassedOn},
		{"pass on what is another's", []deed{does(ann, Assign{To: "bob"})}, ann, c(PassOn{}), CodeHeld},
		{"take back one's own", []deed{does(ann, LookOn{})}, ann, c(Undo{}), Undone},
		{"take back another's", []deed{does(ann, LookOn{})}, bob, c(Undo{}), CodeStale},
		{"take back what others built on", []deed{does(ann, LookOn{}), does(bob, Claim{})}, ann, c(Undo{}), CodeStale},
		{"take back nothing", nil, ann, c(Undo{}), CodeStale},
		{"tag", nil, ann, c(Retag{Add: []string{"＃返金"}}), Retagged},
		{"tag once more", []deed{does(ann, Retag{Add: []string{"返金"}})}, ann, c(Retag{Add: []string{" #返金"}}), CodeState},
		{"tag with nothing", nil, ann, c(Retag{Add: []string{" # "}}), CodeInput},
		{"tag with a comma", nil, ann, c(Retag{Add: []string{"a,b"}}), CodeInput},
		{"tag at length", nil, ann, c(Retag{Add: []string{strings.Repeat("長", MaxTag+1)}}), CodeInput},
		{"tag with what parts sets", nil, ann, c(Retag{Add: []string{"a\x1fb"}}), CodeInput},
		{"product may not tag", nil, pat, c(Retag{Add: []string{"a"}}), CodeForbidden},
		{"look at what is masked", nil, ann, c(Reveal{}), Revealed},
		{"a program does not", nil, program, c(Reveal{}), CodeForbidden},
		{"link an author", nil, ann, c(LinkAuthor{Case: mention.NewID("acme", "x", "9"), Basis: "said so on the phone"}), Linked},
		{"link without a ground", nil, ann, c(LinkAuthor{Case: mention.NewID("acme", "x", "9"), Basis: " "}), CodeInput},
		{"a program links nobody", nil, program, c(LinkAuthor{Case: mention.NewID("acme", "x", "9"), Basis: "same name"}), CodeForbidden},
		{"unlink what is not linked", nil, ann, c(UnlinkAuthor{Case: mention.NewID("acme", "x", "9")}), CodeState},

		{"the holder releases", []deed{does(ann, Claim{})}, ann, c(Release{}), Released},
		{"another can't release", []deed{does(ann, Claim{})}, bob, c(Release{}), CodeState},
		{"product can't release", nil, pat, c(Release{}), CodeForbidden},

		{"a template as it is", nil, ann, c(fixed), Drafted},
		{"words of one's own", nil, ann, c(free), Drafted},
		{"no words", nil, ann, c(Write{Text: " \u3000\n"}), CodeInput},
		{"too many words", nil, ann, c(Write{Text: strings.Repeat("a", 20_001)}), CodeInput},
		{"a kind of reply there isn't", nil, ann, c(Write{Text: "a", Kind: "last"}), CodeInput},
		{"a template there isn't", nil, ann, c(Write{Text: "a", Template: "nix"}), CodeInput},
		{"a choice there isn't", nil, ann, c(Write{Text: "a", Template: "thanks", Slots: map[string]string{"next": "もう来るな。"}}), CodeInput},
		{"over a draft one has not seen", []deed{drafted}, ann, c(free), CodeStale},
		{"while another holds it", []deed{does(bob, Claim{})}, ann, c(free), CodeHeld},
		{"while one is on its way", outgoing, ann, c(Write{Version: 1, Text: "a"}), CodeState},

		{"submit", []deed{drafted}, ann, c(Submit{}), Submitted},
		{"submit nothing", nil, ann, c(Submit{}), CodeState},
		{"submit with a slot left open", []deed{does(ann, Write{Text: "{{author}}様"})}, ann, c(Submit{}), CodeInput},
		{"submit with a slot nobody knows", []deed{does(ann, Write{Text: "{{ お名前 }}様"})}, ann, c(Submit{}), CodeInput},
		{"submit to a post that is gone", []deed{drafted, func(_ *testing.T, d *desk) {
			m := complaint("").Mention
			m.Deleted = true
			d.add("system", Event{Kind: Revised, Mention: &m})
		}}, ann, c(Submit{}), CodeState},
		{"submit what the platform won't take", []deed{drafted, func(_ *testing.T, d *desk) { d.tooLong = true }}, ann, c(Submit{}), CodeInput},
		{"submit a template that was retired", []deed{drafted, func(_ *testing.T, d *desk) { delete(d.templates, "thanks") }}, ann, c(Submit{}), CodeState},
		{"submit a template that has a new version", []deed{drafted, func(_ *testing.T, d *desk) {
			n := thanks
			n.Versions = append(n.Versions[:1:1], TemplateVersion{N: 2, Body: "x", Status: TemplateApproved})
			d.templates["thanks"] = n
		}}, ann, c(Submit{}), CodeState},

		{"approve", submitted, pia, yes, Approved},
		{"a PR lead approves", submitted, lea, yes, Approved},
		{"an agent may not approve", submitted, bob, yes, CodeForbidden},
		{"a program may not approve", submitted, program, yes, CodeForbidden},
		{"not one's own words", []deed{does(pia, free), does(pia, Submit{})}, pia, yes, CodeForbidden},
		{"not one's own words, submitted by another", []deed{does(pia, free), does(pia, Release{}), does(ann, Submit{})}, pia, yes, CodeForbidden},
		{"approve nothing", []deed{drafted}, pia, yes, CodeState},
		{"approve what one has not read", submitted, pia, c(Approve{Hash: "other"}), CodeStale},
		{"approve after the post was edited", with(submitted, edited("もう結構です")), pia, yes, CodeState},
		{"approve anew after the post was edited", with(submitted, edited("もう結構です")), pia, anew, Approved},
		{"approve anew what one has not read", with(submitted, edited("もう結構です")), pia, c(Approve{Hash: "other", Anew: true}), CodeStale},
		{"approve anew what was read before the post was edited", with(submitted, noted, edited("もう結構です")), pia, func(*desk) Command { return Approve{Hash: before, Anew: true} }, CodeStale},
		{"approve after the post was edited twice, to what it was", with(submitted, edited("もう結構です"), edited("返事がない")), pia, yes, Approved},
		{"approve anew one's own words", []deed{does(pia, free), does(pia, Submit{}), edited("もう結構です")}, pia, anew, CodeForbidden},
		{"an agent may not approve anew", with(submitted, edited("もう結構です")), bob, anew, CodeForbidden},
		{"approve anew other words than asked", with(submitted, edited("もう結構です"), does(ann, Write{Version: 1, Text: "もっと。"})), pia, anew, CodeState},
		{"approve anew what was sent back", with(submitted, edited("もう結構です"), does(pia, SendBack{Why: "softer"})), pia, anew, CodeState},
		{"approve anew a post that is gone", with(submitted, func(_ *testing.T, d *desk) {
			m := complaint("").Mention
			m.Deleted = true
			d.add("system", Event{Kind: Revised, Mention: &m})
		}), pia, anew, CodeState},
		{"approve anew when the author wrote again", with(submitted, edited("もう結構です"), happens(Event{Kind: AuthorWrote, To: "x"})), pia, anew, CodeState},
		{"approve anew what nobody asked for", []deed{drafted, edited("もう結構です")}, pia, anew, CodeState},
		{"send back after the post was edited", with(submitted, edited("もう結構です")), pia, c(SendBack{Why: "softer"}), SentBack},
		{"send what was approved anew", with(submitted, edited("もう結構です"), does2(pia, anew)), ann, send, SendAsked},
		{"send what was approved anew, and the post was edited again", with(submitted, edited("もう結構です"), does2(pia, anew), edited("やはり")), ann, send, CodeApproval},
		{"approve what was handed over", with(submitted, does(ann, HandOver{To: "factory"})), pia, yes, CodeState},

		{"send back", submitted, pia, c(SendBack{Why: "softer"}), SentBack},
		{"send back without a word", submitted, pia, c(SendBack{Why: " "}), CodeInput},
		{"an agent may not send back", submitted, bob, c(SendBack{Why: "no"}), CodeForbidden},

		{"send a template as it is", []deed{drafted}, ann, send, SendAsked},
		{"send one's own words unasked", []deed{does(ann, free)}, ann, send, CodeApproval},
		{"an approver's own words need nobody", []deed{does(pia, free)}, pia, send, SendAsked},
		{"send what was approved", with(submitted, approves(pia)), ann, send, SendAsked},
		{"send what was approved too long ago", with(submitted, approves(pia), after(ApprovalTerm)), ann, send, CodeApproval},
		{"send other words than were approved", with(submitted, approves(pia), does(ann, Write{Version: 1, Text: "もっと。"})), ann, send, CodeApproval},
		{"send to other words than were approved for", with(submitted, approves(pia), edited("もう結構です")), ann, send, CodeApproval},
		{"send by another account than was approved", with(submitted, approves(pia), does(ann, Write{Version: 1, Text: free.Text, Account: "other"})), ann, send, CodeApproval},
		{"send what one has not read", []deed{drafted}, ann, c(Send{Hash: "other"}), CodeStale},
		{"a program never sends", []deed{does(program, fixed)}, program, send, CodeForbidden},
		{"a service never sends", []deed{does(identity.System(), fixed)}, identity.System(), send, CodeForbidden},
		{"nor does the command line", []deed{does(identity.Console(), fixed), does(identity.Console(), Release{})}, identity.Console(), send, CodeForbidden},
		{"send twice", outgoing, ann, send, CodeState},

		{"take it back", outgoing, ann, c(StopSend{}), SendStopped},
		{"a colleague takes it back", outgoing, bob, c(StopSend{}), SendStopped},
		{"take it back late, while nobody has called", with(outgoing, after(time.Hour)), ann, c(StopSend{}), SendStopped},
		{"take it back while the platform is called", with(outgoing, calls()), ann, c(StopSend{}), CodeState},
		{"take it back when nobody knows", unsure, ann, c(StopSend{}), CodeState},
		{"take nothing back", []deed{drafted}, ann, c(StopSend{}), CodeState},
		{"product may not take it back", outgoing, pat, c(StopSend{}), CodeForbidden},

		{"posted by hand", []deed{drafted}, ann, posted, Posted},
		{"posted by hand without approval", []deed{does(ann, free)}, ann, posted, CodeApproval},
		{"posted at no address", []deed{drafted}, ann, c(MarkPosted{URL: "here"}), CodeInput},
		{"posted at a script", []deed{drafted}, ann, c(MarkPosted{URL: "javascript://x/%0aalert(1)"}), CodeInput},
		{"posted what one has not read", []deed{drafted}, ann, c(MarkPosted{URL: "https://x.example/1"}), CodeStale},

		{"settle: it is out", unsure, ann, c(Settle{Published, "https://x.example/1"}), Sent},
		{"settle: it is not", unsure, ann, c(Settle{Outcome: NotPublished}), SendFailed},
		{"settle without a word", unsure, ann, c(Settle{}), CodeInput},
		{"settle with a link alone", unsure, ann, c(Settle{URL: "https://x.example/1"}), CodeInput},
		{"settle: it is out, nobody says where", unsure, ann, c(Settle{Outcome: Published}), CodeInput},
		{"settle: it is not, and there", unsure, ann, c(Settle{NotPublished, "https://x.example/1"}), CodeInput},
		{"settle by a script", unsure, ann, c(Settle{Published, "javascript://x/%0aalert(1)"}), CodeInput},
		{"settle while the platform is called", with(outgoing, calls()), ann, c(Settle{Outcome: NotPublished}), CodeState},
		{"a program may not settle", unsure, program, c(Settle{Outcome: NotPublished}), CodeForbidden},

		{"a note", nil, pat, c(AddNote{Text: "seen"}), Noted},
		{"a note of files alone", nil, ann, c(AddNote{Files: []File{{Key: "k"}}}), Noted},
		{"an empty note", nil, ann, c(AddNote{Text: "\n"}), CodeInput},
		{"a note while another holds it", []deed{does(bob, Claim{})}, ann, c(AddNote{Text: "seen"}), Noted},

		{"labels", nil, ann, c(labels()), Judged},
		{"labels while another holds it", []deed{does(bob, Claim{})}, ann, c(labels()), Judged},
		{"labels of what is done", []deed{does(ann, Close{})}, ann, c(labels()), Judged},
		{"product may not label", nil, pat, c(labels()), CodeForbidden},
		{"a program is no person", nil, program, c(labels()), CodeForbidden},
		{"labels without a feeling", nil, ann, c(labels(func(l *Label) { l.Sentiment = "" })), CodeInput},
		{"labels without a kind", nil, ann, c(labels(func(l *Label) { l.Intent = "rant" })), CodeInput},
		{"labels without a disposition", nil, ann, c(labels(func(l *Label) { l.Disposition = "" })), CodeInput},
		{"a risk there isn't", nil, ann, c(labels(func(l *Label) { l.Risks = []mention.Risk{{Category: "doom"}} })), CodeInput},
		{"a risk twice", nil, ann, c(labels(func(l *Label) { l.Risks = []mention.Risk{{Category: mention.Churn}, {Category: mention.Churn}} })), CodeInput},
		{"words beyond the text", nil, ann, c(labels(func(l *Label) { l.Risks = []mention.Risk{{Category: mention.Churn, Start: 2, End: 99}} })), CodeInput},
		{"a sample there isn't", nil, ann, c(labels(func(l *Label) { l.Sample = "last week" })), CodeInput},
		{"labels of a post that is gone", []deed{func(_ *testing.T, d *desk) {
			m := complaint("").Mention
			m.Deleted = true
			d.add("system", Event{Kind: Revised, Mention: &m})
		}}, ann, c(labels()), CodeState},
		{"labels taken back", []deed{does(ann, labels())}, bob, c(Unlabel{}), Unjudged},
		{"labels taken back that nobody gave", nil, ann, c(Unlabel{}), CodeState},

		{"hand over", nil, ann, c(HandOver{To: "factory"}), HandedOver},
		{"hand over to nobody", nil, ann, c(HandOver{}), CodeInput},
		{"hand over what another holds", []deed{does(bob, Claim{})}, ann, c(HandOver{To: "factory"}), CodeHeld},
		{"return", []deed{does(ann, HandOver{To: "factory"})}, bob, c(Return{}), Returned},
		{"return what is here", nil, ann, c(Return{}), CodeState},
		{"product may not return", []deed{does(ann, HandOver{To: "factory"})}, pat, c(Return{}), CodeForbidden},

		{"snooze", nil, ann, c(Snooze{Until: noon.Add(time.Hour)}), Snoozed},
		{"snooze into the past", nil, ann, c(Snooze{Until: noon}), CodeInput},
		{"snooze for ever", nil, ann, c(Snooze{Until: noon.AddDate(0, 4, 0)}), CodeInput},
		{"snooze what is closed", []deed{does(ann, Close{})}, ann, c(Snooze{Until: noon.Add(time.Hour)}), CodeState},

		{"look on", nil, ann, c(LookOn{}), Watched},
		{"look on twice", []deed{does(ann, LookOn{})}, ann, c(LookOn{}), CodeState},
		{"not for us", nil, ann, c(Exclude{Why: "namesake"}), Excluded},
		{"not for us twice", []deed{does(ann, Exclude{})}, ann, c(Exclude{}), CodeState},
		{"product may not exclude", nil, pat, c(Exclude{}), CodeForbidden},

		{"close", nil, ann, c(Close{}), Closed},
		{"close with an outcome there isn't", nil, ann, c(Close{Outcome: "merged"}), CodeInput},
		{"close twice", []deed{does(ann, Close{})}, ann, c(Close{}), CodeState},
		{"close while a reply is on its way", outgoing, ann, c(Close{}), CodeState},
		{"reopen what is closed", []deed{does(ann, Close{})}, bob, c(Reopen{}), Reopened},
		{"reopen what is watched", []deed{does(ann, LookOn{})}, bob, c(Reopen{}), Reopened},
		{"reopen what is hidden", []deed{does(ann, Snooze{Until: noon.Add(time.Hour)})}, bob, c(Reopen{}), Reopened},
		{"reopen what is open", nil, bob, c(Reopen{}), CodeState},

		{"escalate", nil, pat, c(Escalate{Why: "TV called"}), Escalated},
		{"escalate while another holds it", []deed{does(bob, Claim{})}, ann, c(Escalate{Why: "TV called"}), Escalated},
		{"escalate without a word", nil, ann, c(Escalate{}), CodeInput},

		{"promise", nil, ann, c(MakePromise{Due: noon.Add(time.Hour)}), Promised},
		{"promise the past", nil, ann, c(MakePromise{Due: noon}), CodeInput},
		{"promise for ever", nil, ann, c(MakePromise{Due: noon.AddDate(2, 0, 0)}), CodeInput},
		{"promise every minute", nil, ann, c(MakePromise{Due: noon.Add(time.Hour), Every: time.Minute}), CodeInput},
		{"promise on what is closed", []deed{does(ann, Close{})}, ann, c(MakePromise{Due: noon.Add(time.Hour)}), CodeState},

		{"nothing on what a newer program wrote", []deed{happens(Event{Kind: "translated"})}, ann, c(Claim{}), CodeReadOnly},
		{"nothing on what was erased", []deed{happens(Event{Kind: Redacted, Mention: &mention.Mention{Brand: "acme"}})}, ann, c(AddNote{Text: "?"}), CodeErased},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(complaint("返事がない"))
			run(t, d, tt.when...)
			before := len(d.events)
			kind, err := d.do(tt.by, tt.cmd(d))
			switch want := tt.want.(type) {
			case Kind:
				if err != nil || kind != want {
					t.Errorf("%q, %v; want %q", kind, err, want)
				}
			case string:
				if codeOf(err) != want {
					t.Errorf("%q, %v; want the refusal %q", kind, err, want)
				}
				if len(d.events) != before {
					t.Error("a refusal left an event")
				}
			}
		})
	}
}

func TestATemplateServesItsBrandAlone(t *testing.T) {
	t.Parallel()
	d := newDesk(complaint("?"))
	other := thanks
	other.Brands = []string{"zenith"}
	d.templates["thanks"] = other
	if _, err := d.do(ann, fixed); codeOf(err) != CodeInput {
		t.Errorf("%v, want a refusal", err)
	}
}

// What is told to be edited decides who must look at it, so nobody but the
// template and its slots can say so.
func TestADraftKnowsWhetherItIsItsTemplate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		write  Write
		edited bool
	}{
		{"free words", free, true},
		{"the template", fixed, false},
		{"the template with the other choice", Write{
			Text: "花子様、ありがとうございます。お待ちしています。", Template: "thanks", Slots: map[string]string{"author": "花子", "next": "お待ちしています。"},
		}, false},
		{"the template with a word more", Write{Text: fixed.Text + "！", Template: "thanks", Slots: fixed.Slots}, true},
		{"the template with a slot open", Write{Text: "{{author}}様、ありがとうございます。またどうぞ。", Template: "thanks"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(complaint("?"))
			run(t, d, does(ann, tt.write))
			if s := d.fold(); s.Draft.Edited != tt.edited || s.Draft.Version != 1 || s.Draft.Account != "box" || s.Draft.Kind != First {
				t.Errorf("draft %+v, want edited %v", s.Draft, tt.edited)
			}
		})
	}
}
