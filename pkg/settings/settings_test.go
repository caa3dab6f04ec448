package settings

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/bustest"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

func open(t *testing.T, c *bus.Conn) *Store {
	t.Helper()
	s, err := Open(t.Context(), c, bustest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var acme = Brand{ID: "acme", Name: "アクメ", Query: "acme OR アクメ"}

func TestPutKeepsEveryValueWithItsAuthor(t *testing.T) {
	t.Parallel()
	c, _ := bustest.Open(t)
	s, ctx := open(t, c), t.Context()
	must(t, Brands.Put(ctx, s, "ann", "acme", 0, acme))
	seen := Brands.Version(s, "acme")
	if by, at := Brands.Changed(s, "acme"); by != "ann" || time.Since(at) > time.Minute {
		t.Errorf("changed by %s at %s", by, at)
	}
	second := acme
	second.Voice = "plain"
	must(t, Brands.Put(ctx, s, "bob", "acme", seen, second))
	if err := Brands.Put(ctx, s, "ann", "acme", seen, acme); !errors.Is(err, ErrStale) {
		t.Errorf("over somebody else's change: %v, want ErrStale", err)
	}
	if err := Brands.Put(ctx, s, "ann", "acme", 0, acme); !errors.Is(err, ErrStale) {
		t.Errorf("as new, though it is there: %v, want ErrStale", err)
	}
	must(t, Brands.Delete(ctx, s, "ann", "acme", Brands.Version(s, "acme")))
	if b, ok := Brands.Get(s, "acme"); ok || len(Brands.List(s)) != 0 {
		t.Errorf("deleted, and still %+v", b)
	}
	must(t, Brands.Put(ctx, s, "bob", "acme", Brands.Version(s, "acme"), acme))

	history, err := Brands.History(ctx, s, "acme")
	if err != nil {
		t.Fatal(err)
	}
	var who []string
	for _, r := range history {
		who = append(who, r.Actor+" "+r.Value.Voice)
	}
	if want := []string{"ann ", "bob plain", "ann ", "bob "}; !slices.Equal(who, want) || !history[2].Deleted || history[3].At.IsZero() {
		t.Errorf("history %q, want %q", who, want)
	}
	if again := open(t, c); !cmp.Equal(Brands.All(again), map[string]Brand{"acme": acme}) || Brands.Version(again, "acme") != Brands.Version(s, "acme") {
		t.Errorf("read again: %+v", Brands.All(again))
	}
}

func TestWhatCannotBePut(t *testing.T) {
	t.Parallel()
	c, _ := bustest.Open(t)
	s := open(t, c)
	staff := identity.Staff{ID: "ann", Name: "Ann", Email: "ann@example.com"}
	for _, tt := range []struct {
		name  string
		put   func() error
		names string // what the error has to name
	}{
		{"a brand without a name", put(t, s, Brands, "acme", Brand{ID: "acme", Query: "acme"}), "name"},
		{"a brand whose query is broken", put(t, s, Brands, "acme", Brand{ID: "acme", Name: "A", Query: "(acme"}), "query"},
		{"a brand in no time zone", put(t, s, Brands, "acme", Brand{ID: "acme", Name: "A", Query: "acme", TimeZone: "Tokio"}), "time_zone"},
		{"a brand in a language we don't speak", put(t, s, Brands, "acme", Brand{ID: "acme", Name: "A", Query: "acme", Lang: "jp"}), "lang"},
		{"a brand that answers before it is asked", put(t, s, Brands, "acme", Brand{ID: "acme", Name: "A", Query: "acme", NormalMinutes: -1}), "normal_minutes"},
		{"a brand that holds replies for days", put(t, s, Brands, "acme", Brand{ID: "acme", Name: "A", Query: "acme", HoldSeconds: 1e6}), "hold_seconds"},
		{"a brand under another's id", put(t, s, Brands, "zenith", acme), "id"},
		{"a brand no grant can name", put(t, s, Brands, "ac_me", Brand{ID: "ac_me", Name: "A", Query: "acme"}), "id"},
		{"an id that is a wildcard", put(t, s, Brands, "*", acme), "id"},
		{"an id that is two", put(t, s, Brands, "a.b", acme), "id"},
		{"somebody under another's id", put(t, s, Staff, "bob", staff), "id"},
		{"a password under another's id", put(t, s, Credentials, "bob", identity.Credential{Staff: "ann"}), "id"},
		{"a second policy", put(t, s, Policies, "mine", escalation.DefaultPolicy()), "id"},
		{"a policy without ladders", put(t, s, Policies, Default, escalation.Policy{}), "ladders"},
		{"a rule on a risk there isn't", put(t, s, Rules, Default, casework.Rules{Rows: []casework.Rule{{Risks: []mention.Category{"publicty_threat"}}}}), "rows[0].risks[0]"},
		{"a rule that doesn't say why", put(t, s, Rules, Default, casework.Rules{Rows: []casework.Rule{{Needs: true}}}), "rows[0].why"},
		{"a template in no language", put(t, s, Templates, "t", casework.Template{ID: "t", Name: "T"}), "lang"},
		{"a source of no kind", put(t, s, Sources, "x", Source{ID: "x", Kind: "telegraph"}), "kind"},
		{"a source with a field its kind doesn't have", put(t, s, Sources, "x", Source{ID: "x", Kind: "sandbox", Config: []byte(`{"dir":"x","sped":2}`)}), "sped"},
		{"a notifier without what its kind needs", put(t, s, Notifiers, "x", Notifier{ID: "x", Kind: "webhook", Config: []byte(`{}`)}), "secret"},
		{"a notifier of no kind", put(t, s, Notifiers, "x", Notifier{ID: "x", Kind: "pigeon"}), "kind"},
		{"a kind there isn't", func() error { return s.put(t.Context(), "ann", "widget", "x", 0, []byte(`{}`), false) }, "widget"},
		{"a key there isn't", func() error {
			return s.put(t.Context(), "ann", "team", "x", 0, []byte(`{"id":"x","colour":"red"}`), false)
		}, "colour"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.put(); err == nil || !strings.Contains(err.Error(), tt.names) {
				t.Errorf("error %v, want one that names %s", err, tt.names)
			}
		})
	}
	if last, err := journal.Last(t.Context(), c); err != nil || last != 0 {
		t.Errorf("%d values were stored all the same (%v)", last, err)
	}
}

func put[T any](t *testing.T, s *Store, k Set[T], id string, v T) func() error {
	return func() error { return k.Put(t.Context(), s, "ann", id, 0, v) }
}

func TestStoresHearOfEachOther(t *testing.T) {
	t.Parallel()
	c, _ := bustest.Open(t)
	a, b, ctx := open(t, c), open(t, c), t.Context()
	must(t, Teams.Put(ctx, a, "ann", "red", 0, Team{ID: "red", Name: "Red"}))
	bustest.Eventually(t, b.Changed, "b hears of the red team", func() bool { _, ok := Teams.Get(b, "red"); return ok })
	must(t, Teams.Put(ctx, b, "bob", "red", Teams.Version(b, "red"), Team{ID: "red", Name: "Rot"}))
	bustest.Eventually(t, a.Changed, "a hears of its new name", func() bool { x, _ := Teams.Get(a, "red"); return x.Name == "Rot" })
	must(t, Teams.Delete(ctx, a, "ann", "red", Teams.Version(a, "red")))
	bustest.Eventually(t, b.Changed, "b hears that it is gone", func() bool { _, ok := Teams.Get(b, "red"); return !ok })
}

func TestALaterValueIsNotOverwrittenByAnEarlierOne(t *testing.T) {
	t.Parallel()
	s := &Store{log: bustest.Log(t), values: map[string]map[string]value{}, changed: make(chan struct{})}
	for _, ch := range []change{
		{Seq: 5, Kind: "team", Key: "red", Value: []byte(`{"name":"new"}`)},
		{Seq: 4, Kind: "team", Key: "red", Value: []byte(`{"name":"old"}`)},
		{Seq: 6, Kind: "team", Key: "red", Value: []byte(`{"name":3}`)},   // cannot be read
		{Seq: 7, Kind: "widget", Key: "red", Value: []byte(`{"name":3}`)}, // of a newer program
	} {
		s.apply(&ch)
	}
	if x, ok := Teams.Get(s, "red"); !ok || x.Name != "new" {
		t.Errorf("in force: %+v", x)
	}
}

func TestMentions(t *testing.T) {
	t.Parallel()
	c, _ := bustest.Open(t)
	s, ctx := open(t, c), t.Context()
	must(t, Brands.Put(ctx, s, "ann", "acme", 0, acme))
	must(t, Brands.Put(ctx, s, "ann", "zenith", 0, Brand{ID: "zenith", Name: "Z", Query: "zenith"}))
	p := mention.Post{Platform: "sandbox", NativeID: "1", Text: "Acme と Zenith", SeenAt: time.Now()}
	brands := func(p mention.Post, named ...string) string {
		var out []string
		for _, m := range s.Mentions(&p, named...) {
			if m.ID != mention.NewID(m.Brand, p.Platform, p.NativeID) {
				t.Errorf("%s has id %s", m.Brand, m.ID)
			}
			out = append(out, m.Brand)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	other, gone := p, mention.Post{Platform: "sandbox", NativeID: "1", Deleted: true}
	other.Text = "アクメだけ"
	for _, tt := range []struct{ name, got, want string }{
		{"each brand it names", brands(p), "acme zenith"},
		{"only the one it names", brands(other), "acme"},
		{"the one its source is bound to, whatever it says", brands(other, "zenith"), "zenith"},
		{"of those it is said to be about, the ones there are", brands(other, "zenith", "nobody"), "zenith"},
		{"a deletion concerns everybody who may know the post", brands(gone), "acme zenith"},
		{"a deletion by a bound source concerns its brand", brands(gone, "acme"), "acme"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	changed := acme
	changed.Query = "roadrunner"
	must(t, Brands.Put(ctx, s, "ann", "acme", Brands.Version(s, "acme"), changed))
	if got := brands(p); got != "zenith" {
		t.Errorf("after the query changed: %q", got)
	}
	must(t, Brands.Delete(ctx, s, "ann", "zenith", Brands.Version(s, "zenith")))
	if got := brands(p); got != "" {
		t.Errorf("after the brand was deleted: %q", got)
	}
}

func TestTriageOfAPeerIsNeverQueued(t *testing.T) {
	t.Parallel()
	c, _ := bustest.Open(t)
	s := open(t, c)
	peer := acme
	peer.Peer, peer.NormalMinutes = true, 30
	m := mention.Of("acme", mention.Post{Platform: "sandbox", NativeID: "1", SeenAt: time.UnixMilli(1_000_170_000_000)}) // a Tuesday, in the morning of Tokyo
	v := mention.Verdict{Disposition: mention.Answer, Intent: mention.Complaint}
	must(t, Brands.Put(t.Context(), s, "ann", "acme", 0, peer))
	if got := s.Triage(&m, &v, casework.Signals{}); got.Disposition != mention.Watch || !got.DueAt.IsZero() {
		t.Errorf("a peer's mention: %+v", got)
	}
	peer.Peer = false
	must(t, Brands.Put(t.Context(), s, "ann", "acme", Brands.Version(s, "acme"), peer))
	if got := s.Triage(&m, &v, casework.Signals{}); got.Disposition != mention.Answer || !got.DueAt.Equal(m.SeenAt.Add(30*time.Minute)) {
		t.Errorf("our own: %+v", got)
	}
}

// Every Set is of a kind that can be read.
func TestKindsAreComplete(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "kinds.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if x, ok := lit.Type.(*ast.IndexExpr); ok && x.X.(*ast.Ident).Name == "Set" {
			names = append(names, strings.Trim(lit.Elts[0].(*ast.BasicLit).Value, `"`))
		}
		return true
	})
	slices.Sort(names)
	if !slices.Equal(names, Kinds()) {
		t.Errorf("sets %v, kinds %v", names, Kinds())
	}
	for name, k := range maps.All(kinds) {
		if k.doc == "" {
			t.Errorf("%s has no description", name)
		}
	}
}

func TestEveryFieldTravels(t *testing.T) {
	t.Parallel()
	c, _ := bustest.Open(t)
	want := bustest.Full[change]()
	if _, err := journal.Append(t.Context(), c, "team.red", 0, &want); err != nil {
		t.Fatal(err)
	}
	got, _, err := journal.Read(t.Context(), c, "team.red")
	if err != nil || len(got) != 1 || !cmp.Equal(got[0], want) {
		t.Errorf("%v %s", err, cmp.Diff(want, got[0]))
	}
}

func TestFormerPasswordsAreForgotten(t *testing.T) {
	t.Parallel()
	c, dir := bustest.Open(t)
	s, ctx := open(t, c), t.Context()
	gate := identity.NewGate(Directory{Store: s}, nil, time.Now, bustest.Log(t))
	hana := identity.Staff{ID: "hana", Email: "hana@example.com", Name: "花", Grants: []identity.Grant{{Role: identity.Agent, Brands: []string{"*"}}}}
	var former []string
	for _, password := range []string{"correct horse battery", "another good phrase", "the third good phrase"} {
		must(t, gate.SetPassword(ctx, "ada", hana, password))
		now, _ := Credentials.Get(s, "hana")
		former = append(former, now.Password)
	}
	last := former[2]
	former = former[:2]
	if found := bustest.Lying(t, dir, former...); len(found) == 0 {
		t.Fatal("what is to be forgotten isn't there")
	}
	for range 2 {
		must(t, s.Forget(ctx))
	}
	if found := bustest.Lying(t, dir, former...); len(found) > 0 {
		t.Errorf("still on disk: %v", found)
	}
	if found := bustest.Lying(t, dir, last); len(found) == 0 {
		t.Error("the password in force is gone")
	}
	now, _ := Credentials.Get(open(t, c), "hana")
	if now.Password != last || len(now.Set) != 3 || now.Set[0].By != "ada" {
		t.Errorf("%+v", now)
	}
	must(t, gate.EndSessions(ctx, "ada", "hana"))
	if now, _ := Credentials.Get(s, "hana"); now.Password != last || len(now.Set) != 3 {
		t.Errorf("ending sessions changed it: %+v", now)
	}
}
