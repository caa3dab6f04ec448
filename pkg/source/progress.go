package source

import "time"

// Progress is how far a source has come and how it fares. The fetcher keeps
// it, the desk shows it.
type Progress struct {
	Cursor string `json:"cursor"`
	// Success is the end of the last fetch without an error; for a streaming
	// source the last item.
	Success time.Time `json:"success"`
	// Item is when the newest item was published, and Taken when the last one
	// arrived.
	Item  time.Time `json:"item"`
	Taken time.Time `json:"taken"`
	// Items counts what was read, Mentions what matched a brand.
	Items    uint64 `json:"items"`
	Mentions uint64 `json:"mentions"`
	// Error is why the last fetch failed, empty when it did not. Since is when
	// it began to fail, and Next when it is tried again.
	Error string    `json:"error,omitempty"`
	Since time.Time `json:"since,omitzero"`
	Next  time.Time `json:"next,omitzero"`
	// Gap is the usual time between items, and Silent tells that the present
	// silence is far longer than that.
	Gap    time.Duration `json:"gap"`
	Silent bool          `json:"silent"`
	// Left of Quota requests until Reset, where the platform tells.
	Quota int       `json:"quota,omitempty"`
	Left  int       `json:"left,omitempty"`
	Reset time.Time `json:"reset,omitzero"`
}

// Took notes items that arrived at now.
func (p *Progress) Took(items, mentions int, newest, now time.Time) {
	if items == 0 {
		return
	}
	if !p.Taken.IsZero() {
		gap := now.Sub(p.Taken) / time.Duration(items)
		// A moving average over about the last ten arrivals.
		p.Gap += (gap - p.Gap) / 10
	}
	p.Taken, p.Silent = now, false
	p.Items += uint64(items)
	p.Mentions += uint64(mentions)
	if newest.After(p.Item) {
		p.Item = newest
	}
}

// Hush notes at now whether the source is silent against its own habit: for
// ten times its usual gap, and at least an hour. It returns true when that has
// just become so.
func (p *Progress) Hush(now time.Time) bool {
	was := p.Silent
	p.Silent = p.Items >= 20 && now.Sub(p.Taken) > max(10*p.Gap, time.Hour)
	return p.Silent && !was
}

// Lag is how late the newest item arrived, or zero.
func (p *Progress) Lag() time.Duration {
	if p.Item.IsZero() || p.Taken.Before(p.Item) {
		return 0
	}
	return p.Taken.Sub(p.Item)
}
