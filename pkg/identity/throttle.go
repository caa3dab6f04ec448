package identity

import (
	"net/netip"
	"sync"
	"time"
)

// Attempts to sign in are counted for the account and for the address they come
// from. The first few are free; after that each failure doubles the wait, up to
// a cap, so that guessing is hopeless and nobody stays locked out for long. A
// count is forgotten after a quiet spell.
const (
	freePerAccount = 10
	freePerAddress = 30 // an office shares one
	firstWait      = time.Second
	longestWait    = 15 * time.Minute
	quietSpell     = time.Hour
	maxTallies     = 20_000 // about 4 MB; beyond, the longest quiet is dropped
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
		t.tallies = map[string]tally{}
	}
	keys := [...]struct {
		key  string
		free int
	}{{accountKey(account), freePerAccount}, {addressKey(from), freePerAddress}}
	var wait time.Duration
	for _, k := range keys {
		wait = max(wait, t.tallies[k.key].wait(now, k.free))
	}
	if wait > 0 {
		return wait // not counted: waiting people who press again don't lengthen it
	}
	for _, k := range keys {
		n := t.tallies[k.key]
		if now.Sub(n.last) > quietSpell {
			n.failures = 0
		}
		t.tallies[k.key] = tally{n.failures + 1, now}
	}
	if len(t.tallies) > maxTallies {
		t.drop(now)
	}
	return 0
}

// succeeded takes back what begin counted. An account starts afresh; an address
// only gets its one attempt back, or one good account would pay for guessing
// at others.
func (t *throttle) succeeded(account string, from netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.tallies, accountKey(account))
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

// drop removes what is forgotten, or else the tally that was quiet longest.
func (t *throttle) drop(now time.Time) {
	var oldest string
	for k, n := range t.tallies {
		if now.Sub(n.last) > quietSpell {
			delete(t.tallies, k)
		} else if oldest == "" || n.last.Before(t.tallies[oldest].last) {
			oldest = k
		}
	}
	if len(t.tallies) > maxTallies {
		delete(t.tallies, oldest)
	}
}

// accountKey keeps what was typed, which may be a password, out of memory.
func accountKey(account string) string { return "account " + digest(account) }

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
