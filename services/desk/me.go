package desk

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
)

// zones are offered for times besides the one that the browser told.
var zones = []string{"Asia/Tokyo", "UTC", "Europe/London", "Europe/Berlin", "America/New_York", "America/Los_Angeles", "Asia/Singapore", "Australia/Sydney"}

func (c *call) me() error { return c.showMe(http.StatusOK, *c.staff, c.look, nil) }

// showMe shows the settings of s, the caller, as they are or as they were typed.
func (c *call) showMe(status int, s identity.Staff, l look, wrong map[string]string) error {
	say, chosen := c.l.say, cmp.Or(l.Lang, c.l.lang)
	lang := field{Name: "lang", Label: say("me.lang"), Type: "select", Required: true}
	for _, x := range langs {
		lang.Options = append(lang.Options, option{Value: x, Label: c.pages.words[x].say("lang.own"), On: x == chosen})
	}
	zone := field{Name: "zone", Label: say("me.zone"), Type: "select", Plain: true}
	zone.Options = []option{{Value: "", Label: say("me.zone_machine", time.Local.String()), On: l.Zone == ""}}
	offered := zones
	if l.Zone != "" && !slices.Contains(zones, l.Zone) {
		offered = append([]string{l.Zone}, zones...)
	}
	for _, z := range offered {
		zone.Options = append(zone.Options, option{Value: z, Label: z, On: z == l.Zone})
	}
	radio := func(name, label, now string, values ...string) field {
		f := field{Name: name, Label: say(label), Type: "radio"}
		for _, v := range values {
			key := label + "_" + v
			if v == "" {
				key = label + "_system"
			}
			f.Options = append(f.Options, option{Value: v, Label: say(key), On: v == now})
		}
		return f
	}
	check := func(name, label, text string, on bool) field {
		return field{Name: name, Label: say(label), Type: "check", Options: []option{{Value: "on", Label: say(text), On: on}}}
	}
	v := &formView{frame: c.frame(say("me.title"), "/me"), Action: "/me", Button: say("me.save"), Lead: c.load()}
	v.Hidden = []pair{{"version", itoa(c.based(settings.Staff.Version(c.Settings, s.ID)))}}
	if status == http.StatusConflict {
		v.Notice = c.overtakenNotice()
	}
	v.Groups = []fieldGroup{
		{Fields: []field{
			{Name: "name", Label: say("me.name"), Value: s.Name, Required: true, Error: wrong["name"]},
			{Name: "public", Label: say("me.public"), Value: s.PublicName, Hint: say("staff.public_hint"), Error: wrong["public"]}, lang, zone,
			check("away", "me.away", "me.away_on", s.Away),
		}},
		{Label: say("me.look"), Fields: []field{
			radio("theme", "me.theme", l.Theme, "", "light", "dark"), radio("density", "me.density", l.density(), "comfortable", "compact"),
			check("keys", "me.keys", "me.keys_on", !l.NoKeys), check("fold", "me.fold", "me.fold_on", !l.Open),
			check("pictures", "me.pictures", "me.pictures_fold", l.FoldPictures),
		}},
	}
	second := "me.second_off"
	cred, _ := settings.Credentials.Get(c.Settings, c.staff.ID)
	if cred.Second != nil {
		second = "me.second_on"
	}
	v.Links = []link{{say(second), secondPath}, {say("places.title"), "/me/places"}}
	v.Danger = &actionView{Label: say("me.sign_out_everywhere"), Action: "/me/sign-out-everywhere"}
	if !c.byPassword(c.staff.Email) || cred.Password == "" && len(cred.Subjects) > 0 {
		return c.show(status, "form", "page", v)
	}
	v.Second = &formView{Action: "/me/password", Button: say("me.password_change"), Groups: []fieldGroup{{Label: say("me.password"), Fields: []field{
		{Name: "old", Label: say("me.password_now"), Type: "password", Required: true, Auto: "current-password", Error: wrong["old"]},
		{Name: "password", Label: say("me.password_new"), Type: "password", Required: true, Auto: "new-password", Hint: say("me.password_hint"), Error: wrong["password"]},
	}}}}
	return c.show(status, "form", "page", v)
}

// load is what the caller carries today: it is for their own eyes.
func (c *call) load() string {
	mine := func(more map[search.Field][]string, from time.Time) search.Query {
		where := map[search.Field][]string{search.FieldHolder: {c.viewer.Actor()}}
		maps.Copy(where, more)
		return search.Query{Viewer: c.sees(), Where: where, Seen: search.Period{From: from}}
	}
	n, err := c.Index.Counts(c.ctx,
		mine(nil, c.midnight()),
		mine(map[search.Field][]string{search.FieldRisk: texts(mention.Harsh)}, c.midnight()),
		mine(map[search.Field][]string{search.FieldOpen: {search.Yes}}, time.Time{}))
	if err != nil {
		c.Log.Warn("one's load not counted", "error", err)
		return ""
	}
	return c.l.say("me.load", n[0], n[1], n[2])
}

func (c *call) saveMe() error {
	look := look{Lang: c.form("lang"), Theme: c.form("theme"), Density: c.form("density"), Zone: c.form("zone"), NoKeys: c.form("keys") != "on", Open: c.form("fold") != "on", FoldPictures: c.form("pictures") == "on", Plain: c.look.Plain}
	if c.pages.words[look.Lang] == nil {
		look.Lang = ""
	}
	s := *c.staff
	s.Name, s.PublicName, s.Away = c.form("name"), c.form("public"), c.form("away") == "on"
	if look.Lang != "" {
		s.Lang = look.Lang
	}
	wrong := map[string]string{}
	if c.nameWrong(wrong, s.Name, s.PublicName); len(wrong) > 0 {
		return c.showMe(http.StatusUnprocessableEntity, s, look, wrong)
	}
	if s.Name != c.staff.Name || s.PublicName != c.staff.PublicName || s.Lang != c.staff.Lang || s.Away != c.staff.Away {
		err := settings.Staff.Put(c.ctx, c.Settings, c.viewer.Actor(), s.ID, c.based(settings.Staff.Version(c.Settings, s.ID)), s)
		if c.overtaken(err) {
			return c.showMe(http.StatusConflict, s, look, nil)
		}
		if err != nil {
			return err
		}
	}
	look.write(c.w, c.secure())
	c.l = &locale{words: c.pages.words[s.Lang], zone: c.l.zone, now: c.l.now}
	if c.l.words == nil {
		c.l.words = c.pages.words[langs[0]]
	}
	c.flash(&flash{Text: c.l.say("done.saved")})
	return c.back("/me")
}

func (c *call) changePassword() error {
	if !c.byPassword(c.staff.Email) {
		return errForbidden
	}
	old, password := c.r.PostFormValue("old"), c.r.PostFormValue("password")
	if err := identity.CheckPassword(password, c.staff.Email); err != nil {
		return c.showMe(http.StatusUnprocessableEntity, *c.staff, c.look, map[string]string{"password": c.l.say("form.password", identity.MinPassword)})
	}
	err := c.Gate.ChangePassword(c.ctx, c.staff.Email, old, password, c.from())
	if _, slow := errors.AsType[*identity.ThrottledError](err); slow {
		return c.showMe(http.StatusTooManyRequests, *c.staff, c.look, map[string]string{"old": c.l.say("signin.slow")})
	}
	if errors.Is(err, identity.ErrRefused) {
		return c.showMe(http.StatusUnprocessableEntity, *c.staff, c.look, map[string]string{"old": c.l.say("form.wrong_password")})
	}
	if err != nil {
		return err
	}
	c.flash(&flash{Text: c.l.say("done.saved")})
	return c.enter(c.staff.ID, "/me", c.place.Via)
}
