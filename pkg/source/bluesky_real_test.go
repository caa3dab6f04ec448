package source

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// realPDS starts Bluesky's own server, or skips the test where it isn't
// installed: EARSHOT_TEST_NODE names a folder in which npm has installed
// .ci/node/package.json.
func realPDS(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("EARSHOT_TEST_NODE")
	node, err := exec.LookPath("node")
	if dir == "" || err != nil {
		if os.Getenv("EARSHOT_TEST_REQUIRE") != "" {
			t.Fatalf("EARSHOT_TEST_NODE is %q, node: %v; .ci/run installs both", dir, err)
		}
		t.Skip("EARSHOT_TEST_NODE is not set: a server of our own stands in for Bluesky's")
	}
	script, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, script+"/testdata/pds/pds.cjs")
	var said bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		done := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		done.Stop()
	})
	patience := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer patience.Stop()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var ready struct{ URL string }
		if json.Unmarshal(lines.Bytes(), &ready) == nil && ready.URL != "" {
			go io.Copy(io.Discard, stdout)
			return ready.URL
		}
	}
	t.Fatalf("the server did not start: %s", said.String())
	return ""
}

// xrpc posts to a server and decodes the answer.
func xrpc(t *testing.T, server, nsid, token string, in, out any) {
	t.Helper()
	raw, _ := json.Marshal(in)
	req, err := http.NewRequest(http.MethodPost, server+"/xrpc/"+nsid, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", nsid, resp.Status, body)
	}
	if err := json.Unmarshal(body, out); err != nil {
		t.Fatal(err)
	}
}

const replyOnce = "EARSHOT_TEST_REPLY_ONCE"

// TestRepliesOnBlueskyItself speaks to Bluesky's own server.
func TestRepliesOnBlueskyItself(t *testing.T) {
	if server := os.Getenv(replyOnce); server != "" {
		replyToTheReal(t, server)
		return
	}
	server := realPDS(t)
	var hana, acme blueskySession
	for handle, s := range map[string]*blueskySession{"hana-shop.test": &hana, "kumocare.test": &acme} {
		xrpc(t, server, "com.atproto.server.createAccount", "", map[string]string{"handle": handle, "email": handle + "@example.com", "password": "hunter2-" + handle}, s)
	}
	var post blueskyLink
	xrpc(t, server, "com.atproto.repo.createRecord", hana.Access, map[string]any{
		"repo": hana.DID, "collection": blueskyCollection,
		"record": map[string]any{"$type": blueskyCollection, "text": "アクメの炊飯器が動きません", "createdAt": time.Now().UTC().Format(time.RFC3339)},
	}, &post)
	ref, _ := json.Marshal(map[string]blueskyLink{"root": post, "parent": post})
	t.Setenv("EARSHOT_TEST_REPLY_REF", string(ref))

	// A reply is tried again and again by processes that are killed while at it.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(20+40*i)*time.Millisecond)
		cmd := exec.CommandContext(ctx, self, "-test.run=^TestRepliesOnBlueskyItself$") // killed with SIGKILL
		cmd.Env = append(os.Environ(), replyOnce+"="+server)
		_ = cmd.Run()
		cancel()
	}
	src := realAccount(t, server)
	r := realReply(string(ref))
	sent, err := src.Reply(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := src.Find(t.Context(), r); err != nil || found.NativeID != sent.NativeID || time.Since(found.At) > 10*time.Minute {
		t.Errorf("found %+v, %v", found, err)
	}
	ours, err := src.Timeline(t.Context(), time.Now().Add(-time.Hour))
	if err != nil || len(ours) != 1 || ours[0].Text != r.Text || ours[0].Thread.Parent != post.URI || ours[0].Lang != "ja" {
		t.Fatalf("the account has published %+v, %v", ours, err)
	}

	// What is too long is refused by us, and by the server if we let it pass.
	long := r
	long.Key, long.Text = "long", strings.Repeat("あ", 301)
	if _, err := src.Reply(t.Context(), long); err == nil || !strings.Contains(err.Error(), "301 characters") {
		t.Error(err)
	}
	err = src.authed(t.Context(), func(token string) error {
		return src.post(t.Context(), "com.atproto.repo.putRecord", token, map[string]any{
			"repo": acme.DID, "collection": blueskyCollection, "rkey": blueskyKey(long), "validate": true,
			"record": blueskyPost{Type: blueskyCollection, Text: long.Text, CreatedAt: time.Now().UTC().Format(time.RFC3339)},
		}, &struct{}{})
	})
	if xrpcError(err) != "InvalidRequest" {
		t.Errorf("301 graphemes: %v", err)
	}
	if q, ok := src.Quota(); !ok || q.Limit == 0 {
		t.Errorf("quota %+v", q)
	}

	// More records than are given at once.
	for i := range 120 {
		var made blueskyLink
		xrpc(t, server, "com.atproto.repo.createRecord", acme.Access, map[string]any{
			"repo": acme.DID, "collection": blueskyCollection,
			"record": map[string]any{"$type": blueskyCollection, "text": fmt.Sprint("news ", i), "createdAt": time.Now().UTC().Format(time.RFC3339Nano)},
		}, &made)
	}
	if ours, err = src.Timeline(t.Context(), time.Now().Add(-time.Hour)); err != nil || len(ours) != 121 {
		t.Errorf("%d posts, %v", len(ours), err)
	}

	// The notifications are the AppView's, which this network hasn't.
	for _, err := range src.Fetch(t.Context(), "") {
		if err == nil || !strings.Contains(err.Error(), "notifications") {
			t.Errorf("without an AppView: %v", err)
		}
	}
}

func realAccount(t *testing.T, server string) *blueskyAccount {
	d := testDeps(t)
	d.Now = time.Now
	src := openKind(t, "blueskyaccount", "{server: "+strings.Replace(server, "localhost", "127.0.0.1", 1)+", handle: kumocare.test, password: hunter2-kumocare.test, search: 0}", d)
	return src.Source.(*blueskyAccount)
}

func realReply(ref string) Reply {
	return Reply{
		To:   mention.Post{ReplyRef: ref, PublishedAt: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)},
		Text: "ご迷惑をおかけしております。型番を https://acme.example/form からお知らせください。", Lang: "ja", Account: "kumocare.test", Key: "attempt-1",
	}
}

// replyToTheReal is what the killed processes do.
func replyToTheReal(t *testing.T, server string) {
	src := realAccount(t, server)
	for {
		_, _ = src.Reply(t.Context(), realReply(os.Getenv("EARSHOT_TEST_REPLY_REF")))
	}
}
