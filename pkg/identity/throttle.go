package identity

import (
	"net/netip"
	"sync"
	"time"
)

// Attempts to sign in are counted for the account and for the address they come
// from. The first few are free; after that each failure doubles the wait, up to
// a cap, so that guessing is hopeless and nobody stays locked out for long. A
// count is forgotten after a quiet spell. Where an account has signed in before
// its own count doesn't hold, or anybody could keep its owner out. A private
// address may be a proxy's and stand for everybody: only accounts count there.
const (
	freePerAccount = 10
	freePerAddress = 30 // an office shares one
	firstWait      = time.Second
	longestWait    = 15 * time.Minute
	quietSpell     = time.Hour
	maxTallies     = 20_000 // about 4 MB; beyond, the longest quiet is dropped
	maxKnown       = 20_000
)

// ThrottledError refuses an attempt to sign in because of those before it.
type ThrottledError struct{ Wait time.Duration }

func (e *ThrottledError) Error() string {
	return "too many attempts to sign in: try again in " + e.Wait.Round(time.Second).String()
}

// throttle counts attempts of one process. Its zero value is ready.
type throttle struct {
	mu      sync.Mutex
	tallies map[string]tally
	known   map[string]time.Time // account and address → last success
}

type tally struct {
	failures int
	last     time.Time // of the last attempt
}

// begin counts an attempt before its outcome is known, so that a thousand at
// once are a thousand. It returns how long to wait instead, or 0 to go on.
func (t *throttle) begin(now time.Time, account string, from netip.Addr) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tallies == nil {
		t.tallies, t.known = map[string]tally{}, map[string]time.Time{}
	}
	type limit struct {
		key  string
		free int
	}
	var limits []limit
	if !shared(from) {
		limits = append(limits, limit{addressKey(from), freePerAddress})
	}
	if _, known := t.known[knownKey(account, from)]; !known {
		limits = append(limits, limit{accountKey(account), freePerAccount})
	}
	var wait time.Duration
	for _, k := range limits {
		wait = max(wait, t.tallies[k.key].wait(now, k.free))
	}
	if wait > 0 {
		return wait // not counted: waiting people who press again don't lengthen it
	}
	for _, k := range limits {
		n := t.tallies[k.key]
		if now.Sub(n.last) > quietSpell {
			n.failures = 0
		}
		t.tallies[k.key] = tally{n.failures + 1, now}
	}
	if len(t.tallies) > maxTallies {
		dropOldest(t.tallies, func(n tally) time.Time { return n.last })
	}
	return 0
}

// succeeded takes back what begin counted. An account starts afresh; an address
// only gets its one attempt back, or one good account would pay for guessing
// at others.
func (t *throttle) succeeded(now time.Time, account string, from netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.tallies, accountKey(account))
	if shared(from) {
		return
	}
	t.known[knownKey(account, from)] = now
	if len(t.known) > maxKnown {
		dropOldest(t.known, func(at time.Time) time.Time { return at })
	}
	if n, ok := t.tallies[addressKey(from)]; ok {
		n.failures--
		t.tallies[addressKey(from)] = n
	}
}

func (n tally) wait(now time.Time, free int) time.Duration {
	if n.failures < free || now.Sub(n.last) > quietSpell {
		return 0
	}
	w := longestWait
	if over := n.failures - free; over < 10 {
		w = min(w, firstWait<<over)
	}
	return max(0, w-now.Sub(n.last))
}

func dropOldest[V any](m map[string]V, last func(V) time.Time) {
	var oldest string
	for k, v := range m {
		if oldest == "" || last(v).Before(last(m[oldest])) {
			oldest = k
		}
	}
	delete(m, oldest)
}

// accountKey keeps what was typed, which may be a password, out of memory.
func accountKey(account string) string { return "account " + digest(account) }

func shared(from netip.Addr) bool {
	from = from.Unmap()
	return !from.IsValid() || from.IsLoopback() || from.IsPrivate() || from.IsLinkLocalUnicast()
}

func knownKey(account string, from netip.Addr) string { return accountKey(account) + addressKey(from) }

// addressKey takes the /64 of IPv6: a household has one.
func addressKey(from netip.Addr) string {
	from = from.Unmap().WithZone("")
	if from.Is6() {
		if p, err := from.Prefix(64); err == nil {
			return "address " + p.String()
		}
	}
	return "address " + from.String()
}
