package source

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// realNetwork is a network of Bluesky's own servers.
type realNetwork struct {
	pds, appview string
	stdin        io.Writer
	lines        *bufio.Scanner
	said         *lockedBuffer
}

// absent ends the test because of a program that isn't here.
func absent(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("EARSHOT_TEST_REQUIRE") != "" {
		t.Fatalf("%s; .ci/run installs it", what)
	}
	t.Skipf("%s: a server of our own stands in for Bluesky's", what)
}

// lockedBuffer keeps what a process says while it runs.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startReal starts Bluesky's own servers, or skips the test where they aren't
// installed: EARSHOT_TEST_NODE names a folder in which npm has installed
// .ci/node/package.json. env tells where the AppView keeps its index; without
// it there is none.
func startReal(t *testing.T, env ...string) *realNetwork {
	t.Helper()
	dir := os.Getenv("EARSHOT_TEST_NODE")
	node, err := exec.LookPath("node")
	if dir == "" || err != nil {
		absent(t, fmt.Sprintf("EARSHOT_TEST_NODE is %q, node: %v", dir, err))
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, here+"/testdata/atproto/network.cjs")
	n := &realNetwork{said: &lockedBuffer{}}
	cmd.Dir, cmd.Stderr, cmd.Env = dir, n.said, append(os.Environ(), env...)
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
	n.stdin, n.lines = stdin, bufio.NewScanner(stdout)
	patience := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer patience.Stop()
	answer := n.next(t)
	n.pds, n.appview = answer.PDS, answer.AppView
	if n.pds == "" {
		t.Fatalf("the network did not start: %s", n.said)
	}
	return n
}

type realAnswer struct {
	PDS, AppView, Error string
	Seen                bool
}

// next is the next line that the network says of itself; its servers may say
// others.
func (n *realNetwork) next(t *testing.T) (a realAnswer) {
	t.Helper()
	for n.lines.Scan() {
		if json.Unmarshal(n.lines.Bytes(), &a) == nil && a != (realAnswer{}) {
			return a
		}
	}
	t.Fatalf("the network has ended: %s", n.said)
	return a
}

// settle waits until the AppView has seen all that was written.
func (n *realNetwork) settle(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(n.stdin, "settle\n"); err != nil {
		t.Fatal(err)
	}
	if a := n.next(t); !a.Seen {
		t.Fatal(a.Error)
	}
}

// realIndex starts PostgreSQL and Redis on 127.0.0.1 for an AppView, and returns
// the environment that says where they are.
func realIndex(t *testing.T) []string {
	t.Helper()
	redis, err := exec.LookPath("redis-server")
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		absent(t, "PostgreSQL or Redis is not installed")
	}
	dir, err := os.MkdirTemp("", "earshot-appview-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	bin := filepath.Dir(found[len(found)-1])
	// PostgreSQL refuses to run as root.
	as := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		owner, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(owner.Uid)
		gid, _ := strconv.Atoi(owner.Gid)
		as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	ports := make([]string, 2)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, ports[i], _ = net.SplitHostPort(l.Addr().String())
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.SysProcAttr = dir, as
		return cmd
	}
	if out, err := command(bin+"/initdb", "-D", dir+"/data", "-U", "earshot", "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	run := func(stop os.Signal, ready string, cmd *exec.Cmd) {
		t.Helper()
		said, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = out, out
		err = cmd.Start()
		out.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Signal(stop)
			done := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
			cmd.Wait()
			done.Stop()
		})
		patience := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		defer patience.Stop()
		var all strings.Builder
		for lines := bufio.NewScanner(said); lines.Scan(); {
			fmt.Fprintln(&all, lines.Text())
			if strings.Contains(lines.Text(), ready) {
				go io.Copy(io.Discard, said)
				return
			}
		}
		t.Fatalf("%s did not start:\n%s", cmd.Path, all.String())
	}
	run(syscall.SIGQUIT, "ready to accept connections", command(bin+"/postgres", "-D", dir+"/data", "-p", ports[0],
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"))
	run(syscall.SIGTERM, "eady to accept connections", command(redis, "--port", ports[1], "--bind", "127.0.0.1", "--save", "", "--dir", dir))
	return []string{"DB_POSTGRES_URL=postgresql://earshot@127.0.0.1:" + ports[0] + "/postgres", "REDIS_HOST=127.0.0.1:" + ports[1]}
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
	server := startReal(t).pds
	hana, acme := realPerson(t, server, "hana-shop.test"), realPerson(t, server, "kumocare.test")
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

func realPerson(t *testing.T, server, handle string) (s blueskySession) {
	t.Helper()
	xrpc(t, server, "com.atproto.server.createAccount", "", map[string]string{"handle": handle, "email": handle + "@example.com", "password": "hunter2-" + handle}, &s)
	return s
}

func realAccount(t *testing.T, server string) *blueskyAccount {
	d := testDeps(t)
	d.Now = time.Now
	src := openKind(t, "blueskyaccount", "{server: "+server+", handle: kumocare.test, password: hunter2-kumocare.test, search: 0}", d)
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

// realWriter writes records as one person, on Bluesky's own server.
type realWriter struct {
	t      *testing.T
	server string
	blueskySession
}

func (w realWriter) write(collection, rkey string, record map[string]any) (made blueskyLink) {
	w.t.Helper()
	record["$type"], record["createdAt"] = collection, time.Now().UTC().Format(time.RFC3339Nano)
	in := map[string]any{"repo": w.DID, "collection": collection, "record": record}
	if rkey != "" {
		in["rkey"] = rkey
	}
	xrpc(w.t, w.server, "com.atproto.repo.createRecord", w.Access, in, &made)
	return made
}

// post writes a post that begins with a mention of whom, if there is one, and
// answers to, if there is one.
func (w realWriter) post(text string, whom *blueskySession, root, to blueskyLink) blueskyLink {
	w.t.Helper()
	record := map[string]any{"text": text, "langs": []string{"ja"}}
	if whom != nil {
		name := "@" + whom.Handle
		record["text"] = name + " " + text
		record["facets"] = []any{map[string]any{
			"index":    map[string]int{"byteStart": 0, "byteEnd": len(name)},
			"features": []any{map[string]string{"$type": "app.bsky.richtext.facet#mention", "did": whom.DID}},
		}}
	}
	if to.URI != "" {
		record["reply"] = map[string]blueskyLink{"root": root, "parent": to}
	}
	return w.write(blueskyCollection, "", record)
}

func (w realWriter) delete(of blueskyLink) {
	w.t.Helper()
	xrpc(w.t, w.server, "com.atproto.repo.deleteRecord", w.Access, map[string]string{"repo": w.DID, "collection": blueskyCollection, "rkey": rkeyOf(of)}, &struct{}{})
}

func rkeyOf(of blueskyLink) string { return of.URI[strings.LastIndexByte(of.URI, '/')+1:] }

// TestBlueskysAppViewItself reads from Bluesky's own AppView, through its own
// server.
func TestBlueskysAppViewItself(t *testing.T) {
	network := startReal(t, realIndex(t)...)
	people := map[string]realWriter{}
	for _, name := range []string{"hana", "jiro", "gate", "wall", "kumocare"} {
		people[name] = realWriter{t, network.pds, realPerson(t, network.pds, name+".test")}
	}
	hana, jiro, gate, wall, us := people["hana"], people["jiro"], people["gate"], people["wall"], people["kumocare"].blueskySession
	hana.write("app.bsky.actor.profile", "self", map[string]any{"displayName": "花"})
	jiro.write("app.bsky.graph.follow", "", map[string]any{"subject": hana.DID})
	none := blueskyLink{}

	asked := jiro.post("#炊飯器 どれがいい?", nil, none, none)
	answer := hana.post("アクメの炊飯器は動きません", &us, asked, asked)
	jiro.write("app.bsky.feed.like", "", map[string]any{"subject": answer})
	jiro.write("app.bsky.feed.repost", "", map[string]any{"subject": answer})
	jiro.post("うちのも", nil, asked, answer)
	quiet := gate.post("返信はいりません", &us, none, none)
	gate.write("app.bsky.feed.threadgate", rkeyOf(quiet), map[string]any{"post": quiet.URI, "allow": []any{}})
	network.settle(t)

	d := testDeps(t)
	d.Now, d.Terms = time.Now, func() Terms { return Terms{Hashtags: []string{"炊飯器"}} }
	src := openKind(t, "blueskyaccount", "{server: "+network.pds+", handle: kumocare.test, password: hunter2-kumocare.test}", d)
	account := src.Source.(*blueskyAccount)
	items, err := src.fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]mention.Post{}
	cursor := last(items, "")
	for _, it := range items {
		if it.Post.NativeID != "" {
			got[it.Post.NativeID] = it.Post
		}
	}
	// Two mentions by notification; the search finds what nobody told us of. This
	// AppView searches for a hashtag as a piece of text.
	for _, link := range []blueskyLink{answer, quiet, asked} {
		if got[link.URI].NativeID == "" {
			t.Fatalf("%s is not among %d posts", link.URI, len(items))
		}
	}
	post := got[answer.URI]
	if post.Text != "@kumocare.test アクメの炊飯器は動きません" || post.Lang != "ja" || post.Author.ID != hana.DID || post.Author.Handle != "hana.test" || post.Author.Name != "花" {
		t.Errorf("%+v", post)
	}
	if post.Thread.ID != asked.URI || post.Thread.Parent != asked.URI || time.Since(post.PublishedAt).Abs() > 5*time.Minute {
		t.Errorf("thread %+v, published %s", post.Thread, post.PublishedAt)
	}
	open := openKind(t, "bluesky", "{servers: ['ws://127.0.0.1:1'], api: '"+network.appview+"'}", d).Source.(*bluesky)
	for name, c := range map[string]Completer{"as the account": account, "by the public API": open} {
		p := post
		p.Author.Name, p.Metrics = "", mention.Metrics{}
		if err := c.Complete(t.Context(), &p); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n := p.Author.Followers; p.Author.Name != "花" || n == nil || *n != 1 {
			t.Errorf("%s: author %+v", name, p.Author)
		}
		if m := p.Metrics; m.Likes == nil || *m.Likes != 1 || m.Reposts == nil || *m.Reposts != 1 || m.Replies == nil || *m.Replies != 1 {
			t.Errorf("%s: metrics %+v", name, m)
		}
		if p.Thread.ParentText != "#炊飯器 どれがいい?" || p.Thread.ParentAuthor != "jiro.test" || p.NoReply != "" {
			t.Errorf("%s: thread %+v, %s", name, p.Thread, p.NoReply)
		}
		below, err := c.(Threader).Below(t.Context(), p)
		if err != nil || len(below) != 1 || below[0].Text != "うちのも" || below[0].Author != "jiro.test" || below[0].Ours || p.Comments != nil {
			t.Errorf("%s: answers %+v, %v; kept %+v", name, below, err, p.Comments)
		}
	}
	gated := got[quiet.URI]
	if err := account.Complete(t.Context(), &gated); err != nil || gated.NoReply != mention.Gated {
		t.Errorf("%q, %v", gated.NoReply, err)
	}

	// Our reply is seen below the post, with what it was answered by others.
	reply := func(to mention.Post, key string) (Sent, error) {
		return account.Reply(t.Context(), Reply{To: to, Text: "ご迷惑をおかけしております。 @hana.test", Lang: "ja", Account: "kumocare.test", Key: key})
	}
	sent, err := reply(post, "1")
	if err != nil {
		t.Fatal(err)
	}
	network.settle(t)
	again, err := account.Reread(t.Context(), []mention.Post{post, {Platform: "bluesky", NativeID: sent.NativeID, URL: sent.URL}})
	if err != nil || len(again) != 2 {
		t.Fatalf("%+v, %v", again, err)
	}
	below, err := account.Below(t.Context(), post)
	if err != nil || len(below) != 2 || !below[1].Ours || below[1].NativeID != sent.NativeID || below[1].URL != sent.URL || *again[0].Metrics.Replies != 2 {
		t.Errorf("below the post: %+v, %v", below, err)
	}
	if again[1].Text != "ご迷惑をおかけしております。 @hana.test" || again[1].Thread.Parent != answer.URI || *again[1].Metrics.Likes != 0 {
		t.Errorf("our reply: %+v", again[1])
	}
	var refusal *Refusal
	if _, err := reply(gated, "2"); !errors.As(err, &refusal) || refusal.Reason != Gated {
		t.Errorf("a post that takes no answers: %v", err)
	}

	// What came meanwhile, more than on one page, comes once and whole.
	behind := wall.post("もう買わない", &us, none, none)
	var told []string
	for i := range blueskyPage + 20 {
		told = append(told, jiro.post(fmt.Sprint("また", i), &us, none, none).URI)
	}
	told = append(told, behind.URI, hana.post("ありがとうございます", nil, asked, blueskyLink{sent.NativeID, cidOf(t, network, sent)}).URI)
	network.settle(t)
	items, err = src.fetch(t.Context(), cursor)
	if err != nil {
		t.Fatal(err)
	}
	var heard []string
	for _, it := range items {
		if it.Post.NativeID != "" {
			heard = append(heard, it.Post.NativeID)
		}
		if it.Gap != nil {
			t.Errorf("a gap: %+v", it.Gap)
		}
	}
	slices.Sort(heard)
	slices.Sort(told)
	if !slices.Equal(heard, told) {
		t.Errorf("heard %d posts, want %d", len(heard), len(told))
	}
	cursor = last(items, cursor)
	if items, err = src.fetch(t.Context(), cursor); err != nil || slices.ContainsFunc(items, func(it Item) bool { return it.Post.NativeID != "" }) {
		t.Errorf("%d more posts, %v", len(items), err)
	}

	// Whoever blocks the account, and what is deleted.
	wall.write("app.bsky.graph.block", "", map[string]any{"subject": us.DID})
	hana.delete(answer)
	network.settle(t)
	p, err := account.Reread(t.Context(), []mention.Post{{Platform: "bluesky", NativeID: answer.URI, PublishedAt: time.Now().Add(-time.Hour)}})
	if err != nil || len(p) != 1 || !p[0].Deleted {
		t.Errorf("what is deleted: %+v, %v", p, err)
	}
	for key, of := range map[string]blueskyLink{"deleted": answer, "blocks us": behind} {
		ref, _ := json.Marshal(map[string]blueskyLink{"root": of, "parent": of})
		if _, err := reply(mention.Post{ReplyRef: string(ref), PublishedAt: time.Now()}, key); !errors.As(err, &refusal) || refusal.Reason != PostGone {
			t.Errorf("%s: %v", key, err)
		}
	}
	if found, err := account.Search(t.Context(), []string{"#炊飯器"}, 10); err != nil || len(found) != 1 || found[0].NativeID != asked.URI {
		t.Errorf("search finds %+v, %v", found, err)
	}
}

// cidOf is the version of our reply that others answer.
func cidOf(t *testing.T, network *realNetwork, sent Sent) string {
	t.Helper()
	did, rkey, _ := strings.Cut(strings.TrimPrefix(sent.NativeID, "at://"), "/"+blueskyCollection+"/")
	resp, err := http.Get(network.pds + "/xrpc/com.atproto.repo.getRecord?repo=" + did + "&collection=" + blueskyCollection + "&rkey=" + rkey)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var is blueskyLink
	if err := json.NewDecoder(resp.Body).Decode(&is); err != nil || is.CID == "" {
		t.Fatalf("%+v, %v", is, err)
	}
	return is.CID
}
