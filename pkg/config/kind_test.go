package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type radioConfig struct {
	Station string         `yaml:"station" doc:"Which one." required:"true"`
	Band    string         `yaml:"band" doc:"Wave band." enum:"fm,am"`
	Volume  float64        `yaml:"volume" doc:"0 to 1."`
	Sleep   time.Duration  `yaml:"sleep" doc:"Switches off."`
	Token   Secret         `yaml:"token" doc:"For pay stations."`
	Presets []preset       `yaml:"presets" doc:"Keys."`
	Gains   map[string]int `yaml:"gains" doc:"Equalizer | per band."`
	hidden  int
}

type preset struct {
	Name string `yaml:"name" doc:"Label." required:"true"`
	Stay bool   `yaml:"stay" doc:"Stay."`
}

func (c *radioConfig) Validate() error {
	if c.Volume > 1 {
		return Invalid("volume", "must be at most 1")
	}
	return nil
}

var radio = NewKind("radio", "Plays.", radioConfig{Band: "fm", Volume: 0.5, Presets: []preset{{Name: "a"}}},
	func(c radioConfig, prefix string) (string, error) {
		c.hidden++
		if c.Station == "silence" {
			return "", errors.New("no such station")
		}
		return prefix + c.Station + "/" + c.Band, nil
	})

func TestAKindOpensWithItsDefaults(t *testing.T) {
	for _, raw := range []string{"station: jazz", `{"station":"jazz"}`} {
		if got, err := radio.Open([]byte(raw), "at "); err != nil || got != "at jazz/fm" {
			t.Errorf("%s: %q, %v", raw, got, err)
		}
	}
	if _, err := radio.Open([]byte("station: silence"), ""); err == nil || err.Error() != "radio: no such station" {
		t.Error(err)
	}
}

func TestAKindRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, c := range []struct{ name, raw, want string }{
		{"nothing", "", "station: required"},
		{"empty required", "station: ''", "line 1: station: required"},
		{"unknown key", "station: a\nvolumne: 1", "line 2: volumne: unknown key; did you mean volume?"},
		{"enum", "station: a\nband: lw", `line 2: band: "lw" is not one of fm, am`},
		{"its own check, with the line", "station: a\n\nvolume: 3", "line 3: volume: must be at most 1"},
		{"an item of a list", "station: a\npresets:\n- name: x\n- stay: maybe", "presets[1].name: required\nline 4: presets[1].stay: \"maybe\" is neither true nor false"},
		{"a number for a map's value", "station: a\ngains: {low: x}", `line 2: gains.low: "x" is not a whole number`},
		{"a key of another struct", "station: a\nhidden: 1", "line 2: hidden: unknown key"},
		{"a list for a text", "station: [a]", "line 1: station: must be a plain value (text), not a sequence"},
		{"the process's own variable", "station: a\ntoken: env:EARSHOT_BUS_PASSWORD", "line 2: token: env:EARSHOT_BUS_PASSWORD: here only variables that begin with EARSHOT_SECRET_ can be named"},
		{"a file anywhere", "station: a\ntoken: file:/etc/passwd", "line 2: token: file:/etc/passwd: here only files in the folder of EARSHOT_SECRETS can be named, without its path"},
		{"a file outside", "station: a\ntoken: file:../x", "line 2: token: file:../x: here only files in the folder of EARSHOT_SECRETS can be named, without its path"},
		{"not a mapping", "- a", "line 1: must be keys with values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := radio.Check([]byte(c.raw)); err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestSettingsReachOnlyTheirOwnSecrets(t *testing.T) {
	reveal := NewKind("x", "Reveals.", radioConfig{Band: "fm"}, func(c radioConfig, _ string) (string, error) { return c.Token.Reveal() })
	dir, outside := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{filepath.Join(dir, "radio"): "inside\n", filepath.Join(outside, "key"): "outside"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(outside, "key"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("EARSHOT_SECRETS", dir)
	t.Setenv("EARSHOT_SECRET_RADIO", "from env")
	for ref, want := range map[string]string{"file:radio": "inside", "env:EARSHOT_SECRET_RADIO": "from env", "plain": "plain", "file:link": "", "file:none": ""} {
		got, err := reveal.Open([]byte("station: a\ntoken: "+ref), "")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", ref, got, err)
		}
	}
}

func TestFieldErrorsCarryTheirKey(t *testing.T) {
	fe, ok := errors.AsType[*FieldError](radio.Check([]byte("station: a\nvolume: 3")))
	if !ok || fe.Key != "volume" || fe.Line != 2 || fe.Problem != "must be at most 1" {
		t.Errorf("%+v", fe)
	}
}

func TestFieldsDescribeTheForm(t *testing.T) {
	want := []Field{
		{Key: "station", Type: Text, Doc: "Which one.", Required: true},
		{Key: "band", Type: Text, Default: "fm", Doc: "Wave band.", Enum: []string{"fm", "am"}},
		{Key: "volume", Type: Float, Default: "0.5", Doc: "0 to 1."},
		{Key: "sleep", Type: Duration, Default: "0", Doc: "Switches off."},
		{Key: "token", Type: Hidden, Doc: "For pay stations.", Secret: true},
		{Key: "presets", Type: List, Of: Section, Doc: "Keys.", Fields: []Field{
			{Key: "name", Type: Text, Doc: "Label.", Required: true},
			{Key: "stay", Type: Bool, Default: "false", Doc: "Stay."},
		}},
		{Key: "gains", Type: Map, Of: Int, Doc: "Equalizer | per band."},
	}
	got := radio.Fields()
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	var b strings.Builder
	radio.Reference(&b, 3)
	for _, want := range []string{"### radio\n\nPlays.\n", "| `station` | text |  | Which one. Required. |", `Equalizer \| per band.`, "#### presets\n", "| `presets.name` |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestDurationsAndSizes(t *testing.T) {
	for _, c := range []struct {
		in, out string
		d       time.Duration
	}{{"90s", "1m30s", 90 * time.Second}, {"30d", "30d", 720 * time.Hour}, {"1d12h", "36h", 36 * time.Hour}, {"0", "0s", 0}, {"5m", "5m", 5 * time.Minute}} {
		d, err := parseDuration(c.in)
		if err != nil || d != c.d || formatDuration(d) != c.out {
			t.Errorf("%s: %v, %v, %s", c.in, d, err, formatDuration(d))
		}
	}
	for _, in := range []string{"", "5", "-5m", "d", "1dx", "x", "99999999d", "5m-3s"} {
		if _, err := parseDuration(in); err == nil {
			t.Errorf("%q was taken", in)
		}
	}
	for _, c := range []struct {
		in, out string
		n       Size
	}{{"10 MiB", "10 MiB", 10 << 20}, {"1KB", "1000 B", 1000}, {"7", "7 B", 7}, {"2GiB", "2 GiB", 2 << 30}, {"0", "0 B", 0}, {"12 kB", "12000 B", 12000}} {
		var s Size
		if err := s.UnmarshalText([]byte(c.in)); err != nil || s != c.n || s.String() != c.out {
			t.Errorf("%s: %d, %v, %s", c.in, s, err, s)
		}
	}
	for _, in := range []string{"", "-1", "MiB", "1.5 MiB", "9999999999 GiB", "10 mib"} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q was taken as %s", in, s)
		}
	}
}
