package indexer

import (
	"context"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
)

// canaries looks for the fetcher's canaries in the index, tells of those that
// can be found, and takes them away from there and from TAGGED. What it can't
// take away now goes with the next one.
func (x *indexer) canaries(ctx context.Context, batch []bus.Entry[mention.Tagged]) {
	if !hasCanary(batch) {
		return
	}
	found, err := x.index.Search(ctx, search.Query{Viewer: search.Sees(mention.CanaryBrand), Text: "canary", Sort: search.Newest, Limit: search.MaxLimit})
	if err != nil {
		x.log.Warn("canaries not looked for", "error", err)
		return
	}
	var ids []mention.ID
	var seqs []uint64
	for _, h := range found.Hits {
		ids = append(ids, h.ID)
		seqs = append(seqs, h.Tagged...)
	}
	if len(ids) == 0 {
		return
	}
	if err := x.bus.Tell("canary", ids); err != nil {
		x.log.Warn("canaries not told of", "error", err)
	}
	if err := bus.Tagged.Erase(ctx, x.bus, seqs...); err != nil {
		x.log.Warn("canaries are still on the bus; they go with the next", "error", err)
		return // the index remembers where they lie
	}
	if err := x.index.Write(ctx, search.Batch{Deletes: ids}); err != nil {
		x.log.Warn("canaries are still in the index; they go with the next", "error", err)
	}
}

func hasCanary(batch []bus.Entry[mention.Tagged]) bool {
	for i := range batch {
		if batch[i].Value.Mention.Brand == mention.CanaryBrand {
			return true
		}
	}
	return false
}
