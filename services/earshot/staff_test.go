package main

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/services/desk"
	"github.com/earshot/earshot/services/indexer"
)

// TestALockedOutPersonIsLetInAgain: password and phone are lost; whoever can reach
// the data folder makes a link, beside a running instance.
func TestALockedOutPersonIsLetInAgain(t *testing.T) {
	a, cfg, must := begin(t, []app.Service{indexer.Service, desk.Service}, nil)
	env := a.Env("test")
	aya := identity.Staff{ID: "aya", Email: "aya@kumo.example", Name: "Aya", Lang: "en", Grants: []identity.Grant{{Role: identity.Admin, Brands: []string{"*"}}}}
	must(settings.Staff.Put(t.Context(), env.Settings(), "cli", aya.ID, 0, aya))
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) { // until the desk serves: it has brought its key
		resp, err := http.Get("http://" + a.Addr() + "/sign-in")
		must(err)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatal(resp.Status)
		}
	}
	secret := identity.NewSecond()
	_, err := env.Gate().SetSecond(t.Context(), aya.ID, secret, identity.CodeAt(secret, time.Now()))
	must(err)
	earshot := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		status := run(t.Context(), append(args, "--data", cfg.Data), nil, &out, &errs)
		return status, strings.TrimSpace(out.String()), errs.String()
	}
	if _, out, errs := earshot("staff", "list"); out != "aya\taya@kumo.example\tadmin@*\tAya" {
		t.Errorf("list: %q %s", out, errs)
	}
	if status, _, errs := earshot("staff", "link", "ken@kumo.example"); status != 1 || !strings.Contains(errs, "nobody has the address") {
		t.Errorf("a link for nobody: %d %s", status, errs)
	}
	if status, _, _ := earshot("staff", "link"); status != 2 {
		t.Errorf("a link for whom: %d", status)
	}
	status, out, errs := earshot("staff", "link", "AYA@kumo.example", "--reset-second")
	link, err := url.Parse(out)
	if status != 0 || err != nil {
		t.Fatalf("link: %d %q %s", status, out, errs)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	choose := func() *http.Response {
		resp, err := client.PostForm("http://"+a.Addr()+link.Path, url.Values{"password": {"a long enough sentence"}})
		must(err)
		resp.Body.Close()
		return resp
	}
	var in *http.Response
	for end := time.Now().Add(20 * time.Second); ; { // until the desk serves, and has heard of the reset
		if in = choose(); in.StatusCode == http.StatusSeeOther || time.Now().After(end) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if in.StatusCode != http.StatusSeeOther || len(in.Cookies()) == 0 {
		t.Fatalf("choosing a password: %s", in.Status)
	}
	if again := choose(); again.StatusCode != http.StatusGone {
		t.Errorf("the link a second time: %s", again.Status)
	}
}
