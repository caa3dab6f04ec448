package casework

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
)

const (
	// NoticeTerm is how long a notice is kept for whoever it is for.
	NoticeTerm = 3 * 24 * time.Hour
	// mostNotices bounds how many are kept for one person; the oldest go first.
	mostNotices = 100
	// noticeTries bounds how often a change begins again because somebody else was
	// faster.
	noticeTries = 20
)

// Notice is a word to people on the desk about a case.
type Notice struct {
	ID    string     `json:"id"`
	At    time.Time  `json:"at"`
	Staff []string   `json:"staff,omitempty"` // whom it is for
	Case  mention.ID `json:"case"`
	What  string     `json:"what"` // woke, assigned, taken, approval (is asked for), approved, sent_back, approval_lapsed, edited, edited_approved, promise_half, promise_near, deadline
	By    string     `json:"by,omitempty"`
	Read  bool       `json:"read,omitempty"`
}

// Notify keeps n for everybody it is for, and tells those who have a page open. It
// sets n's ID and time.
func Notify(ctx context.Context, c *bus.Conn, n Notice, now time.Time) error {
	n.Staff = slices.DeleteFunc(slices.Clone(n.Staff), func(id string) bool { return id == "" })
	if len(n.Staff) == 0 {
		return nil
	}
	n.ID, n.At = rand.Text(), now.UTC().Truncate(time.Millisecond)
	kept := n
	kept.Staff = nil
	var errs []error
	for _, id := range n.Staff {
		errs = append(errs, changeNotices(ctx, c, id, func(all []Notice) ([]Notice, bool) {
			all = append([]Notice{kept}, all...)
			all = slices.DeleteFunc(all, func(o Notice) bool { return now.Sub(o.At) > NoticeTerm })
			return all[:min(len(all), mostNotices)], true
		}))
	}
	return errors.Join(append(errs, c.Tell("told", n))...)
}

// Notices returns what was told to somebody and is not older than [NoticeTerm], the
// newest first.
func Notices(ctx context.Context, c *bus.Conn, staff string, now time.Time) ([]Notice, error) {
	var all []Notice
	if _, err := bus.Notices.Get(ctx, c, staff, &all); err != nil && !errors.Is(err, bus.ErrNotFound) {
		return nil, err
	}
	return slices.DeleteFunc(all, func(n Notice) bool { return now.Sub(n.At) > NoticeTerm }), nil
}

// ReadNotices notes that somebody has read the notices with these ids, or without
// any id all of them.
func ReadNotices(ctx context.Context, c *bus.Conn, staff string, ids ...string) error {
	return changeNotices(ctx, c, staff, func(all []Notice) ([]Notice, bool) {
		changed := false
		for i := range all {
			if !all[i].Read && (len(ids) == 0 || slices.Contains(ids, all[i].ID)) {
				all[i].Read, changed = true, true
			}
		}
		return all, changed
	})
}

func changeNotices(ctx context.Context, c *bus.Conn, staff string, change func([]Notice) ([]Notice, bool)) error {
	for n := 0; ; n++ {
		var all []Notice
		rev, err := bus.Notices.Get(ctx, c, staff, &all)
		if err != nil && !errors.Is(err, bus.ErrNotFound) {
			return err
		}
		all, changed := change(all)
		if !changed {
			return nil
		}
		_, err = bus.Notices.Update(ctx, c, staff, all, rev)
		if !errors.Is(err, bus.ErrConflict) || n == noticeTries {
			if err != nil {
				return fmt.Errorf("notices of %s: %w", staff, err)
			}
			return nil
		}
	}
}
