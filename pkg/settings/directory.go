package settings

import (
	"context"

	"github.com/earshot/earshot/pkg/identity"
)

// Directory reads staff and tokens for identity.
type Directory struct{ Store *Store }

// Staff implements identity.Directory.
func (d Directory) Staff(id string) (identity.Staff, bool) { return Staff.Get(d.Store, id) }

// StaffByEmail implements identity.Directory.
func (d Directory) StaffByEmail(email string) (identity.Staff, bool) {
	for _, s := range Staff.List(d.Store) {
		if identity.FoldEmail(s.Email) == email {
			return s, true
		}
	}
	return identity.Staff{}, false
}

// Credential implements identity.Directory.
func (d Directory) Credential(staff string) (identity.Credential, bool) {
	return Credentials.Get(d.Store, staff)
}

// Credentials implements identity.Directory.
func (d Directory) Credentials() []identity.Credential { return Credentials.List(d.Store) }

// Token implements identity.Directory.
func (d Directory) Token(id string) (identity.Token, bool) { return Tokens.Get(d.Store, id) }

// SetCredential implements identity.Directory.
func (d Directory) SetCredential(ctx context.Context, actor string, c identity.Credential) error {
	return Credentials.Put(ctx, d.Store, actor, c.Staff, Credentials.Version(d.Store, c.Staff), c)
}
