package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func noEnv(string) (string, bool) { return "", false }

var sameSecret = cmp.Comparer(func(a, b Secret) bool {
	x, _ := a.Reveal()
	y, _ := b.Reveal()
	return x == y
})

func TestGoodFilesLoad(t *testing.T) {
	files, _ := filepath.Glob("testdata/good/*.yaml")
	if len(files) < 4 {
		t.Fatalf("only %d good files", len(files))
	}
	for _, name := range files {
		if _, err := Load(name); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryValueOfAFullFileArrives(t *testing.T) {
	raw, err := os.ReadFile("testdata/good/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := load(raw, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if f.Search.Key.IsZero() {
		t.Error("search.key is empty")
	}
	if f.Classifier.Opinion.Key.IsZero() {
		t.Error("classifier.opinion.key is empty")
	}
	if f.SignIn.OpenID.Secret.IsZero() {
		t.Error("sign_in.openid.client_secret is empty")
	}
	f.Search.Key, f.Classifier.Opinion.Key, f.SignIn.OpenID.Secret = Secret{}, Secret{}, Secret{}
	want := File{
		Data: "/var/lib/earshot", Listen: "0.0.0.0:8080", URL: "https://desk.example.com",
		SignIn: SignIn{
			Passwords: "emergency", Emergency: []string{"aya@example.com"}, Invitation: 48 * time.Hour,
			OpenID: OpenID{
				Issuer: "https://id.example.com", Client: "earshot", Label: "Example ID", Scopes: []string{"email", "profile", "groups"}, TrustEmail: true,
				Domains: []string{"example.com"}, DefaultRole: "agent@kumo", GroupsClaim: "roles", Roles: []string{"support=agent", "cn=pr,dc=example=pr_lead@kumo,hoshi"},
			},
		},
		Log:    Log{Level: slog.LevelDebug, Format: "json"},
		Bus:    Bus{URL: "nats://a:4222,nats://b:4222", Credentials: "/run/secrets/nats.creds", Replicas: 3},
		Search: Search{Engine: "meilisearch", URL: "http://meilisearch:7700", Prefix: "acme"},
		Classifier: Classifier{
			Rules: []string{"/etc/earshot/acme.yaml"}, Model: "/var/lib/earshot/model.bin",
			Tell: []string{"churn=0.7"}, Page: []string{"publicity_threat=0.8"},
			Opinion: Opinion{URL: "http://10.1.2.3:8000/v1", Model: "small-model", PerHour: 20, TokensPerDay: 100_000, Timeout: 2 * time.Minute},
		},
		Canary: Canary{Every: time.Minute, Late: 5 * time.Minute},
		Limits: Limits{
			Retention: 30 * 24 * time.Hour, Backlog: 512 << 20, IntakeBody: 1e6, IntakeRate: 1200, FetchBody: 1 << 20, FetchTimeout: 90 * time.Second,
			AllowPrivate: []string{"intranet.example.com", "wiki:8080", "10.1.0.0/16"}, Proxy: "http://proxy:3128",
		},
	}
	if d := cmp.Diff(want, f, sameSecret); d != "" {
		t.Error(d)
	}
}

// Each file under testdata/bad starts with comments: the errors it must give,
// in order.
func TestBadFilesSayWhatIsWrong(t *testing.T) {
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	if len(files) < 10 {
		t.Fatalf("only %d bad files", len(files))
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Load(name)
			if err == nil {
				t.Fatal("loaded")
			}
			got := strings.Split(err.Error(), "\n")
			var want []string
			for line := range strings.Lines(string(raw)) {
				if text, ok := strings.CutPrefix(line, "# "); ok {
					want = append(want, name+": "+strings.TrimSuffix(text, "\n"))
				}
			}
			if len(got) != len(want) {
				t.Fatalf("got %d errors, want %d:\n%v", len(got), len(want), err)
			}
			for i := range want {
				if !strings.HasPrefix(got[i], want[i]) {
					t.Errorf("got  %s\nwant %s …", got[i], want[i])
				}
			}
		})
	}
}

func TestAProviderInTheClearIsOneOfTheHouse(t *testing.T) {
	for _, c := range []struct{ issuer, problem string }{
		{"https://id.example.com", ""}, {"http://id.intranet:8443/realms/a", ""}, {"http://id.example.com", "anybody on the way"}, {"id.example.com", "must start with https://"},
	} {
		raw := "sign_in:\n  openid: {issuer: '" + c.issuer + "', client_id: earshot}\nlimits:\n  allow_private: ['id.intranet:8443']\n"
		if _, err := load([]byte(raw), noEnv); (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %v; want %q", c.issuer, err, c.problem)
		}
	}
}

func TestWhomToAskForAnOpinion(t *testing.T) {
	for _, c := range []struct{ yaml, problem string }{
		{"url: https://api.example.com/v1, model: m", ""},
		{"url: 'http://[fd00::1]:8000/v1', model: m", ""},
		{"url: http://localhost:11434/v1, model: m", ""},
		{"model: m", "classifier.opinion.model: only used with classifier.opinion.url"},
		{"key: k", "classifier.opinion.key: only used"},
		{"url: https://api.example.com/v1", "classifier.opinion.model: required"},
		{"url: api.example.com, model: m", "classifier.opinion.url: must start with https://"},
		{"url: http://api.example.com/v1, model: m", "in the clear"},
		{"url: http://10.2.0.1/v1, model: m", "in the clear"},
		{"url: https://me:pw@api.example.com/v1, model: m", "neither user nor query"},
		{"url: 'https://api.example.com/v1?key=k', model: m", "neither user nor query"},
		{"url: https://api.example.com/v1/chat/completions, model: m", "must end before /chat/completions"},
		{"per_hour: 0", "classifier.opinion.per_hour: must be at least 1"},
		{"tokens_per_day: 50", "classifier.opinion.tokens_per_day: must be at least 10000"},
		{"timeout: 1h", "classifier.opinion.timeout: must be between"},
	} {
		raw := "classifier:\n  opinion: {" + c.yaml + "}\nlimits:\n  allow_private: ['fd00::/8', 'localhost:11434', 10.1.0.0/16]\n"
		if _, err := load([]byte(raw), noEnv); (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %v; want %q", c.yaml, err, c.problem)
		}
	}
}

func TestAMissingFileIsNamed(t *testing.T) {
	if _, err := Load("testdata/none.yaml"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "none.yaml") {
		t.Error(err)
	}
}

func TestTheEnvironmentOverridesTheFile(t *testing.T) {
	env := map[string]string{
		"EARSHOT_BUS_URL": "nats://other:4222", "EARSHOT_LIMITS_RETENTION": "60d", "EARSHOT_SEARCH_KEY": "k",
		"EARSHOT_BUS_REPLICAS": "3",
	}
	f, err := load([]byte("bus:\n  url: nats://file:4222\n"), func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	if key, _ := f.Search.Key.Reveal(); f.Bus.URL != "nats://other:4222" || f.Limits.Retention != 60*24*time.Hour || key != "k" || f.Bus.Replicas != 3 {
		t.Errorf("%+v", f)
	}
	env["EARSHOT_BUS_REPLICAS"] = "many"
	_, err = load(nil, func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	if err == nil || !strings.Contains(err.Error(), `bus.replicas: from the environment: "many" is not a whole number`) {
		t.Error(err)
	}
}

func TestDeepNestingIsRefusedQuickly(t *testing.T) {
	for _, raw := range []string{strings.Repeat("[", 100_000), strings.Repeat("- ", 100_000), strings.Repeat("{a: ", 50_000)} {
		start := time.Now()
		_, err := load([]byte(raw), noEnv)
		if err == nil || time.Since(start) > 2*time.Second {
			t.Errorf("%.10s…: %v after %v", raw, err, time.Since(start))
		}
	}
	if _, err := load(bytes.Repeat([]byte("# long\n"), 100_000), noEnv); err == nil || !strings.Contains(err.Error(), "larger than 256 KiB") {
		t.Error(err)
	}
}

func TestTheReferenceNamesEveryKeyAndDefault(t *testing.T) {
	var b strings.Builder
	Reference(&b)
	for _, want := range []string{
		"| `data` | text | `./data` |", "### bus\n", "| `bus.sync` | duration | `1s` |", "| `limits.retention` | duration | `400d` |",
		"| `search.engine` | `embedded`, `meilisearch` | `embedded` |", "| `limits.fetch_body` | size | `10 MiB` |",
		"| `limits.allow_private` | list of text |", "| `search.key` | secret |", "| `log.level` | text | `INFO` |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestSecretsArePrintedNowhere(t *testing.T) {
	const plain = "hunter2-very-secret"
	type inner struct{ token Secret }
	type outer struct {
		Token Secret `json:"token" yaml:"token"`
		inner inner
		list  []Secret
		m     map[string]Secret
	}
	s := NewSecret(plain)
	o := outer{s, inner{s}, []Secret{s}, map[string]Secret{"a": s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", s, o, &o)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "secret", s, "outer", o, "pointer", &s)
	}
	j, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	out.Write(y)
	if strings.Contains(out.String(), plain) || strings.Contains(out.String(), fmt.Sprintf("%x", plain)) {
		t.Errorf("found in %s", out.String())
	}
	if !strings.Contains(string(j), `{"token":"\u003csecret\u003e"}`) || !strings.Contains(out.String(), "secret=<secret>") {
		t.Errorf("no placeholder in %s", out.String())
	}
	if got := fmt.Sprint(Secret{}); got != "" {
		t.Errorf("an empty secret prints %q", got)
	}
}

func TestSecretsResolveWhenUsed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	t.Setenv("EARSHOT_TEST_SECRET", "from env")
	for _, c := range []struct{ name, ref, want, problem string }{
		{"a literal is itself", "abc", "abc", ""},
		{"nothing is nothing", "", "", ""},
		{"a file loses its last line break", "file:" + write("a", "from file\r\n"), "from file", ""},
		{"a variable", "env:EARSHOT_TEST_SECRET", "from env", ""},
		{"a missing file is named", "file:" + dir + "/none", "", dir + "/none"},
		{"an empty file is refused", "file:" + write("b", "\n"), "", "empty"},
		{"a huge file is refused", "file:" + write("c", strings.Repeat("x", maxSecret+1)), "", "larger"},
		{"an unset variable is named", "env:EARSHOT_TEST_NONE", "", "EARSHOT_TEST_NONE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := NewSecret(c.ref).Reveal()
			if got != c.want || (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func FuzzLoad(f *testing.F) {
	for _, glob := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml"} {
		files, _ := filepath.Glob(glob)
		for _, name := range files {
			raw, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := load(raw, noEnv)
		if err == nil && c.Validate() != nil {
			t.Errorf("loaded, but not valid: %v", c.Validate())
		}
	})
}
