package identity

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// InvitationLife is how long an invitation is good where nothing else is
// configured.
const InvitationLife = 7 * 24 * time.Hour

// Invitation is somebody who was asked to work with Earshot and has not come yet,
// as the setting "invitation" holds it. The link that accepts it is one of
// [Invite], of which only a hash is kept.
type Invitation struct {
	ID         string    `json:"id"` // that the person will have
	Email      string    `json:"email"`
	Name       string    `json:"name"`
	PublicName string    `json:"public_name,omitempty"`
	Lang       string    `json:"lang,omitempty"`
	Grants     []Grant   `json:"grants"`
	Teams      []string  `json:"teams,omitempty"`
	Trained    bool      `json:"trained,omitempty"`
	By         string    `json:"by"`
	At         time.Time `json:"at"`   // of the newest link
	Ends       time.Time `json:"ends"` // of the newest link
	// Sent tells that a mail server took the newest link.
	Sent bool `json:"sent,omitempty"`
}

// Staff is who the person will be.
func (i *Invitation) Staff() Staff {
	return Staff{
		ID: i.ID, Email: i.Email, Name: i.Name, PublicName: i.PublicName, Lang: i.Lang, Grants: slices.Clone(i.Grants), Trained: i.Trained,
	}
}

// Open tells whether the newest link can still be good at now.
func (i *Invitation) Open(now time.Time) bool { return now.Before(i.Ends) }

// Validate reports everything that is wrong with i.
func (i *Invitation) Validate() error {
	s := i.Staff()
	errs := []error{s.Validate()}
	for _, t := range i.Teams {
		if t == "" {
			errs = append(errs, errors.New("teams: a team has an id"))
		}
	}
	if !i.Ends.After(i.At) {
		errs = append(errs, fmt.Errorf("ends: %s is not after %s", i.Ends, i.At))
	}
	return errors.Join(errs...)
}
