package identity

import (
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Staff is a person who works with Earshot, as the setting "staff" holds it.
// The password is not part of it: see [Credential].
type Staff struct {
	ID    string `json:"id"`    // immutable, [a-z0-9-], up to 64
	Email string `json:"email"` // signs in with it; see [FoldEmail]
	Name  string `json:"name"`  // what colleagues see
	// PublicName is what the public sees under a reply (ビジネスネーム). Empty:
	// replies are signed by the team.
	PublicName string  `json:"public_name,omitempty"`
	Lang       string  `json:"lang,omitempty"` // of the desk: "ja", "en"; empty: the browser's
	Grants     []Grant `json:"grants"`
	Disabled   bool    `json:"disabled,omitempty"`
	// Away tells that routes give them nothing for now.
	Away bool `json:"away,omitempty"`
	// Trained says that this person may answer praise and plain questions in
	// words of their own, see the rules of approval.
	Trained bool `json:"trained,omitempty"`
}

// Grant gives a role for some brands, or for [AllBrands].
type Grant struct {
	Role   Role     `json:"role"`
	Brands []string `json:"brands"`
}

// Validate reports everything that is wrong with s.
func (s *Staff) Validate() error {
	var errs []error
	if !isSlug(s.ID) {
		errs = append(errs, fmt.Errorf("id %q: want 1 to 64 of a-z, 0-9 and -", s.ID))
	}
	if s.ID == ActorSystem || s.ID == ActorConsole {
		errs = append(errs, fmt.Errorf("id %q is reserved", s.ID))
	}
	if !IsEmail(s.Email) {
		errs = append(errs, fmt.Errorf("email %q: want an address like name@example.com", s.Email))
	}
	if err := checkName(s.Name); err != nil {
		errs = append(errs, fmt.Errorf("name: %w", err))
	}
	if s.PublicName != "" {
		if err := checkName(s.PublicName); err != nil {
			errs = append(errs, fmt.Errorf("public_name: %w", err))
		}
	}
	if !slices.Contains([]string{"", "ja", "en"}, s.Lang) {
		errs = append(errs, fmt.Errorf("lang %q: want ja, en or nothing", s.Lang))
	}
	for i, g := range s.Grants {
		if !slices.Contains(Roles, g.Role) {
			errs = append(errs, fmt.Errorf("grants[%d]: role %q: want one of %v", i, g.Role, Roles))
		}
		if err := checkBrands(g.Brands); err != nil {
			errs = append(errs, fmt.Errorf("grants[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// Credential is how a member of staff proves to be it, as the setting
// "credential" holds it, apart from [Staff], so that no list, form or history
// of staff ever carries it.
type Credential struct {
	Staff    string `json:"staff"`    // Staff.ID
	Password string `json:"password"` // argon2id hash in PHC form; empty: no signing in by password
	// Since ends all sessions that began before it.
	Since time.Time `json:"since"`
	// Set is who set the password when, the latest last. What a credential was
	// before is not kept: a hash must not outlive its password.
	Set []PasswordSet `json:"set,omitempty"`
	// Second is the second factor; nil while none is set up.
	Second *Second `json:"second,omitempty"`
	// Subjects are the accounts at OpenID providers that are this person's.
	Subjects []Subject `json:"subjects,omitempty"`
}

// Second is a second factor: codes by time (RFC 6238), and recovery codes for
// who has lost what makes them.
type Second struct {
	Secret   string    `json:"secret"`             // sealed, see [Vault]
	Since    time.Time `json:"since"`              // when it was set up
	Recovery []string  `json:"recovery,omitempty"` // hex SHA-256 of those not used yet
}

// Subject is an account at an OpenID provider.
type Subject struct {
	Issuer  string    `json:"issuer"`
	Subject string    `json:"subject"`
	At      time.Time `json:"at"` // when it was linked
}

// PasswordSet is one change of a password.
type PasswordSet struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// mostSet is how many changes of a password are remembered.
const mostSet = 20

// Validate reports what is wrong with c, without telling its hash.
func (c *Credential) Validate() error {
	var errs []error
	if !isSlug(c.Staff) {
		errs = append(errs, fmt.Errorf("staff %q: want 1 to 64 of a-z, 0-9 and -", c.Staff))
	}
	if c.Password != "" {
		if _, err := parseHash(c.Password); err != nil {
			errs = append(errs, fmt.Errorf("password: %w", err))
		}
	}
	return errors.Join(errs...)
}

// FoldEmail returns the form in which addresses are compared: without spaces
// around, full-width letters and lower case made plain.
func FoldEmail(s string) string {
	return strings.ToLower(norm.NFKC.String(strings.TrimSpace(s)))
}

// IsEmail tells whether s can be the address of a member of staff.
func IsEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && len(s) <= 254
}

// IsName tells whether s can be a name: 1 to 100 characters on one line, without
// spaces around.
func IsName(s string) bool { return checkName(s) == nil }

func checkName(s string) error {
	if s != strings.TrimSpace(s) || s == "" || !utf8.ValidString(s) || utf8.RuneCountInString(s) > 100 {
		return errors.New("want 1 to 100 characters without spaces around")
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("control characters are not allowed")
	}
	return nil
}

func checkBrands(brands []string) error {
	if len(brands) == 0 {
		return errors.New("brands: name the brands, or * for all")
	}
	for _, b := range brands {
		if b != AllBrands && !isSlug(b) {
			return fmt.Errorf("brands: %q is neither a brand's id nor *", b)
		}
	}
	return nil
}

func isSlug(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}
