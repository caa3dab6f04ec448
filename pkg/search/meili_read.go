package search

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meilisearch/meilisearch-go"

	"github.com/earshot/earshot/pkg/mention"
)

var meiliOrders = map[Sort][]string{
	Queue:   {"qkey:asc", "seq:asc"},
	Newest:  {"published:desc", "seq:desc"},
	Oldest:  {"published:asc", "seq:asc"},
	Soonest: {"due:asc", "seq:asc"},
}

// meiliText writes phrases in the server's query syntax. What must stand as it
// is goes in quotes; the server lets the last bare word go on and forgives
// misspellings in bare words by the same rules as ours.
func meiliText(phrases []phrase) string {
	var parts []string
	for i := range phrases {
		p := &phrases[i]
		// In words with digits nothing may be misspelt, for which the server
		// has no setting but quotes; such a word cannot be half typed.
		if w := p.tokens[0].Text; p.exact || len(w) >= oneError && strings.ContainsAny(w, "0123456789_") {
			parts = append(parts, meiliPhrase(p)...)
			continue
		}
		// A bare word that is not last is followed by another, or by a quote.
		parts = append(parts, p.tokens[0].Text)
	}
	return strings.Join(parts, " ")
}

func meiliPhrase(p *phrase) []string {
	var seq []string
	open := p.terms(func(term string) { seq = append(seq, string(spell(nil, term))) })
	if !open || len(seq) == 1 {
		return []string{`"` + strings.Join(seq, " ") + `"`}
	}
	// A phrase cannot end in the beginning of a term; a last single character
	// is looked for anywhere.
	return []string{`"` + strings.Join(seq[:len(seq)-1], " ") + `"`, `"` + seq[len(seq)-1] + `"`}
}

// meiliFilter returns the filters of p. Each of the list must hold.
func meiliFilter(p *plan) []string {
	and := []string{mentions}
	if p.brands != nil {
		and = append(and, meiliIn(FieldBrand, p.brands, ""))
	}
	for _, f := range fields {
		if values := p.Where[f.name]; len(values) > 0 {
			and = append(and, meiliIn(f.name, values, ""))
		}
		if values := p.Except[f.name]; len(values) > 0 {
			and = append(and, meiliIn(f.name, values, "NOT "))
		}
	}
	for _, t := range []struct {
		attribute string
		Period
	}{{"published", p.Published}, {"seen", p.Seen}, {"due", p.Due}} {
		if !t.From.IsZero() {
			and = append(and, fmt.Sprintf("%s >= %d", t.attribute, t.From.UnixMilli()))
		}
		if !t.To.IsZero() {
			and = append(and, fmt.Sprintf("%s < %d", t.attribute, ceilMilli(t.To)))
		}
		if t.Period != (Period{}) {
			and = append(and, t.attribute+" > 0")
		}
	}
	return and
}

func meiliIn(f Field, values []string, not string) string {
	list := make([]string, len(values))
	for i, v := range values {
		if s := fields[fieldAt(f)].shape; s == hashed || s == hashedSet {
			v = strconv.FormatInt(hashKey(v), 10)
		}
		list[i] = meiliQuote(v)
	}
	return string(f) + " " + not + "IN [" + strings.Join(list, ", ") + "]"
}

func meiliQuote(v string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
}

// meiliPast is the condition that a document comes after p in an order; with
// upTo set, that it does not.
func meiliPast(by Sort, p position, upTo bool) string {
	key, op := strings.TrimSuffix(strings.TrimSuffix(meiliOrders[by][0], ":asc"), ":desc"), ">"
	if (by == Newest) != upTo {
		op = "<"
	}
	or := ""
	if upTo {
		or = "="
	}
	return fmt.Sprintf("(%s %s %d OR (%s = %d AND seq %s%s %d))", key, op, p.key, key, p.key, op, or, p.seq)
}

// place is where d stands in an order.
func (d *Document) place(by Sort) position {
	switch by {
	case Queue:
		return position{d.queueKey(), int64(d.Seq)}
	case Soonest:
		return position{toMilli(d.DueAt), int64(d.Seq)}
	}
	return position{toMilli(d.PublishedAt), int64(d.Seq)}
}

// request is a query to the server that asks for one document and, by the
// distribution of a field that every document has one of, for the number of
// all: the totals that the server gives are capped.
func (e *Meili) request(p *plan) *meilisearch.SearchRequest {
	return &meilisearch.SearchRequest{
		IndexUID: e.name, Query: meiliText(p.phrases), MatchingStrategy: meilisearch.All,
		Filter: meiliFilter(p), Limit: 1, AttributesToRetrieve: []string{"id"},
		Facets: []string{string(FieldOpen)}, Locales: []string{"eng"},
	}
}

// also adds a filter to a request.
func also(r *meilisearch.SearchRequest, cond string) *meilisearch.SearchRequest {
	r.Filter = append(r.Filter.([]string), cond)
	return r
}

// ask sends queries together, in parts the server will take.
func (e *Meili) ask(ctx context.Context, requests ...*meilisearch.SearchRequest) ([]meilisearch.SearchResponse, error) {
	const together = 100
	var all []meilisearch.SearchResponse
	for len(requests) > 0 {
		n := min(len(requests), together)
		resp, err := e.server.MultiSearchWithContext(ctx, &meilisearch.MultiSearchRequest{Queries: requests[:n]})
		if err != nil {
			return nil, meiliError(err)
		}
		if len(resp.Results) != n {
			return nil, fmt.Errorf("search: meilisearch: %d answers to %d queries", len(resp.Results), n)
		}
		all, requests = append(all, resp.Results...), requests[n:]
	}
	return all, nil
}

// distribution reads the counts of facets out of an answer.
func distribution(r *meilisearch.SearchResponse) (map[Field]map[string]int64, error) {
	var counts map[Field]map[string]int64
	if len(r.FacetDistribution) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(r.FacetDistribution, &counts); err != nil {
		return nil, fmt.Errorf("search: meilisearch: facets: %w", err)
	}
	return counts, nil
}

func total(r *meilisearch.SearchResponse) (n int64, err error) {
	counts, err := distribution(r)
	for _, c := range counts[FieldOpen] {
		n += c
	}
	return n, err
}

// documents reads the documents out of hits.
func documents(hits meilisearch.Hits) ([]Document, error) {
	docs := make([]Document, 0, len(hits))
	for _, h := range hits {
		var blob []byte
		var encoded string
		err := json.Unmarshal(h["doc"], &encoded)
		if err == nil {
			blob, err = base64.RawStdEncoding.DecodeString(encoded)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errBlob, err)
		}
		d, err := decode(blob)
		if err != nil {
			return nil, err
		}
		docs = append(docs, d)
	}
	return docs, nil
}

// Search implements [Engine].
func (e *Meili) Search(ctx context.Context, q Query) (Result, error) {
	start := time.Now()
	p, err := q.check()
	if err != nil {
		return Result{}, err
	}
	counted, page := e.request(p), e.request(p)
	page.AttributesToRetrieve, page.Facets = []string{"doc"}, nil
	page.Sort, page.Limit, page.Offset = meiliOrders[p.Sort], int64(p.Limit+1), int64(p.offset)
	if p.after != nil {
		also(page, meiliPast(p.Sort, *p.after, false))
	}
	if p.Collapse {
		page.Distinct = "group"
	}
	asked := []*meilisearch.SearchRequest{counted, page}
	if p.Uncounted {
		asked = asked[1:]
	}
	answers, err := e.ask(ctx, asked...)
	if err != nil {
		return Result{}, err
	}
	var n int64
	if !p.Uncounted {
		if n, err = total(&answers[0]); err != nil {
			return Result{}, err
		}
	}
	docs, err := documents(answers[len(answers)-1].Hits)
	if err != nil {
		return Result{}, err
	}
	if p.Collapse && p.after != nil {
		if docs, err = e.fresh(ctx, p, page, docs); err != nil {
			return Result{}, err
		}
	}
	res := Result{Total: int(min(n, MaxTotal)), TotalCapped: n > MaxTotal}
	if len(docs) > p.Limit {
		docs = docs[:p.Limit]
		last := docs[p.Limit-1].place(p.Sort)
		if p.Sort != Relevance {
			res.Next = p.cursor(last.key, last.seq)
		} else if at := p.offset + p.Limit; at < MaxTotal {
			res.Next = p.cursor(int64(at), 0)
		}
	}
	m := newMarker(p.phrases)
	for _, d := range docs {
		res.Hits = append(res.Hits, Hit{Document: d, Marks: m.marks(d.Content())})
	}
	res.Took = time.Since(start)
	return res, nil
}

// fresh drops the documents of stories that an earlier page has shown, and
// reads on until the page is full again.
func (e *Meili) fresh(ctx context.Context, p *plan, page *meilisearch.SearchRequest, docs []Document) ([]Document, error) {
	var kept []Document
	shown := map[string]bool{} // by brand and story
	key := func(d *Document) string { return d.Brand + "\x00" + d.Story }
	for {
		var asked []*meilisearch.SearchRequest
		var about []string
		for i := range docs {
			if d := &docs[i]; d.Story != "" {
				if _, known := shown[key(d)]; known {
					continue
				}
				r := also(also(e.request(p), meiliPast(p.Sort, *p.after, true)), "group = "+strconv.FormatInt(hashKey(key(d)), 10))
				asked, about = append(asked, r), append(about, key(d))
			}
		}
		answers, err := e.ask(ctx, asked...)
		if err != nil {
			return nil, err
		}
		for i := range answers {
			n, err := total(&answers[i])
			if err != nil {
				return nil, err
			}
			shown[about[i]] = n > 0
		}
		for i := range docs {
			if d := &docs[i]; d.Story == "" || !shown[key(d)] {
				kept = append(kept, *d)
				if d.Story != "" {
					shown[key(d)] = true
				}
			}
		}
		if len(kept) > p.Limit || len(docs) <= p.Limit {
			return kept, nil
		}
		filter := page.Filter.([]string)
		filter[len(filter)-1] = meiliPast(p.Sort, docs[len(docs)-1].place(p.Sort), false)
		answers, err = e.ask(ctx, page)
		if err != nil {
			return nil, err
		}
		if docs, err = documents(answers[0].Hits); err != nil {
			return nil, err
		}
	}
}

// Get implements [Engine].
func (e *Meili) Get(ctx context.Context, v Viewer, ids ...mention.ID) ([]Document, error) {
	if _, err := (Query{Viewer: v}).check(); err != nil {
		return nil, err
	}
	var known []string
	for _, id := range ids {
		if id.Valid() {
			known = append(known, string(id))
		}
	}
	byID := map[mention.ID]Document{}
	for len(known) > 0 {
		n := min(len(known), MaxTotal)
		var resp meilisearch.DocumentsResult
		err := e.index.GetDocumentsWithContext(ctx, &meilisearch.DocumentsQuery{Ids: known[:n], Limit: int64(n), Fields: []string{"doc"}}, &resp)
		if err != nil {
			return nil, meiliError(err)
		}
		docs, err := documents(resp.Results)
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			byID[d.ID] = d
		}
		known = known[n:]
	}
	var out []Document
	for _, id := range ids {
		if d, ok := byID[id]; ok && v.Sees(d.Brand) {
			out = append(out, d)
		}
	}
	return out, nil
}

// Figures implements [Engine].
func (e *Meili) Figures(ctx context.Context, v Viewer, p Period, by Grouping, now time.Time) ([]Group, error) {
	return tallied(ctx, e, v, p, by, now)
}

// Counts implements [Engine].
func (e *Meili) Counts(ctx context.Context, queries ...Query) ([]int64, error) {
	requests := make([]*meilisearch.SearchRequest, len(queries))
	for i, q := range queries {
		p, err := q.check()
		if err != nil {
			return nil, err
		}
		requests[i] = e.request(p)
	}
	answers, err := e.ask(ctx, requests...)
	if err != nil {
		return nil, err
	}
	counts := make([]int64, len(queries))
	for i := range answers {
		if counts[i], err = total(&answers[i]); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// Facets implements [Engine]: one query for the fields without a filter of
// their own, and one for each other.
func (e *Meili) Facets(ctx context.Context, q Query, list ...Field) (Facets, error) {
	if err := checkFacets(list); err != nil {
		return nil, err
	}
	p, err := q.check()
	if err != nil {
		return nil, err
	}
	common := e.request(p)
	common.Facets = nil
	var requests []*meilisearch.SearchRequest
	for _, f := range list {
		if len(p.Where[f]) == 0 {
			common.Facets = append(common.Facets, string(f))
			continue
		}
		r := e.request(p.without(f))
		r.Facets = []string{string(f)}
		requests = append(requests, r)
	}
	if common.Facets != nil {
		requests = append(requests, common)
	}
	answers, err := e.ask(ctx, requests...)
	if err != nil {
		return nil, err
	}
	out := make(Facets, len(list))
	for i := range answers {
		counts, err := distribution(&answers[i])
		if err != nil {
			return nil, err
		}
		for f, c := range counts {
			if whole(f) {
				if err := e.rest(ctx, p.without(f), f, c); err != nil {
					return nil, err
				}
			}
			out[f] = rank(f, c)
		}
	}
	return out, nil
}

// rest adds to counts the values of f, of which each document has one, that the
// server left out of a facet because they are too many.
func (e *Meili) rest(ctx context.Context, p *plan, f Field, counts map[string]int64) error {
	for given := len(counts); given >= meiliValues; {
		r := also(e.request(p), meiliIn(f, slices.Sorted(maps.Keys(counts)), "NOT "))
		r.Facets = []string{string(f)}
		answers, err := e.ask(ctx, r)
		if err != nil {
			return err
		}
		more, err := distribution(&answers[0])
		if err != nil {
			return err
		}
		before := len(counts)
		maps.Copy(counts, more[f])
		given = len(counts) - before // a server that repeats itself ends it
	}
	return nil
}

// Due implements [Engine].
func (e *Meili) Due(ctx context.Context, now time.Time, limit int) ([]mention.ID, error) {
	answers, err := e.ask(ctx, &meilisearch.SearchRequest{
		IndexUID: e.name, Filter: []string{mentions, fmt.Sprintf("next > 0 AND next <= %d", now.UnixMilli())},
		Sort: []string{"next:asc"}, Limit: int64(min(max(limit, 1), MaxTotal)), AttributesToRetrieve: []string{"id"},
	})
	if err != nil {
		return nil, err
	}
	var ids []mention.ID
	for _, h := range answers[0].Hits {
		var id mention.ID
		if err := json.Unmarshal(h["id"], &id); err != nil {
			return nil, fmt.Errorf("search: meilisearch: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Stories implements [Engine].
func (e *Meili) Stories(ctx context.Context, brand string, since time.Time, keys ...string) (map[string]Story, error) {
	stories := map[string]Story{}
	var requests []*meilisearch.SearchRequest
	for _, key := range keys {
		q := Query{Viewer: Sees(brand), Where: map[Field][]string{FieldStory: {key}}}
		all, err := q.check()
		if err != nil {
			return nil, err
		}
		first := e.request(all)
		first.Sort, first.AttributesToRetrieve = meiliOrders[Oldest], []string{"doc"}
		requests = append(requests, first, also(e.request(all), fmt.Sprintf("published >= %d", since.UnixMilli())))
	}
	answers, err := e.ask(ctx, requests...)
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		var s Story
		if s.Count, err = total(&answers[2*i]); err != nil {
			return nil, err
		}
		if s.Recent, err = total(&answers[2*i+1]); err != nil {
			return nil, err
		}
		first, err := documents(answers[2*i].Hits)
		if err != nil {
			return nil, err
		}
		if len(first) > 0 {
			s.First = first[0].PublishedAt
			stories[key] = s
		}
	}
	return stories, nil
}
