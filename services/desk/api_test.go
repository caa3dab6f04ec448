package desk

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
)

// described is the OpenAPI file as far as tests read it.
type described struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name   string
			In     string
			Schema struct{ Enum []string }
		}
	}
	Components struct {
		Schemas map[string]struct {
			Enum       []string
			Required   []string
			Properties map[string]any
		}
	}
}

func description(t *testing.T) described {
	t.Helper()
	var d described
	if err := yaml.Unmarshal(openAPI, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheDescriptionHasEveryRouteAndNoOther(t *testing.T) {
	d := description(t)
	var want, got []string
	for _, r := range (&Desk{}).routes() {
		if _, command := apiCommands[path.Base(r.pattern)]; r.api() && !command && r.pattern != "/api/" {
			want = append(want, r.pattern)
		}
	}
	want = append(want, "POST /api/v1/cases/{id}/{command}")
	for path, methods := range d.Paths {
		for method := range methods {
			got = append(got, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("described:\n%s\nserved:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, p := range d.Paths["/api/v1/cases/{id}/{command}"]["post"].Parameters {
		if p.Name != "command" {
			continue
		}
		slices.Sort(p.Schema.Enum)
		if served := slices.Sorted(maps.Keys(apiCommands)); !slices.Equal(p.Schema.Enum, served) {
			t.Errorf("described commands %v, served %v", p.Schema.Enum, served)
		}
	}
}

// TestTheAPIHasTheDesksCommands holds the commands of the two to each other.
func TestTheAPIHasTheDesksCommands(t *testing.T) {
	// Of pages: what stands in a form, who looks, and what people judge by sight.
	pages := []string{"check", "fill", "judge", "leave-out", "marks", "present", "preview", "reveal", "unjudge"}
	var want []string
	for _, r := range (&Desk{}).routes() {
		if name, ok := strings.CutPrefix(r.pattern, "POST /cases/{id}/"); ok && !slices.Contains(pages, name) {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(apiCommands)); !slices.Equal(got, want) {
		t.Errorf("the API has %v, the desk %v", got, want)
	}
}

// TestTheDescriptionHasEveryArgument holds what commands take to what is described,
// and every argument to some command's words.
func TestTheDescriptionHasEveryArgument(t *testing.T) {
	var d struct {
		Paths map[string]struct {
			Post struct {
				RequestBody struct {
					Content map[string]struct {
						Schema struct{ Properties map[string]any }
					}
				} `yaml:"requestBody"`
			}
		}
	}
	if err := yaml.Unmarshal(openAPI, &d); err != nil {
		t.Fatal(err)
	}
	var want []string
	for f := range reflect.TypeFor[apiArguments]().Fields() {
		want = append(want, f.Tag.Get("json"))
	}
	slices.Sort(want)
	got := slices.Sorted(maps.Keys(d.Paths["/api/v1/cases/{id}/{command}"].Post.RequestBody.Content["application/json"].Schema.Properties))
	if !slices.Equal(got, want) {
		t.Errorf("described %v, taken %v", got, want)
	}
}

// TestTheDescriptionHasEveryField holds the schemas to the types that are sent.
func TestTheDescriptionHasEveryField(t *testing.T) {
	d := description(t)
	for name, v := range map[string]any{"Mention": apiMention{}, "Case": apiCase{}, "Author": apiAuthor{}, "Media": apiMedia{}} {
		schema := d.Components.Schemas[name]
		var fields, must []string
		for f := range reflect.TypeOf(v).Fields() {
			key, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields = append(fields, key)
			if rest == "" && name != "Media" {
				must = append(must, key)
			}
		}
		slices.Sort(fields)
		if got := slices.Sorted(maps.Keys(schema.Properties)); !slices.Equal(got, fields) {
			t.Errorf("%s: described %v, sent %v", name, got, fields)
		}
		slices.Sort(must)
		slices.Sort(schema.Required)
		if len(must) > 0 && !slices.Equal(must, schema.Required) {
			t.Errorf("%s: described as always there %v, sent always %v", name, schema.Required, must)
		}
	}
}

func (b *bench) token(scope identity.Scope, brands ...string) *visitor {
	b.t.Helper()
	token, secret, err := identity.NewToken("test", scope, brands, time.Now(), time.Time{})
	b.put(err)
	b.put(settings.Tokens.Put(b.t.Context(), b.Settings, "cli", token.ID, 0, token))
	v := b.visitor()
	v.header.Set("Authorization", "Bearer "+secret)
	return v
}

func (v *visitor) send(path, body string) answer {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.server.URL+path, strings.NewReader(body))
	v.put(err)
	req.Header = v.header.Clone()
	req.Header.Set("Content-Type", "application/json")
	resp, err := v.client.Do(req)
	v.put(err)
	defer resp.Body.Close()
	var buf strings.Builder
	_, err = io.Copy(&buf, resp.Body)
	v.put(err)
	return answer{resp, buf.String()}
}

func TestTheAPISearchesAndWorksOnCases(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	b.praise()
	v := b.token(identity.ScopeDesk, "*")
	a := v.want(v.get("/api/v1/mentions?q=recording&risk=publicity_threat,churn&brand=kumo&sort=queue&limit=10"), 200, `"total":1`, string(m.ID))
	var page struct{ Mentions []map[string]any }
	b.put(json.Unmarshal([]byte(a.body), &page))
	for _, key := range description(t).Components.Schemas["Mention"].Required {
		if _, ok := page.Mentions[0][key]; !ok {
			t.Errorf("mention lacks %s", key)
		}
	}
	for asked, want := range map[string]string{
		"platfrom=x":          "platfrom: unknown parameter",
		"limit=9999":          "limit: want 1 to 200",
		"risk=churn,nonsense": "risk: \\\"nonsense\\\" is not known; want one of violent_threat, ",
		"status=open":         "status: \\\"open\\\" is not known; want one of new, in_hand, ",
		"sort=best":           "sort: \\\"best\\\" is not known; want one of queue, newest, oldest, relevance",
		"intent=rage":         "intent: ", "sentiment=bad": "sentiment: ", "lang=fr": "want one of ja, en, other",
		"open=yes":            "open: \\\"yes\\\" is not known; want one of true, false",
		"brand=acme":          "brand: \\\"acme\\\" is not known; want one of hoshi, kumo",
		"seen_from=yesterday": "seen_from: want a time like",
	} {
		v.want(v.get("/api/v1/mentions?"+asked), 400, want)
	}
	v.want(v.get("/api/v1/mentions?cursor=%22"), 400, "input")
	v.want(v.get("/api/v1/counts"), 200, `"answer":2`)
	path := "/api/v1/cases/" + string(m.ID)
	v.want(v.get(path), 200, `"status":"new"`, `"category":"publicity_threat"`)
	v.want(v.send(path+"/claim", ""), 200, `"status":"in_hand"`)
	v.want(v.send(path+"/draft", `{"version":0,"text":"Hello","kind":"first"}`), 200, `"hash":`)
	v.want(v.send(path+"/draft", `{"version":0,"text":"Hello again"}`), 409, "stale")
	v.want(v.send(path+"/snooze", `{"until":"2001-01-01T00:00:00Z"}`), 422, "within the next three months")
	v.want(v.send(path+"/close", `{"outcom":"solved"}`), 422, "unknown field")
	v.want(v.send(path+"/dance", ""), 404)
	a = v.get(path)
	hash := regexp.MustCompile(`"hash":"([0-9a-f]+)"`).FindStringSubmatch(a.body)[1]
	v.want(v.send(path+"/send", `{"hash":"`+hash+`"}`), 403, "forbidden")
	v.want(v.get("/api/v1/cases/aaaa"), 404, "not_found")
	other := b.token(identity.ScopeDesk, "hoshi")
	other.want(other.get(path), 404)
	other.want(other.get("/api/v1/mentions"), 200, `"total":0`)
	other.want(other.get("/api/v1/mentions?brand=kumo"), 400, `want one of hoshi"`)
	stranger := b.visitor()
	stranger.header.Set("Authorization", "Bearer earshot_nothing")
	stranger.want(stranger.get("/api/v1/mentions"), 401, "unauthorized")
	stranger.header.Del("Authorization")
	stranger.want(stranger.get("/api/v1/openapi.yaml"), 200, "openapi: 3.1.0")
}

func TestTheIntakeIsIdempotentAndJudgesEachPost(t *testing.T) {
	b := newBench(t)
	v := b.token(identity.ScopeIntake, "kumo")
	v.want(v.send("/api/v1/mentions", `{"id":"a1","text":"I love kumo"}`), 202, `"status":"accepted"`)
	v.want(v.send("/api/v1/mentions", `{"id":"a1","text":"I love kumo"}`), 202, `"status":"duplicate"`)
	v.want(v.send("/api/v1/mentions", `[{"id":"a2","text":"nothing of ours"},{"text":"no id"},{"id":"a3","text":"x","brands":["hoshi"]},{"id":"a4","text":"x","brands":["kumo"]}]`), 202,
		`"index":0,"status":"unmatched"`, `"index":1,"status":"refused"`, "id: required", `no brand \"hoshi\"`, `"index":3,"status":"accepted"`)
	v.want(v.send("/api/v1/mentions", `{"id":`), 422, "not valid JSON")
	v.want(v.send("/api/v1/mentions", `[{"text":"x"}]`), 422, "refused")
	v.want(v.send("/api/v1/mentions", strings.Repeat(" ", 2<<20)), 413, "too_large")
	v.want(v.send("/api/v1/cases/aaaa/claim", ""), 403)
	e, err := bus.Mentions.Get(t.Context(), b.Bus, 1)
	b.put(err)
	if e.Value.Brand != "kumo" || e.Value.Text != "I love kumo" || e.Value.Source != "intake" {
		t.Errorf("published %+v", e.Value)
	}
}

func TestTheAPITakesTheDesksCommands(t *testing.T) {
	b := newBench(t)
	m, o := b.question("1", "When do you open?"), b.question("2", "And on Sundays?")
	b.put(settings.Wishes.Put(t.Context(), b.Settings, "cli", "sundays", 0, casework.WishCard{ID: "sundays", Title: "Open on Sundays", Brand: "kumo", Status: casework.WishOpen}))
	b.put(settings.Wishes.Put(t.Context(), b.Settings, "cli", "theirs", 0, casework.WishCard{ID: "theirs", Title: "Theirs", Brand: "hoshi", Status: casework.WishOpen}))
	b.as("aya", everywhere, identity.Agent)
	b.as("pat", everywhere, identity.Product)
	v := b.token(identity.ScopeDesk, "kumo")
	path := "/api/v1/cases/" + string(m.ID)
	due := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
	v.want(v.send(path+"/promise", `{"due":"`+due+`","every_hours":72}`), 200, `"promise_every_hours":72`)
	v.want(v.send(path+"/kept", `{}`), 422, "say how it was reported")
	v.want(v.send(path+"/kept", `{"why":"by phone"}`), 200, `"kind":"promise_kept"`, `"promise_every_hours":72`)
	v.want(v.send(path+"/unpromise", `{"why":"they know"}`), 200, "!promise_every_hours")
	v.want(v.send(path+"/tag", `{"tags":["later"]}`), 200, `"tags":["later"]`)
	v.want(v.send(path+"/assign", `{"to":"pat"}`), 422)
	v.want(v.send(path+"/assign", `{"to":"aya"}`), 200)
	v.want(v.send(path+"/wish", `{"wish":"theirs","text":"x"}`), 422)
	v.want(v.send(path+"/wish", `{"wish":"sundays","text":"on Sundays, please"}`), 200, `"wishes":["sundays"]`)
	v.want(v.send(path+"/unwish", `{"wish":"sundays"}`), 200, `!"wishes"`)
	v.want(v.send(path+"/facts", `{"text":"the till's log"}`), 200)
	v.want(v.send(path+"/measure", `{}`), 422, "cause:")
	a := v.want(v.send(path+"/measure", `{"measure":{"cause":"nobody knew","text":"a sign","owner":"aya","due":"`+due+`"}}`), 200, `"text":"a sign"`, "!done_at")
	id := regexp.MustCompile(`"measures":\[\{"id":"([^"]+)"`).FindStringSubmatch(a.body)
	if id == nil {
		t.Fatalf("no measure: %s", a.body)
	}
	v.want(v.send(path+"/finish", `{"measure":{"id":"`+id[1]+`"},"why":"it hangs"}`), 200, "done_at")
	v.want(v.send(path+"/harassment", `{"yes":true,"why":"x"}`), 403)
	v.want(v.send(path+"/link", `{"case":"`+string(o.ID)+`","why":"said so"}`), 403, "by people")
	v.want(v.send(path+"/snooze", `{"until":"`+due+`","on_post":true}`), 200, "snoozed_until")
	v.want(v.send(path+"/reopen", ``), 200)
	v.want(v.send(path+"/pass", ``), 409, "has this case")
	v.want(v.send(path+"/hand-over", `{"to":"aya","why":"yours"}`), 200, `"status":"other_department"`)
	v.want(v.send(path+"/return", ``), 200)
	v.want(v.send(path+"/merge", `{"case":"`+string(o.ID)+`"}`), 200, `"outcome":"merged"`)
	v.want(v.send(path+"/merge", `{"case":"`+string(o.ID)+`"}`), 409)
	v.want(v.send("/api/v1/cases/"+string(o.ID)+"/close", `{"outcome":"no_answer_needed","measure":{"cause":"a","none_why":"b"}}`), 200, `"none_why":"b"`)
}

// Who wrote a reply is told what became of it, whichever way that was done.
func TestTheAPITellsWhoWroteAReply(t *testing.T) {
	b := newBench(t)
	m := b.angry()
	writer, approver := b.as("aya", everywhere, identity.Agent), b.as("ken", everywhere, identity.Approver)
	path := "/cases/" + string(m.ID)
	writer.want(writer.post(path+"/check", "kind", "first", "version", "0", "text", "We are sorry for the wait."), 303)
	approver.want(approver.send("/api/v1"+path+"/send-back", `{"why":"Say by when."}`), 200, `"status":"sent_back"`)
	writer.want(writer.get("/notices"), 200, "Ken sent your reply back.")
	writer.want(writer.post(path+"/check", "kind", "first", "version", "1", "text", "We call you today before 17:00."), 303)
	approver.want(approver.send("/api/v1"+path+"/approve", `{"hash":"`+b.hash(m.ID)+`"}`), 200)
	writer.want(writer.get("/notices"), 200, "Ken approved your reply.")
}
