// Package config reads what processes are configured with: one YAML file,
// secrets, and the settings of connectors, notifiers and search engines.
//
// Everything is strict and self-describing. An unknown key, a wrong type or a
// missing value is an error with its line, all of them are reported at once,
// and the reference is written from the struct tags that decoding uses.
package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
)

// File is the configuration of a process. What people edit (brands, templates,
// sources …) is not here but in the settings on the bus.
//
// Each single value can be overridden by an environment variable: bus.url by
// EARSHOT_BUS_URL, and so on.
type File struct {
	Data       string     `yaml:"data" doc:"Folder for everything the process keeps: embedded bus, embedded index, socket of the command line."`
	Listen     string     `yaml:"listen" doc:"Address of the desk and the HTTP API. Port 0 picks a free one and prints it."`
	URL        string     `yaml:"url" doc:"Address under which people reach the desk, for the links in pages and e-mails. Empty: made from listen."`
	SignIn     SignIn     `yaml:"sign_in" doc:"How people sign in to the desk; docs/run/rights.md says more."`
	Log        Log        `yaml:"log" doc:"Logging, to standard error."`
	Bus        Bus        `yaml:"bus" doc:"The message bus, NATS JetStream: the only system of record."`
	Search     Search     `yaml:"search" doc:"The search index. It can be rebuilt from the bus at any time."`
	Classifier Classifier `yaml:"classifier" doc:"What verdicts go by."`
	Canary     Canary     `yaml:"canary" doc:"A mention of no brand that goes the whole way again and again, to see that the way is open."`
	Limits     Limits     `yaml:"limits" doc:"What bounds the process."`
}

// Canary configures what watches the line.
type Canary struct {
	Every time.Duration `yaml:"every" doc:"How often one is sent, at least 10s. 0 for never."`
	Late  time.Duration `yaml:"late" doc:"After how long without one that came through the administrators are told."`
}

// SignIn says how people sign in.
type SignIn struct {
	Passwords  string        `yaml:"passwords" enum:"everybody,emergency" doc:"Who may sign in by password: everybody, or in an emergency only the administrators listed below, while all others come by openid."`
	Emergency  []string      `yaml:"emergency" doc:"E-mail addresses of administrators who may always sign in by password, and whose roles no provider takes away."`
	Invitation time.Duration `yaml:"invitation" doc:"How long an invitation is good."`
	OpenID     OpenID        `yaml:"openid" doc:"Sign-in by an OpenID Connect provider. Off without issuer. The address to register there is url with /sign-in/openid/callback behind it."`
}

// OpenID configures sign-in by an OpenID provider.
type OpenID struct {
	Issuer      string   `yaml:"issuer" doc:"Address of the provider, exactly as it calls itself, as https://accounts.google.com. http:// is for hosts in limits.allow_private alone."`
	Client      string   `yaml:"client_id" doc:"Id of the client that was registered at the provider."`
	Secret      Secret   `yaml:"client_secret" doc:"Secret of the client. Empty for a public client: PKCE is always used."`
	Label       string   `yaml:"label" doc:"Name of the provider on the sign-in button."`
	Scopes      []string `yaml:"scopes" doc:"Scopes to ask for beside openid."`
	TrustEmail  bool     `yaml:"trust_email" doc:"Take the provider's addresses for verified though it doesn't say so. Only for a provider where nobody can choose their own address, as a tenant of Microsoft Entra ID that is yours alone."`
	Domains     []string `yaml:"domains" doc:"Domains of e-mail addresses whose holders get an account when they first sign in, without an invitation. Empty: nobody does."`
	DefaultRole string   `yaml:"default_role" doc:"Role of such accounts, as viewer, or as agent@BRAND,BRAND for some brands."`
	GroupsClaim string   `yaml:"groups_claim" doc:"Claim that lists a person's groups."`
	Roles       []string `yaml:"roles" doc:"Roles by group, as support=agent or kumo-pr=pr_lead@kumo,hoshi. With any, the provider's groups decide a person's roles at each sign-in."`
}

// Log configures logging.
type Log struct {
	Level  slog.Level `yaml:"level" doc:"Least level that is logged: debug, info, warn or error."`
	Format string     `yaml:"format" enum:"auto,text,json" doc:"auto is text on a terminal and JSON elsewhere."`
}

// Bus configures the connection to NATS, or the embedded server.
type Bus struct {
	URL         string        `yaml:"url" doc:"Address of the NATS server, nats:// or tls://, several joined by commas. Empty: a server embedded in this process, with its files in the data folder and no open port."`
	User        string        `yaml:"user" doc:"Name under which this process signs in to the NATS server."`
	Password    Secret        `yaml:"password" doc:"Password that belongs to user."`
	Credentials string        `yaml:"credentials" doc:"Path of the NATS credentials file of this process, instead of user and password."`
	Replicas    int           `yaml:"replicas" doc:"Copies of each stream, 1, 3 or 5, on a cluster."`
	Sync        time.Duration `yaml:"sync" doc:"How often the embedded server forces its files to disk; a power cut loses at most this much, a crash of the process nothing. 0 forces every message."`
}

// Search configures the index.
type Search struct {
	Engine string `yaml:"engine" enum:"embedded,meilisearch" doc:"embedded keeps the index in the data folder and needs indexer and desk in one process; meilisearch is a server of its own."`
	URL    string `yaml:"url" doc:"Address of the Meilisearch server."`
	Key    Secret `yaml:"key" doc:"Key of the Meilisearch server."`
	Prefix string `yaml:"prefix" doc:"Put before the names of Meilisearch indexes, so that installations can share a server."`
}

// Classifier says what verdicts go by beside what is embedded.
type Classifier struct {
	Rules []string `yaml:"rules" doc:"Paths of rule files of your own, in addition to the embedded ones; docs/extend/classifier.md has the notation."`
	Model string   `yaml:"model" doc:"Path of a model that earshot train has written. Empty: the embedded one."`
	Tell  []string `yaml:"tell" doc:"Probabilities from which a risk is told, as churn=0.7. Those that are left out are the model's own."`
	Page  []string `yaml:"page" doc:"Probabilities from which a hazard or a threat pages, as publicity_threat=0.8: of safety_hazard that somebody is hurt or something burns, of publicity_threat and legal_threat that it is stated by somebody with a grievance."`

	Opinion Opinion `yaml:"opinion" doc:"A second opinion on mentions of which the classifier is not sure, from an endpoint that speaks the OpenAI protocol. Off without url. docs/run/second-opinion.md says what leaves the house."`
}

// Opinion says whom to ask for a second opinion, and how much.
type Opinion struct {
	URL          string        `yaml:"url" doc:"Address of the endpoint, as https://api.example.com/v1; /chat/completions is added. Empty: nobody is asked. http:// is for hosts in limits.allow_private alone."`
	Model        string        `yaml:"model" doc:"Name of the model there. It must be able to answer by a JSON schema."`
	Key          Secret        `yaml:"key" doc:"Key of the endpoint, sent as a bearer token. Empty: none."`
	PerHour      int           `yaml:"per_hour" doc:"Most questions in an hour. The last quarter is kept for mentions that may page."`
	TokensPerDay int           `yaml:"tokens_per_day" doc:"Most tokens in a day (UTC), asked and answered, as the endpoint counts them. The last quarter is kept for mentions that may page."`
	Timeout      time.Duration `yaml:"timeout" doc:"Longest wait for an answer. Nothing but the opinion waits for it."`
}

// Limits bounds the process.
type Limits struct {
	Retention    time.Duration `yaml:"retention" doc:"How long mentions are kept, on the bus and in the index."`
	Backlog      Size          `yaml:"backlog" doc:"Size of the stream of fetched mentions that wait for the classifier. When it is full, fetching slows down."`
	IntakeBody   Size          `yaml:"intake_body" doc:"Largest request body the HTTP API takes."`
	IntakeRate   int           `yaml:"intake_rate" doc:"Posts a minute that the HTTP intake takes from each token."`
	FetchBody    Size          `yaml:"fetch_body" doc:"Largest answer taken from a platform, after decompression."`
	FetchTimeout time.Duration `yaml:"fetch_timeout" doc:"Longest time a request to a platform may take."`
	AllowPrivate []string      `yaml:"allow_private" doc:"Hosts (host or host:port), addresses or networks (10.1.0.0/16) that sources and notifiers may reach although they are private. All other private, loopback and link-local addresses are refused."`
	Proxy        string        `yaml:"proxy" doc:"HTTP proxy for requests to platforms. The proxy must itself refuse private addresses."`
}

// Default returns the configuration of a process without a file: everything
// embedded, in ./data.
func Default() File {
	return File{
		Data:   "./data",
		Listen: "127.0.0.1:8080",
		SignIn: SignIn{
			Passwords: "everybody", Invitation: 7 * 24 * time.Hour,
			OpenID: OpenID{Label: "OpenID", Scopes: []string{"email", "profile"}, DefaultRole: "viewer", GroupsClaim: "groups"},
		},
		Log:    Log{Format: "auto"},
		Bus:    Bus{Replicas: 1, Sync: time.Second},
		Search: Search{Engine: "embedded", Prefix: "earshot"},
		Classifier: Classifier{
			Opinion: Opinion{PerHour: 60, TokensPerDay: 500_000, Timeout: time.Minute},
		},
		Canary: Canary{Every: 5 * time.Minute, Late: 15 * time.Minute},
		Limits: Limits{
			Retention: 400 * 24 * time.Hour, Backlog: 1 << 30, IntakeBody: 8 << 20, IntakeRate: 6000,
			FetchBody: 10 << 20, FetchTimeout: 30 * time.Second,
		},
	}
}

// Load reads the file at path over the defaults, then the environment. An
// empty path means no file. Its error joins a [FieldError] for each mistake,
// each naming the file.
func Load(path string) (File, error) {
	var raw []byte
	if path != "" {
		f, err := os.Open(path)
		if err != nil {
			return File{}, fmt.Errorf("configuration: %w", err)
		}
		defer f.Close()
		if raw, err = io.ReadAll(io.LimitReader(f, maxInput+1)); err != nil {
			return File{}, fmt.Errorf("configuration: %w", err)
		}
	}
	f, err := load(raw, os.LookupEnv)
	if err == nil {
		return f, nil
	}
	errs := flatten(err)
	for i, e := range errs {
		if path != "" {
			e = fmt.Errorf("%s: %w", path, e)
		}
		errs[i] = e
	}
	return File{}, errors.Join(errs...)
}

func load(raw []byte, env func(string) (string, bool)) (File, error) {
	f := Default()
	d := decoder{lookup: func(path string) (string, bool) {
		return env("EARSHOT_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_")))
	}}
	err := d.decode(raw, reflect.ValueOf(&f).Elem())
	return f, err
}

func (s *SignIn) validate(l *Limits) (errs []error) {
	bad := func(key, format string, args ...any) {
		errs = append(errs, Invalid("sign_in."+key, format, args...))
	}
	if s.Invitation < time.Hour {
		bad("invitation", "%s: want at least 1h", s.Invitation)
	}
	o := &s.OpenID
	switch {
	case o.Issuer == "" && o.Client != "":
		bad("openid.issuer", "required with openid.client_id")
	case o.Issuer != "" && !webAddress(o.Issuer):
		bad("openid.issuer", "must start with https://")
	case o.Issuer != "" && strings.HasPrefix(o.Issuer, "http:") && !inReach(l, o.Issuer):
		bad("openid.issuer", "must start with https://, or its host must be in limits.allow_private: else anybody on the way signs in as anybody")
	case o.Issuer != "" && o.Client == "":
		bad("openid.client_id", "required with openid.issuer")
	}
	if s.Passwords == "emergency" && o.Issuer == "" {
		bad("passwords", "without openid.issuer nobody else could sign in; set it, or leave passwords at everybody")
	}
	if s.Passwords == "emergency" && len(s.Emergency) == 0 {
		bad("emergency", "name at least one administrator who can come in while the provider is away")
	}
	for i, d := range o.Domains {
		if strings.Contains(d, "@") || !strings.Contains(d, ".") {
			bad(fmt.Sprintf("openid.domains[%d]", i), "%q: want a domain like example.com", d)
		}
	}
	return errs
}

// Validate reports what is wrong across fields.
func (f *File) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) { errs = append(errs, Invalid(key, format, args...)) }
	if f.Data == "" {
		bad("data", "required")
	}
	if _, _, err := net.SplitHostPort(f.Listen); err != nil {
		bad("listen", "%q is not an address; write it like 127.0.0.1:8080", f.Listen)
	}
	if f.URL != "" && !webAddress(f.URL) {
		bad("url", "must start with http:// or https://")
	}
	errs = append(errs, f.SignIn.validate(&f.Limits)...)
	if e := f.Canary.Every; e != 0 && e < 10*time.Second {
		bad("canary.every", "%s: want at least 10s, or 0 for never", e)
	}
	if f.Canary.Every > 0 && f.Canary.Late < f.Canary.Every {
		bad("canary.late", "%s: want at least canary.every (%s)", f.Canary.Late, f.Canary.Every)
	}
	if f.Bus.URL == "" {
		if f.Bus.Credentials != "" {
			bad("bus.credentials", "only used with bus.url")
		}
		if f.Bus.User != "" {
			bad("bus.user", "only used with bus.url")
		}
		if f.Bus.Replicas != 1 {
			bad("bus.replicas", "the embedded server keeps one copy; set bus.url or leave this out")
		}
	}
	if (f.Bus.User == "") != f.Bus.Password.IsZero() {
		bad("bus.password", "bus.user and bus.password go together")
	}
	if f.Bus.User != "" && f.Bus.Credentials != "" {
		bad("bus.credentials", "not together with bus.user")
	}
	for u := range strings.SplitSeq(f.Bus.URL, ",") {
		if p, err := url.Parse(strings.TrimSpace(u)); f.Bus.URL != "" && (err != nil || p.Host == "") {
			bad("bus.url", "must be like nats://host:4222")
			break
		}
	}
	if r := f.Bus.Replicas; r != 1 && r != 3 && r != 5 {
		bad("bus.replicas", "must be 1, 3 or 5")
	}
	if f.Bus.Sync > time.Minute {
		bad("bus.sync", "more than a minute risks too much")
	}
	switch {
	case f.Search.Engine == "meilisearch" && !webAddress(f.Search.URL):
		bad("search.url", "must start with http:// or https://")
	case f.Search.Engine == "embedded" && f.Search.URL != "":
		bad("search.url", "only used with search.engine meilisearch")
	}
	f.opinion(bad)
	for _, w := range []struct {
		key     string
		ok      bool
		atLeast string
	}{
		{"limits.retention", f.Limits.Retention >= 24*time.Hour, "1d"},
		{"limits.backlog", f.Limits.Backlog >= 16<<20, "16 MiB"},
		{"limits.intake_body", f.Limits.IntakeBody >= 64<<10, "64 KiB"},
		{"limits.intake_rate", f.Limits.IntakeRate >= 1, "1"},
		{"limits.fetch_body", f.Limits.FetchBody >= 64<<10, "64 KiB"},
		{"limits.fetch_timeout", f.Limits.FetchTimeout >= time.Second, "1s"},
	} {
		if !w.ok {
			bad(w.key, "must be at least %s", w.atLeast)
		}
	}
	for i, a := range f.Limits.AllowPrivate {
		if strings.Contains(a, "/") {
			if _, err := netip.ParsePrefix(a); err != nil {
				bad(fmt.Sprintf("limits.allow_private[%d]", i), "%q is not a network; write it like 10.1.0.0/16", a)
			}
		} else if a == "" {
			bad(fmt.Sprintf("limits.allow_private[%d]", i), "empty")
		}
	}
	if f.Limits.Proxy != "" && !webAddress(f.Limits.Proxy) {
		bad("limits.proxy", "must start with http:// or https://")
	}
	return errors.Join(errs...)
}

func (f *File) opinion(bad func(key, format string, args ...any)) {
	const at = "classifier.opinion."
	o := &f.Classifier.Opinion
	u, err := url.Parse(o.URL)
	switch {
	case o.URL == "":
		if o.Model != "" {
			bad(at+"model", "only used with "+at+"url")
		}
		if !o.Key.IsZero() {
			bad(at+"key", "only used with "+at+"url")
		}
	case err != nil || !webAddress(o.URL):
		bad(at+"url", "must start with https://, as https://api.example.com/v1")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		bad(at+"url", "must have neither user nor query; the key goes into "+at+"key")
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/chat/completions"):
		bad(at+"url", "must end before /chat/completions, which is added")
	case u.Scheme == "http" && !f.Limits.allows(u):
		bad(at+"url", "must start with https://, or its host must be in limits.allow_private: else people's posts cross the network in the clear")
	case o.Model == "":
		bad(at+"model", "required with "+at+"url")
	}
	if o.PerHour < 1 {
		bad(at+"per_hour", "must be at least 1; leave out "+at+"url to ask nobody")
	}
	if o.TokensPerDay < 10_000 {
		bad(at+"tokens_per_day", "must be at least 10000, a few questions")
	}
	if o.Timeout < time.Second || o.Timeout > 10*time.Minute {
		bad(at+"timeout", "must be between 1s and 10m")
	}
}

// allows tells whether u is among what may be reached although it is private,
// as it is written there.
func (l *Limits) allows(u *url.URL) bool {
	addr, _ := netip.ParseAddr(u.Hostname())
	return slices.ContainsFunc(l.AllowPrivate, func(a string) bool {
		if p, err := netip.ParsePrefix(a); err == nil {
			return p.Contains(addr)
		}
		return strings.EqualFold(a, u.Hostname()) || strings.EqualFold(a, u.Host)
	})
}

func inReach(l *Limits, address string) bool {
	u, err := url.Parse(address)
	return err == nil && l.allows(u)
}

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// Reference writes the reference of [File] as Markdown.
func Reference(w io.Writer) {
	fmt.Fprint(w, "Each value can also be set in the environment: `bus.url` as `EARSHOT_BUS_URL`. Lists and maps can't.\n\n")
	d := Default()
	writeFields(w, 3, "", fieldsOf(reflect.ValueOf(d)))
}
