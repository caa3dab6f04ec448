package identity

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	elsewhere := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}) }

	t.Run("an account waits longer and longer, from wherever it is tried", func(t *testing.T) {
		t.Parallel()
		var th throttle
		now := start
		for i := range freePerAccount {
			if w := th.begin(now, "hana", elsewhere(i)); w != 0 {
				t.Fatalf("attempt %d waits %v", i+1, w)
			}
		}
		want := firstWait
		for i := range 20 {
			if w := th.begin(now, "hana", elsewhere(100+i)); w != want {
				t.Fatalf("failure %d: wait %v, want %v", freePerAccount+i, w, want)
			}
			now = now.Add(want)
			if w := th.begin(now, "hana", elsewhere(200+i)); w != 0 {
				t.Fatalf("after waiting %v there is still %v", want, w)
			}
			want = min(2*want, longestWait)
		}
		if w := th.begin(now, "taro", elsewhere(999)); w != 0 {
			t.Errorf("another account waits %v", w)
		}
	})

	t.Run("an address waits, whichever accounts it tries", func(t *testing.T) {
		t.Parallel()
		var th throttle
		for i := range freePerAddress {
			if w := th.begin(start, fmt.Sprint(i), office); w != 0 {
				t.Fatalf("attempt %d waits %v", i+1, w)
			}
		}
		if w := th.begin(start, "fresh", office); w != firstWait {
			t.Errorf("wait = %v, want %v", w, firstWait)
		}
		if w := th.begin(start, "fresh", elsewhere(1)); w != 0 {
			t.Errorf("from another address: wait = %v", w)
		}
	})

	t.Run("a good account does not pay for guessing at others", func(t *testing.T) {
		t.Parallel()
		var th throttle
		for i := range freePerAddress - 1 {
			th.begin(start, fmt.Sprint("victim", i), office)
		}
		if w := th.begin(start, "mallory", office); w != 0 {
			t.Fatalf("mallory waits %v", w)
		}
		th.succeeded(start, "mallory", office)
		if w := th.begin(start, "last victim", office); w != 0 {
			t.Fatalf("the attempt given back waits %v", w)
		}
		if w := th.begin(start, "one more", office); w != firstWait {
			t.Errorf("wait = %v, want %v", w, firstWait)
		}
	})

	t.Run("an account under attack stays open where its owner signs in", func(t *testing.T) {
		t.Parallel()
		var th throttle
		if w := th.begin(start, "hana", office); w != 0 {
			t.Fatalf("wait = %v", w)
		}
		th.succeeded(start, "hana", office)
		for i := range freePerAccount {
			th.begin(start, "hana", elsewhere(i))
		}
		if w := th.begin(start, "hana", elsewhere(99)); w != firstWait {
			t.Errorf("wait elsewhere = %v, want %v", w, firstWait)
		}
		for i := range freePerAddress {
			if w := th.begin(start, "hana", office); w != 0 {
				t.Fatalf("attempt %d at the office waits %v", i+1, w)
			}
		}
		if w := th.begin(start, "hana", office); w != firstWait {
			t.Errorf("even the office may try without end: wait = %v", w)
		}
	})

	t.Run("behind a proxy one account's attacker stops nobody else", func(t *testing.T) {
		t.Parallel()
		for _, proxy := range []string{"127.0.0.1", "10.1.2.3", "::1", "fd00::1", "::ffff:10.1.2.3"} {
			var th throttle
			addr := netip.MustParseAddr(proxy)
			if w := th.begin(start, "hana", addr); w != 0 {
				t.Fatalf("wait = %v", w)
			}
			th.succeeded(start, "hana", addr)
			for range freePerAccount {
				th.begin(start, "hana", addr)
			}
			if w := th.begin(start, "hana", addr); w != firstWait {
				t.Errorf("%s: the attacked account waits %v, want %v", proxy, w, firstWait)
			}
			for i := range 2 * freePerAddress {
				if w := th.begin(start, fmt.Sprint("other", i), addr); w != 0 {
					t.Fatalf("%s: another account waits %v", proxy, w)
				}
			}
		}
	})

	t.Run("a quiet hour is enough", func(t *testing.T) {
		t.Parallel()
		var th throttle
		for range freePerAccount {
			th.begin(start, "hana", office)
		}
		if w := th.begin(start.Add(quietSpell+time.Second), "hana", office); w != 0 {
			t.Errorf("wait = %v", w)
		}
		if n := th.tallies[accountKey("hana")].failures; n != 1 {
			t.Errorf("failures after a quiet hour = %d, want 1", n)
		}
	})

	t.Run("an IPv6 network is one address, and so is mapped IPv4", func(t *testing.T) {
		t.Parallel()
		same := [][2]string{{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2"}, {"::ffff:192.0.2.7", "192.0.2.7"}, {"fe80::1%eth0", "fe80::2"}}
		for _, s := range same {
			if a, b := addressKey(netip.MustParseAddr(s[0])), addressKey(netip.MustParseAddr(s[1])); a != b {
				t.Errorf("%s and %s count apart: %s, %s", s[0], s[1], a, b)
			}
		}
		if addressKey(netip.MustParseAddr("2001:db8:0:1::1")) == addressKey(netip.MustParseAddr("2001:db8:0:2::1")) {
			t.Error("two networks count as one")
		}
	})

	t.Run("memory is bounded", func(t *testing.T) {
		t.Parallel()
		var th throttle
		for i := range maxTallies + 100 {
			th.begin(start.Add(time.Duration(i)*time.Millisecond), fmt.Sprint(i), elsewhere(i%20))
		}
		if n := len(th.tallies); n > maxTallies+1 {
			t.Errorf("%d tallies", n)
		}
	})
}

func TestSignInIsThrottled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// Cheap hashes: the throttle is tested, not argon2.
	b.dir.creds["hana"] = Credential{Staff: "hana", Password: hashPassword(goodPassword, cheap)}
	for range freePerAccount {
		if _, err := b.signIn(t.Context(), hana.Email, "wrong horse battery", office); !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
	}
	_, err := b.signIn(t.Context(), hana.Email, goodPassword, office)
	throttled, ok := errors.AsType[*ThrottledError](err)
	if !ok || throttled.Wait != firstWait {
		t.Fatalf("SignIn() = %v, want to wait %v", err, firstWait)
	}
	b.clock = b.clock.Add(firstWait)
	if _, err := b.signIn(t.Context(), hana.Email, goodPassword, office); err != nil {
		t.Errorf("after waiting: %v", err)
	}
	if _, err := b.signIn(t.Context(), hana.Email, goodPassword, office); err != nil {
		t.Errorf("after a success: %v", err)
	}
}
