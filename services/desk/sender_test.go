package desk

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
)

// signed posts body to the intake as the webhook notifier, or anybody who
// follows Standard Webhooks, signs it.
func (v *visitor) signed(path, key, id, body string) answer {
	v.t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "whsec_"))
	v.put(err)
	at := fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, raw)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	for k, value := range map[string]string{"Webhook-Id": id, "Webhook-Timestamp": at, "Webhook-Signature": "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))} {
		v.header.Set(k, value)
	}
	defer func() {
		for _, k := range []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} {
			v.header.Del(k)
		}
	}()
	return v.send(path, body)
}

func TestTheIntakeTakesSignedRequests(t *testing.T) {
	b := newBench(t)
	admin := b.as("ada", []string{identity.AllBrands}, identity.Admin)
	token, _, err := identity.NewToken("form", identity.ScopeIntake, []string{"kumo"}, time.Now(), time.Time{})
	b.put(err)
	b.put(settings.Tokens.Put(t.Context(), b.Settings, "cli", token.ID, 0, token))
	shown := func(a answer) string {
		m := regexp.MustCompile(`whsec_[A-Za-z0-9+/=&#;]+`).FindString(a.body)
		return strings.ReplaceAll(strings.ReplaceAll(m, "&#43;", "+"), "&#34;", "")
	}
	first := shown(admin.want(admin.post("/tokens/"+token.ID+"/key"), 200, "/api/v1/mentions?sender="+token.ID))
	v, path := b.visitor(), "/api/v1/mentions?sender="+token.ID
	v.want(v.signed(path, first, "evt-1", `{"text":"I love kumo"}`), 202, `"status":"accepted"`)
	v.want(v.signed(path, first, "evt-1", `{"text":"I love kumo"}`), 202, `"status":"duplicate"`)
	v.want(v.signed(path, first, "evt-2", `[{"text":"kumo is late"},{"text":"kumo is cold"}]`), 202, `"index":0,"status":"accepted"`, `"index":1,"status":"accepted"`)
	second := shown(admin.want(admin.post("/tokens/"+token.ID+"/key"), 200, "whsec_"))
	if first == second {
		t.Fatal("the same key again")
	}
	for _, key := range []string{first, second} { // while the sender changes over
		v.want(v.signed(path, key, "evt-1", `{"text":"I love kumo"}`), 202, `"status":"duplicate"`)
	}
	v.want(v.signed(path, first, strings.Repeat("e", 201), `{"text":"x"}`), 401, "webhook-id")
	v.want(v.signed(path+"x", first, "evt-3", `{"text":"x"}`), 401, "sender")
	v.want(v.signed("/api/v1/mentions", first, "evt-3", `{"text":"x"}`), 401, "sender")
	v.want(v.signed("/api/v1/cases/aaaa/claim?sender="+token.ID, first, "evt-3", ""), 401) // only what is brought in is signed
}

func TestTheIntakeKeepsEachSenderToItsPace(t *testing.T) {
	var s senders
	now := time.Now()
	for range 6 {
		if err := s.pace("token:a", 1000, 6000, now); err != nil {
			t.Fatal(err)
		}
	}
	err := s.pace("token:a", 100, 6000, now)
	if e, ok := err.(*paceError); !ok || e.wait.Round(time.Second) != time.Second {
		t.Errorf("%v, want a second", err)
	}
	if err := s.pace("token:b", 1000, 6000, now); err != nil {
		t.Errorf("another sender: %v", err)
	}
	if err := s.pace("token:a", 100, 6000, now.Add(time.Second)); err != nil {
		t.Errorf("after the wait: %v", err)
	}

	b := newBench(t)
	b.IntakeRate = 1
	v := b.token(identity.ScopeIntake, "kumo")
	posts := "[" + strings.Repeat(`{"id":"a","text":"kumo"},`, 999) + `{"id":"a","text":"kumo"}]`
	v.want(v.send("/api/v1/mentions", posts), http.StatusAccepted)
	a := v.want(v.send("/api/v1/mentions", `{"id":"b","text":"kumo"}`), http.StatusTooManyRequests, "1 posts a minute", "too_many")
	if after := a.Header.Get("Retry-After"); after == "" || after == "0" {
		t.Errorf("Retry-After %q", after)
	}
}
