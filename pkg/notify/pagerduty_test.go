package notify

import (
	"strings"
	"testing"

	"github.com/earshot/earshot/pkg/config"
)

func TestIncidentKey(t *testing.T) {
	if a, b := incidentKey("esc1"), incidentKey("esc2"); a == b || a != "earshot-esc1" {
		t.Errorf("%q, %q", a, b)
	}
	long := strings.Repeat("e", 300)
	if key := incidentKey(long); len(key) > 255 || key == incidentKey(long+"e") {
		t.Errorf("%q", key)
	}
}

func TestPagerDutyRegion(t *testing.T) {
	for region, want := range map[string]string{
		"":   "https://events.pagerduty.com/v2/enqueue",
		"us": "https://events.pagerduty.com/v2/enqueue",
		"eu": "https://events.eu.pagerduty.com/v2/enqueue",
	} {
		n, err := openPagerDuty(pagerDutyConfig{RoutingKey: config.NewSecret("k"), Region: region}, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := n.(*pagerDuty).cfg.URL.Reveal(); got != want {
			t.Errorf("region %q: %s, want %s", region, got, want)
		}
	}
}
