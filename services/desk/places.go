package desk

import (
	"errors"
	"net/http"
	"strings"

	"github.com/earshot/earshot/pkg/identity"
)

// placesView lists where somebody is signed in.
type placesView struct {
	frame
	Lead string
	Back link
	Rows []placeRow
}

type placeRow struct {
	Name        string
	Way         string // how they came in
	Began, Seen moment
	This        bool
	End         string // where to post to end it
}

func (c *call) places() error {
	say := c.l.say
	all, err := c.Gate.Sessions(c.ctx, c.staff.ID)
	if err != nil {
		return err
	}
	v := &placesView{frame: c.frame(say("places.title"), "/me"), Lead: say("places.lead"), Back: link{say("me.title"), "/me"}}
	for _, s := range all {
		row := placeRow{Name: c.placeName(s.Agent), Began: c.l.at(s.Began), Seen: c.l.at(s.Seen), This: s.ID == c.place.ID, End: "/me/places/" + s.ID + "/end"}
		if s.Via == identity.ByOpenID {
			row.Way = c.providerLabel()
		}
		v.Rows = append(v.Rows, row)
	}
	return c.show(http.StatusOK, "places", "page", v)
}

func (c *call) endPlace() error {
	id := c.r.PathValue("id")
	if err := c.Gate.EndSession(c.ctx, c.staff.ID, id); errors.Is(err, identity.ErrNoSession) {
		return errNotFound
	} else if err != nil {
		return err
	}
	if id == c.place.ID {
		c.setSession("")
		return c.back("/sign-in")
	}
	c.flash(&flash{Text: c.l.say("places.ended")})
	return c.back("/me/places")
}

// Browsers and systems by what stands in the name that a browser sends; the first
// that fits counts, since each names those it resembles.
var (
	browsers = [][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}}
	systems  = [][2]string{{"Windows", "Windows"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}}
)

// placeName is what people call the browser and system of an agent.
func (c *call) placeName(agent string) string {
	find := func(list [][2]string) string {
		for _, x := range list {
			if strings.Contains(agent, x[0]) {
				return x[1]
			}
		}
		return ""
	}
	browser, system := find(browsers), find(systems)
	switch {
	case browser != "" && system != "":
		return c.l.say("places.on", browser, system)
	case browser != "" || system != "":
		return browser + system
	case agent == "":
		return c.l.say("places.unknown")
	}
	return agent
}
