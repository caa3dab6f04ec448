package desk

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

// howNoted are the ways in which something reaches staff.
var howNoted = []string{"phone", "visit", "mail"}

// note is the form for what was said on the phone or on a visit.
func (c *call) note() error { return c.showNote(http.StatusOK, nil) }

func (c *call) showNote(status int, wrong map[string]string) error {
	say := c.l.say
	brand := field{Name: "brand", Label: say("note.brand"), Type: "select", Required: true, Options: c.brandOptions(identity.Comment, c.form("brand"))}
	how := field{Name: "how", Label: say("note.how"), Type: "radio"}
	for i, h := range howNoted {
		how.Options = append(how.Options, option{Value: h, Label: say("note." + h), On: c.form("how") == h || c.form("how") == "" && i == 0})
	}
	when := cmp.Or(c.form("when"), c.l.now.In(c.l.zone).Format(localTime))
	v := &formView{
		frame: c.frame(say("note.title"), "/note"), Lead: say("note.lead"), Action: "/note", Button: say("note.save"),
		Groups: []fieldGroup{{Fields: []field{
			brand, how,
			{Name: "text", Label: say("note.text"), Hint: say("note.text_hint"), Type: "textarea", Rows: 7, Required: true, Value: c.form("text"), Error: wrong["text"]},
			{Name: "when", Label: say("note.when"), Type: "datetime-local", Value: when, Required: true, Error: wrong["when"]},
			{Name: "who", Label: say("note.who"), Hint: say("note.who_hint"), Value: c.form("who")},
			{Name: "place", Label: say("note.place"), Value: c.form("place")},
			{Name: "files", Label: say("note.files"), Hint: say("note.files_hint"), Type: "file", Error: wrong["files"]},
		}}},
		Upload: true, Check: "/note/check",
	}
	if len(brand.Options) == 0 {
		v.Groups = nil
		v.Notice = &notice{Kind: "empty", Title: say("brand.none"), Text: say("brand.none_text"), Links: []link{{say("nav.brands"), "/brands"}}}
	}
	return c.show(status, "form", "page", v)
}

// heard says what the note is about as it stands: a threat shows while somebody is
// still on the phone.
func (c *call) heard() error {
	brand := c.form("brand")
	if err := c.may(identity.Comment, brand); err != nil {
		return err
	}
	v := &heardView{}
	if text := c.form("text"); text != "" {
		m := mention.Of(brand, mention.Post{Platform: "note", NativeID: "draft", Source: "note", Kind: mention.KindNote, Intake: mention.Noted, Text: text, SeenAt: c.l.now.UTC()})
		ctx, cancel := c.within(settle)
		defer cancel()
		verdict, err := bus.Ask[mention.Mention, mention.Verdict](ctx, c.Bus, "classifier", "judge", m)
		if err != nil {
			c.Log.Debug("note not judged while it is written", "error", err)
		}
		for _, r := range verdict.Risks {
			v.Risks = append(v.Risks, c.l.say("risk."+string(r.Category)))
		}
		v.Page = verdict.Page
	}
	return c.show(http.StatusOK, "form", "heard", v)
}

// heardView is what a note sounds like.
type heardView struct {
	Risks []string
	Page  bool
}

// saveNote brings the note in like any mention: it is tagged, queued and, if
// it has to be, paged.
func (c *call) saveNote() error {
	brand := c.form("brand")
	if err := c.may(identity.Comment, brand); err != nil {
		return err
	}
	wrong := map[string]string{}
	text := c.form("text")
	if text == "" {
		wrong["text"] = c.l.say("form.required")
	}
	when, err := c.moment(c.form("when"))
	if err != nil || when.After(c.l.now.Add(10*time.Minute)) {
		wrong["when"] = c.l.say("form.time")
	}
	uploads, err := c.uploads("files")
	if input, ok := errors.AsType[*inputError](err); ok {
		wrong["files"] = input.text
	} else if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return c.showNote(http.StatusUnprocessableEntity, wrong)
	}
	files, err := c.keep(uploads)
	if err != nil {
		return err
	}
	how := c.form("how")
	if !c.l.has("note." + how) {
		how = howNoted[0]
	}
	post := mention.Post{
		Platform: "note", NativeID: newID(), Source: "note", Kind: mention.KindNote, Intake: mention.Noted, Text: text,
		Author: mention.Author{Name: c.form("who")}, Place: mention.Place{Name: c.form("place"), ID: c.form("place")},
		Title: c.l.say("note."+how) + " · " + c.viewer.Name(), PublishedAt: when.UTC(), SeenAt: c.l.now.UTC(),
	}
	for _, f := range files {
		post.Media = append(post.Media, mediaOf(f))
	}
	m := mention.Of(brand, post)
	if err := bus.Mentions.Publish(c.ctx, c.Bus, &m); err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say("note.made")})
	return c.back("/queue")
}
