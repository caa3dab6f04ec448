package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
)

// doubtfulRule makes a word doubtful whatever the model is.
const doubtfulRule = `
lang: en
label: privacy_breach
rules:
  - name: test.zorbly
    patterns: [zorbly]
    weight: 0.5
    examples: [a zorbly thing]
    counter_examples: [a thing]
`

// TestASecondOpinionComesLate takes mentions in doubt through the whole line: the
// desk has them at once, and what the opinion says of them when it comes. One has
// been touched by then, and one erased.
func TestASecondOpinionComesLate(t *testing.T) {
	spoken := map[string]chan struct{}{"first": make(chan struct{}), "second": make(chan struct{}), "third": make(chan struct{})}
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Messages []struct{ Content string } }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		for name, c := range spoken {
			if strings.Contains(q.Messages[1].Content, name) {
				select {
				case <-c:
				case <-r.Context().Done():
				}
			}
		}
		content, _ := json.Marshal(`{"sentiment":"negative","intent":"complaint","disposition":"answer","risks":[{"category":"privacy_breach","words":"zorbly","grave":false}]}`)
		fmt.Fprintf(w, `{"choices":[{"finish_reason":"stop","message":{"content":%s}}],"usage":{"total_tokens":900}}`, content)
	}))
	t.Cleanup(endpoint.Close)

	a, cfg, must := begin(t, services, func(cfg *config.File) {
		cfg.Limits.AllowPrivate = []string{strings.TrimPrefix(endpoint.URL, "http://")}
		cfg.Classifier.Rules, cfg.Classifier.Tell = []string{file(t, "zorbly.yaml", doubtfulRule)}, []string{"privacy_breach=0.65"}
		cfg.Classifier.Opinion.URL, cfg.Classifier.Opinion.Model = endpoint.URL+"/v1", "small"
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
	}, "acme")
	ctx, env := t.Context(), a.Env("test")
	eventually(t, "it is up", func() bool {
		res, err := http.Get("http://" + a.Addr() + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	index, err := env.Index(ctx)
	must(err)
	board, err := escalation.OpenBoard(ctx, env.Bus(), env.Log)
	must(err)

	row := func(m *mention.Mention) search.Document {
		docs, err := index.Get(ctx, search.SeesAll(), m.ID)
		if err != nil || len(docs) == 0 {
			return search.Document{}
		}
		return docs[0]
	}
	// comes publishes one, which the desk has before anybody has answered.
	comes := func(name string) *mention.Mention {
		t.Helper()
		m := mention.Of("acme", mention.Post{
			Platform: "mastodon", NativeID: name, Kind: mention.KindPost, Intake: mention.Live, Text: "Acme: the " + name + " zorbly thing happened at the counter today.",
			Author: mention.Author{ID: name}, SeenAt: time.Now().UTC(), PublishedAt: time.Now().UTC(),
		})
		must(bus.Mentions.Publish(ctx, env.Bus(), &m))
		eventually(t, "mention "+name+" is found", func() bool { return row(&m).ID == m.ID })
		if d := row(&m); d.Pass != 0 || d.Page {
			t.Errorf("%s: pass %d, page %v", name, d.Pass, d.Page)
		}
		return &m
	}

	// Nobody has touched the first.
	first := comes("first")
	close(spoken["first"])
	eventually(t, "the first one's row has the opinion", func() bool { d := row(first); return d.Pass == 1 && d.Page })

	// Somebody works on the second.
	person := identity.Staff{ID: "aoi", Email: "aoi@example.com", Name: "葵", Grants: []identity.Grant{{Role: identity.Agent, Brands: []string{"*"}}}}
	cases := env.Cases(index)
	second := comes("second")
	_, err = cases.Do(ctx, person.Viewer(), second.ID, casework.Claim{})
	must(err)
	close(spoken["second"])
	eventually(t, "the case of the second is told", func() bool {
		s, _, err := cases.Touched(ctx, second.ID)
		return err == nil && s.Verdict.Pass == 1 && s.Verdict.Page && s.Holder == "aoi" &&
			slices.ContainsFunc(s.History, func(e casework.Event) bool { return e.Kind == casework.Revised })
	})
	eventually(t, "PR is told of both", func() bool { return len(told(board, first.ID)) == 1 && len(told(board, second.ID)) == 1 })

	// The third is erased.
	third := comes("third")
	status, out, errs := cli(t, "", "erase", "--yes", "--data", cfg.Data, "--mention", string(third.ID))
	if status != 0 {
		t.Fatal(out, errs)
	}
	close(spoken["third"])
	eventually(t, "the opinion on the third is dropped", func() bool {
		res, err := http.Get("http://" + a.Addr() + "/metrics")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		return err == nil && strings.Contains(string(text), `earshot_opinions_total{outcome="gone"} 1`)
	})
	must(a.Stop())
	for _, found := range bustest.Lying(t, cfg.Data, "the third zorbly") {
		t.Error(found)
	}
	if len(bustest.Lying(t, cfg.Data, "the second zorbly")) == 0 {
		t.Error("what nobody asked to erase is gone too")
	}
}

// told are the escalations that a mention belongs to.
func told(board *escalation.Board, id mention.ID) []escalation.State {
	return board.All(func(s *escalation.State) bool {
		return s.Open() && s.Rule == "opinion" && (s.Mention == id || slices.Contains(s.Mentions, id))
	})
}
