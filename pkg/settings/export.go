package settings

import (
	"errors"
	"time"

	"github.com/earshot/earshot/pkg/config"
)

// Export is a record of what somebody took out as a file. It is written before
// the first line leaves, and again after the last.
type Export struct {
	ID       string    `json:"id"`
	What     string    `json:"what"` // "history"
	By       string    `json:"by"`   // staff id or "cli"
	At       time.Time `json:"at"`
	From     time.Time `json:"from"` // of publishing; half-open
	To       time.Time `json:"to"`
	Brand    string    `json:"brand,omitempty"`    // empty: all that By may see
	Unmasked bool      `json:"unmasked,omitempty"` // with personal data
	// What left: lines, characters that the encoding lacks, and cases whose
	// platform forbids that their words leave.
	Rows     int  `json:"rows,omitempty"`
	Replaced int  `json:"replaced,omitempty"`
	Withheld int  `json:"withheld,omitempty"`
	Done     bool `json:"done,omitempty"` // all of it left
}

// Validate reports everything that is wrong with e.
func (e *Export) Validate() error {
	var errs []error
	if !idPattern.MatchString(e.ID) {
		errs = append(errs, config.Invalid("id", "%q: want a-z, 0-9, - and _, up to 64", e.ID))
	}
	if e.By == "" {
		errs = append(errs, config.Invalid("by", "required"))
	}
	return errors.Join(errs...)
}
