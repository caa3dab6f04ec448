// Package deploy_test holds the files of this folder to what the program does.
package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/embedded"
	"github.com/earshot/earshot/pkg/mention"
)

var update = flag.Bool("update", false, "rewrite testdata")

// services are the users of nats-users.conf, in the order of the line.
var services = []string{"fetcher", "classifier", "indexer", "pager", "replier", "desk"}

// startNATS runs the nats-server of go.mod with nats.conf on the folder data,
// and returns its address and the folder of its secrets.
func startNATS(t *testing.T, data string) (url, secrets string) {
	t.Helper()
	root := t.TempDir()
	server := filepath.Join(root, "nats-server")
	run(t, "go", "build", "-o", server, "github.com/nats-io/nats-server/v2")
	etc := filepath.Join(root, "etc/nats")
	secrets = filepath.Join(root, "run/secrets")
	for _, dir := range []string{etc, filepath.Dir(secrets)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"nats.conf", "nats-users.conf"} {
		text := strings.Replace(string(read(t, name)), "store_dir: /data", "store_dir: "+data, 1)
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "./make-secrets", secrets)

	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, server, "--config", filepath.Join(etc, "nats.conf"),
		"--addr", "127.0.0.1", "--port", "-1", "--http_port", "-1", "--ports_file_dir", root)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed, as meant
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		files, _ := filepath.Glob(filepath.Join(root, "*.ports"))
		var ports struct{ Nats []string }
		if len(files) == 1 && json.Unmarshal(read(t, files[0]), &ports) == nil && len(ports.Nats) > 0 {
			return ports.Nats[0], secrets
		}
	}
	t.Fatal("nats-server did not start with nats.conf")
	return "", ""
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

type event struct {
	ID   string
	Text string
	Seq  uint64
}

func journal(of bus.JournalOf) bus.Journal[event] {
	return bus.NewJournal(of, eventCodec, func(e *event) (string, *uint64) { return e.ID, &e.Seq })
}

var eventCodec = bus.Codec[event]{
	Encode: func(dst []byte, e *event) ([]byte, error) {
		b, err := json.Marshal(e)
		return append(dst, b...), err
	},
	Decode: func(data []byte, e *event) error { return json.Unmarshal(data, e) },
}

var (
	cases       = journal(bus.Cases)
	escalations = journal(bus.Escalations)
	settings    = journal(bus.Settings)
	archive     = bus.NewArchive(eventCodec, func(e *event) bus.Filing {
		return bus.Filing{Brand: "acme", Month: time.Now(), ID: e.ID}
	})
)

// TestEachServiceCanDoItsWork runs what each service does on the bus as its own
// user, on a real server with the configuration of this folder.
func TestEachServiceCanDoItsWork(t *testing.T) {
	url, secrets := startNATS(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	conn := map[string]*bus.Conn{}
	refused := &refusals{}
	for _, s := range append(slices.Clone(services), "operator") {
		c, err := bus.Connect(ctx, bus.Options{
			URL: url, User: s, Password: string(read(t, filepath.Join(secrets, "bus-"+s))), Name: s,
			Log: slog.New(refused.as(s)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		if err := c.Declare(ctx); err != nil {
			t.Fatalf("%s: declare: %v", s, err)
		}
		conn[s] = c
	}

	m := mention.Of("acme", mention.Post{Platform: "mastodon", NativeID: "1", Intake: mention.Live, Text: "x", SeenAt: time.Now()})
	bad := mention.Of("acme", mention.Post{Platform: "mastodon", NativeID: "2", Intake: mention.Live, Text: "y", SeenAt: time.Now()})
	steps := []struct {
		service, name string
		do            func(ctx context.Context, c *bus.Conn) error
	}{
		{"desk", "edits a setting", func(ctx context.Context, c *bus.Conn) error {
			return appendTo(ctx, c, settings, "brand.acme")
		}},
		{"fetcher", "reads settings", readSettings},
		{"fetcher", "keeps cursors", func(ctx context.Context, c *bus.Conn) error { return useBucket(ctx, c, bus.Cursors) }},
		{"fetcher", "runs once", runOnce},
		{"fetcher", "publishes mentions", func(ctx context.Context, c *bus.Conn) error { return bus.Mentions.Publish(ctx, c, &m, &bad) }},
		{"classifier", "reads settings", readSettings},
		{"classifier", "consumes mentions and gives one up", func(ctx context.Context, c *bus.Conn) error {
			return until(ctx, 1, func(ctx context.Context, one func()) error {
				return bus.Mentions.Consume(ctx, c, bus.Consumer{Durable: "classifier-v1", Filter: bus.LiveMentions},
					func(_ context.Context, batch []*bus.Msg[mention.Mention]) error {
						for _, msg := range batch {
							if msg.Value.ID == bad.ID && msg.Attempt == 1 {
								msg.Err = bus.Permanent(errors.New("unreadable"))
							} else {
								msg.Err = bus.Tagged.Publish(ctx, c, &mention.Tagged{Mention: msg.Value})
							}
						}
						go func() { // once the outcomes are settled
							for ctx.Err() == nil {
								if letters, err := conn["operator"].DeadLetters(ctx); err == nil && len(letters) == 1 {
									one()
									return
								}
								time.Sleep(10 * time.Millisecond)
							}
						}()
						return nil
					})
			})
		}},
		{"classifier", "asks for a second opinion", func(ctx context.Context, c *bus.Conn) error {
			var n int
			rev, err := bus.Cursors.Update(ctx, c, "opinion", 1, 0)
			if err == nil {
				_, err = bus.Cursors.Update(ctx, c, "opinion", 2, rev)
			}
			_, err2 := bus.Cursors.Get(ctx, c, "opinion", &n)
			err3 := bus.Cursors.Delete(ctx, c, "opinion")
			_, err4 := bus.Cursors.Update(ctx, c, "opinion", 3, 0) // switched on again
			err5 := bus.Opinions.Put(ctx, c, "key", "answer")
			var answer string
			_, err6 := bus.Opinions.Get(ctx, c, "key", &answer)
			if n != 2 || answer != "answer" {
				err6 = fmt.Errorf("cursor %d, answer %q: %w", n, answer, err6)
			}
			if _, err := bus.Opinions.Get(ctx, c, "none", &answer); !errors.Is(err, bus.ErrNotFound) {
				return fmt.Errorf("an answer that isn't there: %w", err)
			}
			if err := errors.Join(err, err2, err3, err4, err5, err6); err != nil {
				return err
			}
			return until(ctx, 1, func(ctx context.Context, one func()) error {
				return bus.Tagged.Consume(ctx, c, bus.Consumer{Durable: "classifier-opinion-v1"},
					bus.Each(func(context.Context, *bus.Msg[mention.Tagged]) error { one(); return nil }))
			})
		}},
		{"desk", "reads how asking fares", func(ctx context.Context, c *bus.Conn) error {
			var n int
			_, err := bus.Cursors.Get(ctx, c, "opinion", &n)
			return err
		}},
		{"indexer", "reads settings", readSettings},
		{"indexer", "runs once", runOnce},
		{"indexer", "follows the archive", func(ctx context.Context, c *bus.Conn) error { return follow(ctx, c, bus.Tagged) }},
		{"indexer", "wakes a case", func(ctx context.Context, c *bus.Conn) error { return appendTo(ctx, c, cases, "one") }},
		{"indexer", "archives and forgets a case", func(ctx context.Context, c *bus.Conn) error {
			return errors.Join(archive.Publish(ctx, c, &event{ID: "one.1"}), follow(ctx, c, archive), cases.Erase(ctx, c, 1), archive.Erase(ctx, c, 1))
		}},
		{"indexer", "forgets a former password", func(ctx context.Context, c *bus.Conn) error {
			// There is no such message; asking for it takes the right.
			return journal(bus.Settings).Erase(ctx, c, 999_999)
		}},
		{"indexer", "erases a mention", func(ctx context.Context, c *bus.Conn) error {
			return errors.Join(bus.Tagged.Erase(ctx, c, 1), appendTo(ctx, c, cases, "gone"), cases.Erase(ctx, c, 1),
				appendTo(ctx, c, escalations, "e0"), escalations.Erase(ctx, c, 1))
		}},
		{"desk", "opens a case", func(ctx context.Context, c *bus.Conn) error { return appendTo(ctx, c, cases, "two") }},
		{"desk", "merges two cases", func(ctx context.Context, c *bus.Conn) error {
			return cases.AppendAll(ctx, c,
				bus.Keyed[event]{Key: "three", Event: &event{ID: "a"}}, bus.Keyed[event]{Key: "four", Event: &event{ID: "b"}})
		}},
		{"desk", "keeps sessions", func(ctx context.Context, c *bus.Conn) error { return useBucket(ctx, c, bus.Sessions) }},
		{"desk", "makes the signing key", func(ctx context.Context, c *bus.Conn) error { return bus.Sessions.Put(ctx, c, "signing-key", "k") }},
		{"desk", "takes a note in", func(ctx context.Context, c *bus.Conn) error {
			n := mention.Of("acme", mention.Post{Platform: "note", NativeID: "1", Intake: mention.Noted, SeenAt: time.Now()})
			return bus.Mentions.Publish(ctx, c, &n)
		}},
		{"desk", "retries and drops dead letters", func(ctx context.Context, c *bus.Conn) error {
			letters, err := c.DeadLetters(ctx)
			if err != nil || len(letters) != 1 {
				return fmt.Errorf("%d dead letters: %w", len(letters), err)
			}
			return c.RetryDead(ctx, letters[0].ID)
		}},
		{"pager", "reads settings", readSettings},
		{"pager", "reads the signing key", func(ctx context.Context, c *bus.Conn) error {
			var k string
			_, err := bus.Sessions.Get(ctx, c, "signing-key", &k)
			return err
		}},
		{"pager", "reads how a source fares", func(ctx context.Context, c *bus.Conn) error {
			var v any
			if _, err := bus.Cursors.Get(ctx, c, "source.none", &v); !errors.Is(err, bus.ErrNotFound) {
				return err
			}
			return nil
		}},
		{"pager", "runs once", runOnce},
		{"pager", "follows cases", func(ctx context.Context, c *bus.Conn) error { return follow(ctx, c, cases.Topic) }},
		{"pager", "opens an escalation", func(ctx context.Context, c *bus.Conn) error { return appendTo(ctx, c, escalations, "e1") }},
		{"pager", "lists escalations", func(ctx context.Context, c *bus.Conn) error {
			keys, err := escalations.Keys(ctx, c, ">")
			if len(keys) != 1 {
				err = fmt.Errorf("keys %v: %w", keys, err)
			}
			return err
		}},
		{"desk", "acknowledges", func(ctx context.Context, c *bus.Conn) error { return appendTo(ctx, c, escalations, "e1") }},
		{"replier", "reads settings", readSettings},
		{"replier", "consumes cases", func(ctx context.Context, c *bus.Conn) error {
			return until(ctx, 3, func(ctx context.Context, one func()) error {
				return cases.Consume(ctx, c, bus.Consumer{Durable: "replier-v1"},
					bus.Each(func(context.Context, *bus.Msg[event]) error { one(); return nil }))
			})
		}},
		{"replier", "hands over a post that was read again", func(ctx context.Context, c *bus.Conn) error {
			again := m
			again.Text, again.Revision.Hash = "edited", "fedcba9876543210"
			return bus.Mentions.Publish(ctx, c, &again)
		}},
		{"replier", "says that a reply was sent", func(ctx context.Context, c *bus.Conn) error { return appendTo(ctx, c, cases, "two") }},
		{"fetcher", "keeps what a connector wants", func(ctx context.Context, c *bus.Conn) error {
			_, err := bus.Kept.Update(ctx, c, "x.token", "sealed", 0)
			return err
		}},
		{"replier", "renews it", func(ctx context.Context, c *bus.Conn) error {
			var kept string
			rev, err := bus.Kept.Get(ctx, c, "x.token", &kept)
			if err == nil {
				_, err = bus.Kept.Update(ctx, c, "x.token", "renewed", rev)
			}
			return err
		}},
		{"fetcher", "hears of its canaries", func(ctx context.Context, c *bus.Conn) error {
			ctx, heard := context.WithCancel(ctx)
			defer heard()
			if err := bus.Hear(ctx, c, "canary", func(string, []mention.ID) { heard() }); err != nil {
				return err
			}
			for ctx.Err() == nil { // who listens too late tries again
				if err := conn["indexer"].Tell("canary", []mention.ID{"a"}); err != nil {
					return err
				}
				select {
				case <-ctx.Done():
				case <-time.After(50 * time.Millisecond):
				}
			}
			if !errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return nil
		}},
		{"pager", "looks at the canaries", func(ctx context.Context, c *bus.Conn) error {
			var v any
			if _, err := bus.Cursors.Get(ctx, c, "source._canary", &v); !errors.Is(err, bus.ErrNotFound) {
				return err
			}
			return nil
		}},
		{"desk", "hands pushes to the fetcher", func(ctx context.Context, c *bus.Conn) error {
			if err := bus.Answer(ctx, conn["fetcher"], "fetcher", "push", func(context.Context, int) (int, error) { return 1, nil }); err != nil {
				return err
			}
			for {
				n, err := bus.Ask[int, int](ctx, c, "fetcher", "push", 0)
				if errors.Is(err, bus.ErrAbsent) && ctx.Err() == nil {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				if err == nil && n != 1 {
					err = fmt.Errorf("answered %d", n)
				}
				return err
			}
		}},
		{"fetcher", "asks what is known", func(ctx context.Context, c *bus.Conn) error { return ask(ctx, conn["indexer"], c, "known") }},
		{"operator", "asks a service", func(ctx context.Context, c *bus.Conn) error { return ask(ctx, conn["indexer"], c, "reindex") }},
		{"desk", "asks a service", func(ctx context.Context, c *bus.Conn) error { return ask(ctx, conn["indexer"], c, "status") }},
		{"desk", "hears what is told", func(ctx context.Context, c *bus.Conn) error {
			return until(ctx, 1, func(ctx context.Context, one func()) error {
				if err := bus.Hear(ctx, c, "row.>", func(string, int) { one() }); err != nil {
					return err
				}
				if _, err := c.DeadLetters(ctx); err != nil { // a round trip: the subscription is in force
					return err
				}
				if err := conn["indexer"].Tell("row.acme", 1); err != nil {
					return err
				}
				<-ctx.Done()
				return nil
			})
		}},
	}
	for _, s := range steps {
		step, stop := context.WithTimeout(ctx, 10*time.Second)
		if err := s.do(step, conn[s.service]); err != nil {
			t.Errorf("%s %s: %v", s.service, s.name, err)
		}
		stop()
	}
	for _, r := range refused.list() {
		t.Errorf("refused by the server: %s", r)
	}
}

func appendTo(ctx context.Context, c *bus.Conn, j bus.Journal[event], key string) error {
	_, last, err := j.Read(ctx, c, key)
	if err != nil {
		return err
	}
	_, err = j.Append(ctx, c, key, last, &event{ID: fmt.Sprint(time.Now().UnixNano())})
	return err
}

func readSettings(ctx context.Context, c *bus.Conn) error {
	events, _, err := settings.Read(ctx, c, "brand.acme")
	if err == nil && len(events) != 1 {
		err = fmt.Errorf("%d settings", len(events))
	}
	return errors.Join(err, follow(ctx, c, settings.Topic))
}

// follow reads one message as an ordered follower.
func follow[T any](ctx context.Context, c *bus.Conn, topic bus.Topic[T]) error {
	return until(ctx, 1, func(ctx context.Context, one func()) error {
		return topic.Follow(ctx, c, 1, 16, func(context.Context, []bus.Entry[T]) error { one(); return nil })
	})
}

func useBucket(ctx context.Context, c *bus.Conn, b bus.Bucket) error {
	var v string
	rev, err := b.Update(ctx, c, "key", "a", 0)
	if err == nil {
		_, err = b.Update(ctx, c, "key", "b", rev)
	}
	_, err2 := b.Get(ctx, c, "key", &v)
	keys, err3 := b.Keys(ctx, c)
	if len(keys) != 1 || v != "b" {
		err3 = fmt.Errorf("keys %v, value %q: %w", keys, v, err3)
	}
	return errors.Join(err, err2, err3, b.Delete(ctx, c, "key"))
}

func runOnce(ctx context.Context, c *bus.Conn) error {
	return until(ctx, 1, func(ctx context.Context, one func()) error {
		return c.RunOnce(ctx, "test", "me", func(ctx context.Context) error { one(); <-ctx.Done(); return nil })
	})
}

func ask(ctx context.Context, server, client *bus.Conn, verb string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := bus.Answer(ctx, server, "indexer", verb, func(_ context.Context, n int) (int, error) { return 2 * n, nil }); err != nil {
		return err
	}
	if _, err := server.DeadLetters(ctx); err != nil { // a round trip: the subscription is in force
		return err
	}
	n, err := bus.Ask[int, int](ctx, client, "indexer", verb, 21)
	if err == nil && n != 42 {
		err = fmt.Errorf("got %d", n)
	}
	return err
}

// until runs f until one was called n times.
func until(ctx context.Context, n int, f func(ctx context.Context, one func()) error) error {
	run, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex
	left := n
	err := f(run, func() {
		mu.Lock()
		defer mu.Unlock()
		if left--; left == 0 {
			stop()
		}
	})
	mu.Lock()
	defer mu.Unlock()
	if err == nil && left > 0 {
		err = fmt.Errorf("%d of %d are missing", left, n)
	}
	return err
}

// refusals is a log handler that remembers what the server refused.
type refusals struct {
	mu  sync.Mutex
	all []string
}

func (r *refusals) as(service string) slog.Handler { return refusalsOf{r, service} }

func (r *refusals) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

type refusalsOf struct {
	*refusals
	service string
}

func (refusalsOf) Enabled(context.Context, slog.Level) bool { return true }
func (h refusalsOf) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h refusalsOf) WithGroup(string) slog.Handler          { return h }

func (h refusalsOf) Handle(_ context.Context, rec slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	rec.Attrs(func(a slog.Attr) bool {
		if text := a.Value.String(); strings.Contains(strings.ToLower(text), "permissions violation") {
			h.all = append(h.all, h.service+": "+text)
		}
		return true
	})
	return nil
}

// TestNobodyCanDoMore compares what the server lets each user publish with a
// table, so that a right given too much is seen in review.
func TestNobodyCanDoMore(t *testing.T) {
	url, secrets := startNATS(t, t.TempDir())
	subjects := []string{
		"mention.live.x", "tagged.acme", "case.a", "escalation.a", "setting.staff.a", "setting.sealkey.pager", "archive.acme.202611",
		"ctl.replier.post", "ctl.indexer.erase", "ctl.indexer.known", "ctl.indexer.stored", "ctl.indexer.replied",
		"$KV.CURSORS.a", "$KV.CURSORS.opinion", "$JS.API.DIRECT.GET.KV_CURSORS.$KV.CURSORS.source.a", "$KV.OPINIONS.a", "$KV.NOTICES.a", "$JS.API.DIRECT.GET.KV_NOTICES.$KV.NOTICES.a", "$KV.KEPT.a", "$JS.API.DIRECT.GET.KV_KEPT.$KV.KEPT.a", "$KV.SESSIONS.a", "$KV.LEASES.a",
		"$JS.API.STREAM.MSG.GET.SETTINGS", "$JS.API.STREAM.MSG.GET.TAGGED", "$JS.API.STREAM.MSG.GET.CASES",
		"$JS.API.STREAM.MSG.GET.ESCALATIONS", "$JS.API.STREAM.MSG.GET.DEAD", "$JS.API.STREAM.MSG.GET.KV_SESSIONS",
		"$JS.API.CONSUMER.CREATE.MENTIONS.a", "$JS.API.CONSUMER.CREATE.CASES.a", "$JS.API.CONSUMER.DELETE.MENTIONS.a",
		"$JS.API.STREAM.PURGE.CASES", "$JS.API.STREAM.PURGE.TAGGED", "$JS.API.STREAM.PURGE.SETTINGS",
		"$JS.API.STREAM.MSG.DELETE.TAGGED", "$JS.API.STREAM.MSG.DELETE.SETTINGS",
		"$JS.API.STREAM.DELETE.CASES", "$JS.API.STREAM.SNAPSHOT.CASES", "$JS.API.STREAM.RESTORE.CASES",
		"$JS.API.CONSUMER.DELETE.SETTINGS.a", "$SYS.REQ.SERVER.PING", "anything.else",
	}
	allowed := map[string]map[string]bool{}
	for _, s := range services {
		allowed[s] = tryAll(t, url, s, string(read(t, filepath.Join(secrets, "bus-"+s))), subjects)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-40s", "")
	for _, s := range services {
		fmt.Fprintf(&b, " %-10s", s)
	}
	for _, subject := range subjects {
		fmt.Fprintf(&b, "\n%-40s", subject)
		for _, s := range services {
			mark := "-"
			if allowed[s][subject] {
				mark = "yes"
			}
			fmt.Fprintf(&b, " %-10s", mark)
		}
	}
	got := b.String() + "\n"
	const file = "testdata/bus-rights.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(string(read(t, file)), got); d != "" {
		t.Errorf("rights differ from %s; run with -update if that is meant\n%s", file, d)
	}

	if _, err := nats.Connect(url); err == nil {
		t.Error("somebody without a password got in")
	}
	if _, err := nats.Connect(url, nats.UserInfo("operator", "$operator_password")); err == nil {
		t.Error("a variable in nats-users.conf was not replaced")
	}
}

// tryAll publishes to each subject and returns those that the server let pass.
// The payloads are no requests that it would follow.
func tryAll(t *testing.T, url, user, password string, subjects []string) map[string]bool {
	t.Helper()
	var mu sync.Mutex
	pass := map[string]bool{}
	for _, s := range subjects {
		pass[s] = true
	}
	nc, err := nats.Connect(url, nats.UserInfo(user, password), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		mu.Lock()
		defer mu.Unlock()
		for s := range maps.Keys(pass) {
			if strings.Contains(err.Error(), `"`+s+`"`) {
				pass[s] = false
			}
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range subjects {
		if err := nc.Publish(s, []byte("no request")); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
	nc.Close()
	<-closed // callbacks before it have run
	mu.Lock()
	defer mu.Unlock()
	return maps.Clone(pass)
}

// TestEmbeddedBusMovesToAServer holds what docs/run/single-to-split.md says: a
// server that is given the folder of the embedded one goes on with its streams.
func TestEmbeddedBusMovesToAServer(t *testing.T) {
	data := filepath.Join(t.TempDir(), "bus")
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	srv, err := embedded.Start(data, log)
	if err != nil {
		t.Fatal(err)
	}
	c, err := bus.Connect(t.Context(), bus.Options{InProcess: srv, Name: "single", Log: log})
	if err == nil {
		err = c.Declare(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	m := mention.Of("acme", mention.Post{Platform: "mastodon", NativeID: "1", Intake: mention.Live, Text: "x", SeenAt: time.Now()})
	err = errors.Join(
		bus.Mentions.Publish(t.Context(), c, &m),
		appendTo(t.Context(), c, cases, "one"),
		bus.Cursors.Put(t.Context(), c, "source", "here"),
	)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	srv.Stop()

	url, secrets := startNATS(t, data)
	c, err = bus.Connect(t.Context(), bus.Options{
		URL: url, User: "operator", Password: string(read(t, filepath.Join(secrets, "bus-operator"))), Log: log,
	})
	if err == nil {
		t.Cleanup(c.Close)
		err = c.Declare(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if events, _, err := cases.Read(t.Context(), c, "one"); err != nil || len(events) != 1 {
		t.Errorf("case has %d events: %v", len(events), err)
	}
	if n, err := bus.Mentions.Last(t.Context(), c); err != nil || n != 1 {
		t.Errorf("MENTIONS ends at %d: %v", n, err)
	}
	var cursor string
	if _, err := bus.Cursors.Get(t.Context(), c, "source", &cursor); err != nil || cursor != "here" {
		t.Errorf("cursor %q: %v", cursor, err)
	}
}
