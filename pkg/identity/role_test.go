package identity

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata")

// The table is a page that operators read, so that a change of rights is seen in
// review too.
func TestRightsAreThoseOfTheirPage(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../../docs/run/rights.md", "<!-- rights -->\n", "<!-- end of rights -->\n"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s lacks the marks of its table", file)
	}
	want := before + begin + rightsTable() + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(raw) != want {
		t.Errorf("rights differ from %s; run with -update if that is meant\n%s", file, rightsTable())
	}
}

func rightsTable() string {
	var b strings.Builder
	b.WriteString("| Right |")
	for _, r := range Roles {
		fmt.Fprintf(&b, " %s |", r)
	}
	for _, s := range Scopes {
		fmt.Fprintf(&b, " token: %s |", s)
	}
	b.WriteString("\n|---" + strings.Repeat("|:-:", len(Roles)+len(Scopes)) + "|")
	for _, r := range Rights {
		fmt.Fprintf(&b, "\n| `%s` |", r.Action)
		for _, role := range Roles {
			b.WriteString(mark(role.Can(r.Action)))
		}
		for _, s := range Scopes {
			b.WriteString(mark(s.Can(r.Action)))
		}
	}
	return b.String() + "\n"
}

func mark(can bool) string {
	if can {
		return " yes |"
	}
	return " – |"
}

func TestEveryActionBelongsToSomebody(t *testing.T) {
	t.Parallel()
	seen := map[Action]bool{}
	for _, r := range Rights {
		if len(r.Roles) == 0 || seen[r.Action] {
			t.Errorf("%s: nobody has the right, or it stands twice", r.Action)
		}
		seen[r.Action] = true
	}
	for _, r := range Rights {
		if Reader.Can(r.Action) && r.Action != View && r.Action != Quality {
			t.Errorf("who only looks on has the right to %s", r.Action)
		}
	}
	for _, s := range Scopes {
		if s.Can(Send) || s.Can(Approve) || s.Can(Reveal) {
			t.Errorf("scope %s lets software publish", s)
		}
	}
	if Role("root").Can(View) || Scope("root").Can(View) || Agent.Can("anything") {
		t.Error("an unknown role, scope or action is allowed")
	}
}

func TestViewer(t *testing.T) {
	t.Parallel()
	two := Staff{ID: "mixed", Name: "Mixed", Grants: []Grant{
		{Agent, []string{"acme", "zeta"}},
		{Approver, []string{"beta"}},
		{Product, []string{AllBrands}},
	}}
	admin := Staff{ID: "root", Grants: []Grant{{Admin, []string{AllBrands}}}}
	brandAdmin := Staff{ID: "local", Grants: []Grant{{Admin, []string{"acme"}}}}
	gone := Staff{ID: "gone", Disabled: true, Grants: admin.Grants}
	token := Token{ID: "aaaaaaaaaa", Name: "crm", Scope: ScopeDesk, Brands: []string{"acme"}}

	tests := []struct {
		name   string
		viewer Viewer
		action Action
		brand  string
		want   bool
	}{
		{"a role counts for its own brand", two.Viewer(), Handle, "acme", true},
		{"a role does not spread to another role's brand", two.Viewer(), Approve, "acme", false},
		{"a second role counts for its brand", two.Viewer(), Approve, "beta", true},
		{"a grant on all brands reaches brands to come", two.Viewer(), View, "not-yet-there", true},
		{"a grant on some brands does not reach the installation", two.Viewer(), Handle, AllBrands, false},
		{"no brand is no right", two.Viewer(), View, "", false},
		{"an administrator of everything manages staff", admin.Viewer(), Manage, AllBrands, true},
		{"an administrator does not answer", admin.Viewer(), Send, "acme", false},
		{"an administrator of one brand sets it up", brandAdmin.Viewer(), Configure, "acme", true},
		{"an administrator of one brand does not manage staff", brandAdmin.Viewer(), Manage, AllBrands, false},
		{"disabled staff may do nothing", gone.Viewer(), View, "acme", false},
		{"a token works on its brand", token.Viewer(), Handle, "acme", true},
		{"a token does not send", token.Viewer(), Send, "acme", false},
		{"a token does not see other brands", token.Viewer(), View, "beta", false},
		{"the zero viewer may do nothing", Viewer{}, View, "acme", false},
		{"a service may do everything", System(), Erase, AllBrands, true},
		{"the command line may do everything", Console(), Manage, AllBrands, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.viewer.Can(tt.action, tt.brand); got != tt.want {
				t.Errorf("Can(%s, %q) = %v, want %v", tt.action, tt.brand, got, tt.want)
			}
		})
	}

	if ids, all := two.Viewer().Brands(Handle); all || !slices.Equal(ids, []string{"acme", "beta", "zeta"}) {
		t.Errorf("Brands(handle) = %v, %v", ids, all)
	}
	if ids, all := two.Viewer().Brands(View); !all || ids != nil {
		t.Errorf("Brands(view) = %v, %v, want all", ids, all)
	}
	if gone.Viewer().CanSomewhere(View) || !two.Viewer().CanSomewhere(Approve) || !System().CanSomewhere(Erase) {
		t.Error("CanSomewhere is wrong")
	}
	for viewer, want := range map[string]Viewer{"mixed": two.Viewer(), "token:aaaaaaaaaa": token.Viewer(), "system": System(), "cli": Console(), "": {}} {
		if got := want.Actor(); got != viewer {
			t.Errorf("Actor() = %q, want %q", got, viewer)
		}
		if got := want.Person(); got != (viewer == "mixed") {
			t.Errorf("Person() of %q = %v", viewer, got)
		}
	}
}

func TestStaffValidate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(*Staff)
		want string // "" means valid
	}{
		{"a Japanese name and public name are fine", func(s *Staff) { s.PublicName = "カスタマー係 田中" }, ""},
		{"nobody needs a grant", func(s *Staff) { s.Grants = nil }, ""},
		{"an id is a slug", func(s *Staff) { s.ID = "Hana Sato" }, `id "Hana Sato"`},
		{"the id of services is reserved", func(s *Staff) { s.ID = "system" }, "reserved"},
		{"the id of the command line is reserved", func(s *Staff) { s.ID = "cli" }, "reserved"},
		{"an address has a host", func(s *Staff) { s.Email = "hana" }, `email "hana"`},
		{"an address has no name around it", func(s *Staff) { s.Email = "Hana <hana@example.com>" }, "email"},
		{"a name is not empty", func(s *Staff) { s.Name = "" }, "name:"},
		{"a name has no line break", func(s *Staff) { s.Name = "Hana\nSato" }, "control characters"},
		{"a public name is no essay", func(s *Staff) { s.PublicName = strings.Repeat("花", 101) }, "public_name"},
		{"a language is one the desk speaks", func(s *Staff) { s.Lang = "fr" }, `lang "fr"`},
		{"a role is known", func(s *Staff) { s.Grants = []Grant{{"boss", []string{"acme"}}} }, `role "boss"`},
		{"a grant names brands", func(s *Staff) { s.Grants = []Grant{{Agent, nil}} }, "or * for all"},
		{"a brand is a slug", func(s *Staff) { s.Grants = []Grant{{Agent, []string{"Acme Inc"}}} }, "neither"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := hana
			tt.edit(&s)
			err := s.Validate()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("Validate() = %v, want nil", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Validate() = %v, want it to contain %q", err, tt.want)
			}
		})
	}
}
