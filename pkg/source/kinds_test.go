package source

import (
	"strings"
	"testing"

	"github.com/earshot/earshot/pkg/config"
)

func TestConfigurationsAreChecked(t *testing.T) {
	for _, c := range []struct{ kind, cfg, want string }{
		{"feed", "", "url: required, unless search is set"},
		{"feed", "url: ftp://x\npoll: 10s", "line 1: url: must start with http:// or https://\nline 2: poll: must be at least 1m0s"},
		{"feed", "url: https://x\nsearch: google-news", "line 2: search: can't be set together with url"},
		{"feed", "search: google-news\nlocales: [japan]", "line 2: locales[0]: \"japan\" is not like ja-JP"},
		{"feed", "search: google-news\nlocales: []", "line 2: locales: required with search"},
		{"feed", "search: google-news\nserver: news", "line 2: server: must start with http:// or https://"},
		{"hackernews", "server: x\nbackfill: 90d\npoll: 1s", "line 1: server: must start with http:// or https://\nline 2: backfill: must be at most 30d\nline 3: poll: must be at least 30s"},
		{"bluesky", "servers: []", "line 1: servers: required"},
		{"bluesky", "servers: [https://x]\napi: x\nsilence: 1s", "line 1: servers[0]: must be like wss://jetstream2.us-east.bsky.network\nline 2: api: must start with http:// or https://\nline 3: silence: must be at least 5s"},
		{"mastodon", "server: https://mastodon.social/@me", "line 1: server: must be like https://mastodon.social"},
		{"mastodon", "server: ''", "line 1: server: required"},
		{"mastodon", "hashtags: [ok, two words]\nvisibility: loud", "line 1: hashtags[1]: \"two words\" is not a hashtag\nline 2: visibility: \"loud\" is not one of public, unlisted, private"},
		{"mastodon", "tokne: x", "line 1: tokne: unknown key; did you mean token?"},
		{"appstore", "", "app: required"},
		{"appstore", "app: id123\ncountries: [JP]\npoll: 1m", "line 1: app: must be the app's number, without id\nline 2: countries[0]: \"JP\" is not the code of a store, like jp\nline 3: poll: must be at least 5m0s"},
		{"appstore", "app: 1\ncountries: [jp, all]\nbackfill: 2d", "line 2: countries[1]: all stands alone"},
		{"appstore", "app: 1\ncountries: [all]\nbackfill: 0", "line 3: backfill: must be at least 1h, at most 365d"},
		{"appstore", "app: 123\ncountries: []\nserver: x", "line 2: countries: required\nline 3: server: must start with http:// or https://"},
		{"appstoreconnect", "app: 1\nkey_id: a", "key: required"},
		{"appstoreconnect", "app: id1\nkey_id: a\nkey: b\nserver: x\npoll: 1s", "line 1: app: must be the app's number, without id\nline 4: server: must start with http:// or https://\nline 5: poll: must be at least 1m0s"},
		{"googlebusiness", "client_id: a\nclient_secret: b\nserver: https://x\nbackfill: 1m\npoll: 1s", "line 3: server: must be like https://{api}.googleapis.com\nline 4: backfill: must be at least 1h, at most 365d\nline 5: poll: must be at least 1m0s"},
		{"googleplay", "package: acme\nkey: b\nserver: x\npoll: 48h", "line 1: package: must be like com.example.app\nline 3: server: must start with http:// or https://\nline 4: poll: must be at least 2m, at most 24h"},
		{"reddit", "client_id: a\nclient_secret: b\naccount: u/acme\nsubreddits: [r/acme]\nserver: x\npoll: 1s", "line 3: account: must be a name, without u/\nline 4: subreddits[0]: \"r/acme\" is not a name, without r/\nline 5: server: must start with http:// or https://\nline 6: poll: must be at least 30s"},
		{"trustpilot", "business_unit: acme\nkey: a\nsecret: b\nuser: me\nserver: x\npoll: 1s", "line 1: business_unit: must be 24 letters a-f and digits\nline 4: user: must be 24 letters a-f and digits\nline 5: server: must start with http:// or https://\nline 6: poll: must be at least 5m0s"},
		{"youtube", "channel: acme\nvideos: [x]\nclient_id: a\nclient_secret: b\nunits: 1", "line 1: channel: must be UC and 22 characters\nline 2: videos[0]: \"x\" is not the 11 characters after v= in a video's address\nline 5: units: must be at least 100"},
		{"sandbox", "dir: ../../etc\nspeed: 0", "line 1: dir: must be a folder within the data folder\nline 2: speed: must be more than 0, at most 1000000"},
		{"sandbox", "speed: nan", "line 1: speed: must be more than 0, at most 1000000"},
		{"x", "account: so long a handle is none\nlisten: everything\ncountry: jp", "line 1: account: \"so long a handle is none\" is not a handle on X\nline 2: listen: \"everything\" is not one of search, stream, mentions, push\nline 3: country: \"jp\" is not like JP"},
		{"x", "listen: mentions\nhistory: 8d\npoll: 1s\nsilence: 5s\napi: x", "account: required to read mentions\nline 2: history: must be at most 7d\nline 3: poll: must be at least 15s\nline 4: silence: must be at least 20s\nline 5: api: must start with http:// or https://"},
		{"x", "daily_usd: -1\nprice_post: nan\nmonth_begins: 31\ndaily_posts: -5", "line 1: daily_usd: must be between 0 and 10000000\nline 2: price_post: must be between 0 and 100\nline 3: month_begins: must be between 1 and 28\nline 4: daily_posts: must be between 0 and 1000000000"},
	} {
		k, ok := Named(c.kind)
		if !ok {
			t.Fatal(c.kind)
		}
		if err := k.Check([]byte(c.cfg)); err == nil || err.Error() != c.want {
			t.Errorf("%s, %q:\ngot  %v\nwant %s", c.kind, c.cfg, err, c.want)
		}
	}
}

func TestKindsWorkAsTheyComeWhereTheyCan(t *testing.T) {
	for name, cfg := range map[string]string{"feed": "search: google-news", "hackernews": "", "bluesky": "", "mastodon": "", "appstore": "app: '1'", "email": "{host: mail.example, username: a@b.example, password: p}", "sandbox": "", "x": ""} {
		k, _ := Named(name)
		if err := k.Check([]byte(cfg)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheReferenceDescribesEveryField(t *testing.T) {
	for _, k := range Kinds {
		var b strings.Builder
		k.Reference(&b, 3)
		for _, f := range k.Fields() {
			if !strings.Contains(b.String(), "| `"+f.Key+"` |") || !strings.HasSuffix(f.Doc, ".") {
				t.Errorf("%s: %s: %q", k.Name, f.Key, f.Doc)
			}
			if f.Type == config.Hidden && f.Default != "" {
				t.Errorf("%s: %s has a default", k.Name, f.Key)
			}
		}
	}
}
