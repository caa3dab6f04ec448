package search

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/meilisearch/meilisearch-go"
)

// Meili is the index on a Meilisearch server. Many processes may use one.
type Meili struct {
	server meilisearch.ServiceManager
	index  meilisearch.IndexManager
	name   string

	writing sync.Mutex

	mu        sync.Mutex
	positions map[string]uint64 // as far as this process knows
}

var _ Engine = (*Meili)(nil)

// MeiliConfig says where the server is.
type MeiliConfig struct {
	URL   string // http://host:7700
	Key   string // an API key that may read and write documents, indexes, settings and tasks
	Index string // name of the index; "mentions" if empty
	// Client sends the requests; nil is a client of its own.
	Client *http.Client
}

// OpenMeili prepares a client. Nothing is sent before [Meili.Ensure].
func OpenMeili(c MeiliConfig) (*Meili, error) {
	if !strings.HasPrefix(c.URL, "http://") && !strings.HasPrefix(c.URL, "https://") {
		return nil, fmt.Errorf("search: meilisearch needs an address that begins with http:// or https://, not %q", c.URL)
	}
	if c.Index == "" {
		c.Index = "mentions"
	}
	client := &http.Client{}
	if c.Client != nil {
		*client = *c.Client
	}
	client.Transport = &patient{next: client.Transport}
	// The client's own retry sends an empty body, see patient.
	server := meilisearch.New(c.URL, meilisearch.WithAPIKey(c.Key), meilisearch.WithCustomClient(client), meilisearch.DisableRetries())
	return &Meili{server: server, index: server.Index(c.Index), name: c.Index, positions: map[string]uint64{}}, nil
}

// Beside mentions the index holds a few documents of its own: its layout, and
// for each stream how far it is contained. They have no brand, by which
// queries leave them out, and are written in one task with the mentions.
const (
	layoutID   = "earshot-layout"
	positionID = "earshot-position-"
	mentions   = "brand EXISTS"
)

type meiliNote struct {
	ID    string `json:"id"`
	Print string `json:"print,omitempty"`
	Seq   uint64 `json:"contains,omitempty"`
}

// Ensure implements [Engine]. An index of another layout is emptied and set up
// anew; lists are short until it is filled again.
func (e *Meili) Ensure(ctx context.Context) (fresh bool, err error) {
	e.writing.Lock()
	defer e.writing.Unlock()
	want := layout("meilisearch", meiliLayout)
	var have meiliNote
	err = e.index.GetDocumentWithContext(ctx, layoutID, nil, &have)
	switch code := meiliCode(err); {
	case err == nil && have.Print == want:
		return false, nil
	case err == nil, code == "document_not_found":
		if err := e.done(ctx)(e.index.DeleteAllDocumentsWithContext(ctx, nil)); err != nil {
			return false, err
		}
	case code == "index_not_found":
		err := e.done(ctx)(e.server.CreateIndexWithContext(ctx, &meilisearch.IndexConfig{Uid: e.name, PrimaryKey: "id"}))
		if err != nil && meiliCode(err) != "index_already_exists" {
			return false, err
		}
	default:
		return false, meiliError(err)
	}
	filterable := meiliFilterable()
	for _, step := range []func() (*meilisearch.TaskInfo, error){
		func() (*meilisearch.TaskInfo, error) { return e.index.UpdateSettingsWithContext(ctx, meiliSettings()) },
		func() (*meilisearch.TaskInfo, error) {
			return e.index.UpdateFilterableAttributesWithContext(ctx, &filterable)
		},
		func() (*meilisearch.TaskInfo, error) { return e.index.UpdateFacetSearchWithContext(ctx, false) },
		func() (*meilisearch.TaskInfo, error) {
			return e.index.AddDocumentsWithContext(ctx, []meiliNote{{ID: layoutID, Print: want}}, nil)
		},
	} {
		if err := e.done(ctx)(step()); err != nil {
			return false, err
		}
	}
	return true, nil
}

// meiliLayout must change whenever settings or documents do.
const meiliLayout = "1"

// meiliValues is how many values of a facet the server gives.
const meiliValues = 2 * MaxFacet

func meiliSettings() *meilisearch.Settings {
	return &meilisearch.Settings{
		SearchableAttributes: []string{"terms", "author_terms", "chars"},
		DisplayedAttributes:  []string{"id", "doc", "print", "contains"},
		SortableAttributes:   []string{"qkey", "seq", "published", "due", "next"},
		// With sort first, a query with text keeps the order of the queue.
		RankingRules:       []string{"sort", "words", "typo", "proximity", "attribute", "exactness", "published:desc"},
		NonSeparatorTokens: []string{"_"},
		// Terms are cut by us; a language is named so that none is guessed.
		LocalizedAttributes: []*meilisearch.LocalizedAttributes{{AttributePatterns: []string{"*"}, Locales: []string{"eng"}}},
		TypoTolerance: &meilisearch.TypoTolerance{
			Enabled:             true,
			MinWordSizeForTypos: meilisearch.MinWordSizeForTypos{OneTypo: oneError, TwoTypos: twoErrors},
			DisableOnWords:      []string{},
			DisableOnAttributes: []string{"chars"},
			DisableOnNumbers:    true,
		},
		Pagination: &meilisearch.Pagination{MaxTotalHits: MaxTotal},
		Faceting:   &meilisearch.Faceting{MaxValuesPerFacet: meiliValues, SortFacetValuesBy: map[string]meilisearch.SortFacetType{"*": meilisearch.SortFacetTypeCount}},
	}
}

// meiliFilterable turns on only what queries use: each feature costs when
// documents are written.
func meiliFilterable() []any {
	rule := func(f meilisearch.FilterFeatures, attributes ...string) meilisearch.AttributeRule {
		return meilisearch.AttributeRule{AttributePatterns: attributes, Features: meilisearch.AttributeFeatures{Filter: f}}
	}
	var equal []string
	for _, f := range fields {
		equal = append(equal, string(f.name))
	}
	return []any{
		rule(meilisearch.FilterFeatures{Equality: true}, append(equal, "group")...),
		rule(meilisearch.FilterFeatures{Equality: true, Comparison: true}, "qkey", "seq", "published", "seen", "due", "next"),
	}
}

// done returns a function that waits until a task is finished, and gives the
// error it ended with.
func (e *Meili) done(ctx context.Context) func(*meilisearch.TaskInfo, error) error {
	return func(info *meilisearch.TaskInfo, err error) error {
		if err != nil {
			return meiliError(err)
		}
		for pause := 5 * time.Millisecond; ; pause = min(pause*3/2, 250*time.Millisecond) {
			task, err := e.server.GetTaskWithContext(ctx, info.TaskUID)
			if err != nil {
				return meiliError(err)
			}
			switch task.Status {
			case meilisearch.TaskStatusSucceeded:
				return nil
			case meilisearch.TaskStatusFailed, meilisearch.TaskStatusCanceled:
				return taskFailed(task)
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// taskFailed tells why a task that was accepted did not succeed: through the
// fault of what was sent, or of the server. Messages may quote texts of people
// and are left out.
func taskFailed(t *meilisearch.Task) error {
	switch {
	case t.Status == meilisearch.TaskStatusCanceled:
		return &UnavailableError{Engine: "meilisearch", Reason: fmt.Sprintf("somebody cancelled task %d", t.UID)}
	case t.Error.Type == "invalid_request":
		return &requestError{Code: t.Error.Code}
	case t.Error.Code == "no_space_left_on_device":
		return &UnavailableError{Engine: "meilisearch", Reason: "the server's disk is full; writing goes on once there is room"}
	}
	return &UnavailableError{Engine: "meilisearch", Reason: fmt.Sprintf("task %d failed: %s; the server's log says more", t.UID, t.Error.Code)}
}

// requestError is what was sent and will never be taken, refused at once or by
// the task.
type requestError struct{ Code string }

func (e *requestError) Error() string { return "search: meilisearch refuses what was sent: " + e.Code }

// Position implements [Engine].
func (e *Meili) Position(ctx context.Context, stream string) (uint64, error) {
	var note meiliNote
	err := e.index.GetDocumentWithContext(ctx, positionID+stream, nil, &note)
	if meiliCode(err) == "document_not_found" {
		return 0, nil
	}
	if err != nil {
		return 0, meiliError(err)
	}
	return note.Seq, nil
}

// Wait implements [Engine]. What this process wrote it knows; else it asks the
// server, 10 to 4 times a second.
func (e *Meili) Wait(ctx context.Context, stream string, seq uint64) error {
	for pause := 20 * time.Millisecond; ; pause = min(pause*3/2, 250*time.Millisecond) {
		e.mu.Lock()
		at := e.positions[stream]
		e.mu.Unlock()
		if at >= seq {
			return nil
		}
		at, err := e.Position(ctx, stream)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || at >= seq {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Clear implements [Engine].
func (e *Meili) Clear(ctx context.Context) error {
	e.writing.Lock()
	err := e.done(ctx)(e.index.DeleteAllDocumentsWithContext(ctx, nil))
	e.mu.Lock()
	clear(e.positions)
	e.mu.Unlock()
	e.writing.Unlock()
	if err != nil {
		return err
	}
	_, err = e.Ensure(ctx)
	return err
}

// Scrub implements [Engine]: compaction writes the index anew without what was
// deleted.
func (e *Meili) Scrub(ctx context.Context) error {
	e.writing.Lock()
	defer e.writing.Unlock()
	return e.done(ctx)(e.index.CompactWithContext(ctx))
}

// Stats implements [Engine].
func (e *Meili) Stats(ctx context.Context) (Stats, error) {
	version, err := e.server.VersionWithContext(ctx)
	if err != nil {
		return Stats{}, meiliError(err)
	}
	s := Stats{Engine: "meilisearch " + version.PkgVersion, Positions: map[string]uint64{}}
	counts, err := e.Counts(ctx, Query{Viewer: SeesAll()})
	if err != nil {
		return Stats{}, err
	}
	s.Documents = counts[0]
	all, err := e.server.GetStatsWithContext(ctx, nil)
	if err != nil {
		return Stats{}, meiliError(err)
	}
	if size, ok := all.DatabaseSize.(float64); ok {
		s.Bytes = int64(size)
	}
	tasks, err := e.server.GetTasksWithContext(ctx, &meilisearch.TasksQuery{
		IndexUIDS: []string{e.name}, Limit: 1,
		Statuses: []meilisearch.TaskStatus{meilisearch.TaskStatusEnqueued, meilisearch.TaskStatusProcessing},
	})
	if err != nil {
		return Stats{}, meiliError(err)
	}
	s.Backlog = tasks.Total
	e.mu.Lock()
	defer e.mu.Unlock()
	for stream := range e.positions {
		s.Positions[stream] = e.positions[stream]
	}
	return s, nil
}

// Close implements [Engine].
func (e *Meili) Close() error {
	e.server.Close()
	return nil
}

// meiliCode is the server's name of an error, or empty.
func meiliCode(err error) string {
	if e, ok := errors.AsType[*meilisearch.Error](err); ok {
		return e.MeilisearchApiError.Code
	}
	if e, ok := errors.AsType[*requestError](err); ok {
		return e.Code
	}
	return ""
}

// meiliError tells what an error means to callers. The client's errors hold
// requests and answers, which are texts of people; none of that is passed on.
func meiliError(err error) error {
	e, ok := errors.AsType[*meilisearch.Error](err)
	if !ok {
		return err
	}
	away := &UnavailableError{Engine: "meilisearch"}
	if u, ok := errors.AsType[*UnavailableError](e.OriginError); ok {
		return u
	}
	api := e.MeilisearchApiError
	switch {
	case errors.Is(e.OriginError, context.DeadlineExceeded):
		return fmt.Errorf("%w: meilisearch: %s %s", ErrTimeout, e.Method, e.Endpoint)
	case errors.Is(e.OriginError, context.Canceled):
		return context.Canceled
	case e.StatusCode == http.StatusRequestEntityTooLarge:
		return &requestError{Code: "payload_too_large"}
	case e.StatusCode == 0:
		away.Reason = "the server cannot be reached"
	case e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden:
		away.Reason = "the server refuses the API key; check search.key"
	case api.Code == "index_not_found":
		away.Reason = "the index is gone; the indexer sets it up and fills it again"
	case e.StatusCode >= 500:
		away.Reason = fmt.Sprintf("the server fails with status %d %s", e.StatusCode, api.Code)
	default:
		return fmt.Errorf("search: meilisearch: %s %s: status %d %s", e.Method, e.Endpoint, e.StatusCode, api.Code)
	}
	return away
}
