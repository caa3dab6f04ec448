package bus

import (
	"context"
	"fmt"
	"time"
)

// Filing says under which subject of ARCHIVE a snapshot lies, and by which id a
// repeated one is known within the stream's window.
type Filing struct {
	Brand string
	Month time.Time
	ID    string
}

// NewArchive binds a type of snapshots to ARCHIVE, the stream of what takes no
// place of its own any more: it has a subject for each brand and month, however
// many snapshots there are.
func NewArchive[T any](codec Codec[T], file func(*T) Filing) Topic[T] {
	return Topic[T]{
		stream: streamArchive,
		codec:  codec,
		subject: func(v *T) string {
			f := file(v)
			return "archive." + token(f.Brand) + "." + f.Month.UTC().Format("200601")
		},
		id: func(v *T) string { return file(v).ID },
	}
}

// PublishOne is Publish of one message that returns its sequence; that of the
// first, when it was stored before within ten minutes.
func (t Topic[T]) PublishOne(ctx context.Context, c *Conn, v *T) (uint64, error) {
	acks, err := t.publish(ctx, c, []*T{v})
	if err != nil {
		return 0, err
	}
	if acks[0].Sequence == 0 {
		return 0, fmt.Errorf("bus: publish to %s: stored without a sequence", t.stream)
	}
	return acks[0].Sequence, nil
}
