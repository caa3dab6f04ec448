package source

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
)

type sandboxConfig struct {
	Dir   string  `yaml:"dir" required:"true" doc:"Folder within the data folder, with posts.jsonl to replay."`
	Speed float64 `yaml:"speed" doc:"How many seconds of the replay pass in one."`
}

func (c *sandboxConfig) Validate() error {
	var errs []error
	if !filepath.IsLocal(c.Dir) {
		errs = append(errs, config.Invalid("dir", "must be a folder within the data folder"))
	}
	if !(c.Speed > 0 && c.Speed <= 1e6) {
		errs = append(errs, config.Invalid("speed", "must be more than 0, at most 1000000"))
	}
	return errors.Join(errs...)
}

func sandboxKind() Kind {
	return Kind{
		Kind: config.NewKind("sandbox", "A platform within Earshot, for demonstrations and tests: replays posts from a file and takes replies.",
			sandboxConfig{Dir: "sandbox", Speed: 1}, openSandbox),
		Platform: "sandbox",
		Duties:   Duties{MayTrain: true, MayLeave: true, Deletions: "Posts in the file say so."},
		Limit:    Limit{Max: 500, Unit: Characters},
	}
}

// sandbox keeps its timeline in an append-only file, one reply a line.
type sandbox struct {
	cfg  sandboxConfig
	deps Deps
	dir  string
	mu   sync.Mutex // one writer; the program runs one replier for a folder

	// Only Fetch uses these, and only one runs at a time.
	posts []sandboxPost
	read  time.Time // the file's time when it was read
}

const (
	sandboxPosts    = "posts.jsonl"
	sandboxTimeline = "timeline.jsonl"
)

func openSandbox(c sandboxConfig, d Deps) (Source, error) {
	s := &sandbox{cfg: c, deps: d, dir: filepath.Join(d.Data, c.Dir)}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	return s, nil
}

// Poll is short: what the file holds for a later time becomes due.
func (s *sandbox) Poll() time.Duration { return time.Second }

// sandboxPost is a line of posts.jsonl: a post as intake takes it, and how
// many seconds before the first start it was published; negative for after.
// Its platform may be any it stands for; replies go to the sandbox all the same.
type sandboxPost struct {
	intakePost
	Offset float64 `json:"offset_s"`

	posted mention.Post
}

// The cursor is "<start in Unix milliseconds>.<lines done>": the file is
// replayed in the order of time, and the start stays what it first was.
func (s *sandbox) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		now := s.deps.Now()
		start, done := now, 0
		if cursor != "" {
			ms, n, ok := strings.Cut(cursor, ".")
			at, err := strconv.ParseInt(ms, 10, 64)
			done2, err2 := strconv.Atoi(n)
			if !ok || err != nil || err2 != nil {
				yield(Item{}, fmt.Errorf("sandbox: cursor %q", clip(cursor, 40)))
				return
			}
			start, done = time.UnixMilli(at), done2
		}
		posts, err := s.load()
		if err != nil {
			yield(Item{}, fmt.Errorf("sandbox: %w", err))
			return
		}
		given := done
		reached := time.Duration(float64(now.Sub(start)) * s.cfg.Speed) // of the replay's time
		for i, sp := range posts {
			at := -time.Duration(sp.Offset * float64(time.Second))
			if i < done || ctx.Err() != nil {
				continue
			}
			if at > reached {
				break
			}
			if at > 0 {
				at = time.Duration(float64(at) / s.cfg.Speed)
			}
			p := sp.posted
			p.PublishedAt = start.Add(at).UTC().Truncate(time.Millisecond)
			// What was there before the start is a backlog, and never pages.
			p.SeenAt = p.PublishedAt
			if p.Intake = mention.Live; at <= 0 {
				p.Intake = mention.Bulked
			}
			if !p.EditedAt.IsZero() {
				p.EditedAt = p.PublishedAt
			}
			p.ReplyRef = p.NativeID
			given = i + 1
			if !yield(Item{Post: p, Cursor: fmt.Sprintf("%d.%d", start.UnixMilli(), given), Brands: sp.Brands}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(Item{}, err)
		} else if cursor == "" && given == 0 {
			// The start is fixed now, even if nothing is due yet.
			yield(Item{Cursor: fmt.Sprintf("%d.0", start.UnixMilli())}, nil)
		}
	}
}

// load returns the posts, oldest first, read again when the file has changed. A
// missing file has none.
func (s *sandbox) load() ([]sandboxPost, error) {
	f, err := os.Open(filepath.Join(s.dir, sandboxPosts))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.ModTime().Equal(s.read) {
		return s.posts, nil
	}
	var out []sandboxPost
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var sp sandboxPost
		err := decodeStrict(lines.Bytes(), &sp)
		if err == nil {
			sp.Platform = cmp.Or(sp.Platform, "sandbox")
			sp.PublishedAt = jsonTime{epoch}
			// The sandbox serves pictures of its own, by path.
			pictures := sp.Media
			sp.Media = nil
			sp.posted, err = sp.post()
			for _, m := range pictures {
				sp.posted.Media = append(sp.posted.Media, mention.Media{Type: mention.MediaType(m.Type), URL: m.URL, Alt: m.Alt})
			}
		}
		if err != nil {
			s.deps.skip("sandbox", "line "+strconv.Itoa(n), err)
			continue
		}
		out = append(out, sp)
	}
	slices.SortStableFunc(out, func(a, b sandboxPost) int { return cmp.Compare(b.Offset, a.Offset) })
	if err := lines.Err(); err != nil {
		return nil, err
	}
	s.posts, s.read = out, st.ModTime()
	return out, nil
}

// Entry is a reply on the sandbox's timeline.
type Entry struct {
	ID      string    `json:"id"`
	Key     string    `json:"key"`
	At      time.Time `json:"at"`
	Account string    `json:"account"`
	Text    string    `json:"text"`
	To      string    `json:"to"` // NativeID of the post answered
	// ToAuthor and ToText are the post answered, as it was.
	ToAuthor string `json:"to_author,omitempty"`
	ToText   string `json:"to_text,omitempty"`
	ToURL    string `json:"to_url,omitempty"`
}

// Timeline reads the replies on the sandbox in dir, oldest first.
func Timeline(dir string) ([]Entry, error) {
	raw, err := os.ReadFile(filepath.Join(dir, sandboxTimeline))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	var out []Entry
	for row := range bytes.Lines(raw) {
		var e Entry
		if !bytes.HasSuffix(row, []byte("\n")) {
			break // a crash cut the last line short: it was never acknowledged
		}
		if err := json.Unmarshal(row, &e); err == nil && e.ID != "" {
			out = append(out, e)
		}
	}
	return out, nil
}

// Reply appends r to the timeline, once for each key.
func (s *sandbox) Reply(ctx context.Context, r Reply) (Sent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sent, err := s.find(r.Key); !errors.Is(err, ErrNotFound) {
		return sent, err
	}
	if err := ctx.Err(); err != nil {
		return Sent{}, fmt.Errorf("sandbox: %w", err)
	}
	limit := sandboxKind().Limit
	if !limit.Fits(r.Text) {
		return Sent{}, TooLong.refuse("sandbox: the reply has %d characters, the platform takes %d", limit.Count(r.Text), limit.Max)
	}
	if r.Key == "" || r.To.NativeID == "" || strings.TrimSpace(r.Text) == "" {
		return Sent{}, refuse("sandbox: a reply needs key, target and text")
	}
	e := Entry{
		ID: hash(r.Key), Key: r.Key, At: s.deps.Now().UTC().Truncate(time.Millisecond), Account: r.Account, Text: r.Text,
		To: r.To.NativeID, ToAuthor: cmp.Or(r.To.Author.Handle, r.To.Author.Name), ToText: clip(r.To.Content(), 1000), ToURL: r.To.URL,
	}
	if err := s.append(e); err != nil {
		return Sent{}, fmt.Errorf("sandbox: %w", err)
	}
	return e.sent(), nil
}

// append writes e and makes it durable. A line that a crash cut short is
// removed first.
func (s *sandbox) append(e Entry) error {
	f, err := os.OpenFile(filepath.Join(s.dir, sandboxTimeline), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := os.ReadFile(f.Name())
	if err != nil {
		return err
	}
	end := int64(bytes.LastIndexByte(raw, '\n') + 1)
	if err := f.Truncate(end); err != nil {
		return err
	}
	row, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(append(row, '\n'), end); err != nil {
		return err
	}
	return f.Sync()
}

func (e Entry) sent() Sent {
	return Sent{URL: "/sandbox#" + e.ID, NativeID: e.ID, At: e.At}
}

// Find looks for the key of r.
func (s *sandbox) Find(ctx context.Context, r Reply) (Sent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(r.Key)
}

func (s *sandbox) find(key string) (Sent, error) {
	entries, err := Timeline(s.dir)
	if err != nil {
		return Sent{}, err
	}
	for _, e := range entries {
		if e.Key == key {
			return e.sent(), nil
		}
	}
	return Sent{}, ErrNotFound
}

// post is e as a post.
func (e Entry) post() mention.Post {
	return mention.Post{
		Platform: "sandbox", NativeID: e.ID, Kind: mention.KindPost, URL: e.sent().URL, Author: mention.Author{Name: e.Account},
		Text: e.Text, Thread: mention.Thread{Parent: e.To}, PublishedAt: e.At,
	}
}

// Reread sees the replies again: what was taken out of the file is gone. Of the
// posts that it replays nothing is told.
func (s *sandbox) Reread(_ context.Context, posts []mention.Post) ([]mention.Post, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := Timeline(s.dir)
	if err != nil {
		return nil, err
	}
	var out []mention.Post
	for _, p := range posts {
		i := slices.IndexFunc(entries, func(e Entry) bool { return e.ID == p.NativeID })
		switch {
		case i >= 0:
			out = append(out, entries[i].post())
		case slices.ContainsFunc(entries, func(e Entry) bool { return e.To == p.NativeID }), p.Thread.Parent == "":
		default:
			out = append(out, mention.Post{Platform: p.Platform, NativeID: p.NativeID, Deleted: true})
		}
	}
	return out, nil
}

// Timeline lists the replies.
func (s *sandbox) Timeline(_ context.Context, since time.Time) ([]mention.Post, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := Timeline(s.dir)
	if err != nil {
		return nil, err
	}
	var out []mention.Post
	for _, e := range slices.Backward(entries) {
		if !e.At.Before(since) {
			out = append(out, e.post())
		}
	}
	return out, nil
}

// Dedupes is for ever, as far as anybody will notice.
func (s *sandbox) Dedupes() time.Duration { return 100 * 365 * 24 * time.Hour }

// Limit is fixed.
func (s *sandbox) Limit(context.Context) (Limit, error) { return sandboxKind().Limit, nil }
