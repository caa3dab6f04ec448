package desk

import (
	"net/http"
	"net/url"
	"time"
)

// look is how somebody likes the desk on one device. It lies in a cookie: it
// is no secret, and another screen may want another one.
type look struct {
	Lang, Theme, Density, Zone string
	NoKeys                     bool
	Open                       bool // harsh posts are shown unfolded
	Plain                      bool // posts are shown without our marks
	FoldPictures               bool // pictures are hidden until they are opened
}

const lookCookie = "earshot-look"

func readLook(r *http.Request) (l look) {
	c, err := r.Cookie(lookCookie)
	if err != nil {
		return l
	}
	q, err := url.ParseQuery(c.Value)
	if err != nil {
		return l
	}
	one := func(name string, of ...string) string {
		for _, v := range of {
			if q.Get(name) == v {
				return v
			}
		}
		return ""
	}
	return look{
		Lang: one("lang", langs...), Theme: one("theme", "light", "dark"), Density: one("density", "compact"),
		Zone: q.Get("zone"), NoKeys: q.Get("keys") == "off", Open: q.Get("fold") == "off",
		FoldPictures: q.Get("pictures") == "fold",
		Plain:        q.Get("marks") == "off",
	}
}

// write keeps the look in the browser, as far as it is one: a cookie without an end
// would keep its owner out.
func (l look) write(w http.ResponseWriter, secure bool) {
	if _, err := time.LoadLocation(l.Zone); err != nil {
		l.Zone = ""
	}
	if l.Theme != "light" && l.Theme != "dark" {
		l.Theme = ""
	}
	if l.Density != "compact" {
		l.Density = ""
	}
	q := url.Values{}
	for k, v := range map[string]string{"lang": l.Lang, "theme": l.Theme, "density": l.Density, "zone": l.Zone} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if l.NoKeys {
		q.Set("keys", "off")
	}
	if l.Open {
		q.Set("fold", "off")
	}
	if l.Plain {
		q.Set("marks", "off")
	}
	if l.FoldPictures {
		q.Set("pictures", "fold")
	}
	http.SetCookie(w, &http.Cookie{
		Name: lookCookie, Value: q.Encode(), Path: "/", MaxAge: 365 * 24 * 3600,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure,
	})
}

func (l look) density() string {
	if l.Density == "" {
		return "comfortable"
	}
	return l.Density
}

// zone is the person's, or the machine's where they have chosen none.
func (l look) zone() *time.Location {
	if l.Zone != "" {
		if z, err := time.LoadLocation(l.Zone); err == nil {
			return z
		}
	}
	return time.Local
}
