package deploy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/earshot/earshot/pkg/config"
)

func TestExampleConfigurationLoads(t *testing.T) {
	text := string(read(t, "earshot.example.yaml"))
	// The part that is commented out has to be right as well.
	split := regexp.MustCompile(`(?m)^# (bus:$|search:$|  \w+: )`).ReplaceAllString(text, "$1")
	if !strings.Contains(split, "\nbus:\n  url: nats://") {
		t.Fatal("the example for separate services was not found")
	}
	for name, text := range map[string]string{"as it is": text, "split": split} {
		path := filepath.Join(t.TempDir(), "earshot.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type compose struct {
	Name         string                    `yaml:"name"`
	XEarshot     any                       `yaml:"x-earshot"`
	XEnvironment any                       `yaml:"x-environment"`
	Services     map[string]composeService `yaml:"services"`
	Networks     map[string]any            `yaml:"networks"`
	Volumes      map[string]any            `yaml:"volumes"`
	Secrets      map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
}

type composeService struct {
	Image           string            `yaml:"image"`
	Build           any               `yaml:"build"`
	Command         []string          `yaml:"command"`
	Entrypoint      []string          `yaml:"entrypoint"`
	User            string            `yaml:"user"`
	Restart         string            `yaml:"restart"`
	ReadOnly        bool              `yaml:"read_only"`
	Tmpfs           []string          `yaml:"tmpfs"`
	CapDrop         []string          `yaml:"cap_drop"`
	SecurityOpt     []string          `yaml:"security_opt"`
	StopGracePeriod string            `yaml:"stop_grace_period"`
	Environment     map[string]string `yaml:"environment"`
	MemLimit        string            `yaml:"mem_limit"`
	Volumes         []string          `yaml:"volumes"`
	Secrets         []composeSecret   `yaml:"secrets"`
	Networks        []string          `yaml:"networks"`
	Ports           []string          `yaml:"ports"`
	Profiles        []string          `yaml:"profiles"`
	DependsOn       map[string]any    `yaml:"depends_on"`
	Scale           int               `yaml:"scale"`
	Healthcheck     struct {
		Test        []string `yaml:"test"`
		Interval    string   `yaml:"interval"`
		Timeout     string   `yaml:"timeout"`
		StartPeriod string   `yaml:"start_period"`
	} `yaml:"healthcheck"`
}

// composeSecret is a secret in the short form, its name, or the long one.
type composeSecret struct {
	Source string `yaml:"source"`
	Target string `yaml:"target"`
}

func (s *composeSecret) UnmarshalYAML(unmarshal func(any) error) error {
	if err := unmarshal(&s.Source); err == nil {
		s.Target = "/run/secrets/" + s.Source
		return nil
	}
	type long composeSecret
	return unmarshal((*long)(s))
}

// has tells whether the service finds a secret at path.
func (s *composeService) has(path string) bool {
	return slices.ContainsFunc(s.Secrets, func(c composeSecret) bool { return c.Target == path })
}

func TestCompose(t *testing.T) {
	var c compose
	if err := yaml.UnmarshalWithOptions(read(t, "compose.yaml"), &c, yaml.DisallowUnknownField()); err != nil {
		t.Fatal(err)
	}
	secrets := filepath.Join(t.TempDir(), "secrets")
	run(t, "./make-secrets", secrets)

	for _, s := range services {
		if got := c.Services[s].Command; !slices.Equal(got, []string{"serve", s}) {
			t.Errorf("%s: command %v", s, got)
		}
	}
	for name, s := range c.Services {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s is not locked down: %+v", name, s)
		}
		if len(s.Networks) == 0 {
			t.Errorf("%s: no network", name)
		}
		for _, n := range s.Networks {
			if _, ok := c.Networks[n]; !ok {
				t.Errorf("%s: network %s is not declared", name, n)
			}
		}
		for _, secret := range s.Secrets {
			file, ok := c.Secrets[secret.Source]
			if !ok {
				t.Errorf("%s: secret %s is not declared", name, secret.Source)
			}
			if len(read(t, filepath.Join(secrets, filepath.Base(file.File)))) == 0 {
				t.Errorf("make-secrets makes no %s", file.File)
			}
		}
		for key, value := range s.Environment {
			path, isFile := strings.CutPrefix(value, "file:")
			if isFile && !s.has(path) {
				t.Errorf("%s: %s names secret %s, which is not given", name, key, path)
			}
			if !isFile && (strings.HasSuffix(key, "_PASSWORD") || strings.HasSuffix(key, "_KEY")) {
				t.Errorf("%s: %s is written out", name, key)
			}
		}
		checkEnvironment(t, name, s)
		if ours := len(s.Entrypoint) > 0 || slices.Contains(services, name); ours {
			if user := s.Environment["EARSHOT_BUS_USER"]; user != name {
				t.Errorf("%s signs in to the bus as %q", name, user)
			}
			if s.has("/run/secrets/meili-key") != slices.Contains([]string{"indexer", "desk", "operator"}, name) {
				t.Errorf("%s: has the key of the index, or lacks it", name)
			}
			if s.has("/data/keys/"+name+".key") != slices.Contains([]string{"fetcher", "pager", "replier", "desk"}, name) {
				t.Errorf("%s: has a key to open secrets in settings, or lacks it", name)
			}
		} else if len(s.Healthcheck.Test) == 0 {
			t.Errorf("%s: no health check", name)
		}
	}
}

// checkEnvironment loads the service's environment as the program would.
func checkEnvironment(t *testing.T, name string, s composeService) {
	t.Helper()
	if _, ours := s.Environment["EARSHOT_BUS_URL"]; !ours {
		return
	}
	def := regexp.MustCompile(`\$\{\w+:-([^}]*)\}`)
	t.Run(name, func(t *testing.T) {
		known := fieldNames(t)
		for key, value := range s.Environment {
			if !known[key] {
				t.Errorf("%s is no setting of the program", key)
			}
			t.Setenv(key, def.ReplaceAllString(value, "$1"))
		}
		if _, err := config.Load(""); err != nil {
			t.Error(err)
		}
	})
}

// fieldNames reads the environment variables from the reference.
func fieldNames(t *testing.T) map[string]bool {
	t.Helper()
	var b strings.Builder
	config.Reference(&b)
	names := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z_]+(?:\\.[a-z_]+)*)`").FindAllStringSubmatch(b.String(), -1) {
		names["EARSHOT_"+strings.ToUpper(strings.ReplaceAll(m[1], ".", "_"))] = true
	}
	return names
}

func TestMakeSecretsKeepsWhatIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	run(t, "./make-secrets", dir)
	before := read(t, filepath.Join(dir, "bus-desk"))
	passwords := read(t, filepath.Join(dir, "nats-passwords.conf"))
	if len(before) != 64 {
		t.Errorf("password of %d characters", len(before))
	}
	run(t, "./make-secrets", dir)
	if string(before) != string(read(t, filepath.Join(dir, "bus-desk"))) || string(passwords) != string(read(t, filepath.Join(dir, "nats-passwords.conf"))) {
		t.Error("a second run changed a password")
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder of secrets: %v, %v", info.Mode(), err)
	}
}

func TestDockerfileUsesTheGoOfGoMod(t *testing.T) {
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(string(read(t, "../go.mod")))
	if want := "FROM golang:" + version[1] + "-"; !strings.Contains(string(read(t, "Dockerfile")), want) {
		t.Errorf("Dockerfile does not build %s…", want)
	}
}

func TestServersAreThoseOfTheTests(t *testing.T) {
	nats := regexp.MustCompile(`nats-io/nats-server/v2 v(\S+)`).FindStringSubmatch(string(read(t, "../go.mod")))
	if want := "nats:" + nats[1] + "-alpine"; !strings.Contains(string(read(t, "compose.yaml")), want) {
		t.Errorf("compose.yaml does not run %s", want)
	}
}

var metric = regexp.MustCompile(`earshot_[a-z0-9_]+`)

// metrics are the program's, as its sources name them.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	quoted := regexp.MustCompile(`"(earshot_[a-z0-9_]+)"`)
	for _, root := range []string{"../pkg", "../services"} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, m := range quoted.FindAllStringSubmatch(string(read(t, path)), -1) {
				names[m[1]] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func TestAlertsDashboardAndGuideNameMetricsThatExist(t *testing.T) {
	exist := metrics(t)
	for _, file := range []string{"alerts.yaml", "dashboard.json", "../docs/run/monitor.md"} {
		names := metric.FindAllString(string(read(t, file)), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, n := range names {
			if !exist[n] && !exist[strings.TrimSuffix(n, "_bucket")] {
				t.Errorf("%s: the program has no metric %s", file, n)
			}
		}
	}
}

func TestAlertsAreExplained(t *testing.T) {
	var rules struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				For         string            `yaml:"for"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.UnmarshalWithOptions(read(t, "alerts.yaml"), &rules, yaml.DisallowUnknownField()); err != nil {
		t.Fatal(err)
	}
	guide := string(read(t, "../docs/run/monitor.md"))
	for _, r := range rules.Groups[0].Rules {
		if r.Expr == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s lacks an expression, a summary or a description", r.Alert)
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		if !strings.Contains(guide, "`"+r.Alert+"`") {
			t.Errorf("docs/run/monitor.md does not say what to do about %s", r.Alert)
		}
	}
}

func TestDashboardIsJSON(t *testing.T) {
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(t, "dashboard.json"), &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		if p.Title == "" || len(p.Targets) == 0 || p.Targets[0].Expr == "" {
			t.Errorf("panel %q is empty", p.Title)
		}
	}
}
